"""What a private MySQL and a private MariaDB server have in common: their flags, their user and their end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from databases import clocks
from databases.processes import Account, Server, accepts_connections, free_port, running

FLAGS = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--max-connections=400",
    "--default-time-zone=+05:00",
    "--character-set-server=utf8mb4",  # MariaDB's own default was latin1 up to 11.5
    # Both are relative to the data folder: a socket's path must be short, and the temporary folder's need not be.
    "--socket=mysqld.sock",
    "--pid-file=mysqld.pid",
]
FAST = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync"]
# The tests act as an administrator: they create databases, kill connections and look into the server's state.
# They are run at each start, also at that after a crash.
USER = """\
CREATE DATABASE IF NOT EXISTS cronkite CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'cronkite'@'%';
GRANT ALL ON *.* TO 'cronkite'@'%' WITH GRANT OPTION;
"""


@contextlib.contextmanager
def serve(
    scheme: str, command: list[str], folder: Path, durable: bool, clock: bool, account: Account | None = None
) -> Iterator[Server]:
    """Run the server over the data folder ``data`` in ``folder`` during the block; its URL is of ``scheme``."""
    setup = folder / "setup.sql"
    setup.write_text(USER)
    port = free_port()
    flags = [f"--datadir={folder}/data", f"--port={port}", f"--init-file={setup}", *FLAGS, *([] if durable else FAST)]
    environment = clocks.make(folder).environment() if clock else {}

    def ready() -> bool:
        # The port opens when the init file has been worked off, so an open port means that the user is there.
        return accepts_connections(port)

    with running([*command, *flags], folder, signal.SIGTERM, ready, account, environment) as server:
        server.url = f"{scheme}://cronkite@127.0.0.1:{port}/cronkite"
        yield server
