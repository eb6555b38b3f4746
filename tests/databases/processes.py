"""A server process lives exactly as long as the ``with`` block that it is started for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0
PR_SET_PDEATHSIG = 1


class NoServer(Exception):
    """No database server could be had this way; the message says what was missing."""


@dataclass(frozen=True)
class Account:
    """The user that a server runs as: this one, or another where the server refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls, *names: str) -> Account:
        """This process's user, unless that is root: then the first of these users that exists."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in names:
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise NoServer(f"this machine has none of the users {', '.join(names)} to run the server as")

    def options(self) -> dict[str, object]:
        """The arguments that make :mod:`subprocess` run a command as this user."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def owns(self, folder: Path) -> None:
        """Give the folder to this user."""
        if self.uid != os.geteuid():
            os.chown(folder, self.uid, self.gid)


def follow(command: list[str], environment: dict[str, str], show: Callable[[str], None]) -> int:
    """Run a command, and show each line that it writes as it comes; return its exit code.

    Whatever comes between is passed on to it (SIGTERM), so that it stops what it has started.
    """
    with subprocess.Popen(
        command,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                show(line.rstrip())
        except BaseException:
            process.send_signal(signal.SIGTERM)
            raise
    return process.returncode


@contextlib.contextmanager
def temporary_folder(account: Account | None = None) -> Iterator[Path]:
    """A folder of the account's own, removed with all it holds at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cronkite-"))
    try:
        if account is not None:
            account.owns(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _environment(folder: Path) -> dict[str, str]:
    # MySQL and MariaDB remove all temporary tables that lie there when they start, those of a server beside them, too.
    return {**os.environ, "TMPDIR": str(folder)}


def prepare(command: list[str], folder: Path, account: Account | None = None) -> None:
    """Run a command that sets a server up. Raises NoServer with the end of its output if it fails."""
    options = account.options() if account else {}
    done = subprocess.run(
        command,
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
    if done.returncode:
        output = done.stdout.decode(errors="replace")[-2000:]
        raise NoServer(f"{command[0]} ended with {done.returncode}:\n{output}")


class Server:
    """A server's process, and its folder: ``log.txt``; ``pid``, a file that is there while it accepts connections; and
    ``hold``, a file that keeps it from being started again.
    """

    #: Set by who knows its protocol.
    url = ""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        stop: signal.Signals,
        ready: Callable[[], bool],
        account: Account | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._command = command
        self._stop = stop
        self._ready = ready
        self._account = account
        self._environment = environment
        self._log = folder / "log.txt"
        self._pid = folder / "pid"
        self._process = self._launch()

    def attend(self) -> None:
        """Do what a service manager does all the time: start the server again if it has died, unless it is on hold."""
        if self._process.poll() is not None:
            self._pid.unlink(missing_ok=True)
            # PostgreSQL refuses to start until the last process of the one that died has let go of its shared memory.
            # Then it is tried again, as often as this is called.
            if not (self.folder / "hold").exists():
                self._process = self._launch()
        elif not self._pid.exists() and self._ready():
            self._announce()

    def wait_until_ready(self) -> None:
        """Wait for the first start. Raises NoServer, with the end of the log, if it fails or takes over a minute."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                ending = self._log.read_text(errors="replace")[-2000:]
                raise NoServer(f"{self._command[0]} did not start:\n{ending}")
            time.sleep(0.05)
        self._announce()

    def end(self) -> None:
        """Stop the server, and kill it if it does not heed that."""
        if self._process.poll() is None:
            self._process.send_signal(self._stop)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd=self.folder,
                env={**_environment(self.folder), **(self._environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests; the server has to outlive them
                preexec_fn=die_with_parent(self._stop),
                **(self._account.options() if self._account else {}),
            )

    def _announce(self) -> None:
        # Renamed, so that nobody reads half of it.
        new = self.folder / "pid.new"
        new.write_text(str(self._process.pid))
        new.rename(self._pid)


@contextlib.contextmanager
def running(
    command: list[str],
    folder: Path,
    stop: signal.Signals,
    ready: Callable[[], bool],
    account: Account | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Server]:
    """Keep a server running during the block: wait until it is ready, send ``stop`` to its own process at the end.

    ``environment`` is added to this process's. Raises NoServer, with the end of its log, if it ends early or is not
    ready within a minute. A server that dies stays dead, unless somebody calls its ``attend`` again and again.
    """
    server = Server(command, folder, stop, ready, account, environment)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.end()


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def die_with_parent(stop: signal.Signals) -> Callable[[], None] | None:
    """Have Linux stop a child even if this process is killed in a way that leaves it no time to clean up."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: the child should do as little as possible
    return lambda: prctl(PR_SET_PDEATHSIG, stop)
