"""What do the jobs in the table of APScheduler's SQLAlchemy job store become?

Those of a memory store are in the project's code only, and are declared there.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.db import connections

from cronkite.importing import triggers
from cronkite.importing.planned import Given, NothingToRead, Planned
from cronkite.models import primary

TITLE = "APScheduler"
WHERE = "URL"
TAKES = ("table",)
AWAY = "Have the scheduler remove each with `remove_job`, and take `add_job` out of the code, or it comes back."

TABLE = "apscheduler_jobs"


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each row."""
    table = given.table or TABLE
    rows = _rows_at(given.where, table) if given.where else _rows_here(table)
    for key, state in rows:
        yield triggers.planned(TITLE, str(key), bytes(state), given.now)


def _rows_here(table: str) -> list[tuple[Any, Any]]:
    """Return the rows of a table in the project's own database."""
    connection = connections[primary.alias()]
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            raise NothingToRead(
                f"The project's database has no table {table}. Say where it is, as in "
                "`cron import apscheduler sqlite:////srv/jobs.sqlite`, or how it is called, by --table. "
                "What is in a memory store is in your code: declare it there."
            )
        quoted = connection.ops.quote_name(table)
        cursor.execute(f"SELECT id, job_state FROM {quoted} ORDER BY id")  # noqa: S608 - a name that is quoted
        return list(cursor.fetchall())


def _rows_at(url: str, table: str) -> list[tuple[Any, Any]]:
    """Return the rows of a table where a URL leads."""
    try:
        sqlalchemy = import_module("sqlalchemy")
    except ImportError:
        raise NothingToRead("To read what a URL leads to takes SQLAlchemy: pip install SQLAlchemy") from None
    try:
        engine = sqlalchemy.create_engine(url)
    except Exception as error:  # noqa: BLE001
        # It may raise what its drivers do. The URL may have a password, and is not repeated.
        raise NothingToRead(f"The URL leads nowhere: {type(error).__name__}: {error}") from None
    jobs = sqlalchemy.table(table, sqlalchemy.column("id"), sqlalchemy.column("job_state"))
    try:
        with engine.connect() as connection:
            return list(connection.execute(sqlalchemy.select(jobs.c.id, jobs.c.job_state).order_by(jobs.c.id)))
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise NothingToRead(f"The table {table} can't be read there: {error.__cause__ or error}") from None
    finally:
        engine.dispose()
