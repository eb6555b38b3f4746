"""What became of a slot? One row per run, or per stretch of slots that were missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Concat
from django.utils.translation import gettext_lazy as _

from cronkite.code import commands
from cronkite.database import clock, texts
from cronkite.models import told
from cronkite.models.fields import CopiedText, Json, ShortText, ToldText
from cronkite.models.primary import PrimaryQuerySet
from cronkite.schedules.catch_up import Decision

if TYPE_CHECKING:
    from cronkite.models.jobs import Job


class Status(models.TextChoices):
    """How a run stands or ended; ``missed`` is for slots that no run was made of."""

    RUNNING = "running", _("running")
    HANDED_OVER = "handed_over", _("handed over")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    TIMED_OUT = "timed_out", _("timed out")
    INTERRUPTED = "interrupted", _("interrupted")
    LOST = "lost", _("lost")
    MISSED = "missed", _("missed")


def status_label(status: str) -> str:
    """Return the name of a status for people; of one that newer code has written and this does not know, itself."""
    return str(Status(status).label) if status in Status.values else status.replace("_", " ")


#: Why a run is lost whose job is gone, and its lock with that: it may still go on, and then its end is its record.
JOB_DELETED = "its job was deleted while it ran"


#: Why what became of a task is not found out.
NOT_FOLLOWED = "its job was deleted, so what became of the task is not known"


def also(note: str) -> Case:
    """Return the reason of a log with ``note`` behind it, once: who asked for the run, or unlocked it, stays there."""
    text = ToldText()
    # What it is compared with is as it was kept.
    note = texts.storable(note)
    return Case(
        When(reason="", then=Value(note)),
        When(reason__endswith=note, then=F("reason")),
        default=Concat("reason", Value(f"; {note}"), output_field=text),
        output_field=text,
    )


def is_of_run(job: Any, fence: Any) -> models.Q:
    """Return the condition that a log is of this run, whose job may have been deleted meanwhile.

    By its key alone it might be another's: where commits were lost, as in a fail-over, keys are given anew.
    """
    return models.Q(models.Q(job=job) | models.Q(job__isnull=True), fence=fence)


class LogQuerySet(PrimaryQuerySet["Log"]):
    """Queries over logs."""

    def of_run(self, key: Any, job: Any, fence: Any) -> LogQuerySet:
        """Return the query for the log with this key, if it is that run's."""
        return self.filter(is_of_run(job, fence), pk=key)

    def lose(self, reason: str) -> int:
        """Mark those that run as lost, and say why; return how many that were."""
        running = self.filter(status=Status.RUNNING)
        # Of a deleted job, a run goes on, and then its end is told.
        keys = list(running.values_list("pk", flat=True)) if reason != JOB_DELETED and told.are_losses_wanted() else []
        told.lost(keys)
        return running.update(status=Status.LOST, finished_at=clock.Now(), reason=also(reason))


class Log(models.Model):
    """The record of one run, or of a stretch of missed slots.

    The slots that a row accounts for: ``missed`` slots that were passed over just before ``slot``, and ``slot`` itself,
    which was run, or was missed too if the status says so. A row without a slot is a run that was asked for by hand.
    """

    #: What may be long, so that lists leave it in the database: what a run wrote, raised, returned and was given.
    TEXTS = ("output", "exc_info", "result", "args", "kwargs")

    Status = Status

    job = models.ForeignKey(
        "cronkite.Job", verbose_name=_("job"), null=True, on_delete=models.SET_NULL, related_name="logs"
    )
    job_name = CopiedText(_("job name"), max_length=255)
    function = CopiedText(_("function"), max_length=255)
    slot = models.DateTimeField(_("slot"), null=True, blank=True)
    fence = models.BigIntegerField(
        _("fencing token"), null=True, blank=True, help_text=_("The number of the claim. Missed slots have none.")
    )
    node = CopiedText(_("node"), max_length=255)
    status = ShortText(_("status"), max_length=16, choices=Status.choices, default=Status.RUNNING)
    created = models.DateTimeField(_("created"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    result = Json(_("result"), null=True, blank=True)
    output = ToldText(_("output"), blank=True)
    exc_info = ToldText(_("traceback"), blank=True)
    # Null where that is not known: in logs of slots that were missed, and of code that did not keep it.
    args = Json(_("arguments"), null=True, blank=True, help_text=_("What it ran with."))
    kwargs = Json(_("keyword arguments"), null=True, blank=True, help_text=_("What it ran with."))
    missed = models.PositiveIntegerField(
        _("missed"), default=0, help_text=_("How many slots were passed over just before this one.")
    )
    reason = ToldText(_("reason"), blank=True)
    watched_at = models.DateTimeField(
        _("watched at"), null=True, blank=True, help_text=_("When somebody looked at its run while that went on.")
    )

    attempt = models.PositiveSmallIntegerField(
        _("attempt"), default=1, db_default=1, help_text=_("Which attempt at the slot it is.")
    )
    # Of a task that was handed over to an engine; else empty.
    engine = CopiedText(_("engine"), max_length=32, blank=True, default="", db_default="")
    backend = CopiedText(_("backend"), max_length=255, blank=True, default="", db_default="")
    queue = CopiedText(_("queue"), max_length=255, blank=True, default="", db_default="")
    task_id = CopiedText(_("task"), max_length=255, blank=True, default="", db_default="")
    worker = CopiedText(_("worker"), max_length=255, blank=True, default="", db_default="")

    objects = LogQuerySet.as_manager()

    class Meta:
        verbose_name = _("log")
        verbose_name_plural = _("logs")
        ordering = ["-id"]
        base_manager_name = "objects"
        constraints = [
            # Promise P1, kept by the database: a bug in our code becomes an error, not a second run.
            models.UniqueConstraint(fields=["job", "slot", "attempt"], name="cronkite_log_one_per_attempt"),
            models.UniqueConstraint(fields=["job", "fence"], name="cronkite_log_one_per_claim"),
            models.CheckConstraint(
                condition=Q(status=Status.MISSED, fence__isnull=True, slot__isnull=False)
                | (~Q(status=Status.MISSED) & Q(fence__isnull=False)),
                name="cronkite_log_missed_or_claimed",
            ),
        ]
        indexes = [models.Index(fields=["created"], name="cronkite_log_created")]

    def __str__(self) -> str:
        # On the clock of whoever reads it, as all else on a page of the admin is.
        when = f"{clock.on_clock(self.slot):%Y-%m-%d %H:%M:%S %Z}" if self.slot else _("by hand")
        return f"{self.job_name}, {when}: {self.get_status_display()}"

    @property
    def callee(self) -> str:
        """What ran, as a job's ``callee`` says it; of a command, as far as its name was kept."""
        return commands.callee(self.function, self.args)

    @property
    def what(self) -> str:
        """What ran, as people read it: the function, or ``manage.py`` and the name of the command."""
        return commands.shown(self.callee)

    @property
    def has_arguments(self) -> bool:
        """Whether it is known with which arguments it ran, all of them: very long ones are cut, and are a text then."""
        return isinstance(self.args, list) and isinstance(self.kwargs, dict)

    @classmethod
    def record_missed(cls, job: Job, decision: Decision, *, node: str, using: str) -> None:
        """Insert the one row that says which slots of ``job`` are missed, and why; nothing if none are."""
        if decision.missed:
            told.missed(job, decision)
            cls.objects.using(using).create(
                job=job,
                job_name=job.name,
                function=job.function,
                slot=decision.last_missed,
                missed=decision.missed - 1,
                status=Status.MISSED,
                node=node,
                created=clock.Now(),
                reason=decision.reason,
            )

    @classmethod
    def lose_with_job(cls, job: Job, *, using: str) -> None:
        """Mark the run of ``job``, which is about to be deleted, as lost, and its tasks as followed no more.

        Now, and not when it has shown no life for too long: without its job there is nowhere to show any.
        """
        cls.objects.using(using).filter(job=job.pk).lose(JOB_DELETED)
        if job.tasks.using(using).exists():
            handed = cls.objects.using(using).filter(job=job.pk, status=Status.HANDED_OVER)
            handed.update(reason=also(NOT_FOLLOWED))
