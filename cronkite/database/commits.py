"""Is what is written here committed?

A claim is one only for those who can see it. Where ``AUTOCOMMIT`` is ``False``, nobody commits what nodes write: all of
it is rolled back with the connection, and the slot is run again, by whoever looks next.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from cronkite.conf import Problem


def aliases() -> list[str]:
    """Return the databases that hold django-cronkite's tables; usually one."""
    return sorted({router.db_for_write(model) for model in apps.get_app_config("cronkite").get_models()})


def problems(among: Iterable[str]) -> list[Problem]:
    """Return what keeps the databases with the aliases ``among`` from being committed to."""
    return [
        Problem(
            "DATABASES",
            f"The database {alias!r} has AUTOCOMMIT = False, so nothing that django-cronkite writes is ever committed, "
            "and slots would be run again and again.",
            f"Remove AUTOCOMMIT from DATABASES[{alias!r}]. If other code needs it, give django-cronkite an alias of its"
            " own for the same database, without AUTOCOMMIT, and name that in a database router; for the app "
            "django_tasks_database as well, if jobs are handed over to django-tasks-db.",
        )
        for alias in among
        if not has_autocommit(alias)
    ]


def has_autocommit(alias: str) -> bool:
    """Tell whether the settings have what is written to the database be committed by itself."""
    return bool(connections[alias].settings_dict["AUTOCOMMIT"])


def demand() -> None:
    """Raise :class:`ImproperlyConfigured` where the settings say that nothing is committed."""
    for problem in problems(aliases()):
        raise ImproperlyConfigured(f"{problem.message} {problem.hint}")


def demand_of(using: str) -> None:
    """Raise :class:`ImproperlyConfigured` if somebody has turned autocommit off on the connection to ``using``.

    Within ``atomic()`` it is off, and yet somebody is going to commit. Opens the connection, or it would not show what
    is done to it then; so raises :class:`django.db.DatabaseError`, too.
    """
    connection = connections[using]
    connection.ensure_connection()
    if _is_off(connection):
        raise ImproperlyConfigured(
            f"Something has turned autocommit off on the connection {using!r}, so a claim would not be committed. A "
            "node needs it on: look for set_autocommit(False), as in receivers of the signal connection_created."
        )


def demand_by_hand(using: str) -> None:
    """Raise :class:`ImproperlyConfigured` if autocommit is turned off on each connection to ``using`` as it is opened.

    For what a person or his code asks for. Who has turned it off by himself on this connection manages his own
    transaction, and is going to commit. Raises :class:`django.db.DatabaseError`, too.
    """
    connection = connections[using]
    connection.ensure_connection()
    if not _is_off(connection):
        return
    # Which of the two it is shows at another one, that nobody has got hold of.
    new: BaseDatabaseWrapper = connection.copy()
    try:
        new.connect()
        is_off = _is_off(new)
    finally:
        new.close()
    if is_off:
        raise ImproperlyConfigured(
            f"Something turns autocommit off on each connection {using!r}, so nothing that is done here would be "
            "committed: look for set_autocommit(False) in receivers of the signal connection_created."
        )


def _is_off(connection: BaseDatabaseWrapper) -> bool:
    return not connection.autocommit and not connection.in_atomic_block
