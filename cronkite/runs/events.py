"""What does a node ask of that which runs its jobs?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.models import Job


@dataclass(frozen=True)
class Ready:
    """The function of ``job`` can be run, and there is room: claim it and :meth:`Runs.start` it, or release it."""

    job: Job


@dataclass(frozen=True)
class Refused:
    """The function of ``job`` can't be run here; ``is_costly`` if it took long, or a process, to find that out."""

    job: Job
    problem: str
    is_costly: bool = False


@dataclass(frozen=True)
class ForEngine:
    """The function of ``job`` turned out to be a task of this engine, and is not to be run here."""

    job: Job
    engine: str


@dataclass(frozen=True)
class Ended:
    """A run is over. ``unrecorded`` is how it ended if its process could not write that any more.

    ``is_doubtful``: it may have done so after all, and could not tell. ``is_told``: it has told the logger.
    """

    claim: Claim
    unrecorded: Outcome | None = None
    is_doubtful: bool = False
    is_told: bool = False


@dataclass(frozen=True)
class Wrote:
    """What a run that goes on has written until now: the answer to :meth:`Runs.peek`."""

    claim: Claim
    output: str


Event = Ready | Refused | ForEngine | Ended | Wrote


class Runs(Protocol):
    """Runs jobs: :mod:`cronkite.runs.pool` by worker processes, :mod:`cronkite.runs.here` in the node's own process."""

    def prepare(self, wanted: int) -> None:
        """Get ready for so many jobs, as far as there is room."""

    def has_room(self) -> bool:
        """Tell whether one more job can be offered."""

    def offer(self, job: Job) -> None:
        """Find out whether the job's function can be run; an event will tell."""

    def start(self, job: Job, claim: Claim) -> None:
        """Run the claim of a job that is ready."""

    def release(self, job: Job) -> None:
        """Forget a job that is ready: it was not claimed."""

    def claims(self) -> list[Claim]:
        """Return what is running."""

    def offered(self) -> set[int]:
        """Return the ids of the jobs that were offered and are not running yet."""

    def end(self, claim: Claim, status: str, reason: str) -> None:
        """Tell the run to end, to be recorded with this status and reason."""

    def peek(self, claim: Claim) -> None:
        """Find out what the run has written until now; an event will tell."""

    def let_go(self) -> None:
        """Leave to themselves those runs that are over, and of which only the record is left to be written."""

    def heed_signal(self) -> None:
        """Do what has to be done in a signal's handler already."""

    def next_deadline(self) -> float | None:
        """Return when (monotonic seconds) :meth:`wait` has to be called at the latest."""

    def wait(self, timeout: float, wake: int) -> Iterator[Event]:
        """Wait for up to ``timeout`` seconds, or until the descriptor ``wake`` is readable; tell what happened."""

    def close(self, by: float | None) -> None:
        """End, and leave no process behind but for those that still run a job.

        ``by`` is when (monotonic seconds) the node has to be gone, if it was told to stop.
        """
