"""PgBouncer in transaction mode: each transaction of a node may get another connection of the server's."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from databases.mariadb import SBIN
from databases.processes import Account, NoServer, accepts_connections, free_port, running, temporary_folder

CONFIGURATION = """\
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
"""


@contextmanager
def pooled(size: int = 3, url: str | None = None) -> Iterator[str]:
    """The URL of the PostgreSQL database of ``url`` (``DATABASE_URL``) by way of a pooler, during the block.

    All its clients share ``size`` connections. Raises NoServer without PgBouncer.
    """
    program = find_program()
    parts = urlsplit(url or os.environ["DATABASE_URL"])
    port = free_port()
    # It refuses to run as root.
    account = Account.unprivileged("postgres", "nobody")
    with temporary_folder(account) as folder:
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(host=parts.hostname, server_port=parts.port, port=port, folder=folder, size=size)
        )
        (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password or ""}"\n')
        # SIGINT would wait for the clients' transactions.
        with running([program, str(configuration)], folder, signal.SIGTERM, lambda: accepts_connections(port), account):
            user = parts.netloc.rpartition("@")[0]
            yield parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()


def find_program() -> str:
    """The path of PgBouncer. Raises NoServer if it is not installed."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=SBIN)
    if found is None:
        raise NoServer("pgbouncer is not installed (Debian's package: pgbouncer)")
    return found
