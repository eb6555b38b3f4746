"""How are slots and locks taken, once it is decided which? Step by step in one transaction, or in one statement.

Both do the same: the conditional UPDATE, whose row count is the verdict, then the log. Where no lock is stale and the
database can join them, the INSERT is of what the UPDATE returns, and that one statement is its own transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.models import F

from cronkite.claims import conditions, retries
from cronkite.claims.verdicts import UNFIT, Claim, raise_unclaimed
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.database.clock import Now
from cronkite.database.statements import Chains, Insert, Update, place, stand_in
from cronkite.models import Job, Log
from cronkite.models.logs import also
from cronkite.models.queries import JobQuerySet
from cronkite.schedules.catch_up import Decision

logger = logging.getLogger("cronkite")

TAKEN_OVER = "the lock was stale and {node} took it over"


class Attempt(NamedTuple):
    """What a claim is to be: what is asked for, by whom, and as what it is recorded."""

    job: Job
    decision: Decision | None
    claim: Claim
    node: str

    @property
    def missed(self) -> int:
        return self.decision.missed if self.decision else 0


def take(attempts: list[Attempt], using: str) -> list[Claim]:
    """Take what can be had, in the way that suits the database, and whoever held what is taken."""
    at_once_will_do = quirks.can_join_writes(connections[using]) and not any(each.job.is_locked for each in attempts)
    return at_once(attempts, using) if at_once_will_do else in_steps(attempts, using)


def in_steps(attempts: list[Attempt], using: str) -> list[Claim]:
    """Take what can be had, step by step, in one transaction."""
    taken: list[Claim] = []
    timeout = get_conf().lock_timeout
    takes = [_TAKE.ready(using, attempt, timeout) for attempt in attempts]
    records = [ready(attempt, using) for attempt in attempts]
    try:
        with waits.limited(using):
            available = waits.lock_available(Job, [attempt.job.pk for attempt in attempts], using)
            for attempt, take, insert in zip(attempts, takes, records, strict=True):
                if attempt.job.pk in available and take():
                    if attempt.job.is_locked:
                        mark_lost(attempt.job.pk, attempt.node, using)
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
            log_ids = _TAKE_AND_RECORD.execute(using, attempts, get_conf().lock_timeout)
    except UNFIT:
        raise
    except DatabaseError as error:
        raise_unclaimed(error, [] if quirks.is_refusal(error) else [each.claim for each in attempts], using)
    verdicts = zip(attempts, log_ids, strict=True)
    return [replace(attempt.claim, log_id=log_id) for attempt, log_id in verdicts if log_id is not None]


def ready(attempt: Attempt, using: str) -> Callable[[], int]:
    """Return the INSERT of what the attempt is recorded as, put together before the transaction begins."""
    return _RECORD.ready(using, attempt)


def record(claim: Claim, insert: Callable[[], int]) -> Claim:
    """Write the log of the claim, and return the claim with its key."""
    return replace(claim, log_id=insert())


def mark_lost(job_id: int, node: str, using: str) -> None:
    """Mark the run that held the stale lock. The claim of ours has no log yet, so whatever runs is that one."""
    logs = Log.objects.using(using).filter(job=job_id, status=Log.Status.RUNNING)
    if logs.update(status=Log.Status.LOST, finished_at=Now(), reason=also(TAKEN_OVER.format(node=node))):
        logger.warning("Job %s: a stale lock was cleared, and the run that held it is marked as lost.", job_id)


# What is said for each run, put together once. The claim of a slot:


def slot_taken(using: str) -> tuple[JobQuerySet, dict[str, Any]]:
    """Return the row of an attempt whose slot and lock can be had, and what becomes of its slots then."""
    row = stand_in(Job, "job", pk="id", revision="revision", fence="fence", next_run="next_run")
    decision = stand_in(Job, "decision", slot="last_slot", next_run="next_run")
    return conditions.claimable(row, decision, using), {
        "last_slot": decision.slot,
        "next_run": decision.next_run,
        "fence": F("fence") + 1,
        **retries.if_lost(decision.slot, 1),
    }


def lock_taken() -> dict[str, Any]:
    """Return what becomes of the lock of an attempt that is to keep it."""
    return {
        "lock": place(Job, "lock", "claim.token"),
        "locked_by": place(Job, "locked_by", "node"),
        "locked_at": Now(),
    }


def _take(using: str, lock_timeout: timedelta | None) -> tuple[JobQuerySet, dict[str, Any]]:
    rows, slots = slot_taken(using)
    return rows, {**lock_taken(), **slots}


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
