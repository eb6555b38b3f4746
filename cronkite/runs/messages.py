"""What do a node, its nursery and its workers say to each other?"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from uuid import UUID

from cronkite.code import commands
from cronkite.code.outcomes import Outcome
from cronkite.processes.kin import Known
from cronkite.runs.capture import Piece

#: How long (seconds) a run that was told to end has until its process is killed.
KILL_AFTER = 5.0
#: What a node asks its nursery for, a letter and the number of a worker: to get ready, to fork one, to kill one, to
#: tell what one has written, and to say that it hears.
WARM, FORK, KILL, PEEK, ASK = b"W", b"F", b"K", b"P", b"A"
REQUEST = struct.Struct("!cI")
#: What a worker says to it: what have I written? And: I leave as I should.
OUTPUT, LEAVING = "output", "leaving"
#: What a nursery answers that was asked whether it hears.
HEARS = "hears"


@dataclass(frozen=True)
class Born:
    """The worker says, before anything else, which process it is."""

    process: Known


@dataclass(frozen=True)
class Resolve:
    """The node asks: can this function be run here, or is it a task that is to be handed over?"""

    function: str
    run_mode: str = "here"
    backend: str = ""

    @property
    def home(self) -> str:
        """What is imported for it: a module or, where one is called, a command."""
        return commands.home(self.function)


@dataclass(frozen=True)
class Resolved:
    """The worker answers: yes, or no, with the reason, or that ``engine`` is to have it.

    If it ``retires``, it takes nothing more; and where it ``passes``, another worker is to be asked. If it is
    ``bound``, it serves the functions of this module alone.
    """

    problem: str | None
    engine: str = ""
    retires: bool = False
    passes: bool = False
    bound: bool = False


@dataclass(frozen=True)
class Unable:
    """The worker says: it can't be one, for lack of this. It ends."""

    lack: str


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


@dataclass(frozen=True)
class Over:
    """The worker says: the function has returned, and its end can't be written yet. So there is nothing to end."""

    token: UUID


@dataclass(frozen=True)
class Returned:
    """The worker says: the run has ended so, and the node is to write it, as its process may not be able to any more.

    It takes no other.
    """

    token: UUID
    outcome: Outcome


@dataclass(frozen=True)
class Died:
    """The worker of a number has ended, with an exit code as :mod:`subprocess` has them, and had written so much.

    Where it could not be forked at all, ``problem`` says why.
    """

    number: int
    code: int = 0
    output: Piece = field(default_factory=Piece)
    problem: str = ""

    @property
    def lack(self) -> str:
        """Why it was never born; nothing if it was."""
        return "" if self.code else self.problem


@dataclass(frozen=True)
class Written:
    """What the worker of a number has written until now, in the run that it makes."""

    number: int
    output: Piece
