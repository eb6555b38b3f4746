"""What does the database's clock show while a test has it stand?

That instant, to all that cronkite asks of it in this process, in any thread. The database's own clock goes on, and so
does all that the project asks of any clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from cronkite.code import trials
from cronkite.database import clock

#: The instants (UTC) at which the clock has stood: what was planned then was planned by the test.
stood: set[datetime] = set()


def instant(value: object, name: str = "at") -> datetime:
    """Return what a test gave as ``name``, in UTC.

    Raises :class:`TypeError` for what is no datetime, and :class:`ValueError` for one without a time zone.
    """
    if not isinstance(value, datetime):
        raise TypeError(
            f"{name} must be a datetime with a time zone, as in datetime(2026, 3, 1, 3, tzinfo=timezone.utc), and not "
            f"{value!r}."
        )
    if value.utcoffset() is None:
        raise ValueError(
            f"{name} has no time zone, so it is no instant: {value!r}. Write tzinfo=timezone.utc, or another, as in "
            'tzinfo=ZoneInfo("Europe/Berlin").'
        )
    return value.astimezone(timezone.utc)


def stand(at: datetime | None) -> None:
    """Have the clock stand at an instant, or go."""
    clock.standing = at
    if at is not None:
        stood.add(at)


@contextmanager
def freeze(at: datetime) -> Iterator[None]:
    """Have the database's clock stand at an instant, for cronkite alone; also a decorator.

    Jobs that are saved meanwhile are planned from then on, and what else cronkite asks of the clock in this process is
    answered so: what is due, how old a lock is, when a retry comes. The project's own time goes on: ``timezone.now()``,
    ``Now()`` and whatever the database keeps by itself. Raises :class:`ValueError` for an instant without a time zone.

    Functions' modules are imported meanwhile without being tried in a process of their own before.
    """
    before = clock.standing
    stand(instant(at))
    try:
        with trials.untried():
            yield
    finally:
        stand(before)
