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


def prepare(command: list[str], folder: Path, account: Account | None = None) -> None:
    """Run a command that sets a server up. Raises NoServer with the end of its output if it fails."""
    options = account.options() if account else {}
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    if done.returncode:
        output = done.stdout.decode(errors="replace")[-2000:]
        raise NoServer(f"{command[0]} ended with {done.returncode}:\n{output}")


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, stop: signal.Signals, ready: Callable[[], bool], account: Account | None = None
) -> Iterator[None]:
    """Keep a server running during the block: wait until it is ready, send ``stop`` to its own process at the end.

    Raises NoServer, with the end of its log, if it ends early or is not ready within a minute.
    """
    log = folder / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests; the server has to outlive them
            preexec_fn=die_with_parent(stop),
            **(account.options() if account else {}),
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if server.poll() is not None or time.monotonic() > deadline:
                ending = log.read_text(errors="replace")[-2000:]
                raise NoServer(f"{command[0]} did not start:\n{ending}")
            time.sleep(0.05)
        yield
    finally:
        if server.poll() is None:
            server.send_signal(stop)
        try:
            server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


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
