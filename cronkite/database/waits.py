"""How long does a statement of ours wait for a row that another transaction has locked?

Code of the project may lock a job's row for as long as it likes, and that must hold up this job and no other (promise
P4). So a row is locked before it is written, where the database can skip those that somebody else has (SKIP LOCKED).
What is left to wait for, such as a log's row, is given up after a moment. No other promise rests on it: what is skipped
is as good as claimed by another node, until it is looked at again.

SQLite locks no rows: who writes waits for all who write, for as long as its ``timeout`` says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.exceptions import FullResultSet
from django.db import Error, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.expressions import Expression
from django.db.models.sql.compiler import SQLCompiler

from cronkite.database import quirks

R = TypeVar("R", bound=models.QuerySet[Any])

#: For how long a statement waits: what PostgreSQL calls it, and the least that MySQL and MariaDB know, in seconds.
MOMENT = "500ms"
LEAST = 1
#: How long it waits at most, on PostgreSQL, for what it would rather not wait for at all, and can't skip.
INSTANT = "10ms"


def skips(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether rows that another transaction has locked can be skipped."""
    return bool(connection.features.has_select_for_update_skip_locked)


def lock_available(model: type[models.Model], keys: Collection[int], using: str) -> set[int]:
    """Lock the rows with these keys that no other transaction has locked, and return their keys; wait for nobody.

    They stay locked until the transaction ends. Where rows can't be skipped, none is locked, and all are returned.
    """
    (available,) = lock_all_available([(model, keys)], using)
    return available


def lock_all_available(wanted: Sequence[tuple[type[models.Model], Collection[int]]], using: str) -> list[set[int]]:
    """Do the same in several tables, in their order; in one statement, where locks may be asked for in parts of one."""
    connection = connections[using]
    if not skips(connection):
        return [set(keys) for _, keys in wanted]
    available: list[set[int]] = [set() for _ in wanted]
    parts = [(n, model, list(keys)) for n, (model, keys) in enumerate(wanted) if keys]
    # A SELECT that locks may be a table of one that doesn't on PostgreSQL, MySQL and MariaDB.
    can_join = connection.vendor in {"postgresql", "mysql"}
    for batch in [parts] if can_join and parts else [[part] for part in parts]:
        selects = [_locking(n, model, len(keys), connection) for n, model, keys in batch]
        if len(selects) > 1:
            selects = [f"SELECT part, locked FROM ({select}) part_{n}" for n, select in enumerate(selects)]  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(selects), [key for _, _, keys in batch for key in keys])
            for n, key in cursor.fetchall():
                available[n].add(key)
    return available


def _locking(number: int, model: type[models.Model], count: int, connection: BaseDatabaseWrapper) -> str:
    """Return the SELECT that locks so many rows of ``model``, but for those that are locked."""
    no_key = connection.features.has_select_for_no_key_update
    options: Any = model._meta  # noqa: SLF001 - documented, in spite of its name
    table, key = map(connection.ops.quote_name, (options.db_table, options.pk.column))
    places = ", ".join(["%s"] * count)
    for_update = connection.ops.for_update_sql(skip_locked=True, no_key=no_key)
    return f"SELECT {number} AS part, {key} AS locked FROM {table} WHERE {key} IN ({places}) {for_update}"  # noqa: S608


def skipping(update: str, model: type[models.Model], connection: BaseDatabaseWrapper) -> str:
    """Return the UPDATE of one row of ``model`` such that it does nothing if another transaction has locked the row.

    Its condition is asked for by the SELECT that locks the row, so of the row as it is when that is done. For
    databases that :func:`quirks.can_join_writes`.
    """
    if not skips(connection):
        return update
    options: Any = model._meta  # noqa: SLF001
    table, key = map(connection.ops.quote_name, (options.db_table, options.pk.column))
    head, _, condition = update.partition(" WHERE ")
    for_update = connection.ops.for_update_sql(skip_locked=True, no_key=True)
    row = f"SELECT {key} FROM {table} WHERE {condition} {for_update}"  # noqa: S608
    return f"{head} WHERE {table}.{key} = ({row})"


def available(rows: R) -> R:
    """Return those of the rows that no other transaction has locked: to read them locks them, and waits for nobody.

    For databases that skip rows; see :func:`skips`.
    """
    no_key = connections[rows.db].features.has_select_for_no_key_update
    return rows.select_for_update(skip_locked=True, no_key=no_key)


def lock_at_once(rows: models.QuerySet[Any]) -> None:
    """Lock these rows until the transaction ends, or fail at once, by a conflict, if another one has locked some.

    So whoever has changed them has committed or rolled back. Where rows can't be locked (SQLite), nothing is done: the
    next statement that writes waits there for all who write.
    """
    features = connections[rows.db].features
    if features.has_select_for_update:
        nowait, no_key = features.has_select_for_update_nowait, features.has_select_for_no_key_update
        list(rows.select_for_update(nowait=nowait, no_key=no_key).values_list("pk"))


@contextmanager
def limited(using: str, moment: str = MOMENT, *, reads_latest: bool = False) -> Iterator[None]:
    """Have a transaction during the block, in which no statement waits for long, as far as this one can see to that.

    ``moment`` is how long that is on PostgreSQL. If it ``reads_latest``, it begins as :func:`quirks.read_latest` says.

    PostgreSQL takes the limit for a transaction; MySQL and MariaDB have it for a connection: see :func:`impatient`. In
    a transaction of the caller's, it is for him to say how long he waits.
    """
    connection = connections[using]
    is_ours = not quirks.is_borrowed(connection)
    with transaction.atomic(using=using):
        if is_ours and reads_latest:
            quirks.read_latest(connection)
        if is_ours and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{moment}'")
        yield


def limit(is_borrowed: bool = False) -> models.Q | Limit:
    """Return a condition that is always true, and has the statement that asks for it not wait for long, on PostgreSQL.

    For a statement that is a transaction of its own. Where the transaction is the caller's (``is_borrowed``), it asks
    for nothing: what follows in there would not wait for long either.
    """
    return models.Q() if is_borrowed else Limit()


class Limit(Expression):
    """See :func:`limit`."""

    conditional = True

    def __init__(self) -> None:
        super().__init__(output_field=models.BooleanField())

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        """Ask for nothing, where a statement can't say how long it waits."""
        raise FullResultSet

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, list[Any]]:
        """Set the limit for this transaction, before any row is looked at: the subquery depends on none."""
        return f"(SELECT set_config('lock_timeout', '{MOMENT}', true)) IS NOT NULL", []


@contextmanager
def impatient(using: str) -> Iterator[None]:
    """Have this thread's connection to ``using``, which nobody else has, not wait for long during the block.

    For MySQL and MariaDB, which know no limit of a statement or a transaction. PostgreSQL is not told so: behind
    pgbouncer, a connection is anybody's.
    """
    own = connections[using]
    if own.vendor != "mysql":
        yield
        return

    def limit(value: object) -> None:
        with own.cursor() as cursor:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {value}")

    def limit_new(sender: object, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if connection is own:
            limit(LEAST)

    connection_created.connect(limit_new, weak=False)
    try:
        if own.connection is not None:
            try:
                limit(LEAST)
            except Error:
                # It has died while nobody used it. The one that takes its place has its limit from the beginning.
                own.close()
        yield
    finally:
        connection_created.disconnect(limit_new)
        if not quirks.is_borrowed(own):
            own.close()
