"""What the explorer asks of the database's server: who waits for a lock, and whether a killed connection is gone.

Nothing here is guessed from the time that something takes.

PostgreSQL
    ``pg_locks`` shows all locks as they are at one instant. Who commits or rolls back hands its locks to those that
    wait for them before it answers its client. Rows of the tables are waited for by these two types of lock; what else
    a statement may wait for (a page, the vacuum) passes by itself.

MySQL and MariaDB
    ``SHOW ENGINE INNODB STATUS`` shows all transactions at one instant. (``information_schema.innodb_trx`` comes out of
    a cache.) Here too, locks are handed on before the answer.

SQLite
    It has one lock, and waits for it by trying again and again. The actors do that themselves, and know.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Collection
from typing import Any

from django.db import OperationalError, connection

from cronkite.database import quirks

#: Seconds until a wait is given up: reached only if something hangs for good.
PATIENCE = 60.0
#: How long (seconds) to wait between two questions.
PACE = 0.002

WAITING = "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
CONNECTED = "SELECT pid FROM pg_stat_activity"
#: The part of InnoDB's status that lists the transactions. It is left out when its locks are busy.
TRANSACTIONS = re.compile(r"^LIST OF TRANSACTIONS FOR EACH SESSION:$(.*?)^FILE I/O$", re.MULTILINE | re.DOTALL)
HISTORY = re.compile(r"^History list length (\d+)$", re.MULTILINE)
THREAD = re.compile(r"thread id (\d+),")


def name() -> str:
    """Return the database's name, as people call it."""
    if getattr(connection, "mysql_is_mariadb", False):
        return "MariaDB"
    return connection.display_name


def identity(own: Any) -> int | None:
    """Return how the server calls the connection ``own``; ``None`` where there is no server."""
    if own.vendor == "postgresql":
        return own.connection.info.backend_pid
    return own.connection.thread_id() if own.vendor == "mysql" else None


def sever(own: Any) -> None:
    """Cut the connection ``own`` without a word to the server, as when its process is killed."""
    if own.vendor == "sqlite":
        own.connection.close()
    else:
        with socket.socket(fileno=os.dup(own.connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)


def is_busy(error: OperationalError) -> bool:
    """Whether SQLite says that its lock is taken, and it may be worth while to try again."""
    # A transaction that has read what another has overwritten since is told so at once, however long it may wait.
    outdated = getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_BUSY_SNAPSHOT"
    return connection.vendor == "sqlite" and quirks.is_conflict(error) and not outdated


def waiting(identities: Collection[int | None]) -> set[int | None]:
    """Return which of the connections wait for another's lock: all of them at one instant."""
    if connection.vendor == "postgresql":
        return _column(WAITING) & set(identities)
    if connection.vendor == "mysql":
        return {thread for thread, waits in (_transactions() or {}).items() if waits} & set(identities)
    return set()


def wait_until_gone(identity: int | None) -> None:
    """Wait until the server has rolled back what the severed connection had open."""
    deadline = time.monotonic() + PATIENCE
    while not _is_gone(identity):
        assert time.monotonic() < deadline, f"the server still has the severed connection {identity}"
        time.sleep(PACE)


def wait_until_purged() -> None:
    """Wait until InnoDB has dropped the rows that were deleted: beside one that is there still, INSERTs may wait."""
    if connection.vendor != "mysql":
        return
    if not connection.mysql_is_mariadb:
        # Else MySQL strikes them off its list after 128 rounds only.
        with connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_purge_rseg_truncate_frequency = 1")
    deadline = time.monotonic() + PATIENCE
    while (rest := _history()) != 0:
        assert time.monotonic() < deadline, f"InnoDB has {rest} transactions to purge still"
        time.sleep(PACE)


def _history() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW ENGINE INNODB STATUS")
        found = HISTORY.search(cursor.fetchone()[2])
    return int(found[1]) if found else None


def _is_gone(identity: int | None) -> bool:
    if connection.vendor == "postgresql":
        return identity not in _column(CONNECTED)
    if connection.vendor == "mysql":
        transactions = _transactions()
        return transactions is not None and identity not in transactions
    return True


def _column(sql: str) -> set[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return {value for (value,) in cursor.fetchall()}


def _transactions() -> dict[int, bool] | None:
    """Return InnoDB's transactions: each one's connection, and whether it waits for a lock; ``None`` if it is busy."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW ENGINE INNODB STATUS")
        listed = TRANSACTIONS.search(cursor.fetchone()[2])
    if listed is None:
        return None
    blocks = listed[1].split("---TRANSACTION ")
    return {int(thread[1]): "\nLOCK WAIT " in block for block in blocks if (thread := THREAD.search(block))}
