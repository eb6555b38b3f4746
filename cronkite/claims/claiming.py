"""How does one node take a job that is due, and no other node?

This wing is the only writer of the lock's columns (``lock``, ``locked_by``, ``locked_at``, ``fence``) and, while a job
runs, of its slots (``next_run``, ``last_slot``), but for what :mod:`cronkite.models.restores` sees to. The claim, which
promise P1 rests on:

1. ``Job.objects.queue()`` read the row, and :mod:`cronkite.schedules.catch_up` decided on the slot.
2. One conditional UPDATE takes the slot and the lock, if the row is still what was read, the lock is free or stale,
   the slot is newer than all that were taken before and has come by the database's clock: see
   :mod:`cronkite.claims.conditions`. Its row count is the verdict: 0 means another node was first.
3. If the lock was stale, the run that held it is marked ``lost``.
4. An INSERT of the log. UNIQUE (job, slot) would turn a second run of the slot into an error, and UNIQUE (job, fence) a
   second run with the fencing token. Then the row knows less than the logs, and is moved past them.
5. COMMIT. Only then is the function called.

A node that has several workers ready takes as many jobs in one transaction. No claim waits for its start. The two ways
in which steps 2 to 5 are said to a database are :mod:`cronkite.claims.taking`'s, and what an error among them means is
:mod:`cronkite.claims.verdicts`'s.

No claim waits for a row that another transaction has locked, where the database can skip it: see
:mod:`cronkite.database.waits`. So the rows are locked first. On SQLite, which locks none, the UPDATE is the first
statement of its transaction: it refuses a write after a read at once if another connection wrote in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID, uuid4

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F, Q

from cronkite.claims import conditions, losses, retries, seats, taking
from cronkite.claims.taking import Attempt
from cronkite.claims.verdicts import UNFIT, Claim, Contention, OutcomeUnknown, Refused, RowIsHeld, raise_unclaimed
from cronkite.database import commits, quirks, waits
from cronkite.database.clock import Now
from cronkite.exceptions import JobIsLocked
from cronkite.models import Job, Log, primary, restores, told
from cronkite.models.queries import NO_SEAT
from cronkite.schedules.catch_up import Decision

P = ParamSpec("P")
T = TypeVar("T")
#: What takes the slots and locks that it is asked for, as far as they can be had, in one transaction.
Take = Callable[[list[Attempt], str], list[Claim]]

logger = logging.getLogger("cronkite")


def _tried_anew(function: Callable[P, T]) -> Callable[P, T]:
    """Have ``function`` done once more if the connection had died while it was idle; :func:`quirks.anew`."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return quirks.anew(primary.alias(), lambda: function(*args, **kwargs))

    return call


def claim(job: Job, decision: Decision, node: str, take: Take = taking.take) -> Claim | None:
    """Take the slot that was decided on, and the lock; return ``None`` if another node was first.

    ``job`` comes from :meth:`JobQuerySet.queue`. Raises :class:`Contention`, :class:`OutcomeUnknown`, or
    :class:`django.db.DatabaseError` if nothing was claimed because the database is out of order.
    """
    (taken,) = claim_all([(job, decision)], node, take)
    return taken


def claim_all(wanted: list[tuple[Job, Decision]], node: str, take: Take = taking.take) -> list[Claim | None]:
    """Take several jobs' slots as :func:`claim` does, in one transaction; each is taken, or not, for itself.

    Returns a verdict for each, in the order of ``wanted``, and raises what :func:`claim` raises. Waits for no row that
    another transaction has locked: see :func:`cronkite.claims.skips.skipped`. ``take`` is what takes them: to be run
    here, or as :mod:`cronkite.claims.handing` has it.
    """
    using = primary.alias()
    commits.demand_of(using)
    if behind := {job.pk for job, decision in wanted if decision.missed and _is_behind(job)}:
        rest = [(job, decision) for job, decision in wanted if job.pk not in behind]
        found = iter(claim_all(rest, node, take) if rest else [])
        return [None if job.pk in behind else next(found) for job, _ in wanted]
    # In the order of their keys: two nodes that take the same jobs in different orders would wait for each other.
    attempts = sorted((_attempt(job, decision, node) for job, decision in wanted), key=lambda attempt: attempt.job.pk)
    try:
        taken = quirks.anew(using, partial(take, attempts, using))
    except RowIsHeld:
        if len(wanted) > 1:
            return _one_by_one(wanted, node, take)
        raise
    except UNFIT as error:
        if seats.is_taken(error):
            raise Contention from error
        if len(wanted) > 1:
            return _one_by_one(wanted, node, take)
        ((job, _),) = wanted
        last_slot = job.last_slot
        if not _is_mended(job, error, using):
            logger.error("%s", Refused.by_database(job, error))
        elif job.last_slot == last_slot:
            # The decision stands: only the fencing token was given before.
            return claim_all(wanted, node, take)
        return [None]
    claims = {claim.job_id: claim for claim in taken}
    _tell_missed([(job, decision) for job, decision in wanted if job.pk in claims])
    return [claims.get(job.pk) for job, _ in wanted]


def _tell_missed(taken: list[tuple[Job, Decision]]) -> None:
    for job, decision in taken:
        told.missed(job, decision)


@_tried_anew
def _is_behind(job: Job) -> bool:
    return restores.is_realigned(job, primary.alias())


@_tried_anew
def claim_by_hand(job: Job, node: str, reason: str = "") -> Claim:
    """Take the lock of ``job`` for a run without a slot; ``reason``, if there is one, goes into its log.

    Raises :class:`JobIsLocked` if a run holds it, :class:`RowIsHeld`, :class:`Contention`, :class:`OutcomeUnknown`, or
    :class:`django.db.DatabaseError`.
    """
    using, token = primary.alias(), uuid4()
    taken: list[Claim] = []
    rows = Job.objects.using(using).filter(pk=job.pk)
    groups = seats.groups_of([job], using)
    try:
        with waits.limited(using):
            is_held = job.group not in {"", *groups} or not waits.lock_available(Job, [job.pk], using)
            if is_held and rows.exists():
                raise RowIsHeld
            seat = _seat(job, node, groups, using)
            if seat is None:
                raise JobIsLocked(
                    f"Job {job.name!r} can't run now: as many jobs of its group, {job.group}, run as may. Try again "
                    "when one of them has ended."
                )
            if not conditions.lockable(job.pk, using).write(
                lock=token, locked_by=node, locked_at=Now(), fence=F("fence") + 1, **seat
            ):
                # Only for the words. The UPDATE was the verdict.
                holder = rows.get()
                raise JobIsLocked(f"Job {job.name!r} is running on {holder.locked_by}; try again when it has ended.")
            fresh = rows.get()
            taking.mark_lost(job.pk, node, using, losses.running([job.pk], using))
            claim = _intend(fresh, None, token, fresh.fence, reason)
            taken.append(taking.record(claim, taking.ready(Attempt(fresh, None, claim, node), using)))
    except IntegrityError as error:
        if seats.is_taken(error):
            raise Contention from error
        if restores.realign(rows.get(), using):
            return claim_by_hand(job, node, reason)
        raise
    except DatabaseError as error:
        raise_unclaimed(error, taken, using)
    return taken[0]


@_tried_anew
def claim_asked(job: Job, node: str) -> Claim | None:
    """Take the lock of ``job`` to do what somebody asked for, and the request with it; ``None`` if another was first.

    Or if another transaction has locked the row: see :func:`cronkite.claims.skips.skipped`. ``job`` comes from
    :meth:`JobQuerySet.agenda`. Raises what :func:`claim` raises, and :class:`Refused`.
    """
    using, token = primary.alias(), uuid4()
    commits.demand_of(using)
    taken: list[Claim] = []
    try:
        args, kwargs = job.call
    except (TypeError, KeyError):
        raise Refused(job, f"a run was asked for with what are no arguments: {job.asked_with!r}.") from None
    groups, lost = seats.groups_of([job], using), losses.with_locks_of([job], using)
    try:
        with waits.limited(using):
            if not losses.lock_available([job.pk], lost, using):
                return None
            seat = _seat(job, node, groups, using)
            if seat is None or not conditions.answerable(job, using).write(
                **seat,
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
                taking.mark_lost(job.pk, node, using, lost)
            claim = _intend(job, None, token, job.fence + 1, f"asked for by {job.asked_by}")
            claim = replace(claim, args=args, kwargs=kwargs)
            taken.append(taking.record(claim, taking.ready(Attempt(job, None, claim, node), using)))
    except UNFIT as error:
        if quirks.lacks_characters(error):
            raise
        if seats.is_taken(error):
            raise Contention from error
        if _is_mended(job, error, using):
            return claim_asked(job, node)
        raise Refused.by_database(job, error) from error
    except DatabaseError as error:
        raise_unclaimed(error, taken, using)
    return taken[0]


@_tried_anew
def claim_retry(job: Job, node: str) -> Claim | None:
    """Take the lock of ``job`` to try a slot again, and the retry with it; ``None`` if another was first.

    Or if another transaction has locked the row. ``job`` comes from :meth:`JobQuerySet.agenda`. Raises what
    :func:`claim_asked` raises.
    """
    assert job.retry_slot is not None
    assert job.retry_attempt is not None
    using, attempt = primary.alias(), job.retry_attempt
    commits.demand_of(using)
    if restores.is_retry_void(job, using):
        return None
    claim = replace(
        _intend(job, None, uuid4(), job.fence + 1, _counted(job, attempt)),
        slot=job.retry_slot,
        attempt=attempt,
        retry=retries.after(job, attempt),
    )
    lock = {"lock": claim.token, "locked_by": node, "locked_at": Now(), "fence": F("fence") + 1}
    taken: list[Claim] = []
    groups, lost = seats.groups_of([job], using), losses.with_locks_of([job], using)
    try:
        with waits.limited(using):
            if not losses.lock_available([job.pk], lost, using):
                return None
            rows = conditions.repeatable(job, using)
            seat = _seat(job, node, groups, using)
            if seat is None or not rows.write(**lock, **seat, **retries.if_lost(job.retry_slot, attempt)):
                return None
            if job.lock is not None:
                taking.mark_lost(job.pk, node, using, lost)
            taken.append(taking.record(claim, taking.ready(Attempt(job, None, claim, node), using)))
    except UNFIT as error:
        if quirks.lacks_characters(error):
            raise
        if seats.is_taken(error):
            raise Contention from error
        if _is_mended(job, error, using):
            return None
        raise Refused.by_database(job, error) from error
    except DatabaseError as error:
        raise_unclaimed(error, taken, using)
    return taken[0]


def _seat(job: Job, node: str, groups: Mapping[str, int], using: str) -> dict[str, Any] | None:
    """Return what the job's row says of the seat that its run has, or ``None`` if there is none to be had."""
    if not job.group:
        return NO_SEAT
    free = seats.free(groups, node, using).get(job.group)
    return free[0].columns if free else None


def _counted(job: Job, attempt: int) -> str:
    return f"attempt {attempt} of {job.retries + 1}"


@_tried_anew
def settle(claim: Claim) -> Claim | None:
    """Return ``claim``, whose COMMIT was not answered, with its log, if it was committed and is ours still.

    The server may not know yet that the connection is gone, and still have the transaction open: then whatever can be
    read of it may yet be rolled back, or committed. So the row is locked first, and its UPDATE is the verdict. Raises
    :class:`Contention` while somebody else has locked the row: ask again later. Raises
    :class:`django.db.DatabaseError`, too.
    """
    using = primary.alias()
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
        if quirks.is_conflict(error):
            raise Contention from error
        raise


@_tried_anew
def pass_over(job: Job, decision: Decision, node: str) -> bool:
    """Record the slots that were decided to be missed, and move on to the next; no lock is taken.

    Return ``False`` if another node was first, if they are not due by the database's clock, if the database sent us
    away, or if another transaction has locked the row: see :func:`cronkite.claims.skips.skipped`.
    """
    using = primary.alias()
    commits.demand_of(using)
    if restores.is_realigned(job, using):
        return False
    try:
        with waits.limited(using):
            if not waits.lock_available(Job, [job.pk], using):
                return False
            rows = conditions.as_read(job, using)
            if decision.last_missed is not None:
                rows = rows.filter(conditions.is_due(decision.last_missed))
            last_slot = decision.last_missed or job.last_slot
            if not rows.write(next_run=decision.next_run, last_slot=last_slot, enabled=decision.goes_on):
                return False
            Log.record_missed(job, decision, node=node, using=using)
    except UNFIT as error:
        if quirks.lacks_characters(error):
            raise
        if not _is_mended(job, error, using):
            logger.error("%s", Refused.by_database(job, error))
        return False
    except DatabaseError as error:
        if quirks.is_conflict(error):
            return False
        raise
    return True


@_tried_anew
def why_missed(job: Job) -> str:
    """Say why slots of ``job`` were passed over: a run was in their way, or no node came by in time."""
    # Words, which decide nothing: that what is read here may not be committed does no harm.
    last = Log.objects.using(primary.alias()).filter(job=job.pk, fence=job.fence).first()
    ended = last.finished_at if last is not None else None
    if last is not None and ended is not None and job.next_run is not None and ended >= job.next_run:
        return f"the run before was going on until {ended:%Y-%m-%d %H:%M:%S} UTC (log {last.pk})"
    if job.group and job.next_run is not None:
        others = Log.objects.using(primary.alias()).filter(job__group=job.group).exclude(job=job.pk)
        were_running = Q(status=Log.Status.RUNNING) | Q(finished_at__gte=job.next_run)
        if others.filter(were_running, started_at__isnull=False).exists():
            return f"other jobs of its group, {job.group}, were running"
    return "no node ticked in time"


def _is_mended(job: Job, error: DatabaseError, using: str) -> bool:
    """Whether a constraint refused what the row knows less of than the logs do, so that it was moved past them."""
    return isinstance(error, IntegrityError) and restores.realign(job, using)


def _one_by_one(wanted: list[tuple[Job, Decision]], node: str, take: Take) -> list[Claim | None]:
    """Claim each for itself, because one of them stumbles. What is claimed before an error is not given up for it."""
    verdicts: list[Claim | None] = []
    for job, decision in wanted:
        try:
            verdicts.append(claim(job, decision, node, take))
        except RowIsHeld:
            verdicts.append(None)
        except (Contention, OutcomeUnknown, DatabaseError) as error:
            # What was handed over as it was taken is settled: it has no lock to look for, or one that is its task's.
            started = [each for each in verdicts if each is not None and each.receipt is None]
            doubted = [*started, *getattr(error, "claims", [])]
            if not doubted:
                raise
            raise OutcomeUnknown(doubted) from error
    return verdicts


def _attempt(job: Job, decision: Decision, node: str) -> Attempt:
    return Attempt(job, decision, _intend(job, decision, uuid4(), job.fence + 1), node)


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
        group=job.group,
        retry=retries.after(job, 1) if decision else None,
    )
