"""What if a job's row knows less than its logs do? It is moved past all that they tell of.

So it is when jobs were restored from an older backup than the logs, or when somebody wrote into the tables by hand.
What has a log must neither run again (promise P1) nor be counted a second time (P2), and a fencing token is given to
one run.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError
from django.db.models import F

from cronkite import conf
from cronkite.database import quirks, waits
from cronkite.exceptions import ScheduleError
from cronkite.models.logs import Log, LogQuerySet
from cronkite.models.queries import FREE, NO_RETRY, is_free, is_same

if TYPE_CHECKING:
    from cronkite.models.jobs import Job

logger = logging.getLogger("cronkite")

#: How an attempt has ended, or has yet to, for which there is another.
RETRIED = frozenset({Log.Status.FAILED, Log.Status.LOST, Log.Status.RUNNING})

REPLACED = "its lock was lost when the row of its job was replaced by an older one"


def is_realigned(job: Job, using: str) -> bool:
    """Tell whether what was decided on slots of ``job`` is void, as logs tell of them, and its row was moved past.

    One query, by an index, where all is well.
    """
    return _slot_moves(job, _newest_slot(_logs(job, using))) and realign(job, using)


def is_retry_void(job: Job, using: str) -> bool:
    """Tell whether the retry that the row of ``job`` tells of is none, by the logs of its slot; the row then has none.

    Its attempt was made, or the one before has ended well: an older row has come back. One query, by an index, where
    all is well.
    """
    return _is_made(job, _logs(job, using)) and _retry_is_forgotten(job, using)


def _is_made(job: Job, logs: LogQuerySet) -> bool:
    """Whether there is nothing left to be tried of what the row tells of."""
    attempt = job.retry_attempt or 0
    made = logs.filter(slot=job.retry_slot, attempt__gte=attempt - 1).values_list("attempt", "status")
    return any(number >= attempt or status not in RETRIED for number, status in made)


def _retry_is_forgotten(job: Job, using: str) -> bool:
    """Have the row tell of no retry; ``False`` if the logs tell otherwise when it is locked."""
    rows = type(job).objects.using(using).filter(pk=job.pk, fence=job.fence, lock=job.lock)
    rows = rows.filter(retry_slot=job.retry_slot, retry_attempt=job.retry_attempt)
    try:
        with waits.limited(using):
            # A write first, as below: what was read before may be undone.
            if not rows.write(fence=F("fence")):
                # Another node was first, and made it a moment ago.
                return True
            if not _is_made(job, _logs(job, using).select_for_update()):
                return False
            rows.write(**NO_RETRY)
    except DatabaseError as error:
        if quirks.is_conflict(error):
            return True
        raise
    logger.error(
        "Job %r was to be tried again for %s UTC, as attempt %s. Its logs tell that this was done, or need not be, as "
        "if its row was replaced by an older one.",
        job.name,
        f"{job.retry_slot:%Y-%m-%d %H:%M:%S}",
        job.retry_attempt,
    )
    return True


def realign(job: Job, using: str) -> bool:
    """Move the row of ``job`` past the newest slot and the newest fencing token that have a log.

    Return ``False`` if there is nothing to move, or if the row is not any more what ``job`` was read as. Else ``job``
    is brought up to date, and the runs that the row does not know of are lost, as is one whose lock is stale. The
    fencing token of a run that holds the lock stays.
    """
    try:
        with waits.limited(using):
            moved = _move(job, using)
    except DatabaseError as error:
        if quirks.is_conflict(error):
            return False
        raise
    if moved:
        for column, value in moved.items():
            setattr(job, column, value)
        logger.error(
            "The logs of job %r tell of more than its row, as if that was replaced by an older one. It goes on from "
            "there: its next run is at %s, and its fencing token is %d.",
            job.name,
            f"{job.next_run:%Y-%m-%d %H:%M:%S} UTC" if job.next_run else "no time",
            job.fence,
        )
    return bool(moved)


def _move(job: Job, using: str) -> dict[str, Any]:
    """Move the row; return the columns that changed, with their new values."""
    rows = type(job).objects.using(using).filter(is_same(job.planned_at))
    rows = rows.filter(pk=job.pk, revision=job.revision, fence=job.fence, lock=job.lock)
    # A write first: whoever claims the job waits, or has ended. So nothing that is read now is yet to be undone.
    if not rows.filter(next_run=job.next_run, last_slot=job.last_slot).write(fence=F("fence")):
        return {}
    logs = _logs(job, using).select_for_update()
    moved: dict[str, Any] = {}
    slot, fence = _newest_slot(logs), _newest_fence(logs)
    if _slot_moves(job, slot):
        assert slot is not None
        moved["last_slot"] = slot
        if job.next_run is not None and job.next_run <= slot:
            # One that this machine can't read: whoever can finds that the next run is accounted for, and goes on.
            with suppress(ScheduleError):
                moved["next_run"] = job.get_schedule().next_after(slot)
    if fence > job.fence and rows.filter(is_free(conf.get().lock_timeout)).exists():
        # With a stale lock: what its run writes at its end goes by the number of its claim, and would not free it.
        moved |= {"fence": fence, **FREE}
        _logs(job, using).filter(fence__gte=job.fence).lose(REPLACED)
    if moved:
        rows.write(**moved)
    return moved


def _slot_moves(job: Job, slot: datetime | None) -> bool:
    return slot is not None and (job.last_slot is None or slot > job.last_slot)


def _logs(job: Job, using: str) -> LogQuerySet:
    return Log.objects.using(using).filter(job=job.pk)


def _newest_slot(logs: LogQuerySet) -> datetime | None:
    return logs.filter(slot__isnull=False).order_by("-slot").values_list("slot", flat=True).first()


def _newest_fence(logs: LogQuerySet) -> int:
    return logs.filter(fence__isnull=False).order_by("-fence").values_list("fence", flat=True).first() or 0
