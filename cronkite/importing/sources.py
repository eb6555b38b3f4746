"""Where can jobs be imported from?

A module for each: ``TITLE`` is what it is called, ``WHERE`` says what ``where`` may be, or is empty; ``TAKES`` names
what else of :class:`~cronkite.importing.planned.Given` it asks for; ``AWAY`` tells how the old schedule is taken away;
and ``read(given)`` yields what is there. It raises
:class:`~cronkite.importing.planned.NothingToRead` if nothing can be read, and else tells of each thing by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from cronkite.importing.planned import Given, NothingToRead, Planned

#: The words for them, each with the module.
SOURCES = {
    "crontab": "crontab",
    "beat": "beat",
    "celery": "celery",
    "django-cron": "django_cron",
    "django-crontab": "django_crontab",
    "apscheduler": "apscheduler",
    "django-apscheduler": "django_apscheduler",
    "exported": "exported",
}


class Source(Protocol):
    """What the module of a source has."""

    TITLE: str
    WHERE: str
    TAKES: tuple[str, ...]
    AWAY: str

    def read(self, given: Given) -> Iterator[Planned]:
        """Yield what is there."""


def of(word: str) -> Source:
    """Return the module of a source; raises :class:`NothingToRead` if something that it needs is not installed."""
    try:
        return cast("Source", import_module(f"cronkite.importing.{SOURCES[word]}"))
    except ModuleNotFoundError as error:
        raise NothingToRead(f"{error.name} is not installed here. Import where it is, and take it out later.") from None
