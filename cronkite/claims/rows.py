"""Which jobs wait for a row, their own most often, which another transaction has locked, and until when?

Most often it is another node that is about to claim the job, and that is over in a moment. When it lasts, it is code of
the project, which may keep the row for as long as it likes. So the job is tried again after a pause that grows, and
people are told, once.

Who waits for the row of the group is tried again as soon as another job of the group was had.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime

from cronkite.claims.skips import GROUP, NOTHING, SOMETHING
from cronkite.models import Job

logger = logging.getLogger("cronkite")

#: The first pause (seconds), each of the next ones being twice as long, and the longest.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
#: Pauses end together, at one of so many instants a second, or each job that waits would have a look of its own.
INSTANTS = 5
#: For how long (seconds) a row has to be locked before anybody is told.
TOLD_AFTER = 1.0
#: How long (seconds) a tick waits for a row; then the next tick does.
TICK_PATIENCE = 60.0


@dataclass
class _Wait:
    """How long a job has been waiting, on the stopwatch and by the database's clock."""

    began: float
    since: datetime
    revision: int
    group: str
    pause: float = FIRST_PAUSE
    until: float = 0.0
    #: What is locked, as people were told; nothing, if they were not.
    told_of: str = NOTHING


class HeldRows:
    """The jobs that wait; those of a loop (``stays``) do so for as long as it takes."""

    def __init__(self, *, stays: bool) -> None:
        self._stays = stays
        self._waits: dict[int, _Wait] = {}
        #: When (monotonic seconds) it was last told who is left alone.
        self._told_at = float("-inf")

    def put_off(self, job: Job, now: datetime, *, held: str) -> bool:
        """Leave the job alone for a while; return ``False`` if it has been waiting for too long.

        ``now`` is the database's, and ``held`` tells what is known to be locked.
        """
        at = time.monotonic()
        wait = self._waits.get(job.pk)
        if wait is None or wait.revision != job.revision:
            # If it was edited since, it was locked by another one before, which has let go of it.
            wait = self._waits[job.pk] = _Wait(at, now, job.revision, job.group)
        wait.until = (at + wait.pause) // (1 / INSTANTS) / INSTANTS + 1 / INSTANTS
        wait.pause = min(2 * wait.pause, LONGEST_PAUSE)
        if held and not wait.told_of and at - wait.began >= TOLD_AFTER:
            wait.told_of = held
            since = f"{wait.since:%H:%M:%S} UTC"
            logger.warning("Job %r waits: %s is locked by another transaction since %s.", job.name, held, since)
        if not self._stays and at - wait.began > TICK_PATIENCE:
            what = held or wait.told_of or SOMETHING
            logger.warning("Job %r is left to the next tick, as %s is still locked.", job.name, what)
            self.forget(job)
            return False
        return True

    def reason(self, job: Job) -> str:
        """Say why the job comes late, if people were told; else nothing."""
        wait = self._waits.get(job.pk)
        if wait is None or not wait.told_of:
            return ""
        return f"{wait.told_of} was locked by another transaction since {wait.since:%Y-%m-%d %H:%M:%S} UTC"

    def forget(self, job: Job) -> bool:
        """Wait no more: somebody has claimed the job. Return whether others wait no more, either.

        They have waited for the row of the same group.
        """
        wait = self._waits.pop(job.pk, None)
        if wait is None or wait.told_of != GROUP:
            return False
        others = [each for each in self._waits.values() if (each.told_of, each.group) == (GROUP, wait.group)]
        for each in others:
            each.until = time.monotonic()
        return bool(others)

    def left_alone(self) -> set[int]:
        """Return the keys of the jobs that the next look leaves alone, and forget those that are due no more."""
        now = self._told_at = time.monotonic()
        self._waits = {key: wait for key, wait in self._waits.items() if wait.until + LONGEST_PAUSE > now}
        return {key for key, wait in self._waits.items() if wait.until > now}

    def rest(self) -> float | None:
        """Return in how many seconds to look again for one that the last look left alone, or ``None`` if none was.

        A pause that has ended since, while that look took its time, counts as well: nobody has asked for the job.
        """
        now = time.monotonic()
        ends = (wait.until for wait in self._waits.values() if wait.until > self._told_at)
        return min((max(0.0, until - now) for until in ends), default=None)
