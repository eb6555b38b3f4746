"""How are slots and locks taken, once it is decided which? Step by step in one transaction, or in one statement.

Both do the same: the conditional UPDATE, whose row count is the verdict, then the log. Where no lock is stale and the
database can join them, the INSERT is of what the UPDATE returns, and that one statement is its own transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.models import F

from cronkite.claims import conditions, losses, retries, seats
from cronkite.claims.seats import Seat
from cronkite.claims.verdicts import UNFIT, Claim, raise_unclaimed
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.database.clock import Now
from cronkite.database.statements import Chains, Insert, Update, place, stand_in
from cronkite.models import Job, Log
from cronkite.models.queries import NO_SEAT, JobQuerySet
from cronkite.schedules.catch_up import Decision

logger = logging.getLogger("cronkite")

TAKEN_OVER = "the lock was stale and {node} took it over"


class Attempt(NamedTuple):
    """What a claim is to be: what is asked for, by whom, and as what it is recorded."""

    job: Job
    decision: Decision | None
    claim: Claim
    node: str
    seat: Seat | None = None

    @property
    def missed(self) -> int:
        return self.decision.missed if self.decision else 0


def take(attempts: list[Attempt], using: str) -> list[Claim]:
    """Take what can be had, in the way that suits the database, and whoever held what is taken."""
    in_turn = any(each.job.is_locked or each.job.group for each in attempts)
    at_once_will_do = quirks.can_join_writes(connections[using]) and not in_turn
    return at_once(attempts, using) if at_once_will_do else in_steps(attempts, using)


def in_steps(attempts: list[Attempt], using: str, lost: Mapping[int, int] | None = None) -> list[Claim]:
    """Take what can be had, step by step, in one transaction; the logs that may be ``lost`` may be known before."""
    taken: list[Claim] = []
    groups = seats.groups_of([attempt.job for attempt in attempts], using)
    takes = {attempt.job.pk: take_of(attempt, using) for attempt in attempts if not attempt.job.group}
    records = [ready(attempt, using) for attempt in attempts]
    if lost is None:
        lost = losses.with_locks_of([attempt.job for attempt in attempts], using)
    try:
        with waits.limited(using):
            available = losses.lock_available([attempt.job.pk for attempt in attempts], lost, using)
            takes |= {each.job.pk: take_of(each, using) for each in seated(attempts, available, groups, using)}
            for attempt, insert in zip(attempts, records, strict=True):
                take = takes.get(attempt.job.pk)
                if attempt.job.pk in available and take is not None and take():
                    if attempt.job.is_locked:
                        mark_lost(attempt.job.pk, attempt.node, using, lost)
                    taken.append(record(attempt.claim, insert))
    except UNFIT:
        raise
    except DatabaseError as error:
        raise_unclaimed(error, taken, using)
    return taken


def at_once(attempts: list[Attempt], using: str) -> list[Claim]:
    """Take what can be had, in one statement; no lock may be stale."""
    connection = connections[using]
    try:
        # A transaction of the caller's would not outlive an error; else the statement is one of its own.
        with transaction.atomic(using=using) if quirks.is_borrowed(connection) else nullcontext():
            log_ids = _TAKE_AND_RECORD.execute(using, attempts, Taking(get_conf().lock_timeout))
    except UNFIT:
        raise
    except DatabaseError as error:
        raise_unclaimed(error, [] if quirks.is_refusal(error) else [each.claim for each in attempts], using)
    verdicts = zip(attempts, log_ids, strict=True)
    return [replace(attempt.claim, log_id=log_id) for attempt, log_id in verdicts if log_id is not None]


class Taking(NamedTuple):
    """What makes a difference to the UPDATE of a claim."""

    lock_timeout: timedelta | None
    has_seat: bool = False


def take_of(attempt: Attempt, using: str) -> Callable[[], int]:
    """Return the UPDATE that is the claim, put together before the transaction begins."""
    return _TAKE.ready(using, attempt, Taking(get_conf().lock_timeout, attempt.seat is not None))


def seated(attempts: list[Attempt], available: Collection[int], groups: Mapping[str, int], using: str) -> list[Attempt]:
    """Return those attempts at jobs in groups for which there is a seat, each with its own.

    Within the transaction, in which the rows of the jobs that are ``available`` are locked.
    """
    wanted = [each for each in attempts if each.job.group in groups and each.job.pk in available]
    if not wanted:
        return []
    free = seats.free({name: groups[name] for name in {each.job.group for each in wanted}}, wanted[0].node, using)
    return [each._replace(seat=left.pop(0)) for each in wanted if (left := free.get(each.job.group))]


def ready(attempt: Attempt, using: str) -> Callable[[], int]:
    """Return the INSERT of what the attempt is recorded as, put together before the transaction begins."""
    return _RECORD.ready(using, attempt)


def record(claim: Claim, insert: Callable[[], int]) -> Claim:
    """Write the log of the claim, and return the claim with its key."""
    return replace(claim, log_id=insert())


def mark_lost(job_id: int, node: str, using: str, lost: Mapping[int, int], why: str = TAKEN_OVER) -> None:
    """Mark the run that held the stale lock: that of the job among those whose logs are ``lost``."""
    # By their keys: on MySQL and MariaDB, an UPDATE by the job would wait for whoever has locked any of its logs.
    keys = [key for key, owner in lost.items() if owner == job_id]
    if keys and Log.objects.using(using).filter(pk__in=keys).lose(why.format(node=node)):
        logger.warning("Job %s: a stale lock was cleared, and the run that held it is marked as lost.", job_id)


# What is said for each run, put together once. The claim of a slot:


def slot_taken(using: str) -> tuple[JobQuerySet, dict[str, Any]]:
    """Return the row of an attempt whose slot and lock can be had, and what becomes of its slots then."""
    known = {name: name for name in ("revision", "fence", "next_run", "planned_at")}
    row = stand_in(Job, "job", pk="id", **known)
    decision = stand_in(Job, "decision", slot="last_slot", next_run="next_run", goes_on="enabled")
    return conditions.claimable(row, decision, using), {
        "last_slot": decision.slot,
        "next_run": decision.next_run,
        # A one-off is done with its one slot: nobody has to see to that later.
        "enabled": decision.goes_on,
        "fence": F("fence") + 1,
        **retries.if_lost(decision.slot, 1),
    }


def lock_taken(has_seat: bool) -> dict[str, Any]:
    """Return what becomes of the lock of an attempt that is to keep it, and of the seat that goes with it."""
    seat = {"seated_in": place(Job, "seated_in", "seat.group"), "seat": place(Job, "seat", "seat.number")}
    return {
        "lock": place(Job, "lock", "claim.token"),
        "locked_by": place(Job, "locked_by", "node"),
        "locked_at": Now(),
        # Of a lock that was stale, there may be a seat.
        **(seat if has_seat else NO_SEAT),
    }


def _take(using: str, variant: Taking) -> tuple[JobQuerySet, dict[str, Any]]:
    rows, slots = slot_taken(using)
    return rows, {**lock_taken(variant.has_seat), **slots}


_TAKE = Update(_take)


# Its record:


def _new_log() -> Log:
    claim = {name: name for name in ("job_id", "job_name", "function", "slot", "fence", "reason", "attempt")}
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
