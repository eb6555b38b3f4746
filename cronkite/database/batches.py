"""How does one statement do what else takes a statement for each of many?

What a statement costs is for the most part its way there and back, and what Django does to put it together. So an
UPDATE is said once for a whole batch, where the database can tell which of its rows it met; and INSERTs that others say
one by one are kept back until they can be said at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict

from cronkite.database import quirks
from cronkite.database.statements import Place, Update, filled, inserting, made, options, place

#: How many characters of text are kept back at most: MySQL and MariaDB take statements of a certain length only.
MOST_TEXT = 1_000_000

#: How many parameters a statement has at most where the database sets no limit: one that none of the others exceeds.
MOST_PARAMS = 30_000

#: An INSERT of one row: what comes before its values, those, and what comes after.
_VALUES = re.compile(r"(INSERT .*? VALUES )(\(.*\))( ON CONFLICT DO NOTHING)?")
#: An INSERT of one row of plain values, which answers with nothing: what comes before the values, and those.
_ROW = re.compile(r"(INSERT INTO (\S+) \([^()]*\) VALUES )(\((?:%s, )*%s\))")
#: A place in a statement, or what only looks like one.
_MARK = re.compile(r"%%|%s")
#: The length or the precision in the type of a column.
_SIZE = re.compile(r"\([^)]*\)")


class Each:
    """An UPDATE that is said of several subjects, each of which has a row of its own.

    The row is the one whose primary key is the subject's attribute ``path``, if it meets the conditions. In one
    statement where the database can tell which rows it met, else one after the other. So it is for conditions that
    look at the row alone: what is done for one subject may be seen, or not, by those of the others.
    """

    def __init__(self, update: Update, path: str) -> None:
        self._update = update
        self._path = path

    def ready(
        self, using: str, subjects: Sequence[object], variant: Hashable = None
    ) -> Callable[[Collection[int]], list[int]]:
        """Return what updates the rows of those subjects whose positions it is given, with their values as of now.

        It tells the positions of those whose rows it met, in order.
        """
        connection = connections[using]
        if not quirks.can_join_writes(connection):
            updates = [self._update.ready(using, subject, variant) for subject in subjects]
            return lambda chosen: [n for n in sorted(chosen) if updates[n]()]
        statement = made(connection, (self, variant), lambda: self._make(using, variant))
        head, before, first, row, places, tail, after = statement
        values = [filled(places, subject, connection) for subject in subjects]

        def update(chosen: Collection[int]) -> list[int]:
            if not chosen:
                return []
            rows = ", ".join((row if at else first).format(n) for at, n in enumerate(chosen))
            params = [*before, *(value for n in chosen for value in values[n]), *after]
            with transaction.mark_for_rollback_on_error(using), connection.cursor() as cursor:
                cursor.execute(f"{head}{rows}{tail}", params)
                return sorted(n for (n,) in cursor.fetchall())

        return update

    def _make(self, using: str, variant: Hashable) -> tuple[Any, ...]:
        """Return what comes before the rows of values, such a row, and what comes after, each with its parameters."""
        connection = connections[using]
        sql, params = self._update.make(using, variant)
        model = self._update.model(using, variant)
        table, key = map(connection.ops.quote_name, (options(model).db_table, options(model).pk.column))
        # What is set is no query: so the first condition is that of the statement.
        to_set, _, condition = sql.partition(" WHERE ")
        given, places = iter(params), [place(model, options(model).pk.name, self._path)]
        to_set, before = _by_column(to_set, given, places)
        condition, after = _by_column(condition, given, places)
        names = ", ".join(f"p{n}" for n in range(len(places)))
        head = f"{to_set} FROM (VALUES "
        # The types of the first row are those of all. By itself, a text would be of none, nor would a null.
        first = f"({{}}, {', '.join(f'CAST(%s AS {_type(each, connection)})' for each in places)})"
        row = f"({{}}, {', '.join(['%s'] * len(places))})"
        # Rows are found by their keys. Of the conditions a planner may think, as long as it knows little of the table,
        # that one row meets them at most, and then compare each row of it with each subject: CASE keeps them from it.
        condition = f"{table}.{key} = subject.p0 AND CASE WHEN subject.n >= 0 THEN {condition} END"
        tail = f") AS subject (n, {names}) WHERE {condition} RETURNING subject.n"
        return head, before, first, row, tuple(places), tail, after


def _by_column(sql: str, given: Iterator[Any], places: list[Place]) -> tuple[str, list[Any]]:
    """Return the part of a statement with the names of columns in its ``places``, and its other parameters."""
    others = []

    def name(mark: re.Match[str]) -> str:
        if mark[0] == "%%":
            return mark[0]
        param = next(given)
        if not isinstance(param, Place):
            others.append(param)
            return mark[0]
        if param not in places:
            places.append(param)
        return f"subject.p{places.index(param)}"

    return _MARK.sub(name, sql), others


def _type(column: Place, connection: BaseDatabaseWrapper) -> str:
    # Without its size: a text that is too long would be cut without a word, where the column refuses it.
    return _SIZE.sub("", str(column.output_field.cast_db_type(connection)))


class Rows:
    """An INSERT of a row for each of several subjects, whose keys nobody asks for; ``build()`` returns the row.

    ``build()`` is called as for others. What the database has already is refused, unless conflicts are ignored.
    """

    def __init__(self, build: Callable[[], models.Model], *, ignore_conflicts: bool = False) -> None:
        self._build = build
        self._on_conflict = OnConflict.IGNORE if ignore_conflicts else None

    def execute(self, using: str, subjects: Sequence[object]) -> None:
        """Insert the rows, with the values of the subjects; in as few statements as the database allows."""
        connection = connections[using]
        head, row, tail, params = made(connection, self, lambda: self._make(using))
        most = (connection.features.max_query_params or MOST_PARAMS) // len(params)
        for start in range(0, len(subjects), most):
            part = subjects[start : start + most]
            values = [value for subject in part for value in filled(params, subject, connection)]
            with transaction.mark_for_rollback_on_error(using), connection.cursor() as cursor:
                cursor.execute(head + ", ".join([row] * len(part)) + tail, values)

    def _make(self, using: str) -> tuple[str, str, str, tuple[Any, ...]]:
        """Return what comes before the rows, a row, and what comes after them, and the parameters of a row."""
        ((sql, params),) = inserting(self._build(), self._on_conflict).get_compiler(using).as_sql()
        parts = _VALUES.fullmatch(sql)
        assert parts is not None, f"Django has another way to say this now: {sql}"
        head, values, tail = parts.groups()
        return head, values, tail or "", params


@contextmanager
def together(using: str, table: type[models.Model]) -> Iterator[None]:
    """Have the rows that are inserted one by one during the block, which is part of a transaction, arrive at a time.

    They arrive before anything else is said over the connection, and at the end of the block: so whoever looks finds
    them. What is not a plain INSERT of one row that answers with nothing is said when it is said. Raises what the
    database says of the rows, :class:`django.db.DatabaseError`, then or before: whoever caught that does not keep it
    from the transaction.
    """
    connection = connections[using]
    kept = _Kept(connection, connection.ops.quote_name(options(table).db_table))
    with connection.execute_wrapper(kept):
        yield
        kept.send()


class _Kept:
    """The rows that are kept back."""

    def __init__(self, connection: BaseDatabaseWrapper, table: str) -> None:
        self._connection = connection
        self._table = table
        self._head = ""
        self._rows: list[str] = []
        self._params: list[Any] = []
        self._length = 0
        self._is_sending = False
        self._error: Exception | None = None

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Stand between Django and the driver, as ``connection.execute_wrapper()`` has it."""
        if self._is_sending:
            return execute(sql, params, many, context)
        row = None if many or not params or not isinstance(sql, str) else _ROW.fullmatch(sql)
        if row is None or row[2] != self._table:
            self.send()
            return execute(sql, params, many, context)
        if row[1] != self._head or not self._has_room(params):
            self.send()
        self._head = row[1]
        self._rows.append(row[3])
        self._params += params
        self._length += _length(params)
        return None

    def send(self) -> None:
        """Say what was kept back."""
        if self._error is not None:
            raise self._error
        if not self._rows:
            return
        sql, params = self._head + ", ".join(self._rows), self._params
        self._rows, self._params, self._length = [], [], 0
        self._is_sending = True
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, params)
        except Exception as error:
            self._error = error
            raise
        finally:
            self._is_sending = False

    def _has_room(self, params: Sequence[Any]) -> bool:
        most = self._connection.features.max_query_params
        is_few = most is None or len(self._params) + len(params) <= most
        return is_few and self._length + _length(params) <= MOST_TEXT


def _length(params: Sequence[Any]) -> int:
    return sum(len(param) for param in params if isinstance(param, (str, bytes)))
