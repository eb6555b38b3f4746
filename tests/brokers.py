"""Redis for the tests, of their own, and what may stand between it and its clients."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from databases.processes import die_with_parent
from databases.redis import find_program

#: Seconds until a wait is given up.
PATIENCE = 60


def free_port():
    """Return a port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Redis:
    """A server of Redis, which may be killed and come back with what it had."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port)
        self.process = None

    def start(self):
        """Start it, and wait until it answers."""
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--appendonly",
            "yes",
        ]
        self.process = subprocess.Popen(
            ["redis-server", *options, "--appendfsync", "always"],
            executable=find_program(),
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent(9),  # noqa: PLW1509 - nothing of Python's is done there
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(redis.ConnectionError, redis.BusyLoadingError):
                self.client.ping()
                return
            assert time.monotonic() < deadline, "Redis does not answer"
            time.sleep(0.02)

    def kill(self):
        """End it, as a crash would."""
        self.client.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None


@contextmanager
def redis_server(folder):
    """Have a server during the block."""
    server = Redis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        server.client.close()


class Swallower:
    """Stands before a server, and drops connections once it has passed on ``word``: the answer does not arrive."""

    def __init__(self, port, word):
        self.word = word
        self.swallowed = 0
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                over = threading.Event()
                for way in ((client, server, over, True), (server, client, over, False)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, target, over, is_client):
        with suppress(OSError):
            while (data := source.recv(65536)) and not (over.is_set() and not is_client):
                if is_client and self.word in data:
                    self.swallowed += 1
                    over.set()
                target.sendall(data)
        # Both ways end when one does: the server has carried out what it answers.
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if not is_client:
            source.close()
            target.close()


@contextmanager
def swallowing(port, word):
    """Have a :class:`Swallower` before a server's port during the block."""
    one = Swallower(port, word)
    try:
        yield one
    finally:
        one.close()


@contextmanager
def worker(*command, **environment):
    """Have a worker of an engine during the block: a process of this Python's, with a group of its own."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=Path(__file__).parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent(9),  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
