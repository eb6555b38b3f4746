"""Which logs go, and how do they go without holding anybody up?

By their keys, in small transactions with pauses between them: no lock is held for long, and whoever writes in between
has at least half of the time. What nodes know of a job is in its own row, so no promise rests on a log that is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.db import DatabaseError, models, router, transaction
from django.db.models import Count, Exists, F, OuterRef, Q

from cronkite.database import clock, quirks
from cronkite.models import Job, Log, Task
from cronkite.models.logs import also

logger = logging.getLogger("cronkite")

#: How many logs one statement deletes at most, and for how many jobs one counts them.
BATCH = 500
#: How often in a row a batch is tried that the database gave up in favour of another transaction.
ATTEMPTS = 10
#: What is said of a run that was ended so.
UNLOCKED = "its log said that it was running, but it held no lock"
#: The shortest pause (seconds) before it is tried again.
CONFLICT_PAUSE = 0.1


def prune(older_than: timedelta | None = None, keep: int | None = None) -> Iterator[int]:
    """Delete the logs that are older than ``older_than``, and of each job all but the newest ``keep``.

    Yields how many went, batch by batch; nothing happens until it is iterated over. What runs keeps its log, however
    old; but logs that say so of runs that hold no lock, as restored ones may, are ended first: those runs are lost. The
    logs of jobs that are gone go by their age alone. Raises :class:`ValueError` for a negative number, and
    :class:`django.db.DatabaseError`; what went until then stays gone.
    """
    if (older_than is not None and older_than < timedelta(0)) or (keep is not None and keep < 0):
        raise ValueError("Logs can't be pruned by a negative age or number.")
    return _prune(router.db_for_write(Log), older_than, keep)


def _prune(using: str, older_than: timedelta | None, keep: int | None) -> Iterator[int]:
    lose_unlocked()
    ended = _ended(using)
    if older_than is not None:
        yield from _older(ended, clock.now(using) - older_than, using)
    if keep is not None:
        for job in _crowded(using, keep):
            yield from _but_the_newest(ended.filter(job=job), keep, using)


def lose_unlocked() -> int:
    """Mark the runs as lost whose logs say that they go on, but that hold no lock; return how many these were.

    A claim takes the lock together with its log, and an end gives it back so. Only what was written by hand, as by a
    restore, has the one without the other.
    """
    using = router.db_for_write(Log)
    holders = Job.objects.using(using).filter(pk=OuterRef("job"), fence=OuterRef("fence"), lock__isnull=False)
    unlocked = Log.objects.using(using).filter(~Exists(holders), status=Log.Status.RUNNING).order_by()
    lost = 0
    for key, job in list(unlocked.values_list("pk", "job")):
        try:
            with transaction.atomic(using=using):
                # Whoever claims the job, or ends its run, waits, or is done: nothing that is seen now is to be undone.
                Job.objects.using(using).filter(pk=job).write(fence=F("fence"))
                lost += unlocked.filter(pk=key).update(
                    status=Log.Status.LOST, finished_at=clock.Now(), reason=also(UNLOCKED)
                )
        except DatabaseError as error:
            if not quirks.is_conflict(error):
                raise
    if lost:
        logger.warning("%d logs said that a run goes on which holds no lock. They are ended now, as lost.", lost)
    return lost


def _ended(using: str) -> models.QuerySet[Log]:
    tasks = Task.objects.using(using).filter(job=OuterRef("job"), fence=OuterRef("fence"))
    # How it ends is to be written there still.
    is_waiting = Q(status=Log.Status.HANDED_OVER) & Exists(tasks)
    return Log.objects.using(using).exclude(status=Log.Status.RUNNING).filter(~is_waiting)


def _older(ended: models.QuerySet[Log], limit: object, using: str) -> Iterator[int]:
    rows = ended.filter(created__lt=limit).order_by("created", "pk")
    since = None
    # From where the last batch ended: some databases have to pass by rows that are gone until they clear up.
    while found := list(
        (rows if since is None else rows.filter(created__gte=since)).values_list("pk", "created")[:BATCH]
    ):
        since = found[-1][1]
        yield _delete([key for key, _ in found], using)


def _crowded(using: str, keep: int) -> Iterator[int]:
    """Return the keys of the jobs that have more than ``keep`` logs, asking about a few of them at a time."""
    jobs, logs = Job.objects.using(using).order_by("pk").values_list("pk", flat=True), Log.objects.using(using)
    page: Iterable[int] = jobs[:BATCH]
    while page := list(page):
        counts = logs.filter(job__in=page).order_by().values("job").annotate(number=Count("pk"))
        yield from counts.filter(number__gt=keep).values_list("job", flat=True)
        page = jobs.filter(pk__gt=page[-1])[:BATCH]


def _but_the_newest(ended: models.QuerySet[Log], keep: int, using: str) -> Iterator[int]:
    newest_to_go = ended.order_by("-pk").values_list("pk", flat=True)[keep : keep + 1].first()
    if newest_to_go is not None:
        keys = ended.filter(pk__lte=newest_to_go).order_by().values_list("pk", flat=True)
        while found := list(keys[:BATCH]):
            yield _delete(found, using)


def _delete(keys: list[int], using: str) -> int:
    began = time.monotonic()
    deleted = _delete_now(keys, using, ATTEMPTS)
    time.sleep(time.monotonic() - began)
    return deleted


def _delete_now(keys: list[int], using: str, attempts: int) -> int:
    try:
        # Said again, and now of what is committed: at READ UNCOMMITTED, the end that was read may be rolled back. (What
        # else was read so, ages and numbers, costs no more than a log that might have stayed.)
        deleted, _ = _ended(using).filter(pk__in=keys).delete()
    except DatabaseError as error:
        if not quirks.is_conflict(error) or attempts == 1:
            raise
        time.sleep(CONFLICT_PAUSE)
        return _delete_now(keys, using, attempts - 1)
    return deleted
