"""A private MariaDB server from the binaries on this machine."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from databases.mysqld import serve
from databases.processes import Account, NoServer, Server, prepare, temporary_folder

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@contextlib.contextmanager
def server(durable: bool, clock: bool) -> Iterator[Server]:
    """A MariaDB server that runs during the block; ``clock`` gives it its own. Raises NoServer without its binaries."""
    daemon, installer = find_binary("mariadbd"), find_binary("mariadb-install-db")
    account = Account.unprivileged("mysql", "nobody")
    with temporary_folder(account) as folder:
        # Options given to the daemon alone would not reach the one that the installer starts.
        quiet = ["--skip-test-db", "--auth-root-authentication-method=normal"]
        prepare([installer, "--no-defaults", f"--datadir={folder}/data", *quiet], folder, account)
        with serve("mariadb", [daemon, "--no-defaults"], folder, durable, clock, account) as server:
            yield server


def find_binary(name: str) -> str:
    """The path of one of MariaDB's programs. Raises NoServer if it is not installed."""
    # Where a user's PATH has no sbin, as on Debian, the server is installed and yet not found.
    found = shutil.which(name) or shutil.which(name, path=SBIN)
    if found is None:
        raise NoServer(f"{name} is not installed (Debian's packages: mariadb-server-core, mariadb-client-core)")
    return found
