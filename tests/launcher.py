"""Starts ``manage.py`` in processes that have Django set up already.

An interpreter that imports Django and its apps takes as long to start as a node takes for a hundred runs, and a storm
starts many nodes. So one process does that, and forks for each node, which reads its settings anew: from
``manage.py``'s first line on, and with an environment, settings and files of its own, it is as any other. Linux only,
as are the storms.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import django
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands
from django.db import connections
from django.utils.functional import empty

from databases.processes import die_with_parent

HERE = Path(__file__).parent
#: What a node imports beside Django and its apps.
PRELOADED = (
    "asyncio",
    "app.storm",
    "cronkite.declared.discovery",
    "cronkite.management.commands.cron",
    "cronkite.nodes.node",
    "cronkite.runs.pool",
    "cronkite.runs.worker",
    "django.core.management.commands.check",
    "psycopg2.extras",
    "MySQLdb.cursors",
)
#: The longest request, with its environment (bytes).
LONGEST = 1 << 17


class Launcher:
    """The process that starts others; one for as long as the tests run, as it dies with them."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._channel, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            cwd=HERE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            pass_fds=[theirs.fileno()],
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        theirs.close()
        self._ended: dict[int, int] = {}

    def start(self, arguments: list[str], environment: dict[str, str], output: int, fds: tuple[int, ...]) -> Launched:
        """Start ``manage.py``; ``output`` is where it writes, and ``fds`` it finds under the same numbers."""
        request = {"arguments": arguments, "environment": environment, "fds": fds}
        socket.send_fds(self._channel, [json.dumps(request).encode()], [output, *fds])
        while (answer := self._receive()).get("started") is None:
            self._note(answer)
        # Process ids come again. What is known of this one is about another process.
        self._ended.pop(answer["started"], None)
        return Launched(answer["started"], self)

    def code(self, pid: int) -> int | None:
        """Return how a process ended, as :mod:`subprocess` says it; ``None`` if it has not."""
        while select.select([self._channel], [], [], 0)[0]:
            self._note(self._receive())
        return self._ended.get(pid)

    def _receive(self) -> dict[str, int]:
        message = self._channel.recv(LONGEST)
        assert message, "the launcher has died"
        return json.loads(message)

    def _note(self, answer: dict[str, int]) -> None:
        self._ended[answer["ended"]] = answer["code"]


class Launched:
    """A process that a launcher started: as much of :class:`subprocess.Popen` as is asked for."""

    stdin = stdout = None

    def __init__(self, pid: int, launcher: Launcher) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._launcher = launcher

    def poll(self) -> int | None:
        """Return the exit code, or ``None`` if it still runs."""
        if self.returncode is None:
            self.returncode = self._launcher.code(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end. Raises :class:`subprocess.TimeoutExpired`."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.005)
        return code

    def communicate(self, timeout: float) -> tuple[None, None]:
        """Wait for its end; what it writes goes where it was told to write."""
        self.wait(timeout)
        return None, None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def serve(channel: socket.socket) -> list[str] | None:
    """Start what is asked for, and tell what has ended. In a process that was started, return its arguments."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([channel, reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            tell_ends(channel)
        if channel in ready:
            message, fds, _, _ = socket.recv_fds(channel, LONGEST, 16)
            if not message:
                return None
            pid = os.fork()
            if not pid:
                for descriptor in (reader, writer):
                    os.close(descriptor)
                return become(channel, json.loads(message), fds)
            with suppress(OSError):
                # The child does so too. Whoever comes first, it is done when anybody hears of the child.
                os.setpgid(pid, pid)
            for descriptor in fds:
                os.close(descriptor)
            channel.send(json.dumps({"started": pid}).encode())


def tell_ends(channel: socket.socket) -> None:
    """Tell which processes have ended, and how."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(ended[1])
            channel.send(json.dumps({"ended": ended[0], "code": code}).encode())


def become(channel: socket.socket, request: dict, fds: list[int]) -> list[str]:
    """Be the process that was asked for, as far as it can be before ``manage.py`` begins; return its arguments."""
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if die := die_with_parent(signal.SIGKILL):
        die()
    channel.close()
    # First out of the way, then to their numbers: some may be in each other's place.
    output, *others = [os.dup2(descriptor, 1000 + n) for n, descriptor in enumerate(fds)]
    for descriptor in fds:
        os.close(descriptor)
    for descriptor, number in zip(others, request["fds"], strict=True):
        os.dup2(descriptor, number)
    for number in (1, 2):
        os.dup2(output, number)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for descriptor in (null, output, *others):
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    return request["arguments"]


def set_up():
    """Set Django up, and do what else all nodes do alike."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    django.setup()
    get_commands()
    for module in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(module)
    # Else each collection of garbage, in each node, would copy what they share.
    gc.freeze()


def set_up_again():
    """Have Django forget the settings that it was set up with, and the apps do what a process's environment says."""
    del sys.modules[os.environ["DJANGO_SETTINGS_MODULE"]]
    settings._wrapped = empty
    vars(connections).pop("settings", None)
    connections.__init__()
    apps.get_app_config("app").ready()


def run(script: str) -> int:
    """Run the script, and return the exit code that it comes to."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as asked:
        if isinstance(asked.code, str):
            print(asked.code, file=sys.stderr)
            return 1
        return asked.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(code: int) -> NoReturn:
    """End as an interpreter does, but do not take all its objects apart: each page of them would be copied for it."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    set_up()
    if (arguments := serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        sys.argv = arguments
        set_up_again()
        end(run(arguments[0]))
