"""Which tasks that were handed over are not known to have ended?"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronkite.models.fields import CopiedText, Token
from cronkite.models.primary import PrimaryQuerySet


class TaskQuerySet(PrimaryQuerySet["Task"]):
    """Queries over tasks."""


class Task(models.Model):
    """A task that an engine has, and whose end a log waits to hear of.

    The log is the one with this ``job`` and ``fence``. A row is deleted when the end is known, or never will be: so
    there are few, and whoever looks for them need not look through the logs.
    """

    # Not a constraint of the database's: nodes whose code does not know of this table delete jobs, too.
    job = models.ForeignKey(
        "cronkite.Job", verbose_name=_("job"), on_delete=models.CASCADE, related_name="tasks", db_constraint=False
    )
    fence = models.BigIntegerField(_("fencing token"))
    engine = CopiedText(_("engine"), max_length=32)
    backend = CopiedText(_("backend"), max_length=255, blank=True)
    task_id = CopiedText(_("task"), max_length=255)
    lock = Token(_("lock"), null=True, blank=True, help_text=_("The claim that is kept until it has ended."))
    created = models.DateTimeField(_("created"))
    # The earliest of a job's tasks is the job's, by which it is found.
    ask_at = models.DateTimeField(_("follow at"))

    objects = TaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        base_manager_name = "objects"
        # Of many tasks that wait, each comes to its turn.
        indexes = [models.Index(fields=["job", "ask_at"], name="cronkite_task_to_ask")]
        constraints = [models.UniqueConstraint(fields=["job", "fence"], name="cronkite_task_one_per_claim")]

    def __str__(self) -> str:
        return f"{self.engine} {self.task_id}"
