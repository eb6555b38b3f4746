"""How late do jobs run, and how late would anything on this machine?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

from django.contrib.auth.models import Group
from django.db import DatabaseError, connections

from cronkite import clock
from cronkite.models import Job, Log

#: How late (seconds) a job may be beside others that misbehave.
MOST = 2.0
#: How often (seconds) the machine is looked at.
GLANCE = 0.05


class Witness:
    """A thread that does nothing but to look at the clock and the database, and notes how late it is itself.

    What it suffers is the machine's fault, not a node's. It has something committed, too, as four servers wait for one
    disk; but not on SQLite, where a node could keep it from that.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    @classmethod
    @contextmanager
    def present(cls) -> Iterator[Witness]:
        """Have a witness during the block."""
        witness = cls()
        witness._thread.start()
        try:
            yield witness
        finally:
            witness._ended.set()
            witness._thread.join()

    @property
    def bound(self) -> float:
        """How late (seconds) a job may be on a machine that is as busy as this one has been."""
        return MOST + 2 * self.worst

    def _look(self) -> None:
        for number in count():
            began = time.monotonic()
            if self._ended.wait(GLANCE):
                break
            try:
                Job.objects.exists()
                if connections["default"].vendor != "sqlite":
                    Group.objects.update_or_create(pk=1, defaults={"name": f"witness {number}"})
            except DatabaseError:
                connections["default"].close()
            self.worst = max(self.worst, time.monotonic() - began - GLANCE)
        connections.close_all()


def lateness(jobs: list[Job]) -> float:
    """Return how late (seconds) the worst run was of these jobs, which fall due each second, or is by now."""
    worst = timedelta(0)
    for log in Log.objects.filter(job__in=jobs, started_at__isnull=False):
        worst = max(worst, log.started_at - log.slot + timedelta(seconds=log.missed))
    now = clock.now("default")
    for job in Job.objects.filter(pk__in=[job.pk for job in jobs]):
        worst = max(worst, now - job.next_run)
    return worst.total_seconds()
