"""How does a node keep a job that it has claimed, and give it back?

Whoever holds the lock by its token and its number, the fencing token, may renew it and free it, and nobody else. A lock
that is gone belongs to a newer run, or to nobody since a person has cleared it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from django.db import connections, models, transaction
from django.db.models import Q

from cronkite.claims import retries
from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.database import quirks, waits
from cronkite.database.clock import Now
from cronkite.database.statements import Both, Update, place, stand_in
from cronkite.models import Job, Log, told
from cronkite.models.logs import JOB_DELETED, also
from cronkite.models.primary import alias as database
from cronkite.models.queries import FREE, JobQuerySet

#: The columns of a job that a claim knows under these names.
HELD = {"job_id": "id", "token": "lock", "fence": "fence"}


class Renewal(NamedTuple):
    """What became of locks that were to be renewed: whose is ``gone``, and whose row another transaction has locked."""

    gone: list[Claim]
    held: list[Claim]


def renewal(claims: list[Claim]) -> Renewal:
    """Show that the runs of ``claims`` are alive; tell of which that was not possible.

    A job that was deleted has no lock to lose, and its run goes on. Nor has a run lost it that has ended, and freed it
    itself, since whoever asks heard of it last. Of a row that another transaction has locked nothing is known yet, and
    it keeps no other from being renewed.
    """
    return quirks.anew(database(), partial(_renewal, claims))


def renew(claims: list[Claim]) -> list[Claim]:
    """Show that the runs of ``claims`` are alive; return those whose lock is gone, as :func:`renewal` tells."""
    return renewal(claims).gone


def _renewal(claims: list[Claim]) -> Renewal:
    using = database()
    jobs = Job.objects.using(using)
    with waits.limited(using):
        # Locked, so that what is read of them is true: at READ UNCOMMITTED, who seems to hold a lock may never have.
        available = waits.lock_available(Job, [claim.job_id for claim in claims], using)
        rows = jobs.filter(pk__in=available)
        if rows.filter(lock__in=[claim.token for claim in claims]).write(locked_at=Now()) == len(claims):
            return Renewal([], [])
        holders = dict(rows.values_list("pk", "lock"))
    gone = [claim for claim in claims if claim.job_id in holders and holders[claim.job_id] != claim.token]
    held = [claim for claim in claims if claim.job_id not in available]
    if held:
        # A job that was deleted has no row.
        there = set(jobs.filter(pk__in=[claim.job_id for claim in held]).values_list("pk", flat=True))
        held = [claim for claim in held if claim.job_id in there]
    logs = Log.objects.using(using).filter(pk__in=[claim.log_id for claim in (*gone, *held)])
    # Of a job that was deleted, the key may be another's by now, whose lock was never this run's.
    over = logs.filter(~Q(status__in=[Log.Status.RUNNING, Log.Status.LOST]) | Q(job__isnull=True))
    without = set(over.values_list("pk", "fence"))
    return Renewal(
        *([claim for claim in claims if (claim.log_id, claim.fence) not in without] for claims in (gone, held))
    )


def finish(claim: Claim, outcome: Outcome) -> bool:
    """Write how the run ended and free the lock; return ``False`` if the lock was lost before.

    The late result of a run that lost its lock is kept in its log, marked so, and the newer holder is not touched.
    Safe to call again when the answer to it was lost. Raises :class:`django.db.DatabaseError` in an outage, and, which
    is a conflict, if another transaction has locked a row and keeps it.
    """
    return quirks.anew(database(), lambda: _finish(claim, outcome))


def unlock(job: Job, by: str) -> bool:
    """Clear the lock of ``job`` because a person, ``by``, says that its run is gone; ``False`` if it was not locked.

    The lock that is cleared is the one that ``job`` was read with, no newer one. Its log is marked ``lost``.
    """
    using = database()
    with transaction.atomic(using=using):
        rows = Job.objects.using(using).filter(pk=job.pk, lock=job.lock, lock__isnull=False)
        if not rows.write(**FREE):
            return False
        logs = Log.objects.using(using).filter(job=job.pk)
        is_told = told.is_clearing_wanted()
        running = logs.filter(status=Log.Status.RUNNING).values_list("pk", flat=True).first() if is_told else None
        logs.lose(f"unlocked by {by}")
        told.cleared(job, by, running, using)
    return True


def _held(claim: Claim) -> JobQuerySet:
    return Job.objects.using(database()).filter(pk=claim.job_id, lock=claim.token, fence=claim.fence)


def _finish(claim: Claim, outcome: Outcome) -> bool:
    using = database()
    retry = claim.retry if _is_to_be_tried_again(claim, outcome) else None
    again = f"it is tried again after {retry.delay} s, unless the next slot comes before" if retry else ""
    reason = "; ".join(filter(None, [claim.reason, outcome.reason, again]))
    is_borrowed = quirks.is_borrowed(connections[using])
    variant = _Variant(is_borrowed, claim.slot is not None, retry.delay if retry else None)
    if _END.execute(using, _Ending(claim, replace(outcome, reason=reason)), variant):
        return True
    # Neither running nor lost by another's hand: this very end was written before, and only the answer did not
    # arrive. A process that died is lost, too, and for a reason of its own.
    log = Log.objects.using(using).filter(waits.limit(is_borrowed)).of_run(claim.log_id, claim.job_id, claim.fence)
    late = log.filter(status=Log.Status.LOST).exclude(reason=reason)
    is_late = late.update(
        finished_at=Now(),
        result=outcome.result,
        output=outcome.output,
        exc_info=outcome.exc_info,
        reason=also(f"its lock was lost while it ran; it ended late, as {outcome.status}"),
    )
    # Where the log is gone, as in a fail-over that lost commits, so was the lock.
    return not is_late and log.exists()


def _is_to_be_tried_again(claim: Claim, outcome: Outcome) -> bool:
    if claim.retry is None or outcome.is_final:
        return False
    return outcome.status == Log.Status.FAILED or (outcome.status == Log.Status.LOST and claim.retry.on_lost)


# What is said at the end of each run, put together once.


class _Ending(NamedTuple):
    claim: Claim
    outcome: Outcome

    @property
    def next_attempt(self) -> int:
        return self.claim.attempt + 1


class _Variant(NamedTuple):
    is_borrowed: bool
    has_slot: bool
    retry_delay: int | None


def _free(using: str, variant: _Variant) -> tuple[JobQuerySet, dict[str, Any]]:
    rows = _held(stand_in(Job, "claim", **HELD))
    # In a transaction of the caller's, the row is ours already, and how long he waits for others is not for us to say.
    rows = rows.filter(waits.limit(variant.is_borrowed))
    # A run by hand leaves a retry as it is that is to come.
    retry = retries.NONE if variant.has_slot else {}
    if variant.retry_delay is not None:
        retry = {
            "retry_at": retries.planned(variant.retry_delay),
            "retry_slot": place(Job, "retry_slot", "claim.slot"),
            "retry_attempt": place(Job, "retry_attempt", "next_attempt"),
        }
    return rows, {**FREE, **retry}


def _close(using: str, variant: _Variant) -> tuple[models.QuerySet[Log], dict[str, Any]]:
    # Lost because its job is gone: this run's end is its own all the same.
    running = Q(status=Log.Status.RUNNING) | Q(status=Log.Status.LOST, reason__endswith=JOB_DELETED)
    claim = stand_in(Log, "claim", log_id="id", job_id="job", fence="fence")
    log = Log.objects.using(using).filter(running).of_run(claim.log_id, claim.job_id, claim.fence)
    outcome = {name: name for name in ("status", "result", "output", "exc_info", "reason")}
    return log, {"finished_at": Now(), **vars(stand_in(Log, "outcome", **outcome))}


_END = Both(Update(_free), Update(_close))
