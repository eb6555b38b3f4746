"""What differs from one database to the other?

The one place that knows their codes and their drivers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from django.db import DatabaseError, Error, ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cronkite.database import texts

T = TypeVar("T")

#: How many connections in a row may be dead that a pool keeps.
MOST_POOLED = 10

#: PostgreSQL: serialization failure, deadlock, lock not available (its manual, appendix A).
POSTGRESQL = frozenset({"40001", "40P01", "55P03"})
#: PostgreSQL: the classes of errors that end a connection, by the network or an operator.
POSTGRESQL_GONE = ("08", "57P")
#: MySQL and MariaDB: lock wait timeout, deadlock; MySQL's answer to NOWAIT (MariaDB's is 1205); and, with MariaDB's
#: innodb_snapshot_isolation, "record has changed".
MYSQL = frozenset({1205, 1213, 3572, 1020})
#: Of these, what says that somebody did not let go of a lock.
IN_VAIN = frozenset({"55P03", 1205, 3572})
#: PostgreSQL: not in repertoire, untranslatable. MySQL and MariaDB: incorrect string value, invalid character string,
#: illegal mix of two, three or more collations, and MySQL's "cannot convert".
LACKING = frozenset({"22021", "22P05", 1366, 1300, 1267, 1270, 1271, 3854, 3988})
#: The levels at which MySQL and MariaDB read nothing that may yet be rolled back. PostgreSQL and SQLite never do.
CLEAN_LEVELS = frozenset({"read committed", "repeatable read", "serializable"})
#: SQLite: SQLITE_BUSY and SQLITE_LOCKED in words; the numbers come with Python 3.11.
SQLITE = ("database is locked", "table is locked", "database schema is locked")


def is_conflict(error: DatabaseError) -> bool:
    """Tell whether ``error`` says that this transaction lost to another, was rolled back, and may be tried again."""
    if _state(error) in POSTGRESQL:
        return True
    code = error.args[0] if error.args else None
    if isinstance(code, int):
        return code in MYSQL
    return isinstance(code, str) and any(words in code for words in SQLITE)


def has_waited_in_vain(error: DatabaseError) -> bool:
    """Tell whether ``error`` says that another transaction has locked something, and kept it for too long."""
    return _state(error) in IN_VAIN or (bool(error.args) and error.args[0] in IN_VAIN)


def lacks_characters(error: DatabaseError | UnicodeEncodeError) -> bool:
    """Tell whether ``error`` says that a text has characters which the database, its column or the driver lacks."""
    if isinstance(error, UnicodeEncodeError):
        # A connection may have a character set of its own, as MySQL's have.
        return True
    return _state(error) in LACKING or (bool(error.args) and error.args[0] in LACKING)


def lives(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the connection is open, and the server at its other end."""
    return connection.connection is not None and connection.is_usable()


def is_refusal(error: DatabaseError) -> bool:
    """Tell whether ``error`` is the server's answer to a statement, which then did nothing; only PostgreSQL's is known.

    Else it says that the connection died, and with it the answer.
    """
    state = _state(error)
    return state is not None and not state.startswith(POSTGRESQL_GONE)


def is_missing_table(error: DatabaseError) -> bool:
    """Tell whether ``error`` says that ``manage.py migrate`` has not been run."""
    return isinstance(error, ProgrammingError) or "no such table" in str(error)


def advice(error: Error, using: str) -> str:
    """Return what a command says when the database ``using`` fails it: what it said, and what to do about that."""
    said = f"The database says: {str(error).strip()}"
    if _is_behind(error):
        return f"{said}\nHas `manage.py migrate` been run?"
    if connections[using].connection is None:
        return (
            f"{said}\nSee that the database runs, and that DATABASES[{using!r}] in the settings says how to reach it."
        )
    return said


def _is_behind(error: Error) -> bool:
    """Whether a table or a column is not there."""
    # MySQL and MariaDB say so of a column in an OperationalError, 1054; SQLite of everything.
    lacks_column = "no such column" in str(error) or error.args[:1] == (1054,)
    return lacks_column or (isinstance(error, DatabaseError) and is_missing_table(error))


def is_borrowed(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether what is written now is part of a transaction of the caller's, who commits it, or rolls it back.

    That is so within ``atomic()``, and where somebody has turned autocommit off.
    """
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def has_open_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a transaction is open that Django may not know of: autocommit is off, or a bare ``BEGIN`` was sent.

    MySQL's driver can't tell: there, what is open is rolled back, and then the answer is no. Where nothing is known, it
    is yes: closing a connection that was fine costs little.
    """
    driver: Any = connection.connection
    if driver is None or connection.autocommit != connection.settings_dict["AUTOCOMMIT"]:
        # With autocommit turned off the next statement would open one, if none is open, and nobody commit it.
        return driver is not None
    try:
        if connection.vendor == "sqlite":
            return bool(driver.in_transaction)
        if connection.vendor == "postgresql":
            # psycopg 3 and psycopg 2 agree on the number of the state "idle".
            return bool(driver.info.transaction_status != 0)
        if connection.vendor == "mysql" and driver.get_autocommit():
            driver.rollback()
            return False
    except Exception:  # noqa: BLE001 - the function closed the driver's connection behind Django's back
        return True
    return True


def leaves_nothing(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether nothing of ``connection`` is left in this process when it is closed: no pool, no thread, no socket.

    That is known of Django's own backends alone, and of these not with a pool.
    """
    is_djangos = type(connection).__module__.partition(".")[0] == "django"
    return is_djangos and not is_of_pool(connection)


def is_of_pool(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the process has a pool of such connections, to which one goes back when it is closed."""
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


def can_join_writes(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether statements that write may stand in the WITH of another one, as PostgreSQL has it."""
    return connection.vendor == "postgresql"


def anew(using: str, action: Callable[[], T]) -> T:
    """Do ``action``; if the connection that was open turns out to be dead, do it once more, over a new one.

    Servers, poolers and firewalls end connections that have been idle, which is no outage; what comes out of a pool may
    have been, too. And if a text is refused for its characters, do it with escapes for these. For what may be done
    twice, as nobody knows what became of it the first time; and not for a part of the caller's transaction, which is
    gone.
    """
    return _anew(using, partial(_spelled, using, action))


def _spelled(using: str, action: Callable[[], T]) -> T:
    """Do ``action`` with its texts as they are; with fewer of their characters, if they are refused for these."""
    if is_borrowed(connections[using]):
        return action()
    *ways, last = texts.WAYS
    for way in ways:
        try:
            with texts.spelled(way):
                return action()
        except (DatabaseError, UnicodeEncodeError) as error:
            if not lacks_characters(error):
                raise
    with texts.spelled(last):
        return action()


def _anew(using: str, action: Callable[[], T]) -> T:
    connection = connections[using]
    before = connection.connection
    if is_borrowed(connection) or (before is None and not is_of_pool(connection)):
        return action()
    try:
        return action()
    except Error:
        # The end of a transaction may have replaced it already.
        now = connection.connection
        if now is not None and before in (now, None) and connection.is_usable():
            raise
        _revive(connection)
        return action()


def insist(using: str, action: Callable[[], T], attempts: int, pause: float) -> T:
    """Do ``action`` so many times at most, so many seconds apart, until the database answers; return what it returns.

    For threads that nobody waits for. A part of the caller's transaction is done once. Raises
    :class:`django.db.Error` when that was the last time.
    """
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except Error:
            connection = connections[using]
            if is_borrowed(connection) or attempt == attempts:
                raise
            connection.close()
            time.sleep(pause)
    raise AssertionError("unreachable")


def _revive(connection: BaseDatabaseWrapper) -> None:
    """Have a connection that lives; raise :class:`django.db.DatabaseError` if there is none to be had."""
    for _ in range(MOST_POOLED):
        connection.ensure_connection()
        if connection.is_usable():
            return
        # A pool has others, that may have been idle for as long.
        connection.close()


def read_committed(connection: BaseDatabaseWrapper) -> None:
    """Have the next statement read only what is committed, also where the isolation level would let it read more.

    For what is read first and acted on then. Within a transaction it does nothing: what is read there has to be locked.
    """
    if connection.vendor != "mysql" or is_borrowed(connection):
        return
    connection.ensure_connection()
    # Unknown, it is the server's own, which nobody knows who has not asked.
    if connection.isolation_level not in CLEAN_LEVELS:  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


def read_latest(connection: BaseDatabaseWrapper) -> None:
    """Have each statement of the transaction that has just begun read what is committed until then.

    To be the first thing that is said in it. Where it may not be, PostgreSQL reads what was committed when the first
    statement began, also after that has waited for somebody. MySQL and MariaDB begin with the first that reads.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")


@contextmanager
def reading_latest(using: str) -> Iterator[None]:
    """Have a transaction during the block, which begins as :func:`read_latest` says, unless it is the caller's."""
    is_ours = not is_borrowed(connections[using])
    with transaction.atomic(using=using):
        if is_ours:
            read_latest(connections[using])
        yield


def is_in_memory(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the database lives in this process's memory only, as SQLite's may in tests."""
    return connection.vendor == "sqlite" and bool(connection.is_in_memory_db())  # type: ignore[attr-defined]


def _state(error: DatabaseError) -> str | None:
    """Return the SQLSTATE that PostgreSQL's drivers, in their different ways, tell."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
