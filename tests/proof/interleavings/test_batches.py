"""Nodes that claim several jobs in one transaction: for each job, it is as if it had been claimed alone."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

import pytest

from cronkite.claims import claiming
from proof.interleavings import server
from proof.interleavings.explorer import explore
from proof.interleavings.world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worlds(make_job, lock_timeout):
    """Two jobs that are due."""
    lock_timeout(60)
    both = [World(make_job(name=name, due=0), alone=False) for name in ("first", "second")]
    with ExitStack() as stack:
        for world in both:
            stack.enter_context(world.listening())
        yield both


def claim_all(node, worlds, reads):
    """What a tick does that has read several jobs and has a worker for each."""
    wanted = [(read, world.decide(read)) for world, read in zip(worlds, reads, strict=True)]
    for world, claim in zip(worlds, claiming.claim_all(wanted, node), strict=True):
        if claim is not None:
            world.start(claim)


def batch_against_batch(worlds):
    """Two nodes claim the same two jobs, each in an order of its own."""
    for world in worlds:
        world.reset()
    reads = [world.read() for world in worlds]
    return {
        "a": partial(claim_all, "a", worlds, reads),
        "b": partial(claim_all, "b", worlds[::-1], reads[::-1]),
    }


def batch_against_takeover(worlds):
    """One of two jobs has a stale lock, and another node claims that one alone."""
    first, second = worlds
    first.reset()
    second.reset_held("dead")
    reads = [world.read() for world in worlds]
    return {"a": partial(claim_all, "a", worlds, reads), "b": partial(second.claim, "b", reads[1])}


@pytest.mark.parametrize("meeting", [batch_against_batch, batch_against_takeover], ids=lambda each: each.__name__)
def test_every_order_keeps_the_promises(worlds, meeting, tally, say):
    def check(order):
        for world in worlds:
            world.check(order)

    began = time.monotonic()
    count = explore(partial(meeting, worlds), check, kills=1)
    tally.add(interleavings=count)
    say(f"{server.name()}: {meeting.__name__}: {count} orders in {time.monotonic() - began:.1f} s")
    assert count > 1
