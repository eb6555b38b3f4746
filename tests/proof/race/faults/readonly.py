"""A database that refuses to write, as a standby does, or one whose disk is full."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from django.db import connection
from nodes import Node, until

import families

#: A user of MariaDB's whom ``read_only`` concerns: it lets administrators write, as the tests' own user is.
PLAIN_USER = "plain"
#: The size of SQLite's pages (bytes): not even the first of a write-ahead log, which has a head, ends before that.
ONE_PAGE = 4096


def environment() -> dict[str, str]:
    """Return what nodes need in their environment for the refusals to concern them."""
    if connection.vendor == "sqlite":
        return {"CRONKITE_TEST_SABOTAGE": "bound"}
    if not _is_mariadb():
        return {}
    parts = urlsplit(os.environ["DATABASE_URL"])
    _execute(
        f"CREATE USER IF NOT EXISTS '{PLAIN_USER}'@'%'",
        f"GRANT ALL ON `{connection.settings_dict['NAME']}`.* TO '{PLAIN_USER}'@'%'",
    )
    return {"DATABASE_URL": parts._replace(netloc=f"{PLAIN_USER}@{parts.hostname}:{parts.port}").geturl()}


@contextmanager
def writes_refused(nodes: Iterable[Node] = ()) -> Iterator[None]:
    """Have the database refuse all writes of nodes during the block, and let them read.

    On SQLite it is the disk that refuses writes to ``nodes`` and their workers, to any file that is longer than a page
    of the database, or would be: they fail with EFBIG, and SQLite says "disk I/O error". Short files, such as their
    logs, can be written.
    """
    if connection.vendor == "sqlite":
        with _disk_refuses(list(nodes)):
            yield
        return
    _set_read_only("ON")
    try:
        yield
    finally:
        _set_read_only("OFF")


def _set_read_only(value: str) -> None:
    if connection.vendor == "postgresql":
        # The default of transactions, also of those that running sessions begin when they have heard of it.
        _execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")
        until(lambda: _ask("SHOW default_transaction_read_only") == value.lower(), what=f"read only is {value}")
    elif _is_mariadb():
        _execute(f"SET GLOBAL read_only = {value}")
    elif value == "ON":
        # It concerns administrators too, and brings read_only with it, but does not take it away again.
        _execute("SET GLOBAL super_read_only = ON")
    else:
        _execute("SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")


@contextmanager
def _disk_refuses(nodes: list[Node]) -> Iterator[None]:
    """Let no process of the nodes' families write a page. Python ignores SIGXFSZ, so that fails with EFBIG."""
    _limit_files(nodes, ONE_PAGE)
    try:
        yield
    finally:
        _limit_files(nodes, resource.RLIM_INFINITY)


def _limit_files(nodes: list[Node], size: int) -> None:
    limited: set[int] = set()
    # Again, as a process may have made another one meanwhile.
    while fresh := {pid for node in nodes for pid in families.family(node.pid)} - limited:
        for pid in fresh:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        limited |= fresh


def _is_mariadb() -> bool:
    return connection.vendor == "mysql" and bool(connection.mysql_is_mariadb)


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _ask(question: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
