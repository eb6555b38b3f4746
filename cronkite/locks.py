"""How does one node take a job that is due, and no other node?

With :mod:`cronkite.holding`, which keeps what was taken and gives it back, the only writer of the lock's columns
(``lock``, ``locked_by``, ``locked_at``, ``fence``) and, while a job runs, of its slots (``next_run``, ``last_slot``),
but for what :mod:`cronkite.models.restores` sees to. The claim, which promise P1 rests on:

1. ``Job.objects.queue()`` read the row, and :mod:`cronkite.catch_up` decided on the slot.
2. One conditional UPDATE takes the slot and the lock, if the row is still what was read, the lock is free or stale,
   and the slot is newer than all that were taken before. Its row count is the verdict: 0 means another node was first.
3. If the lock was stale, the run that held it is marked ``lost``.
4. An INSERT of the log. UNIQUE (job, slot) would turn a second run of the slot into an error, and UNIQUE (job, fence) a
   second run with the fencing token. Then the row knows less than the logs, and is moved past them.
5. COMMIT. Only then is the function called.

A node that has several workers ready takes as many jobs in one transaction, step by step for each. No claim waits for
its start. Where no lock is stale and the database can join them, all steps are one statement, which is its own
transaction: the INSERT is of what the UPDATE returns.

No claim waits for a row that another transaction has locked, where the database can skip it: :mod:`cronkite.waits`. So
the rows are locked first. On SQLite, which locks none, the UPDATE is the first statement of its transaction: it refuses
a write after a read at once if another connection wrote in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar
from uuid import UUID, uuid4

from django.db import DatabaseError, DataError, IntegrityError, connections, router, transaction
from django.db.models import F, Q
from django.db.models.lookups import GreaterThanOrEqual

from cronkite import commits, databases, waits
from cronkite.catch_up import Decision
from cronkite.clock import Now
from cronkite.conf import get as get_conf
from cronkite.exceptions import JobIsLocked
from cronkite.models import Job, Log, restores
from cronkite.models.logs import also
from cronkite.models.queries import JobQuerySet, is_free
from cronkite.outcomes import keep_arguments
from cronkite.statements import Chains, Insert, Update, place, stand_in

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("cronkite")

#: What is wrong with what was to be written, and not with the database.
UNFIT = (IntegrityError, DataError)

TAKEN_OVER = "the lock was stale and {node} took it over"


@dataclass(frozen=True)
class Claim:
    """A job's slot and lock, taken: the right to run it once, and all that the run needs to know.

    ``slot`` is ``None`` for a run by hand. ``next_run`` is the slot that follows. ``timeout`` is in seconds.
    """

    token: UUID
    fence: int
    job_id: int
    job_name: str
    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    timeout: int | None
    slot: datetime | None
    next_run: datetime | None
    log_id: int
    reason: str = ""

    @property
    def kept_args(self) -> Any:
        """What of the arguments goes into the log."""
        return keep_arguments(self.args)

    @property
    def kept_kwargs(self) -> Any:
        """What of the keyword arguments goes into the log."""
        return keep_arguments(self.kwargs)

    def __str__(self) -> str:
        when = f"slot {self.slot:%Y-%m-%d %H:%M:%S} UTC" if self.slot else "by hand"
        return f"job {self.job_name!r} ({self.function}), {when}"


class Contention(Exception):
    """The database rolled the claim back in favour of another transaction. Nothing is claimed; try again soon."""


class RowIsHeld(Contention):
    """Another transaction has locked what the claim needs, and does not let go of it. Nothing is claimed."""


class Refused(Exception):
    """What was to be done can't be done with this job, now or later, for a reason of its own. Nothing was done."""

    def __init__(self, job: Job, why: str) -> None:
        super().__init__(f"Job {job.name!r} is left as it is, because {why}")

    @classmethod
    def by_database(cls, job: Job, error: DatabaseError) -> Refused:
        """Say that the database refuses to record it."""
        return cls(job, f"the database refuses to record a run of it. {error}")


class OutcomeUnknown(Exception):
    """The connection died at COMMIT. Of the ``claims``, those are ours that :func:`settle` finds."""

    def __init__(self, claims: list[Claim]) -> None:
        named = "; ".join(map(str, claims))
        super().__init__(f"The connection died at the claim of {named}; whether it is ours shows when it is back.")
        self.claims = claims


def database() -> str:
    """Return the alias of the database that jobs and logs are in."""
    return router.db_for_write(Job)


def _tried_anew(function: Callable[P, T]) -> Callable[P, T]:
    """Have ``function`` done once more if the connection had died while it was idle; see :func:`databases.anew`."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return databases.anew(database(), lambda: function(*args, **kwargs))

    return call


def claim(job: Job, decision: Decision, node: str) -> Claim | None:
    """Take the slot that was decided on, and the lock; return ``None`` if another node was first.

    ``job`` comes from :meth:`JobQuerySet.queue`. Raises :class:`Contention`, :class:`OutcomeUnknown`, or
    :class:`django.db.DatabaseError` if nothing was claimed because the database is out of order.
    """
    (taken,) = claim_all([(job, decision)], node)
    return taken


def claim_all(wanted: list[tuple[Job, Decision]], node: str) -> list[Claim | None]:
    """Take several jobs' slots as :func:`claim` does, in one transaction; each is taken, or not, for itself.

    Returns a verdict for each, in the order of ``wanted``, and raises what :func:`claim` raises. Waits for no row that
    another transaction has locked: see :func:`cronkite.skips.skipped`.
    """
    using = database()
    commits.demand_of(using)
    if behind := {job.pk for job, decision in wanted if decision.missed and _is_behind(job)}:
        rest = [(job, decision) for job, decision in wanted if job.pk not in behind]
        found = iter(claim_all(rest, node) if rest else [])
        return [None if job.pk in behind else next(found) for job, _ in wanted]
    # In the order of their keys: two nodes that take the same jobs in different orders would wait for each other.
    attempts = sorted((_attempt(job, decision, node) for job, decision in wanted), key=lambda attempt: attempt.job.pk)
    at_once = databases.can_join_writes(connections[using]) and not any(job.is_locked for job, _ in wanted)
    try:
        taken = databases.anew(using, partial(_take_at_once if at_once else _take_in_steps, attempts, using))
    except RowIsHeld:
        if len(wanted) > 1:
            return _one_by_one(wanted, node)
        raise
    except UNFIT as error:
        if len(wanted) > 1:
            return _one_by_one(wanted, node)
        ((job, _),) = wanted
        last_slot = job.last_slot
        if isinstance(error, DataError) or not restores.realign(job, using):
            logger.error("%s", Refused.by_database(job, error))
        elif job.last_slot == last_slot:
            # The decision stands: only the fencing token was given before.
            return claim_all(wanted, node)
        return [None]
    claims = {claim.job_id: claim for claim in taken}
    return [claims.get(job.pk) for job, _ in wanted]


@_tried_anew
def _is_behind(job: Job) -> bool:
    return restores.is_realigned(job, database())


@_tried_anew
def claim_by_hand(job: Job, node: str, reason: str = "") -> Claim:
    """Take the lock of ``job`` for a run without a slot; ``reason``, if there is one, goes into its log.

    Raises :class:`JobIsLocked` if a run holds it, :class:`RowIsHeld`, :class:`Contention`, :class:`OutcomeUnknown`, or
    :class:`django.db.DatabaseError`.
    """
    using, token = database(), uuid4()
    taken: list[Claim] = []
    rows = Job.objects.using(using).filter(pk=job.pk)
    try:
        with waits.limited(using):
            if not waits.lock_available(Job, [job.pk], using) and rows.exists():
                raise RowIsHeld
            if not rows.filter(is_free(get_conf().lock_timeout)).write(
                lock=token, locked_by=node, locked_at=Now(), fence=F("fence") + 1
            ):
                # Only for the words. The UPDATE was the verdict.
                holder = rows.get()
                raise JobIsLocked(f"Job {job.name!r} is running on {holder.locked_by}; try again when it has ended.")
            fresh = rows.get()
            _mark_lost(job.pk, node, using)
            claim = _intend(fresh, None, token, fresh.fence, reason)
            taken.append(_record(claim, _RECORD.ready(using, _Attempt(fresh, None, claim, node))))
    except IntegrityError:
        if restores.realign(rows.get(), using):
            return claim_by_hand(job, node, reason)
        raise
    except DatabaseError as error:
        _raise_unclaimed(error, taken, using)
    return taken[0]


@_tried_anew
def claim_asked(job: Job, node: str) -> Claim | None:
    """Take the lock of ``job`` to do what somebody asked for, and the request with it; ``None`` if another was first.

    Or if another transaction has locked the row: see :func:`cronkite.skips.skipped`. ``job`` comes from
    :meth:`JobQuerySet.agenda`. Raises what :func:`claim` raises, and :class:`Refused`.
    """
    using, token = database(), uuid4()
    commits.demand_of(using)
    taken: list[Claim] = []
    try:
        args, kwargs = job.call
    except (TypeError, KeyError):
        raise Refused(job, f"a run was asked for with what are no arguments: {job.asked_with!r}.") from None
    try:
        with waits.limited(using):
            if not waits.lock_available(Job, [job.pk], using) or not _answerable(job, using).write(
                lock=token,
                locked_by=node,
                locked_at=Now(),
                fence=F("fence") + 1,
                asked_at=None,
                asked_by="",
                asked_with=None,
                asked_with_at=None,
            ):
                return None
            if job.lock is not None:
                _mark_lost(job.pk, node, using)
            claim = _intend(job, None, token, job.fence + 1, f"asked for by {job.asked_by}")
            claim = replace(claim, args=args, kwargs=kwargs)
            taken.append(_record(claim, _RECORD.ready(using, _Attempt(job, None, claim, node))))
    except UNFIT as error:
        if isinstance(error, IntegrityError) and restores.realign(job, using):
            return claim_asked(job, node)
        raise Refused.by_database(job, error) from error
    except DatabaseError as error:
        _raise_unclaimed(error, taken, using)
    return taken[0]


@_tried_anew
def settle(claim: Claim) -> Claim | None:
    """Return ``claim``, whose COMMIT was not answered, with its log, if it was committed and is ours still.

    The server may not know yet that the connection is gone, and still have the transaction open: then whatever can be
    read of it may yet be rolled back, or committed. So the row is locked first, and its UPDATE is the verdict. Raises
    :class:`Contention` while somebody else has locked the row: ask again later. Raises
    :class:`django.db.DatabaseError`, too.
    """
    using = database()
    rows = Job.objects.using(using).filter(pk=claim.job_id)
    try:
        with transaction.atomic(using=using):
            waits.lock_at_once(rows)
            if not rows.filter(lock=claim.token, fence=claim.fence).write(locked_at=Now()):
                return None
            logs = Log.objects.using(using).filter(job=claim.job_id, fence=claim.fence)
            log_id = logs.values_list("pk", flat=True).first()
            return None if log_id is None else replace(claim, log_id=log_id)
    except DatabaseError as error:
        if databases.is_conflict(error):
            raise Contention from error
        raise


@_tried_anew
def pass_over(job: Job, decision: Decision, node: str) -> bool:
    """Record the slots that were decided to be missed, and move on to the next; no lock is taken.

    Return ``False`` if another node was first, if they are not due by the database's clock, if the database sent us
    away, or if another transaction has locked the row: see :func:`cronkite.skips.skipped`.
    """
    using = database()
    if restores.is_realigned(job, using):
        return False
    try:
        with waits.limited(using):
            if not waits.lock_available(Job, [job.pk], using):
                return False
            rows = _as_read(job, using)
            if decision.last_missed is not None:
                rows = rows.filter(_is_due(decision.last_missed))
            last_slot = decision.last_missed or job.last_slot
            if not rows.write(next_run=decision.next_run, last_slot=last_slot):
                return False
            Log.record_missed(job, decision, node=node, using=using)
    except UNFIT as error:
        if isinstance(error, DataError) or not restores.realign(job, using):
            logger.error("%s", Refused.by_database(job, error))
        return False
    except DatabaseError as error:
        if databases.is_conflict(error):
            return False
        raise
    return True


@_tried_anew
def why_missed(job: Job) -> str:
    """Say why slots of ``job`` were passed over: a run was in their way, or no node came by in time."""
    # Words, which decide nothing: that what is read here may not be committed does no harm.
    last = Log.objects.using(database()).filter(job=job.pk, fence=job.fence).first()
    ended = last.finished_at if last is not None else None
    if last is not None and ended is not None and job.next_run is not None and ended >= job.next_run:
        return f"the run before was going on until {ended:%Y-%m-%d %H:%M:%S} UTC (log {last.pk})"
    return "no node ticked in time"


def _one_by_one(wanted: list[tuple[Job, Decision]], node: str) -> list[Claim | None]:
    """Claim each for itself, because one of them stumbles. What is claimed before an error is not given up for it."""
    verdicts: list[Claim | None] = []
    for job, decision in wanted:
        try:
            verdicts.append(claim(job, decision, node))
        except RowIsHeld:
            verdicts.append(None)
        except (Contention, OutcomeUnknown, DatabaseError) as error:
            doubted = [*filter(None, verdicts), *getattr(error, "claims", [])]
            if not doubted:
                raise
            raise OutcomeUnknown(doubted) from error
    return verdicts


class _Attempt(NamedTuple):
    """What a claim is to be: what is asked for, by whom, and as what it is recorded."""

    job: Job
    decision: Decision | None
    claim: Claim
    node: str

    @property
    def missed(self) -> int:
        return self.decision.missed if self.decision else 0


def _attempt(job: Job, decision: Decision, node: str) -> _Attempt:
    return _Attempt(job, decision, _intend(job, decision, uuid4(), job.fence + 1), node)


def _intend(job: Job, decision: Decision | None, token: UUID, fence: int, reason: str = "") -> Claim:
    """Return a claim as it will be; its log is not known yet."""
    return Claim(
        token=token,
        fence=fence,
        job_id=job.pk,
        job_name=job.name,
        function=job.function,
        args=job.args,
        kwargs=job.kwargs,
        timeout=job.timeout,
        slot=decision.slot if decision else None,
        next_run=decision.next_run if decision else job.next_run,
        log_id=0,
        reason=decision.reason if decision else reason,
    )


def _take_in_steps(attempts: list[_Attempt], using: str) -> list[Claim]:
    """Take what can be had, step by step, in one transaction."""
    taken: list[Claim] = []
    timeout = get_conf().lock_timeout
    takes = [_TAKE.ready(using, attempt, timeout) for attempt in attempts]
    records = [_RECORD.ready(using, attempt) for attempt in attempts]
    try:
        with waits.limited(using):
            available = waits.lock_available(Job, [attempt.job.pk for attempt in attempts], using)
            for attempt, take, record in zip(attempts, takes, records, strict=True):
                if attempt.job.pk in available and take():
                    if attempt.job.is_locked:
                        _mark_lost(attempt.job.pk, attempt.node, using)
                    taken.append(_record(attempt.claim, record))
    except UNFIT:
        raise
    except DatabaseError as error:
        _raise_unclaimed(error, taken, using)
    return taken


def _take_at_once(attempts: list[_Attempt], using: str) -> list[Claim]:
    """Take what can be had, in one statement; no lock may be stale."""
    connection = connections[using]
    try:
        # A transaction of the caller's would not outlive an error; else the statement is one of its own.
        with transaction.atomic(using=using) if databases.is_borrowed(connection) else nullcontext():
            log_ids = _TAKE_AND_RECORD.execute(using, attempts, get_conf().lock_timeout)
    except UNFIT:
        raise
    except DatabaseError as error:
        _raise_unclaimed(error, [] if databases.is_refusal(error) else [each.claim for each in attempts], using)
    verdicts = zip(attempts, log_ids, strict=True)
    return [replace(attempt.claim, log_id=log_id) for attempt, log_id in verdicts if log_id is not None]


def _as_read(job: Job, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if nobody has edited, claimed or moved it on since it was read."""
    return Job.objects.using(using).filter(
        pk=job.pk, enabled=True, revision=job.revision, fence=job.fence, next_run=job.next_run
    )


def _claimable(job: Job, decision: Decision, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if its slot and its lock can be had: the condition of the claim."""
    assert decision.slot is not None
    return _as_read(job, using).filter(
        is_free(get_conf().lock_timeout),
        Q(last_slot__isnull=True) | Q(last_slot__lt=decision.slot),
        _is_due(decision.slot),
    )


def _answerable(job: Job, using: str) -> JobQuerySet:
    """Return the query for the row of ``job``, if its request and its lock can be had: the condition of that claim.

    Whether it is enabled, and when it is due, makes no difference to whoever asked.
    """
    as_read = Job.objects.using(using).filter(pk=job.pk, revision=job.revision, fence=job.fence)
    return as_read.filter(is_free(get_conf().lock_timeout), asked_at__isnull=False)


def _is_due(slot: datetime) -> GreaterThanOrEqual:
    """Return the condition that ``slot``, which was decided on by an estimate of the time, has come (promise P5).

    Not that the job's ``next_run`` has: several slots may be due, and the one decided on is not the oldest.
    """
    return GreaterThanOrEqual(Now(), slot)


def _record(claim: Claim, insert: Callable[[], int]) -> Claim:
    return replace(claim, log_id=insert())


def _mark_lost(job_id: int, node: str, using: str) -> None:
    """Mark the run that held the stale lock. The claim of ours has no log yet, so whatever runs is that one."""
    logs = Log.objects.using(using).filter(job=job_id, status=Log.Status.RUNNING)
    if logs.update(status=Log.Status.LOST, finished_at=Now(), reason=also(TAKEN_OVER.format(node=node))):
        logger.warning("Job %s: a stale lock was cleared, and the run that held it is marked as lost.", job_id)


def _raise_unclaimed(error: DatabaseError, taken: list[Claim], using: str) -> NoReturn:
    """Say what an error during a claim means: another was first, an unknown outcome, or an outage."""
    if databases.has_waited_in_vain(error):
        raise RowIsHeld from error
    if databases.is_conflict(error):
        raise Contention from error
    if taken:
        connections[using].close()
        raise OutcomeUnknown(taken) from error
    raise error


# What is said for each run, put together once. The claim of a slot:


def _take(using: str, lock_timeout: timedelta | None) -> tuple[JobQuerySet, dict[str, Any]]:
    row = stand_in(Job, "job", pk="id", revision="revision", fence="fence", next_run="next_run")
    decision = stand_in(Job, "decision", slot="last_slot", next_run="next_run")
    return _claimable(row, decision, using), {
        "lock": place(Job, "lock", "claim.token"),
        "locked_by": place(Job, "locked_by", "node"),
        "locked_at": Now(),
        "last_slot": decision.slot,
        "next_run": decision.next_run,
        "fence": F("fence") + 1,
    }


_TAKE = Update(_take)


# Its record:


def _new_log() -> Log:
    claim = {name: name for name in ("job_id", "job_name", "function", "slot", "fence", "reason")}
    row = vars(stand_in(Log, "claim", **claim))
    return Log(
        **row,
        args=place(Log, "args", "claim.kept_args"),
        kwargs=place(Log, "kwargs", "claim.kept_kwargs"),
        node=place(Log, "node", "node"),
        missed=place(Log, "missed", "missed"),
        created=Now(),
        started_at=Now(),
    )


_RECORD = Insert(_new_log)
_TAKE_AND_RECORD = Chains(_TAKE, _RECORD)
