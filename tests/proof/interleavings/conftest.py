"""What the tests of the interleavings share."""

from __future__ import annotations

import time

import pytest

from proof.interleavings import server
from proof.interleavings.explorer import explore
from proof.interleavings.world import Violation, World


@pytest.fixture
def try_all(tally, say):
    """Explore all orders of a meeting, and say how many; ``meet`` begins it, and ``check`` looks at what came of it."""

    def try_all(meeting, meet, check, **rules):
        began = time.monotonic()
        count = explore(meet, check, **rules)
        tally.add(interleavings=count)
        say(f"{server.name()}: {meeting.__name__}: {count} orders in {time.monotonic() - began:.1f} s")
        assert count > 1

    return try_all


@pytest.fixture
def violations_of(tally):
    """Explore all orders where a protection is taken out, and return all that ``check`` finds, not the first alone."""

    def violations_of(meet, check, **rules):
        found = []

        def collect(order):
            try:
                check(order)
            except Violation as violation:
                found.append(str(violation))

        explore(meet, collect, **rules)
        tally.add(saboteurs=1)
        return found

    return violations_of


@pytest.fixture
def world(make_job, lock_timeout):
    """One job that is due, whose lock becomes stale after a minute."""
    lock_timeout(60)
    world = World(make_job(due=0))
    with world.listening():
        yield world
