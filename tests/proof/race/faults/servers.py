"""The database's server, to be killed, held down, and misled about the time.

It has to be the tests' own, from ``python -m databases NAME --own --restart --clock -- COMMAND``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from nodes import until

from databases.clocks import Clock

COMMAND = "python -m databases NAME --own --restart --clock -- COMMAND"


class Server:
    """The server as its folder tells of it. Who started it starts it again when it dies, as a service manager does."""

    def __init__(self, folder: Path) -> None:
        self._pid = folder / "pid"
        self._hold = folder / "hold"
        self._folder = folder

    @property
    def pid(self) -> int | None:
        """The process that accepts connections, or ``None`` while none does."""
        with suppress(FileNotFoundError):
            return int(self._pid.read_text())
        return None

    def kill(self) -> None:
        """Kill it (SIGKILL) and return when it is dead; it is started again at once.

        PostgreSQL's backends end by themselves a moment later, maybe after a commit, and then it can start.
        """
        pid = self.wait_until_up()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid != pid, what=f"the server {pid} dies of SIGKILL")

    def wait_until_up(self) -> int:
        """Wait until it accepts connections; return its process's id."""
        return until(lambda: self.pid, what="the server accepts connections")

    def restart(self) -> None:
        """Kill it, and return when it accepts connections again."""
        self.kill()
        self.wait_until_up()

    @contextmanager
    def held_down(self) -> Iterator[None]:
        """Have it killed and away during the block; afterwards it accepts connections again."""
        self._hold.touch()
        try:
            self.kill()
            yield
        finally:
            self._hold.unlink()
            self.wait_until_up()

    @contextmanager
    def clock_set(self, shift: timedelta) -> Iterator[Clock]:
        """Set its clock to the right time plus ``shift`` during the block, in which it may be set again."""
        clock = Clock(self._folder)
        if not clock.exists():
            raise AssertionError(f"The server's clock can't be set, as it was not started by: {COMMAND}")
        clock.set(shift)
        try:
            yield clock
        finally:
            clock.set(timedelta(0))


def server() -> Server | None:
    """Return the server, or ``None`` if there is none (SQLite) or it is not ours to be killed."""
    folder = os.environ.get("CRONKITE_TEST_SERVER")
    return Server(Path(folder)) if folder else None
