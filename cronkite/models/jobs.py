"""What is to be run, and when?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, router
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cronkite import conf, schedules
from cronkite.code import calls, commands, functions
from cronkite.code.declarations import MOST_SECONDS
from cronkite.exceptions import ScheduleError
from cronkite.models import edits, fixtures, rhythm, told, validation, verbs
from cronkite.models.definition import Definition
from cronkite.models.kept import Kept
from cronkite.models.queries import STUCK_AFTER, JobQuerySet
from cronkite.models.ways import Overlap, RetryUntil, RunMode
from cronkite.schedules import chosen, once
from cronkite.schedules.catch_up import CatchUp, Pending


class Job(Definition, Kept):
    """A function, its arguments, and the schedule by which it is run on one node of the cluster.

    ``save()`` writes what a person or the code decides, never what is kept besides: an edit cannot undo what a tick
    wrote meanwhile. So the columns are declared in two places.
    """

    #: The database's clock, in jobs that come from ``queue()`` or ``with_now()``.
    now: datetime

    objects = JobQuerySet.as_manager()

    #: What a ``save()`` may write.
    DEFINITION: ClassVar[frozenset[str]] = frozenset(field.name for field in Definition._meta.fields)  # noqa: SLF001 - documented

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["name", "id"]
        # Also for what Django looks up by itself: a log's job, refresh_from_db().
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(enabled=False) | Q(next_run__isnull=False), name="cronkite_job_enabled_is_planned"
            ),
            models.CheckConstraint(
                condition=Q(lock__isnull=True, locked_at__isnull=True, locked_by="")
                | Q(lock__isnull=False, locked_at__isnull=False),
                name="cronkite_job_lock_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(seated_in__isnull=True, seat__isnull=True)
                | Q(seated_in__isnull=False, seat__isnull=False, lock__isnull=False),
                name="cronkite_job_seat_goes_with_lock",
            ),
            # So no more run than there are seats, whatever a claim has read.
            models.UniqueConstraint(fields=["seated_in", "seat"], name="cronkite_job_one_per_seat"),
        ]
        # A disabled job has no next_run, so this is an index of those to be run, in the order of the due query.
        indexes = [models.Index(fields=["due_at", "id"], name="cronkite_job_due")]
        permissions = [("run_job", _("Can run job")), ("unlock_job", _("Can unlock job"))]

    def __str__(self) -> str:
        return self.name

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Write the definition of the job, and plan its next run from the database's now on where that changes it.

        What fell due until then is recorded as missed. Raises :class:`ScheduleError`, or :class:`FunctionError` for a
        new function that can't be run here, before anything is written; :class:`ValueError` for what is no job at all.
        Without a ``pk``, it becomes another job.
        """
        using = using or router.db_for_write(type(self), instance=self)
        # Django takes a new object with the key of a row for that row, and would write all of it.
        key: int | None = self.pk
        is_new = key is None or (self._state.adding and (force_insert or not edits.exists(self, using)))
        if is_new:
            validation.demand(self, self.DEFINITION)
            function = functions.look_up(self.callee)
            if self._is_copy:
                self.forget_original()
            self.engine = calls.engine(function, self.backend)
            edits.plan_new(self, using)
            super().save(force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields)
            told.edited(self, "made", edits.said(self), using)
            return
        columns = edits.said(self) if update_fields is None else frozenset(update_fields)
        if others := columns - self.DEFINITION:
            raise ValueError(self._why_not_saved(others))
        if not columns:
            return
        validation.demand(self, columns)

        def write() -> None:
            super(Job, self).save(using=using, update_fields=columns)

        edits.edit(self, columns, using, write)

    @property
    def _is_copy(self) -> bool:
        """Whether this object, which has no row of its own yet, knows what only the row of another job can tell."""
        kept = (self.planned_at, self.last_slot, self.lock, self.asked_at)
        return bool(self.fence or self.revision) or any(value is not None for value in kept)

    def natural_key(self) -> tuple[str, str]:
        """Return the declared function and the name: one of them, the other one is empty.

        Fixtures know a job by it where keys differ; see ``Job.objects.get_by_natural_key()``.
        """
        key = rhythm.identity(self)
        fixtures.demand_one(self, key)
        return key

    def forget_original(self) -> None:
        """Be a job of its own, of which nothing is known yet: this is the copy of another one."""
        for field in self._meta.concrete_fields:
            if not (field.primary_key or field.generated or field.name in self.DEFINITION - {"declared_as"}):
                setattr(self, field.attname, field.get_default())

    def _why_not_saved(self, columns: frozenset[str]) -> str:
        named = ", ".join(sorted(columns))
        if columns <= {field.name for field in self._meta.concrete_fields}:
            return f"A job's {named} cannot be saved: django-cronkite keeps it by itself."
        return f"A job has no {named}. What can be saved is {', '.join(sorted(self.DEFINITION))}."

    @property
    def source(self) -> str:
        """``"code"`` for a job that a module declares, ``"admin"`` for one that was entered by hand."""
        return "admin" if self.declared_as is None else "code"

    @property
    def callee(self) -> str:
        """The text by which what it runs is found and judged: its function and, of a management command, the name."""
        return commands.callee(self.function, self.args)

    @property
    def home(self) -> str:
        """What is imported for what it runs: a module or, where one is called, a command."""
        return commands.home(self.callee)

    @property
    def what(self) -> str:
        """What it runs, as people read it: its function, or ``manage.py`` and the name of the command."""
        return commands.shown(self.callee)

    @property
    def is_locked(self) -> bool:
        """Whether a run held the job's lock when this row was read; the lock may be stale."""
        return self.lock is not None

    @property
    def is_stale(self) -> bool:
        """Whether the lock is free for the next claim to take over, as its run shows no life; asks for ``now``."""
        timeout = conf.get().lock_timeout
        return timeout is not None and self._is_silent_for(timeout)

    @property
    def is_stuck(self) -> bool:
        """Whether only a person clears the lock, of a run that seems to be gone; asks for ``now``.

        That is so without a lock timeout, after ten signs of life that have not come.
        """
        # In this order: nodes ask it of each job that is due, and hardly any is locked.
        return self._is_silent_for(STUCK_AFTER) and conf.get().lock_timeout is None

    def _is_silent_for(self, time: timedelta) -> bool:
        return self.locked_at is not None and self.now - self.locked_at > time

    @property
    def is_asked(self) -> bool:
        """Whether somebody asked for a run that no node had taken when this row was read."""
        return self.asked_at is not None

    @property
    def is_once(self) -> bool:
        """Whether the job is a one-off: its schedule names one instant."""
        return once.is_in(self.schedule)

    @property
    def is_done(self) -> bool:
        """Whether the job is a one-off that is disabled as its one slot was run or missed."""
        if self.enabled or self.last_slot is None or not self.is_once:
            return False
        try:
            return self.get_schedule().is_slot(self.last_slot)
        except ScheduleError:
            return False

    @property
    def retries_first(self) -> bool:
        """Whether slots wait for a retry that is to come; else they take its place."""
        return self.retry_at is not None and self.retry_until == RetryUntil.LAST_RETRY

    @property
    def is_retry(self) -> bool:
        """Whether the next thing to be run is a retry, and not a slot."""
        if self.retry_at is None or self.asked_at is not None or not (self.enabled or self.is_once):
            return False
        return self.retries_first or self.next_run is None or self.retry_at < self.next_run

    @property
    def begins_at(self) -> datetime | None:
        """When its next slot is to be begun: then, or later by its jitter."""
        return None if self.next_run is None else self.begins(self.next_run)

    def begins(self, slot: datetime) -> datetime:
        """Return when a slot is to be begun: then, or later by the job's jitter."""
        return chosen.later(slot, self.jitter, rhythm.seed(self)) if self.jitter else slot

    @property
    def comes_at(self) -> datetime | None:
        """When its next slot, or its next retry, is to be run."""
        return self.retry_at if self.is_retry else self.begins_at

    @property
    def call(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments and keyword arguments of the run that somebody asked for, or else of any run."""
        if self.asked_with is None or self.asked_at is None or self.asked_with_at != self.asked_at:
            return self.args, self.kwargs
        return self.asked_with["args"], self.asked_with["kwargs"]

    @property
    def is_handed_over(self) -> bool:
        """Whether nodes hand the job over to an engine, as far as is known of its function."""
        return self.run_mode == RunMode.HAND_OVER or (self.run_mode == RunMode.AUTOMATIC and bool(self.engine))

    @property
    def waits_for_task(self) -> bool:
        """Whether the lock is kept until the engine says that the task has ended: so are the seats of its group."""
        return self.overlap == Overlap.WAIT or bool(self.group)

    @property
    def pending(self) -> Pending | None:
        """Where the job stands with its slots; ``None`` for a job that is disabled."""
        if not self.enabled or self.next_run is None:
            return None
        return Pending(self.next_run, self.last_slot)

    @property
    def seed(self) -> str:
        """The text by which numbers are chosen where the schedule says ``H``: the declared function, or the name."""
        return rhythm.seed(self)

    def get_schedule(self) -> schedules.Schedule:
        """Return the schedule, in the job's time zone or else the project's; raise :class:`ScheduleError` if none."""
        return rhythm.schedule(self)

    def get_policy(self) -> CatchUp:
        """Return the catch-up; raise :class:`ScheduleError` if that is none which this code knows."""
        try:
            return CatchUp(self.catch_up)
        except ValueError:
            known = ", ".join(each.value for each in CatchUp)
            message = f"catch-up {self.catch_up!r} is not known here, but these are: {known}"
            raise ScheduleError(message, "catch_up") from None

    def get_grace(self) -> timedelta | None:
        """Return the grace, or ``None`` if the job has none of its own."""
        # SQLite's columns hold more than durations do.
        return None if self.grace is None else timedelta(seconds=min(self.grace, MOST_SECONDS))

    def run(self) -> Any:
        """Run the job now, in this process, and return its function's result.

        The run has a log without a slot, and holds the job's lock. Raises :class:`cronkite.exceptions.JobIsLocked` if
        another run holds it, or another transaction has locked the row, and whatever the function raises. A run that
        loses its lock meanwhile is not ended, as this process is the caller's: it goes on, and the logger and its log
        tell.

        Within ``atomic()``, all of that is part of the caller's transaction: until that ends, the row is locked, nobody
        else sees the run, and no node can run the job. Call it outside, or have a node run it, by
        :func:`cronkite.requests.ask`.
        """
        return verbs.run(self)

    @staticmethod
    def process_queue() -> None:
        """Run the jobs that are due, in this process, one after the other."""
        verbs.process_queue()

    @staticmethod
    def auto_discover(module: str | ModuleType, delete_first: bool = False) -> None:
        """Make a job of each function that is defined in ``module`` and has an attribute ``schedule``.

        A job whose function is known already is left as it is. With ``delete_first``, the rows of the module are
        afterwards what the module says. While the tables don't exist yet, it waits for ``migrate`` to make them.
        """
        verbs.auto_discover(module, delete_first)

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check the fields that are not in ``exclude``; raise one :class:`ValidationError` with the errors by field.

        Not in ``clean()``, which does not learn of ``exclude``: a form that lacks a field, or found it wrong by itself,
        could not tell us.
        """
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
        sound = {field.name for field in self._meta.fields} - {*(exclude or ())} - errors.keys()
        errors |= validation.problems(self, sound)
        if errors := validation.unsettled(self, errors):
            raise ValidationError(errors)

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Validate what a person can get wrong. The columns that nodes keep are only set when the job is saved."""
        kept = {field.name for field in self._meta.concrete_fields} - self.DEFINITION
        super().validate_constraints(exclude=kept | set(exclude or ()))
