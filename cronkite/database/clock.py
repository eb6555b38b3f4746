"""What time is it? The database's answer, which is the same for every node.

A node's own clock decides nothing: it may be wrong by hours (promise P5).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import functions
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone as django_timezone
from django.utils.dateparse import parse_datetime

#: What the clock shows while it stands, as :mod:`cronkite.testing` has it in tests; ``None``: it goes.
standing: datetime | None = None


class Now(functions.Now):
    """The database's current instant, in UTC, as an expression for queries and updates.

    Django's own ``Now`` differs in two places: on MySQL and MariaDB it is ``CURRENT_TIMESTAMP``, which is local to the
    server's time zone, while Django stores UTC; on SQLite, which compares instants as text, it has three decimals
    always, where those that Django writes or calculates have six, and none at a full second.
    """

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra_context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        if standing is not None:
            return _shown(standing, connection)
        sql, params = super().as_sql(compiler, connection, *args, **extra_context)
        return sql, tuple(params)

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra_context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        return ("UTC_TIMESTAMP(6)", ()) if standing is None else _shown(standing, connection)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra_context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        if standing is not None:
            return _shown(standing, connection)
        # Only the text is padded: SQLite's clock has milliseconds. At a full second it ends in seven characters that
        # can't stand anywhere else.
        return "REPLACE(STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW'), '.000000', '')", ()


#: How a database is told that a parameter is an instant; to SQLite, it is a text like any other.
_AS_INSTANT = {"postgresql": "CAST(%s AS timestamptz)", "mysql": "CAST(%s AS DATETIME(6))"}


def _shown(instant: datetime, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL of an instant, as it would be stored."""
    sql = _AS_INSTANT.get(connection.vendor, "%s")
    return sql, (connection.ops.adapt_datetimefield_value(instant),)


def now(using: str) -> datetime:
    """Return the instant (aware, UTC) by the clock of the database with the alias ``using``; costs one query."""
    if standing is not None:
        return standing
    connection = connections[using]
    compiler = Query(model=None).get_compiler(using=using)
    sql, params = compiler.compile(Now())
    with connection.cursor() as cursor:
        # The explicit tuple makes each driver unescape the doubled percent signs.
        cursor.execute(f"SELECT {sql}{connection.features.bare_select_suffix}", tuple(params))
        (value,) = cursor.fetchone()
    return as_utc(value)


def as_utc(value: datetime | str) -> datetime:
    """Return ``value``, an instant as some driver gives it (text, naive UTC or aware), as an aware UTC datetime."""
    instant = parse_datetime(value) if isinstance(value, str) else value
    assert instant is not None
    if instant.tzinfo is None:
        return instant.replace(tzinfo=timezone.utc)
    return instant.astimezone(timezone.utc)


def on_clock(instant: datetime, zone: tzinfo | None = None) -> datetime:
    """Return the instant on the clock of ``zone``, or of the active one; in UTC where the calendar ends on the way."""
    try:
        return django_timezone.localtime(instant, zone)
    except OverflowError:
        return instant.astimezone(timezone.utc)


@dataclass(frozen=True)
class Reading:
    """The database's clock, read once and carried on by this machine's stopwatch.

    It says how long to wait for a slot. It never says that a slot is due: the claim asks the database that. It may lag
    behind the database's clock by the time that the answer took, and does not run ahead of it.
    """

    instant: datetime
    taken_at: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """Return the database's now (UTC), estimated."""
        if standing is not None:
            return standing
        return self.instant + timedelta(seconds=time.monotonic() - self.taken_at)
