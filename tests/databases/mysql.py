"""A private, genuine MySQL server: from the binaries on this machine, or unpacked from Debian's packages."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator

from databases import mysql_packages
from databases.mariadb import SBIN
from databases.mysqld import serve
from databases.processes import Server, prepare, temporary_folder


@contextlib.contextmanager
def server(durable: bool, clock: bool) -> Iterator[Server]:
    """A MySQL server that runs during the block; ``clock`` gives it its own. Raises NoServer if none can be had."""
    command = find_command()
    with temporary_folder() as folder:
        if os.geteuid() == 0:
            # Unlike PostgreSQL it does run as root, but only when told so; as another user it could not read its own
            # unpacked files in root's cache.
            command = [*command, f"--user={getpass.getuser()}"]
        prepare([*command, "--initialize-insecure", f"--datadir={folder}/data"], folder)
        flags = ["--mysqlx=OFF", "--performance-schema=OFF", "--secure-file-priv=NULL"]
        with serve("mysql", [*command, *flags], folder, durable, clock) as server:
            yield server


def find_command() -> list[str]:
    """The beginning of a command line that starts MySQL. Raises NoServer if none can be had."""
    installed = shutil.which("mysqld") or shutil.which("mysqld", path=SBIN)
    if installed and is_genuine(installed):
        return [installed, "--no-defaults"]
    return mysql_packages.command(mysql_packages.unpacked())


def is_genuine(daemon: str) -> bool:
    """Whether this ``mysqld`` is MySQL: MariaDB installs itself under that name too."""
    version = subprocess.run([daemon, "--no-defaults", "--version"], capture_output=True, text=True).stdout
    return bool(version) and "MariaDB" not in version
