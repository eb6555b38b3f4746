"""Which jobs are due, and which locks are free?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.db.models.utils import resolve_callables

from cronkite import conf
from cronkite.code import commands
from cronkite.database import clock
from cronkite.models import validation
from cronkite.models.groups import Group
from cronkite.models.primary import PrimaryQuerySet
from cronkite.models.rhythm import RHYTHM, SEEDED_BY, identity
from cronkite.schedules import chosen, once

if TYPE_CHECKING:
    from cronkite.models.jobs import Job

#: Without a lock timeout, a run that has shown no life for so long is taken to be gone: ten renewals.
STUCK_AFTER = 10 * conf.RENEWAL_INTERVAL_WITHOUT_TIMEOUT

#: The columns of a seat of a group, where nobody has it.
NO_SEAT: dict[str, Any] = {"seated_in": None, "seat": None}
#: The columns of a lock, and of the seat that goes with it, where nobody has it.
FREE: dict[str, Any] = {"lock": None, "locked_by": "", "locked_at": None, **NO_SEAT}

#: The columns of a retry, where nothing is to be tried again.
NO_RETRY: dict[str, Any] = {"retry_at": None, "retry_slot": None, "retry_attempt": None}

#: How many jobs a statement names at most: databases bound the number of its parameters.
CHUNK = 500


def is_same(planned_at: Any) -> Q:
    """Return the condition that a row is of the job that was planned then, or when that is, is not known of the row.

    Whoever deletes a job may put another at its key, by a fixture for one, whose edits and claims are counted anew: by
    these numbers and its key, the one could be taken for the other. No two jobs are planned at one instant, and whoever
    plans a job anew counts that as an edit.
    """
    return Q(planned_at=planned_at) | Q(planned_at__isnull=True)


def is_free(lock_timeout: timedelta | None) -> Q:
    """Return the condition that a job's lock is free, or stale by the database's clock."""
    free = Q(lock__isnull=True)
    return free if lock_timeout is None else free | _is_silent_for(lock_timeout)


def may_retry() -> Q:
    """Return the condition that a retry of a job's slot is run: the job is enabled, or it is a one-off.

    A one-off is disabled by the claim of its slot. Who has a job disabled takes its retry away.
    """
    return Q(enabled=True) | Q(schedule__startswith=once.BEGINNING)


def may_run() -> Q:
    """Return the condition that there may be anything to run of a job: it is enabled, asked for or to be retried."""
    return Q(enabled=True) | Q(asked_at__isnull=False) | (Q(retry_at__isnull=False) & may_retry())


def is_stale() -> Q:
    """Return the condition of :attr:`Job.is_stale <cronkite.models.Job.is_stale>`."""
    timeout = conf.get().lock_timeout
    return Q(pk__in=[]) if timeout is None else _is_silent_for(timeout)


def is_stuck() -> Q:
    """Return the condition of :attr:`Job.is_stuck <cronkite.models.Job.is_stuck>`."""
    if conf.get().lock_timeout is not None:
        return Q(pk__in=[])
    return Q(lock__isnull=False) & _is_silent_for(STUCK_AFTER)


def _is_silent_for(time: timedelta) -> Q:
    return Q(locked_at__lt=clock.Now() - time)


def like(words: str) -> Q:
    """Return the condition that a job has these in its name, in its function or, if it calls one, in its command."""
    # As a text, all of the arguments: what the name alone is takes an expression that differs by database.
    command = Q(function=commands.CALL, args__icontains=words)
    return Q(name__icontains=words) | Q(function__icontains=words) | command


class JobQuerySet(PrimaryQuerySet["Job"]):
    """Queries over jobs. Edits in bulk keep what a single ``save()`` keeps."""

    def queue(self, ahead: timedelta = timedelta(0)) -> JobQuerySet:
        """Return the jobs that are due: enabled, not locked, with a slot that is not after the database's now.

        ``ahead`` adds those that fall due within that time. Each job has the database's clock in its attribute ``now``
        (aware, UTC). Ordered by slot, oldest first.
        """
        now = clock.Now() + ahead
        due = self.filter(is_free(conf.get().lock_timeout), due_at__lte=now, enabled=True, next_run__lte=now)
        return due.with_now().order_by("next_run", "id")

    def agenda(self, ahead: timedelta = timedelta(0)) -> JobQuerySet:
        """Return what nodes have to see: :meth:`queue`, the free jobs that somebody asked for, stuck ones of both, and
        those, locked or not, whose tasks are to be asked about.

        Where locks are never cleared by themselves, a job is stuck if its lock has shown no life for ``STUCK_AFTER``.
        """
        timeout = conf.get().lock_timeout
        to_run = is_free(STUCK_AFTER if timeout is None else timeout) & may_run()
        seen = self.filter(to_run | Q(follow_at__lte=clock.Now()), due_at__lte=clock.Now() + ahead)
        return seen.with_now().order_by("due_at", "id")

    def with_room(self) -> JobQuerySet:
        """Leave out the jobs that are free to be run, but whose group lets no more run now."""
        full = self.model.objects.using(self.db).full_groups()
        return self.exclude(~Q(group=""), lock__isnull=True, group__in=full.values("name"))

    def full_groups(self) -> models.QuerySet[Group]:
        """Return the groups of which as many of these jobs run as may; a run that shows no life counts for none."""
        seated = self.exclude(is_free(conf.get().lock_timeout)).filter(seated_in=OuterRef("pk")).order_by()
        number = seated.values("seated_in").annotate(number=models.Count("pk")).values("number")
        groups = Group.objects.using(self.db).annotate(running=Coalesce(Subquery(number), 0))
        return groups.filter(running__gte=F("max_running")).order_by()

    def with_now(self) -> JobQuerySet:
        """Give each job the database's clock in its attribute ``now`` (aware, UTC)."""
        now = models.ExpressionWrapper(clock.Now(), output_field=models.DateTimeField())
        # By a dict: the type checker takes the name of a keyword for a clash with the attribute that it fills.
        return self.annotate(now=now)  # type: ignore[no-redef]  # it fills an attribute that the model declares

    def get_by_natural_key(self, declared_as: str, name: str = "") -> Job:
        """Return the job that is declared so, or else the one that was entered by hand and has the ``name``.

        Raises :class:`Job.DoesNotExist`, or :class:`Job.MultipleObjectsReturned` if several were entered by that name.
        """
        rows = self.filter(declared_as=declared_as) if declared_as else self.filter(declared_as=None, name=name)
        # Many collations of MySQL and MariaDB don't tell "Bill" from "bill", nor "menu" from "menü".
        found = [job for job in rows if identity(job) == (declared_as, "" if declared_as else name)]
        if not found:
            raise self.model.DoesNotExist(f"There is no job {declared_as or name!r}.")
        if len(found) > 1:
            raise self.model.MultipleObjectsReturned(
                f"{len(found)} jobs are called {name!r}, by which they are known: call each by a name of its own."
            )
        return found[0]

    def update(self, **values: Any) -> int:
        """Update the columns of all jobs in the query.

        Where ``schedule``, ``timezone`` or ``enabled`` is among them, or what ``H`` goes by, each job is saved by
        itself, so that its next run follows and what fell due until now is accounted for.
        """
        validation.demand_values(self.model, values)
        if self.query.is_sliced:
            raise TypeError("Cannot update a query once a slice has been taken.")
        if not _decide(values.keys(), self):
            if values.keys() & self.model.DEFINITION:
                # Or a node would run what it has read before, in spite of the edit.
                values.setdefault("revision", F("revision") + 1)
            return super().update(**values)
        with transaction.atomic(using=self.db):
            # Of what values() has made of it, there would be no jobs.
            jobs = list(self.model.objects.using(self.db).filter(pk__in=self.order_by().values("pk")))
            for job in jobs:
                for column, value in values.items():
                    setattr(job, column, value)
                job.save(using=self.db, update_fields=list(values))
        return len(jobs)

    def bulk_update(self, objs: Iterable[Job], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Update the columns of the jobs; each is saved by itself where that changes when it runs, as in update()."""
        columns, jobs = list(fields), list(objs)
        if not _decide(columns, self.filter(pk__in=[job.pk for job in jobs])):
            return super().bulk_update(jobs, columns, batch_size)
        with transaction.atomic(using=self.db):
            there = set(self.filter(pk__in=[job.pk for job in jobs]).values_list("pk", flat=True))
            for job in jobs:
                if job.pk in there:
                    job.save(using=self.db, update_fields=columns)
        return len(there)

    def update_or_create(
        self,
        defaults: Mapping[str, Any] | None = None,
        create_defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Job, bool]:
        """Save the job that ``kwargs`` describe with ``defaults``, or make it; return it, and whether it was made.

        As Django's own, which would save more than what is in ``defaults``.
        """
        values = defaults or {}
        with transaction.atomic(using=self.db):
            job, is_new = self.select_for_update().get_or_create(
                values if create_defaults is None else create_defaults, **kwargs
            )
            if not is_new:
                for column, value in resolve_callables(values):
                    setattr(job, column, value)
                job.save(using=self.db, update_fields=list(values))
        return job, is_new

    def write(self, **values: Any) -> int:
        """Update columns and nothing else: for the code that keeps jobs' state, which plans for itself."""
        return super().update(**values)

    write.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(  # noqa: PLR0913, PLR0917 - Django's own
        self,
        objs: Iterable[Job],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[Job]:
        """Create the jobs in one go, each planned from the database's now on unless it has a ``next_run``.

        Raises what a ``save()`` raises, before anything is written; but whether their functions can be run is left to
        nodes, which tell of one that can't.
        """
        jobs = list(objs)
        decisive = {*RHYTHM, *SEEDED_BY} if any(chosen.is_in(str(job.schedule)) for job in jobs) else {*RHYTHM}
        if rhythm := decisive & {*(update_fields or ())}:
            raise TypeError(
                f"bulk_create() can't update a job's {' and '.join(sorted(rhythm))}: update_or_create() it."
            )
        for job in jobs:
            validation.demand(job, job.DEFINITION)
            # Who has run is another one, whose lock and slots are its own.
            key: int | None = job.pk
            if key is None and job.fence:
                job.forget_original()
        # A disabled one, too: who has been planned is no job that somebody has written by hand, to `loaddata`.
        unplanned = [job for job in jobs if job.next_run is None and (job.enabled or job.planned_at is None)]
        if unplanned:
            now = clock.now(self.db)
            for job in unplanned:
                job.planned_at = now
                job.next_run = job.get_schedule().next_after(now) if job.enabled else None
        return super().bulk_create(jobs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)


def _decide(columns: Collection[str], jobs: JobQuerySet) -> bool:
    """Whether it depends on these columns when one of the jobs runs."""
    if {*columns} & {*RHYTHM}:
        return True
    # What the database finds may only look like it, as "thu" does: such a job is saved by itself, and keeps its plan.
    return bool({*columns} & {*SEEDED_BY}) and jobs.filter(schedule__contains="H").exists()
