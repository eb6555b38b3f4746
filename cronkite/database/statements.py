"""How is a query of Django's said again without being put together again?

To put a statement together takes Django several times as long as the database takes to do it, and a node says the same
few for each run. So the ORM puts each together once per connection, with a :class:`Place` for each value, and then only
the values change.

What has to share a transaction with others is made ``ready`` before it begins: while it is open, whoever wants the same
rows waits, and on SQLite whoever wants to write at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.expressions import Expression
from django.db.models.sql import InsertQuery, UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

from cronkite.database import clock, quirks, waits

M = TypeVar("M", bound=models.Model)


class Place(Expression):
    """Where a value goes: the attribute ``path`` of what the statement is said of, as ``field`` would store it."""

    def __init__(self, path: str, field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self._field = field
        self._get = attrgetter(path)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        """Return a parameter that :func:`filled` replaces."""
        return "%s", (self,)

    def value(self, subject: object, connection: BaseDatabaseWrapper) -> Any:
        """Return the value for ``subject``, as the driver takes it."""
        return self._field.get_db_prep_save(self._get(subject), connection)


def place(model: type[models.Model], column: str, path: str) -> Place:
    """Return the place of a value of ``model``'s ``column``."""
    return Place(path, cast("models.Field[Any, Any]", options(model).get_field(column)))


def stand_in(model: type[models.Model], path: str, **columns: str) -> Any:
    """Return what stands in for the object at ``path``: its attributes are the places of ``model``'s ``columns``."""
    return SimpleNamespace(**{name: place(model, column, f"{path}.{name}") for name, column in columns.items()})


class Update:
    """An UPDATE that is said again and again.

    ``build(using, variant)`` returns the query of the rows, and the columns with their new values. It is called once
    per connection and variant: what it decides by anything else is decided for good.
    """

    def __init__(self, build: Callable[[str, Any], tuple[models.QuerySet[Any], dict[str, Any]]]) -> None:
        self._build = build

    def ready(self, using: str, subject: object, variant: Hashable = None) -> Callable[[], int]:
        """Return what updates the rows, with the values of ``subject`` as they are now; it tells how many they were."""
        connection = connections[using]
        sql, params = made(connection, (self, variant), lambda: self.make(using, variant))
        return partial(_updated, connection, sql, filled(params, subject, connection))

    def make(self, using: str, variant: Hashable) -> tuple[str, tuple[Any, ...]]:
        """Return the statement, and what its parameters are, with a :class:`Place` for each value."""
        rows, columns = self._build(using, variant)
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(columns)
        sql, params = query.get_compiler(using).as_sql()
        return sql, params

    def model(self, using: str, variant: Hashable) -> type[models.Model]:
        """Return the model whose rows are updated."""
        rows, _ = self._build(using, variant)
        return rows.model

    def make_skipping(self, using: str, variant: Hashable) -> tuple[str, tuple[Any, ...]]:
        """Return the statement as one that skips a row which another transaction has locked, and its parameters."""
        sql, params = self.make(using, variant)
        return waits.skipping(sql, self.model(using, variant), connections[using]), params


class Both:
    """Two UPDATEs that are said at a time, one after the other; neither sees what the other does.

    In one statement where the database can do that, which saves three of its four answers; else in one transaction.
    """

    def __init__(self, first: Update, second: Update) -> None:
        self._updates = first, second

    def execute(self, using: str, subject: object, variant: Hashable = None) -> int:
        """Update the rows of both, with the values of ``subject``; return how many those of the second were."""
        connection = connections[using]
        if not quirks.can_join_writes(connection):
            updates = [update.ready(using, subject, variant) for update in self._updates]
            with transaction.atomic(using=using):
                return [update() for update in updates][-1]
        sql, params = made(connection, (self, variant), lambda: self._make(using, variant))
        return _updated(connection, sql, filled(params, subject, connection))

    def _make(self, using: str, variant: Hashable) -> tuple[str, tuple[Any, ...]]:
        (first, first_params), (second, second_params) = (update.make(using, variant) for update in self._updates)
        # The second asks for what the first has done, or the first would be done last (PostgreSQL's manual, 7.8.4).
        joined = f"WITH first AS ({first} RETURNING 1) {second} AND (SELECT COUNT(*) FROM first) >= 0"  # noqa: S608
        return joined, (*first_params, *second_params)


class Insert:
    """An INSERT that is said again and again, of one row; ``build()`` returns the row, and is called as for others."""

    def __init__(self, build: Callable[[], models.Model]) -> None:
        self._build = build

    def ready(self, using: str, subject: object) -> Callable[[], Any]:
        """Return what inserts the row, with the values of ``subject`` as they are now; it tells its primary key."""
        connection = connections[using]
        compiler, key, sql, params = made(connection, self, lambda: self.make(using))
        values = filled(params, subject, connection)

        def insert() -> Any:
            # How a database tells the key of a new row is the compiler's business; only its statement is known already.
            compiler.as_sql = lambda: [(sql, values)]
            with transaction.mark_for_rollback_on_error(using):
                ((value,),) = compiler.execute_sql([key])
            return value

        return insert

    def make(self, using: str) -> tuple[Any, models.Field[Any, Any], str, tuple[Any, ...]]:
        """Return a compiler, the field of the key, the statement and its parameters, as :meth:`Update.make` does."""
        row = self._build()
        key = options(row).pk
        compiler: Any = inserting(row).get_compiler(using)
        compiler.returning_fields = [key]
        ((sql, params),) = compiler.as_sql()
        return compiler, key, sql, params


def inserting(row: models.Model, on_conflict: OnConflict | None = None) -> InsertQuery:
    """Return the INSERT of a row whose key the database gives."""
    query = InsertQuery(type(row), on_conflict=on_conflict)
    query.insert_values([field for field in options(row).concrete_fields if field is not options(row).pk], [row])
    return query


class Chains:
    """UPDATEs of rows, each followed by the INSERT of another if its row was there: for several subjects at a time.

    All in one statement, and so with one answer. For databases that :func:`quirks.can_join_writes`. Rows that
    another transaction has locked are skipped, as if they were not there.
    """

    def __init__(self, update: Update, insert: Insert) -> None:
        self._update, self._insert = update, insert

    def execute(self, using: str, subjects: Sequence[object], variant: Hashable = None) -> list[Any]:
        """Return the primary key of each subject's new row, or ``None`` where there was nothing to update."""
        connection, count = connections[using], len(subjects)
        sql, params = made(connection, (self, variant, count), lambda: self._make(using, variant, count))
        values = [value for subject in subjects for value in filled(params, subject, connection)]
        with transaction.mark_for_rollback_on_error(using), connection.cursor() as cursor:
            cursor.execute(sql, values)
            keys = dict(cursor.fetchall())
        return [keys.get(n) for n in range(count)]

    def _make(self, using: str, variant: Hashable, count: int) -> tuple[str, tuple[Any, ...]]:
        """Return the statement for so many subjects, and the parameters of each."""
        update, update_params = self._update.make_skipping(using, variant)
        _, _, insert, insert_params = self._insert.make(using)
        parts = _VALUES.fullmatch(insert)
        assert parts is not None, f"Django has another way to say this now: {insert}"
        into, values, returning = parts.groups()
        links, found = [], []
        for n in range(count):
            links.append(f"updated_{n} AS ({update} RETURNING 1)")
            links.append(f"inserted_{n} (key) AS ({into} SELECT {values} FROM updated_{n} {returning})")  # noqa: S608
            found.append(f"SELECT {n}, key FROM inserted_{n}")  # noqa: S608
        return f"WITH {', '.join(links)} {' UNION ALL '.join(found)}", (*update_params, *insert_params)


#: An INSERT of one row: what comes before its values, those, and what comes after.
_VALUES = re.compile(r"(INSERT INTO .*?\)) VALUES \((.*)\) (RETURNING .*)")


class Select(Generic[M]):
    """A SELECT that is said again and again; ``build(using, variant)`` returns the query, and is called as for others.

    The query is of a model, with all its columns, and may have annotations.
    """

    def __init__(self, build: Callable[[str, Any], models.QuerySet[M]]) -> None:
        self._build = build

    def execute(self, using: str, subject: object, variant: Hashable = None) -> list[M]:
        """Return the rows, with the values of ``subject``, as objects of the model."""
        connection = connections[using]
        model, columns, extra, compiler, sql, params = made(
            connection, (self, variant), lambda: self._make(using, variant)
        )
        compiler.as_sql = lambda: (sql, filled(params, subject, connection))
        found = []
        for row in compiler.results_iter():
            one = model.from_db(using, columns, row[: len(columns)])
            vars(one).update(zip(extra, row[len(columns) :], strict=True))
            found.append(one)
        return found

    def _make(self, using: str, variant: Hashable) -> tuple[Any, ...]:
        rows = self._build(using, variant)
        columns = [field.attname for field in options(rows.model).concrete_fields]
        extra = list(rows.query.annotation_select)
        compiler = rows.values_list(*columns, *extra).query.get_compiler(using)
        return rows.model, columns, extra, compiler, *compiler.as_sql()


def made(connection: BaseDatabaseWrapper, key: Hashable, make: Callable[[], Any]) -> Any:
    """Return what ``make()`` puts together; it is called once per connection and ``key``."""
    if clock.standing is not None:
        # What says that instant is of no use at another one.
        return make()
    # Kept with the connection, as they refer to it: both go at a time.
    known = vars(connection).setdefault("_cronkite_statements", {})
    if key not in known:
        known[key] = make()
    return known[key]


def _updated(connection: BaseDatabaseWrapper, sql: str, params: tuple[Any, ...]) -> int:
    with transaction.mark_for_rollback_on_error(connection.alias), connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def filled(params: tuple[Any, ...], subject: object, connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    """Return the parameters with the values of ``subject`` in their places."""
    return tuple(param.value(subject, connection) if isinstance(param, Place) else param for param in params)


def options(model: models.Model | type[models.Model]) -> Any:
    """Return what Django knows of the model."""
    return model._meta  # noqa: SLF001 - documented, in spite of its name
