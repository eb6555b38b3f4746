"""What ``manage.py check`` says about a project that uses django-cronkite.

Nothing here connects to a database. Errors: the promises cannot be kept, or a setting makes no sense. Warnings: it
works, but worse than it could.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.db import connections
from django.utils.module_loading import import_string

from cronkite import conf
from cronkite.code import modules, trials
from cronkite.database import commits
from cronkite.declared import discovery
from cronkite.monitors import connecting
from cronkite.processes import owner
from cronkite.schedules import zonenames

TAG = "cronkite"

#: BEGIN takes the write lock at once with these, so that the connection waits for its turn instead of failing later.
WRITING_MODES = frozenset({"IMMEDIATE", "EXCLUSIVE"})
#: What tells people by e-mail.
MAIL = "cronkite.alerts.mail"


@checks.register(TAG)
def check_time_zone_support(**_: Any) -> list[checks.CheckMessage]:
    """E001: slots are instants, and without ``USE_TZ`` Django stores local times, which can't tell two passes apart."""
    if settings.USE_TZ:
        return []
    return [
        checks.Error(
            "django-cronkite needs USE_TZ = True.", hint="Write USE_TZ = True in your settings.", id="cronkite.E001"
        )
    ]


@checks.register(TAG)
def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """E002: a setting's value makes no sense, or nobody reads a setting of that name."""
    return [checks.Error(problem.message, hint=problem.hint, id="cronkite.E002") for problem in conf.problems()]


@checks.register(TAG)
def check_lock_timeout(**_: Any) -> list[checks.CheckMessage]:
    """W001: the lock timeout is so short that a run may lose its lock although its node is well."""
    try:
        timeout = conf.get().lock_timeout
    except ImproperlyConfigured:
        return []  # E002 says so
    if timeout is None or timeout >= conf.RISKY_LOCK_TIMEOUT:
        return []
    return [
        checks.Warning(
            f"CRONKITE_LOCK_TIMEOUT is {timeout.total_seconds():g} seconds. A node that cannot reach the database for "
            "so long, during a fail-over for example, loses its locks, and its runs are ended.",
            hint=f"Write CRONKITE_LOCK_TIMEOUT = {conf.RISKY_LOCK_TIMEOUT.total_seconds():.0f} or more. It may be far "
            "shorter than your longest job, because a node renews its locks while it runs.",
            id="cronkite.W001",
        )
    ]


@checks.register(TAG, deploy=True)
def check_lock_timeout_is_set(**_: Any) -> list[checks.CheckMessage]:
    """W006: nobody has decided what becomes of a job whose machine dies."""
    if hasattr(settings, "CRONKITE_LOCK_TIMEOUT"):
        # None may be what somebody wants: the job waits for a person then.
        return []
    return [
        checks.Warning(
            "CRONKITE_LOCK_TIMEOUT is not set. If a machine dies in the middle of a run, that job does not run again "
            "on any machine before a person has unlocked it.",
            hint="Write CRONKITE_LOCK_TIMEOUT = 300 to have its lock cleared after five minutes without a sign of "
            "life, or CRONKITE_LOCK_TIMEOUT = None if a person is to look first.",
            id="cronkite.W006",
        )
    ]


@checks.register(TAG)
def check_stored_instants(**_: Any) -> list[checks.CheckMessage]:
    """E003: the database has no time zones, and Django is told to store the local times of a zone other than UTC."""
    return [
        checks.Error(
            f"The database {alias!r} stores the local times of {zone}. When clocks are set back, an hour of these "
            "happens twice, so two slots would look like one.",
            hint=f"Remove TIME_ZONE from DATABASES[{alias!r}], so that UTC is stored. Convert the times that other "
            "tables hold already, or give django-cronkite a database of its own with a database router.",
            id="cronkite.E003",
        )
        for alias in _aliases()
        if not connections[alias].features.supports_timezones
        and (zone := connections[alias].settings_dict["TIME_ZONE"]) not in zonenames.UTC_NAMES | {None}
    ]


@checks.register(TAG)
def check_autocommit(**_: Any) -> list[checks.CheckMessage]:
    """E004: nobody commits what nodes write, so that each of them would run each slot."""
    return [
        checks.Error(problem.message, hint=problem.hint, id="cronkite.E004") for problem in commits.problems(_aliases())
    ]


@checks.register(TAG)
def check_sqlite_transactions(**_: Any) -> list[checks.CheckMessage]:
    """W002: SQLite transactions begin as readers, and fail at once when two of them want to write."""
    return [
        checks.Warning(
            f"The SQLite database {alias!r} begins its transactions without the right to write. When processes meet, "
            'they fail with "database is locked" at once, whatever the timeout.',
            hint=f"Write in your settings:\n"
            f'DATABASES["{alias}"]["OPTIONS"] = {{\n'
            '    "transaction_mode": "IMMEDIATE",\n'
            '    "timeout": 20,\n'
            '    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",\n'
            "}",
            id="cronkite.W002",
        )
        for alias in _aliases()
        if connections[alias].vendor == "sqlite"
        and str(connections[alias].settings_dict["OPTIONS"].get("transaction_mode")).upper() not in WRITING_MODES
    ]


@checks.register(TAG)
def check_isolation_level(**_: Any) -> list[checks.CheckMessage]:
    """W005: PostgreSQL's isolation level is a bare number, which one of Django's two drivers takes for another one."""
    return [
        checks.Warning(
            f"The isolation level of the database {alias!r} is the bare number {level}. To psycopg 3, 3 is REPEATABLE "
            "READ; to psycopg 2, it is SERIALIZABLE; and other numbers differ, too.",
            hint="Name it in your settings, as in:\n"
            "from django.db.backends.postgresql.psycopg_any import IsolationLevel\n"
            f'DATABASES["{alias}"]["OPTIONS"]["isolation_level"] = IsolationLevel.READ_COMMITTED',
            id="cronkite.W005",
        )
        for alias in _aliases()
        if connections[alias].vendor == "postgresql"
        # The names are numbers themselves, of a class of their own.
        and type(level := connections[alias].settings_dict["OPTIONS"].get("isolation_level")) is int
    ]


@checks.register(TAG)
def check_pool(**_: Any) -> list[checks.CheckMessage]:
    """W015: a pool of psycopg's has one connection, and a node has more to say at a time."""
    return [
        checks.Warning(
            f"The pool of the database {alias!r} has one connection. In a worker, that is kept by what writes its "
            "records, so a function which uses the database waits for it in vain; and in a node, nothing is handed "
            "over to an engine.",
            hint='Let it have two or more in your settings, as in "pool": {"min_size": 1, "max_size": 4}.',
            id="cronkite.W015",
        )
        for alias in _aliases()
        if connections[alias].vendor == "postgresql" and _pool_size(connections[alias].settings_dict["OPTIONS"]) == 1
    ]


def _pool_size(options: dict[str, Any]) -> int | None:
    """Return how many connections the pool has at most, as psycopg reads it; ``None`` if there is no pool."""
    pool = options.get("pool")
    if not pool:
        return None
    sizes: dict[str, int | None] = pool if isinstance(pool, dict) else {}
    return sizes.get("max_size") or sizes.get("min_size", 4)


@checks.register(TAG)
def check_crontab_modules(**_: Any) -> list[checks.CheckMessage]:
    """E005: a ``crontab`` module can't be imported, so its jobs are not found, nor run on this node."""
    if not is_asked():
        return []
    return [
        checks.Error(
            f"{module} cannot be imported: {(verdict.harm or verdict.error).rstrip('.')}.",
            hint="Its jobs are left as they are, and can't be run on this node. All others can.",
            id="cronkite.E005",
        )
        for module, verdict in trials.try_all(discovery.crontabs(), trials.LONG).items()
        if verdict.harm or verdict.error
    ]


@checks.register(TAG)
def check_monitors(**_: Any) -> list[checks.CheckMessage]:
    """E006: a monitor can't be connected, so it is told nothing; runs take place all the same."""
    if not is_asked():
        return []
    return [
        checks.Error(
            f"CRONKITE_MONITORS names {name}, which can't be connected. {why}",
            hint="It is told nothing by this process. Jobs run all the same.",
            id="cronkite.E006",
        )
        for name, why in connecting.problems().items()
    ]


@checks.register(TAG)
def check_alert(**_: Any) -> list[checks.CheckMessage]:
    """E007, W014: people are to be told what is wrong, and can't be. It would be found out when something is wrong."""
    try:
        name = conf.get().alert
    except ImproperlyConfigured:
        return []  # E002 says so
    if not name or not is_asked():
        return []
    if name == MAIL and not settings.ADMINS:
        return [
            checks.Warning(
                "CRONKITE_ALERT has people told by e-mail, and ADMINS is empty, so that nobody is told of nodes, nor "
                "of jobs that name no address in their alert.",
                hint='Write for example ADMINS = ["ops@example.com"], or before Django 6.0 '
                '[("Ops", "ops@example.com")].',
                id="cronkite.W014",
            )
        ]
    try:
        problem = "" if callable(import_string(name)) else "It can't be called."
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a project's module may raise anything
        problem = f"{modules.said(error)}."
    if not problem:
        return []
    return [
        checks.Error(
            f"CRONKITE_ALERT names {name}, by which nobody can be told. {problem}",
            hint="Write the dotted name of a function that takes a list of notices. Jobs run all the same.",
            id="cronkite.E007",
        )
    ]


def is_asked() -> bool:
    """Whether somebody wants to know, rather than start a command, each of which is checked first: a tick, for one."""
    program, *arguments = sys.argv or [""]
    is_command = Path(program).name in {"manage.py", "django-admin"} or program.endswith("django/__main__.py")
    # A project may have a program of its own in place of these.
    is_command = is_command or (bool(arguments) and arguments[0] in get_commands())
    return not owner.is_ours() and (not is_command or arguments[:1] == ["check"])


def _aliases() -> list[str]:
    return commits.aliases()
