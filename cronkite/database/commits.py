"""Is what is written here committed?

A claim is one only for those who can see it. Where ``AUTOCOMMIT`` is ``False``, nobody commits what nodes write: all of
it is rolled back with the connection, and the slot is run again, by whoever looks next.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

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
            " own for the same database, without AUTOCOMMIT, and name that in a database router.",
        )
        for alias in among
        if not connections[alias].settings_dict["AUTOCOMMIT"]
    ]


def demand() -> None:
    """Raise :class:`ImproperlyConfigured` where the settings say that nothing is committed."""
    for problem in problems(aliases()):
        raise ImproperlyConfigured(f"{problem.message} {problem.hint}")


def demand_of(using: str) -> None:
    """Raise :class:`ImproperlyConfigured` if somebody has turned autocommit off on the connection to ``using``.

    Within ``atomic()`` it is off, and yet somebody is going to commit.
    """
    connection = connections[using]
    if connection.connection is not None and not connection.autocommit and not connection.in_atomic_block:
        raise ImproperlyConfigured(
            f"Something has turned autocommit off on the connection {using!r}, so a claim would not be committed. A "
            "node needs it on: look for set_autocommit(False), as in receivers of the signal connection_created."
        )
