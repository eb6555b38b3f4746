"""Promise P1, raced by real processes: each slot is run by one node, or by none, never twice.

Each race has its saboteur: the same race without the protection must be lost, or it would prove nothing.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import count

import pytest
from deadlines import in_time
from nodes import PATIENCE, Node, nodes, until, until_seen

from cronkite.database import clock
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)

#: The saboteurs' nodes: they claim whatever they have read.
BLIND = {"CRONKITE_TEST_SABOTAGE": "blind-claim"}
#: By when more than one node should have won: the others may be stalled for a round, on a busy machine.
MOST_ROUNDS = 50


@contextmanager
def racers(number, *arguments, **environment):
    """Start racers that are connected and wait for the word; yield a function that has them all tick at once."""
    started = []
    try:
        for n in range(number):
            node = Node(*arguments, script="racer.py", name=f"node-{n}", stdin=subprocess.PIPE, **environment)
            started.append(node)
        for node in started:
            expect(node, "ready")

        yield lambda word: tick(started, word, meet="--meet" in arguments)
        for node in started:
            node.process.stdin.close()
            node.process.stdin = None
            assert node.wait() == 0, node.output
    finally:
        for node in started:
            node.end()


def tick(started, word, *, meet):
    """Have all racers tick, and claim at the same time; return when they have ended their ticks."""
    tell(started, word)
    if meet:
        for node in started:
            expect(node, "claims")
        tell(started, "claim")
    for node in started:
        expect(node, f"done {word}")


def tell(started, word):
    for node in started:
        node.process.stdin.write(f"{word}\n")
        node.process.stdin.flush()


def expect(node, line):
    """Read the node's output up to ``line``."""
    with in_time(node.process):
        while (said := node.process.stdout.readline().rstrip("\n")) != line:
            node.output += f"{said}\n"
            assert said or node.process.poll() is None, f"{node.name} ended, and said:\n{node.output}"


def slots():
    """Slots that are due, each an hour after the one before."""
    # The next one at the same day and hour is as far away as this one.
    first = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(days=183)
    return (first + n * timedelta(hours=1) for n in count())


def race(make_job, evidence, number, rounds, *arguments, jobs=1, **environment):
    """Have ``number`` nodes tick at once in each of the rounds; return how often each (job, slot) was started."""
    made = [make_job("app.jobs.note", name=f"job {n}", schedule="0 * * * *", args=[str(evidence)]) for n in range(jobs)]
    with racers(number, *arguments, **environment) as have_all_tick:
        for n, slot in zip(rounds, slots(), strict=False):
            # By hand, so that there is one slot a round: the jobs are due now, and next in the far future.
            for job in made:
                Job.objects.filter(pk=job.pk).write(
                    next_run=slot,
                    schedule=f"0 {slot.hour} {slot.day} {slot.month} *",
                    lock=None,
                    locked_by="",
                    locked_at=None,
                )
            have_all_tick(n)
    return Counter(evidence.starts())


@pytest.mark.parametrize(("number", "rounds", "workers"), [(2, 40, 0), (8, 20, 0), (2, 5, 1), (8, 3, 2)])
def test_of_many_nodes_that_claim_at_once_one_runs_the_slot(make_job, evidence, number, rounds, workers):
    starts = race(make_job, evidence, number, range(rounds), "--meet", "--workers", str(workers))
    assert set(starts.values()) == {1}
    assert len(starts) == rounds
    assert Log.objects.filter(status=Log.Status.SUCCEEDED).count() == rounds
    assert not Job.objects.exclude(lock=None).exists()


def test_many_nodes_share_many_jobs_and_run_none_twice(make_job, evidence):
    rounds = []

    def until_two_have_won():
        while len(rounds) < 2 or len(winners()) < 2:
            assert len(rounds) < MOST_ROUNDS, "one node did it all: that was no race"
            rounds.append(len(rounds))
            yield rounds[-1]

    starts = race(make_job, evidence, 4, until_two_have_won(), "--workers", "2", jobs=30)
    assert set(starts.values()) == {1}
    assert len(starts) == 30 * len(rounds)
    assert len(winners()) > 1


def winners():
    return set(Log.objects.values_list("node", flat=True))


@pytest.mark.parametrize("number", [2, 8])
def test_without_the_condition_and_the_constraint_slots_are_run_twice(make_job, evidence, without_constraints, number):
    """The saboteur of the races above."""
    starts = race(make_job, evidence, number, range(5), "--meet", "--workers", "0", **BLIND)
    assert set(starts.values()) == {number}


def test_without_the_condition_the_constraint_still_lets_no_slot_run_twice(make_job, evidence):
    """A bug in the claim turns into an error, not into a second run."""
    starts = race(make_job, evidence, 8, range(10), "--meet", "--workers", "0", **BLIND)
    assert max(starts.values()) == 1


def test_loops_that_race_for_every_second_run_each_slot_once(make_job, evidence):
    job = make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(*[("cron", "loop", "--workers", "1")] * 3) as started:
        until(lambda: len(evidence.starts()) >= 5)
        until_seen(3)
        for node in started:
            node.process.terminate()
        assert [node.wait() for node in started] == [0, 0, 0], [node.output for node in started]
    starts = Counter(evidence.starts())
    assert set(starts.values()) == {1}
    assert_accounted_for(job)


def assert_accounted_for(job):
    """Promise P2: between the first and the last slot in the log, runs + missed = slots."""
    logs = list(Log.objects.filter(job=job).exclude(slot=None).order_by("slot"))
    first, last = logs[0].slot, logs[-1].slot
    slots = 1 + job.get_schedule().count_between(first, last)
    accounted = 1 + sum(log.missed + 1 for log in logs[1:])
    assert accounted == slots, [(str(log), log.missed) for log in logs]


def test_a_stale_lock_is_taken_over_by_one_of_many(make_job, evidence):
    """Its holder is dead; eight nodes find out at once."""
    job = make_job("app.jobs.note", due=0, args=[str(evidence)])
    stale = clock.Now() - timedelta(hours=1)
    Job.objects.filter(pk=job.pk).write(
        lock="00000000-0000-4000-8000-000000000000", locked_by="dead", locked_at=stale, fence=7
    )
    dead = Log.objects.create(job=job, fence=7, node="dead", created=clock.Now())
    with nodes(*[("cron", "--workers", "0")] * 8, lock_timeout=60) as started:
        assert {node.wait(PATIENCE) for node in started} == {0}
    assert len(evidence.starts()) == 1
    assert Log.objects.get(pk=dead.pk).status == Log.Status.LOST
    assert Log.objects.get(fence=8).status == Log.Status.SUCCEEDED


def test_without_a_lock_timeout_nobody_takes_a_lock_over(make_job, evidence):
    job = make_job("app.jobs.note", due=0, args=[str(evidence)])
    Job.objects.filter(pk=job.pk).write(
        lock="00000000-0000-4000-8000-000000000000", locked_by="dead", locked_at=clock.Now() - timedelta(days=9)
    )
    with nodes(*[("cron", "--workers", "0")] * 2) as started:
        assert {node.wait(PATIENCE) for node in started} == {0}
    assert not evidence.starts()
