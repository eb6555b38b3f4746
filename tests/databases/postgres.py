"""A private PostgreSQL server from the binaries on this machine."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from databases import clocks
from databases.processes import Account, NoServer, Server, free_port, prepare, running, temporary_folder

FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


@contextlib.contextmanager
def server(durable: bool, clock: bool) -> Iterator[Server]:
    """A PostgreSQL server that runs during the block; ``clock`` gives it its own. Raises NoServer if none is here."""
    binaries = find_binaries()
    # PostgreSQL refuses to run as root.
    account = Account.unprivileged("postgres", "nobody")
    with temporary_folder(account) as folder:
        data = folder / "data"
        initdb = [f"{binaries}/initdb", "-D", f"{data}", "-U", "cronkite", "-A", "trust", "-E", "UTF8", "--locale=C"]
        prepare([*initdb, "--no-sync"], folder, account)
        port = free_port()
        settings = [
            f"port={port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",  # a socket's path must be short, and the temporary folder's need not be
            "max_connections=300",
            "TimeZone=<+05:00>-05:00",
            *([] if durable else FAST),
        ]
        command = [f"{binaries}/postgres", "-D", f"{data}"]
        for setting in settings:
            command += ["-c", setting]
        client = ["-h", "127.0.0.1", "-p", f"{port}", "-U", "cronkite"]

        def ready() -> bool:
            # The port answers before the server does ("the database system is starting up"), so ask its own tool.
            return subprocess.run([f"{binaries}/pg_isready", "-q", *client, "-d", "postgres"]).returncode == 0

        # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for a client that hangs.
        environment = clocks.make(folder).environment() if clock else {}
        with running(command, folder, signal.SIGINT, ready, account, environment) as server:
            prepare([f"{binaries}/createdb", *client, "cronkite"], folder)
            server.url = f"postgresql://cronkite@127.0.0.1:{port}/cronkite"
            yield server


def find_binaries() -> Path:
    """The folder of the newest PostgreSQL server on this machine. Raises NoServer if there is none."""
    # Debian keeps the servers off PATH, in a folder by version.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    raise NoServer("no PostgreSQL server is installed (Debian's package: postgresql)")


def _version(binary: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", binary.parts[-3])]
