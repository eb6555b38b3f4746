"""Which jobs wait until their group has room for them?

What was read, and then found its group full, is kept here: it has its turn when a run of this node's ends. What other
nodes' runs make room for is found by the next look, as the query leaves out what has no room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from cronkite.models import Job


class Rooms:
    """The jobs that wait for room, by their groups, each as it was read."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Job]] = {}

    def wait(self, job: Job) -> None:
        """Have the job wait, behind all others of its group."""
        self._waiting.setdefault(job.group, deque()).append(job)

    def take(self, group: str) -> Job | None:
        """Return who waits first for room in the group, and no longer does; ``None`` if nobody is known to."""
        waiting = self._waiting.get(group)
        return waiting.popleft() if waiting else None

    def see(self, jobs: Iterable[Job]) -> None:
        """Forget who was read anew, with the others of their groups: these have room."""
        for group in {job.group for job in jobs}:
            self._waiting.pop(group, None)

    def clear(self) -> None:
        """Forget everybody."""
        self._waiting.clear()
