"""Storms without faults: many nodes want the same slots, and each is run by one of them, or by none, never twice.

The saboteurs, at the end, are the same storms with a protection taken out.
"""

from __future__ import annotations

import time

import pytest

from proof.race.storm import PATIENCE, all_of, assert_kept, fleet, is_long

pytestmark = pytest.mark.django_db(transaction=True)

#: When every node should have had some of so many jobs.
MOST_JOBS = 10_000


def assert_calm(verdict):
    """All promises were kept, and nobody was taken for dead: nothing went wrong that could excuse it."""
    assert_kept(verdict)
    assert (verdict.overlaps, verdict.takeovers) == (0, 0)


def only_in_the_long_proof(*cases):
    """Return the cases if this is the long one: to start an interpreter costs about as much as a hundred runs."""
    return cases if is_long() else ()


@pytest.mark.parametrize(("number", "workers"), [(2, 2), (8, 1), *only_in_the_long_proof((32, 1))])
def test_loops_share_many_jobs(storm, say, number, workers):
    """Each node has some: one that comes late finds more."""
    with fleet(storm.folder, number, "cron", "loop", "--workers", str(workers)) as nodes:
        storm.share(nodes, 200, 2, MOST_JOBS)
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"{number} loops, {len(storm.jobs)} jobs: {verdict}")
    assert_calm(verdict)
    assert verdict.slots == 2 * len(storm.jobs)


@pytest.mark.parametrize("number", [2, *only_in_the_long_proof(8), 32])
def test_ticks_share_many_jobs(storm, say, number):
    """Each node has some, if not at the first minute, then at another."""
    winners = set()
    while len(winners) < number:
        assert len(storm.jobs) < MOST_JOBS, f"only {sorted(winners)} have won"
        storm.jobs_in_arrears(200, 1)
        with fleet(storm.folder, number, "cron", "--workers", "1") as nodes:
            nodes.wait()
        storm.tally.add(nodes=nodes.started)
        winners |= storm.winners()
    verdict = storm.audit()
    say(f"{number} ticks, {len(storm.jobs)} jobs: {verdict}")
    assert_calm(verdict)
    assert verdict.slots == len(storm.jobs)


@pytest.mark.parametrize("number", [*only_in_the_long_proof(2), 8, *only_in_the_long_proof(32)])
def test_loops_want_the_same_hot_job(storm, say, number):
    """At each second, all want the same, until each node has had it. (32 would need minutes: they get four.)"""
    storm.jobs_each_second(1 if number < 32 else 4)
    with fleet(storm.folder, number, "cron", "loop", "--workers", "0") as nodes:
        storm.drive(nodes, lambda: storm.winners() == all_of(nodes))
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"{number} loops, {len(storm.jobs)} hot: {verdict}")
    assert_calm(verdict)


def test_runs_that_take_longer_than_the_period_do_not_overlap(storm, say):
    """What falls due meanwhile is missed, and the logs say why."""
    storm.jobs_each_second(12, seconds=2.5)
    with fleet(storm.folder, 4, "cron", "loop", "--workers", "2") as nodes:
        storm.drive(nodes, lambda: storm.started() >= 40 and storm.winners() == all_of(nodes))
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"4 loops, runs of 2.5 s each second: {verdict}")
    assert_calm(verdict)
    assert verdict.missed >= verdict.slots
    assert any("the run before was going on" in log.reason for log in storm.logs())


# The saboteurs. They go on until the violation is seen, and would fail if it never were.

BLIND = {"CRONKITE_TEST_SABOTAGE": "blind-claim"}
#: They do not even see that a job is locked. (With a timeout: without one they would take it to be stuck.)
BLIND_TO_LOCKS = {"CRONKITE_TEST_SABOTAGE": "blind-claim blind-queue", "lock_timeout": 60}


@pytest.mark.saboteur
def test_without_the_condition_and_the_constraint_loops_run_slots_twice(storm, tally, without_constraints):
    storm.jobs_each_second(8)
    with fleet(storm.folder, 3, "cron", "loop", "--workers", "0", options=BLIND) as nodes:
        storm.drive(nodes, storm.duplicates)
    tally.add(saboteurs=1)


@pytest.mark.saboteur
def test_without_the_condition_and_the_constraint_ticks_run_slots_twice(storm, tally, without_constraints):
    # If but one of them ticks in time, and the others are stalled, they do not meet.
    deadline = time.monotonic() + PATIENCE
    while not storm.duplicates():
        assert time.monotonic() < deadline, f"of {len(storm.jobs)} slots, none was run twice"
        storm.jobs_in_arrears(200, 1)
        with fleet(storm.folder, 3, "cron", "--workers", "0", options=BLIND) as nodes:
            nodes.wait()
    tally.add(saboteurs=1)


def test_without_the_condition_the_constraint_keeps_loops_from_running_a_slot_twice(storm):
    storm.jobs_each_second(8)
    with fleet(storm.folder, 3, "cron", "loop", "--workers", "0", options=BLIND) as nodes:
        storm.drive(nodes, lambda: storm.started() >= 30)
    assert not storm.duplicates()


@pytest.mark.saboteur
def test_without_the_record_of_missed_slots_some_are_unaccounted_for(storm, tally):
    storm.jobs_in_arrears(3, 5, catch_up="none", grace=60)
    silent = {"CRONKITE_TEST_SABOTAGE": "silent-pass-over"}
    with fleet(storm.folder, 2, "cron", options=silent) as nodes:
        nodes.wait()
        verdict = storm.verdict()
    assert verdict.unaccounted
    tally.add(saboteurs=1)


@pytest.mark.saboteur
def test_without_the_lock_runs_that_take_longer_than_the_period_overlap(storm, tally):
    """A blind claim takes the lock of a run that is going on, too."""
    storm.jobs_each_second(4, seconds=2.5)
    with fleet(storm.folder, 2, "cron", "loop", "--workers", "4", options=BLIND_TO_LOCKS) as nodes:
        storm.drive(nodes, lambda: storm.verdict().overlaps)
    tally.add(saboteurs=1)
