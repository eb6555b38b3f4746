"""A process that is measured: it has a deadline, and is ended with all that it started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databases.processes import die_with_parent

#: How long (seconds) a process that was told to end may take.
GRACE = 15.0


class TooLate(Exception):
    """Something did not happen before its deadline."""


class Failed(Exception):
    """A process ended otherwise than it should, or did not do what it should."""


@dataclass(frozen=True)
class Usage:
    """What a process took to its end, in seconds: by the clock on the wall, and of the processors."""

    wall: float
    cpu: float


class Process:
    """A process in a session of its own, whose output goes to a file."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        pass_fds: Sequence[int] = (),
        folder: Path | None = None,
        guarded: bool = True,
    ) -> None:
        self.command, self.log = command, log
        options: dict[str, Any] = {}
        if guarded:
            # Not for those whose start is timed: it makes the start slower.
            options["preexec_fn"] = die_with_parent(signal.SIGKILL)
        with log.open("ab") as output:
            self.began = time.time()
            self._began = time.perf_counter()
            self.process = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=stdin,
                stdout=output if stdout is None else stdout,
                stderr=subprocess.STDOUT if stdout is None else output,
                start_new_session=True,
                pass_fds=pass_fds,
                **options,
            )
        self.pid = self.process.pid

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.poll() is None

    def wait(self, patience: float, expect: int | None = 0) -> Usage:
        """Wait for its end, and end it if that is too late.

        Raises :class:`TooLate`, and :class:`Failed` if the exit code is not the expected one.
        """
        if self.process.returncode is not None:
            raise Failed(f"{self} has ended already")
        watch = os.pidfd_open(self.pid)
        try:
            if not select.select([watch], [], [], patience)[0]:
                raise TooLate(f"{self} did not end in {patience:g} s. {self.said()}")
        except BaseException:
            self.end()
            raise
        finally:
            os.close(watch)
        wall = time.perf_counter() - self._began
        # Its own time and that of the children it has waited for.
        _, status, used = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if expect is not None and self.process.returncode != expect:
            raise Failed(f"{self} ended with {self.process.returncode}. {self.said()}")
        return Usage(wall, used.ru_utime + used.ru_stime)

    def end(self) -> None:
        """End it and its session, politely first."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(GRACE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def said(self) -> str:
        """Return the end of its output."""
        text = self.log.read_text(errors="replace").strip()
        return f"It said: …{text[-1500:]}" if text else "It said nothing."

    def __str__(self) -> str:
        return " ".join(self.command[1:])[:120]


@contextmanager
def running(*processes: Process) -> Iterator[tuple[Process, ...]]:
    """End the processes at the end of the block."""
    try:
        yield processes
    finally:
        for process in processes:
            process.end()


def until(condition: Callable[[], Any], patience: float, what: str, *watched: Process, pause: float = 0.01) -> Any:
    """Wait until ``condition()`` is true, and return its value.

    Raises :class:`TooLate` after ``patience`` seconds, and :class:`Failed` as soon as a ``watched`` process has ended.
    """
    deadline = time.monotonic() + patience
    while not (value := condition()):
        for process in watched:
            if not process.is_alive() and not (value := condition()):
                raise Failed(f"{process} ended with {process.process.returncode}. {process.said()}")
        if value:
            return value
        if time.monotonic() > deadline:
            ends = " ".join(process.said() for process in watched)
            raise TooLate(f"it took more than {patience:g} s until {what}. {ends}".strip())
        time.sleep(pause)
    return value


class Barrier:
    """Where the processes that are to begin at a time wait for each other (see :mod:`app.barrier`)."""

    def __init__(self) -> None:
        self._here, self._say_here = os.pipe()
        self._gate, self._open_gate = os.pipe()
        self._expected = 0

    def options(self) -> tuple[dict[str, str], tuple[int, int]]:
        """Return what a process needs to find it: additions to its environment, and descriptors to pass."""
        self._expected += 1
        return {"CRONKITE_TEST_BARRIER": f"{self._say_here},{self._gate}"}, (self._say_here, self._gate)

    def open(self, patience: float) -> float:
        """Wait until all are here and let them go; return the time (seconds of the epoch)."""
        deadline = time.monotonic() + patience
        while self._expected:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self._here], [], [], left)[0]:
                raise TooLate(f"{self._expected} processes were not ready in {patience:g} s")
            self._expected -= len(os.read(self._here, self._expected))
        opened = time.time()
        os.close(self._open_gate)
        self._open_gate = -1
        return opened

    def close(self) -> None:
        """Forget it. Who still waits may go."""
        for descriptor in (self._here, self._say_here, self._gate, self._open_gate):
            if descriptor >= 0:
                os.close(descriptor)
