"""What the tests of the interleavings share."""

from __future__ import annotations

import pytest

from proof.interleavings.world import World


@pytest.fixture
def world(make_job, lock_timeout):
    """One job that is due, whose lock becomes stale after a minute."""
    lock_timeout(60)
    world = World(make_job(due=0))
    with world.listening():
        yield world
