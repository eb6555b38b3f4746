"""How late do jobs run, and how late would anything on this machine?"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

from django.contrib.auth.models import Group
from django.db import DatabaseError, connections

import families
from cronkite.database import clock
from cronkite.models import Job, Log
from proof.race.fleet import Fleet

#: How late (seconds) a job may be beside others that misbehave.
MOST = 2.0
#: How often (seconds) the machine is looked at, and at how many of these it is looked who waits for a processor.
GLANCE, GLANCES = 0.05, 5
#: Over how long (seconds) it counts what a process has waited for a processor.
SPAN = 10.0


class Witness:
    """A thread that does nothing but to look at the clock and the database, and notes how late it is itself.

    What it suffers is the machine's fault, not a node's. It has something committed, too, as four servers wait for one
    disk; but not on SQLite, where a node could keep it from that.

    Whoever hardly works hardly waits for a processor. So it also notes for how long processes of the ``nodes`` did, by
    the kernel's own account: that they could have gone on, and others were at it.
    """

    def __init__(self, nodes: Fleet) -> None:
        self.worst = 0.0
        self.waited = 0.0
        self._nodes = nodes
        self._has_looked = False
        self._waits: defaultdict[int, deque[tuple[float, float]]] = defaultdict(deque)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    @classmethod
    @contextmanager
    def present(cls, nodes: Fleet) -> Iterator[Witness]:
        """Have a witness during the block."""
        witness = cls(nodes)
        witness._thread.start()
        try:
            yield witness
        finally:
            witness._ended.set()
            witness._thread.join()

    @property
    def bound(self) -> float:
        """How late (seconds) a job may be on a machine that is as busy as this one has been."""
        return MOST + 2 * self.worst + self.waited

    def __str__(self) -> str:
        return f"{self.bound:.2f} (of {SPAN:.0f} s, a node's processes waited {self.waited:.2f} for a processor)"

    def _look(self) -> None:
        for number in count():
            if number % GLANCES == 0:
                self._see_who_waits()
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

    def _see_who_waits(self) -> None:
        """Note the most that a node, its nursery and one of its workers, after each other, have waited of late."""
        for node in list(self._nodes.nodes.values()):
            for nursery in families.children(node.pid):
                workers = [self._wait_of(worker) for worker in families.children(nursery)]
                waited = self._wait_of(node.pid) + self._wait_of(nursery) + max(workers, default=0.0)
                self.waited = max(self.waited, waited)
        self._has_looked = True

    def _wait_of(self, pid: int) -> float:
        """Return for how long (seconds) the process has waited for a processor in the last ``SPAN``."""
        try:
            now = time.monotonic(), int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            # It has ended, or this kernel keeps no account.
            return 0.0
        seen = self._waits[pid]
        if self._has_looked and not seen:
            # Born since: all that it has waited for, it has of late.
            seen.append((now[0], 0.0))
        seen.append(now)
        while seen[0][0] < now[0] - SPAN:
            seen.popleft()
        return now[1] - seen[0][1]


def lateness(jobs: list[Job]) -> float:
    """Return how late (seconds) the worst run was of these jobs, which fall due each second, or is by now."""
    worst = timedelta(0)
    for log in Log.objects.filter(job__in=jobs, started_at__isnull=False):
        worst = max(worst, log.started_at - log.slot + timedelta(seconds=log.missed))
    now = clock.now("default")
    for job in Job.objects.filter(pk__in=[job.pk for job in jobs]):
        worst = max(worst, now - job.next_run)
    return worst.total_seconds()
