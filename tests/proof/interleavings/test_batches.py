"""Nodes that claim several jobs, or hand them over, in one transaction: for each, it is as if it had been alone."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from django.db import connections
from django_tasks_db.models import DBTaskResult

from cronkite.claims import claiming, conditions, handing
from cronkite.database import batches, waits
from cronkite.models import Job, Log, Task
from proof.interleavings.world import Violation, World, claim_all, enqueue, purged

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


def hand_over(node, worlds, reads):
    """What a tick does that has read several jobs whose functions are tasks."""
    wanted = [(read, world.decide(read)) for world, read in zip(worlds, reads, strict=True)]
    claiming.claim_all(wanted, node, handing.joined(enqueue, (), partial(batches.together, table=DBTaskResult)))


def reset_to_hand_over(worlds):
    """Have the jobs be due, and no task in the queue; return what a tick reads."""
    Task.objects.all()._raw_delete("default")
    DBTaskResult.objects.all()._raw_delete("default")
    for world in worlds:
        world.reset()
    return [world.read() for world in worlds]


def hand_over_of_both_against_hand_over_of_both(worlds):
    """Two nodes hand the same two jobs over."""
    reads = reset_to_hand_over(worlds)
    return {name: partial(hand_over, name, worlds, reads) for name in "ab"}


def hand_over_of_both_against_hand_over_of_one(worlds):
    """One node hands two jobs over, and another one of these."""
    reads = reset_to_hand_over(worlds)
    return {"a": partial(hand_over, "a", worlds, reads), "b": partial(hand_over, "b", worlds[1:], reads[1:])}


def check_queue(order):
    """Promise P7: the tasks in the queue are those that the logs tell of, and that are asked about."""
    tasks = sorted(map(str, DBTaskResult.objects.values_list("pk", flat=True)))
    if tasks != sorted(Log.objects.values_list("task_id", flat=True)):
        raise Violation("a task without its log, or a log without its task", order)
    if tasks != sorted(Task.objects.values_list("task_id", flat=True)):
        raise Violation("a task that nobody asks about", order)


@pytest.mark.parametrize(
    ("meeting", "kills", "twins"),
    [
        (hand_over_of_both_against_hand_over_of_both, 1, ("a", "b")),
        # With kills it has thousands of orders; what a death leaves of a batch, the other one shows.
        (hand_over_of_both_against_hand_over_of_one, 0, ()),
    ],
    ids=["both-both", "both-one"],
)
def test_every_order_hands_over_exactly_once(worlds, meeting, kills, twins, try_all):
    def check(order):
        check_queue(order)
        for world in worlds:
            world.check(order)

    try_all(meeting, purged(partial(meeting, worlds)), check, kills=kills, twins=twins)


def test_without_the_condition_of_the_claim_the_constraint_has_to_step_in(worlds, violations_of, monkeypatch):
    """A saboteur of the above: the UPDATE, of both rows at once or of each, asks for nothing but the row."""
    monkeypatch.setattr(
        conditions, "claimable", lambda job, decision, using: Job.objects.using(using).filter(pk=job.pk)
    )

    def check(order):
        for world in worlds:
            world.check(order)

    found = violations_of(purged(partial(hand_over_of_both_against_hand_over_of_both, worlds)), check, twins=("a", "b"))
    assert any("the constraint had to step in" in text for text in found)


def test_with_what_is_kept_back_sent_after_the_commit_a_death_leaves_logs_without_their_tasks(
    worlds, violations_of, monkeypatch
):
    """Another: what is kept back is none of the transaction's business."""
    late = []

    @contextmanager
    def limited(using, own=waits.limited):
        with own(using):
            yield
        while late:
            late.pop()()

    @contextmanager
    def together(using, table):
        kept = batches._Kept(connections[using], connections[using].ops.quote_name(table._meta.db_table))
        connections[using].execute_wrappers.append(kept)
        yield
        connections[using].execute_wrappers.remove(kept)
        late.append(kept.send)

    monkeypatch.setattr(waits, "limited", limited)
    monkeypatch.setattr(batches, "together", together)
    meet = purged(partial(hand_over_of_both_against_hand_over_of_both, worlds))
    found = violations_of(meet, check_queue, kills=1, twins=("a", "b"))
    assert any("a:KILLED" in text for text in found)


@pytest.mark.parametrize("meeting", [batch_against_batch, batch_against_takeover], ids=lambda each: each.__name__)
def test_every_order_keeps_the_promises(worlds, meeting, try_all):
    def check(order):
        for world in worlds:
            world.check(order)

    try_all(meeting, purged(partial(meeting, worlds)), check, kills=1)
