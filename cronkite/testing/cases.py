"""What does a test have of cronkite's time?"""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

from cronkite.code import trials
from cronkite.database import clock
from cronkite.models import Log
from cronkite.testing import due, slots, standing


class Cron:
    """What a test does with cronkite's time; what it has done to the clock is undone when the test has ended."""

    def freeze(self, at: datetime) -> None:
        """Have the database's clock stand at an instant, for cronkite alone, until the end of the test.

        See :func:`cronkite.testing.freeze`; or until it is frozen at another one, or let go.
        """
        standing.stand(standing.instant(at))

    def thaw(self) -> None:
        """Let the clock go."""
        standing.stand(None)

    def run_due(self, at: datetime | None = None, *, since: datetime | None = None, raises: bool = False) -> list[Log]:
        """Do what :func:`cronkite.testing.run_due` does."""
        return due.run_due(at, since=since, raises=raises)

    def next_slots(self, of: Any, count: int = 1, after: datetime | None = None) -> list[datetime]:
        """Do what :func:`cronkite.testing.next_slots` does."""
        return slots.next_slots(of, count, after)


@contextmanager
def lent() -> Iterator[Cron]:
    """Have one for a test, whose clock is put back at the end; no module is tried in a process of its own meanwhile."""
    before = clock.standing
    try:
        with trials.untried():
            yield Cron()
    finally:
        standing.stand(before)


class _Lent:
    """The attribute ``cron`` of a test case, until its test has begun."""

    def __get__(self, case: object, owner: type) -> Cron:
        raise AttributeError(
            f"{owner.__name__} has no cron yet. Tests have it from CronMixin's setUp() on, so its own setUp() has to "
            "call super().setUp(); for the class itself, as in setUpTestData(), use freeze() and run_due() of "
            "cronkite.testing."
        )


class CronMixin(unittest.TestCase):
    """For test cases: ``self.cron`` is a :class:`Cron`. A ``setUp()`` of theirs has to call ``super().setUp()``."""

    # It has no __set__, so that each test's own comes first.
    cron: Cron = _Lent()  # type: ignore[assignment]

    def setUp(self) -> None:
        super().setUp()
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.cron = stack.enter_context(lent())
