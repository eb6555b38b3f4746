"""How is an import tried in a process of its own?

A child imports one module after another, and says so through a pipe before and after each. By its last word, and by how
it died, its parent knows what a module has done. After a death or a hang another child goes on with the rest.

The child is a fork where that is safe, which takes milliseconds, and else a fresh interpreter, which sets Django up
anew. It has a session of its own, and is killed with all that is in it.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.db import DatabaseError, connections

from cronkite.code import taster
from cronkite.code.taster import Verdict
from cronkite.database import inherited
from cronkite.processes import forks, kin, owner

logger = logging.getLogger("cronkite")

#: How long (seconds) a killed child is waited for.
PATIENCE = 5.0
#: How often (seconds) to see whether the child is dead. Its pipe does not tell: children that it left may hold it.
POLL = 0.05
#: What a module has done whose child can't report.
CLOSED = "it closed descriptors that are not its own"


@dataclass(frozen=True)
class Patience:
    """How long (seconds) to wait for each import, and before them for Django to be set up in a fresh interpreter.

    Without the latter there is no time for one.
    """

    limit: float
    setup: float = 0.0


def try_imports(names: Sequence[str], patience: Patience) -> Iterator[tuple[str, Verdict]]:
    """Yield the verdict on each of the modules that could be tried."""
    rest = list(names)
    while rest:
        wanted, child = len(rest), None
        try:
            # A Ctrl-C that came in the midst of a fork would be lost, or leave a child that nobody knows of.
            with forks.signals_held(signal.valid_signals()):
                child = _Child.fork(rest, patience) or _Child.spawn(rest, patience)
            if child is None:
                logger.debug("%s: cannot be tried apart from this process.", ", ".join(rest))
                return
            yield from child.verdicts(rest)
        except OSError as error:
            logger.warning("%s: could not be tried apart: no process can be started. %s", ", ".join(rest), error)
            return
        finally:
            if child is not None:
                child.end()
        if len(rest) == wanted:
            # Not once has it come to an import.
            logger.warning("%s: could not be tried apart: %s.", ", ".join(rest), child.failure)
            return


@dataclass
class _Child:
    """A process that tries imports, as its parent sees it."""

    pid: int
    reader: int
    patience: Patience
    #: What became of it, if it has ended or was given up before a module could be blamed.
    failure: str = ""
    _status: int | None = None
    _unread: bytes = b""

    @classmethod
    def fork(cls, names: Sequence[str], patience: Patience) -> _Child | None:
        """Return a fork of this process, if nothing of it would break by that."""
        if not _may_fork():
            return None
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                inherited.disown()
                inherited.renew()
                taster.begin_as_fork(names, writer, patience.limit)
            finally:
                os._exit(1)
        os.close(writer)
        return cls(pid, reader, patience)

    @classmethod
    def spawn(cls, names: Sequence[str], patience: Patience) -> _Child | None:
        """Return a fresh interpreter with the project's settings, if it is known how to start one."""
        program = _interpreter() if patience.setup else None
        if program is None or "DJANGO_SETTINGS_MODULE" not in os.environ:
            return None
        reader, writer = os.pipe()
        # Settings may depend on the command's arguments, and modules are found where this process finds them.
        told = [[*map(str, sys.path)], sys.argv, names, writer, patience.limit]
        code = "import json, sys; sys.path[:], *told = json.loads(sys.argv[1]); "
        code += "from cronkite.code import taster; taster.begin(*told)"
        try:
            process = subprocess.Popen(
                [program, "-c", code, json.dumps(told)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[writer],
                start_new_session=True,
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        # It is waited for by its id, as a fork is, and not by this object.
        process.returncode = 0
        return cls(process.pid, reader, patience)

    def verdicts(self, rest: list[str]) -> Iterator[tuple[str, Verdict]]:
        """Yield verdicts, and take those modules out of ``rest``, until all are out or the child is dead."""
        limit, setup = self.patience.limit, self.patience.setup
        current, deadline = None, time.monotonic() + max(limit, setup)
        while rest:
            is_dead = self._is_dead()
            # What it has said before it died is still to be heard.
            reports = self._hear(0.0 if is_dead else POLL)
            for kind, name, *verdict in reports:
                current, deadline = (name if kind == "begins" else None), time.monotonic() + limit
                if kind == "ends":
                    rest.remove(name)
                    yield name, Verdict(*verdict)
            if not reports and (is_dead or time.monotonic() >= deadline):
                if current is not None:
                    rest.remove(current)
                    yield current, Verdict(harm=self._fate() if is_dead else f"its import took longer than {limit:g} s")
                else:
                    self.failure = self._fate() if is_dead else "its process was not ready in time"
                return

    def _fate(self) -> str:
        """Say how the child ended."""
        assert self._status is not None
        code = os.waitstatus_to_exitcode(self._status)
        if code == taster.SPEECHLESS:
            return CLOSED
        return f"its process {kin.fate(code)}"

    def end(self) -> None:
        """Kill the child, if it lives, and what it has started; leave no zombie of it."""
        if self._is_dead():
            kin.kill_group(self.pid)
        else:
            kin.kill(self.pid)
            deadline = time.monotonic() + PATIENCE
            while not self._is_dead() and time.monotonic() < deadline:
                time.sleep(kin.PAUSE)
        os.close(self.reader)

    def _is_dead(self) -> bool:
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0  # somebody else has waited for it
            if pid:
                self._status = status
        return self._status is not None

    def _hear(self, timeout: float) -> list[list[str]]:
        """Return what the child has said since, after waiting for up to ``timeout`` seconds."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.reader, selectors.EVENT_READ)
            if not selector.select(timeout):
                return []
        heard = os.read(self.reader, 65536)
        if not heard:
            time.sleep(timeout)  # it has closed the pipe, and ends soon, or hangs
        *lines, self._unread = (self._unread + heard).split(b"\n")
        return [json.loads(line) for line in lines]


def _may_fork() -> bool:
    """Tell whether a fork of this process is as good as the process, and does it no harm.

    A thread may hold a lock that no thread of the child lets go of. And a connection would be that of two processes.
    """
    if _threads() != 1 or sys.modules.keys() & {"gevent", "eventlet"}:
        return False
    opened = [each for each in connections.all(initialized_only=True) if each.connection is not None]
    for connection in opened:
        if owner.is_ours() and not connection.in_atomic_block:
            with suppress(DatabaseError):
                connection.close()
    return all(each.connection is None for each in opened)


def _threads() -> int:
    """Return the number of this process's threads; libraries written in C have some that Python does not know."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return threading.active_count()


def _interpreter() -> str | None:
    """Return the program that this process would be if it were a plain Python; some servers have Python within."""
    inside = Path(sys.executable or "")
    beside = Path(sys.prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    if inside.name.startswith(("python", "pypy")):
        return str(inside)
    return str(beside) if beside.exists() else None
