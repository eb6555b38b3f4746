"""What do a node and its workers say to each other?"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

#: How long (seconds) a run that was told to end has until its process is killed.
KILL_AFTER = 5.0


@dataclass(frozen=True)
class Resolve:
    """The node asks: can this function be run here, or is it a task that is to be handed over?"""

    function: str
    run_mode: str = "here"
    backend: str = ""


@dataclass(frozen=True)
class Resolved:
    """The worker answers: yes, or no, with the reason, or that ``engine`` is to have it."""

    problem: str | None
    engine: str = ""


@dataclass(frozen=True)
class End:
    """The node says: end the run, and record this status for this reason."""

    status: str
    reason: str


@dataclass(frozen=True)
class Recorded:
    """The worker says: the run has ended, and that is in its log. If it ``retires``, it takes no other."""

    token: UUID
    retires: bool
