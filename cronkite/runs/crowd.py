"""Which jobs wait until there are more workers, or fewer imports that take long?

Where several modules take their time, on a small machine or with a large library each, that is no fault of theirs. They
come one after another then; and as an import that takes long may never end, each gives its place to the next after a
while, and is tried again for twice as long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cronkite.models import Job

#: How long (seconds) a job may wait for the imports of others, before it is left to other nodes, or to a later look.
PATIENCE = 60.0
#: How long (seconds) an import may go on while others wait, at the first time; each further time twice as long. It
#: begins anew each time, so most imports that only take their time should be through by then.
SHARE = 15.0


@dataclass
class _Turn:
    """What is known of a job that waits, or is tried again and may come back; instants are monotonic seconds."""

    #: Until when it may wait.
    until: float
    #: From when on it may have another make way.
    insists_at: float = 0.0
    #: What there was none of, if that is why it waits.
    lack: str = ""
    #: How long (seconds) its import may go on the next time, while others wait; 0 before it has made way.
    share: float = 0.0
    #: How long (seconds) its import went on, each time until it made way for another, together.
    had: float = 0.0


class Crowd:
    """The jobs that are to be offered again: their imports were broken off, or no worker could be had for them."""

    def __init__(self) -> None:
        #: Who has waited for longest comes first.
        self._jobs: dict[int, Job] = {}
        #: Of these, and of those that are tried again.
        self._turns: dict[int, _Turn] = {}

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def keys(self) -> set[int]:
        """Return the keys of the jobs that wait."""
        return set(self._jobs)

    def join(self, job: Job, lack: str = "") -> None:
        """Have the job wait, maybe since there was no worker; for how long it may counts from the first time."""
        now = time.monotonic()
        turn = self._turns.setdefault(job.pk, _Turn(now + PATIENCE))
        turn.insists_at, turn.lack = now, lack
        self._jobs[job.pk] = job

    def had(self, job: Job) -> float:
        """Return how long (seconds) the job's import went on, each time until it made way for another, together."""
        turn = self._turns.get(job.pk)
        return turn.had if turn else 0.0

    def lack(self, job: Job) -> str:
        """Return what there was none of; nothing where it is imports that take too long."""
        turn = self._turns.get(job.pk)
        return turn.lack if turn else ""

    def share(self, job: Job) -> float:
        """Return for how long (seconds) the job's import may go on while others wait."""
        turn = self._turns.get(job.pk)
        return (turn and turn.share) or SHARE

    def make_way(self, job: Job, had: float) -> None:
        """Have the job wait again, as its import has had its share: it went on for ``had`` seconds."""
        share = self.share(job)
        self.join(job)
        turn = self._turns[job.pk]
        turn.had += had
        turn.share = 2 * max(share, had)
        # Else all that have had their share would make way for one another, as soon as one does.
        turn.insists_at += SHARE

    def insists_at(self, imported: Collection[str] = ()) -> float:
        """Return from when on (monotonic seconds) one of those that wait may have another make way.

        Whose module is just being ``imported`` waits for that: else jobs of one module would break off each other's.
        """
        others = (key for key, job in self._jobs.items() if job.home not in imported)
        return min((self._turns[key].insists_at for key in others), default=math.inf)

    def insists(self, imported: Collection[str] = ()) -> bool:
        """Tell whether one may do so now."""
        return self.insists_at(imported) <= time.monotonic()

    def take(self, imported: Collection[str] = ()) -> Job:
        """Return the one that is to be tried again: who has waited for longest, and insists, if anybody does."""
        now = time.monotonic()

        def rank(key: int) -> tuple[bool, bool]:
            return self._turns[key].insists_at > now, self._jobs[key].home in imported

        return self._jobs.pop(min(self._jobs, key=rank))

    def take_overdue(self) -> list[Job]:
        """Return those that have waited for too long, and wait no more."""
        now = time.monotonic()
        return self.take_those(lambda job: self._turns[job.pk].until <= now)

    def take_those(self, condition: Callable[[Job], bool]) -> list[Job]:
        """Return those that meet the condition, and wait no more."""
        return [self._jobs.pop(key) for key, job in list(self._jobs.items()) if condition(job)]

    def forget(self, job: Job) -> None:
        """Take note that it is known what became of the job's import."""
        self._turns.pop(job.pk, None)

    def next_at(self) -> float | None:
        """Return when (monotonic seconds) one will have waited for too long, or ``None`` if none waits."""
        return min((self._turns[key].until for key in self._jobs), default=None)
