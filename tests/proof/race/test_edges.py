"""Storms whose jobs do to their processes what they like, beside others that only want to be on time.

Besides the promises: no other job is late by more than two seconds, and no node is deaf to SIGTERM for longer than the
grace and five seconds.
"""

from __future__ import annotations

import signal
import time

import pytest
from nodes import until

import families
from app.wild import LINGER, WAYS
from proof.race.punctual import Witness, lateness
from proof.race.storm import LOCK_TIMEOUT, assert_kept, fleet, is_long

pytestmark = pytest.mark.django_db(transaction=True)

GRACE, KILL_AFTER = 1, 5
#: How many runs are to be wild.
RUNS = 2000 if is_long() else 150


def loops(storm, number=2, **options):
    """Have loops with room for all that hangs."""
    options = {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SHUTDOWN_GRACE": str(GRACE), **options}
    return fleet(storm.folder, number, "cron", "loop", "--workers", "16", options=options)


def wild_jobs(storm, number, ways=None, timeout=2):
    """Add jobs that do one of ``ways``, each second, or whenever they are let."""
    return storm.jobs_each_second(number, function="app.wild.run", args=[str(storm.evidence), ways], timeout=timeout)


def stop(nodes, witness):
    """Stop all nodes; return how long (seconds) that took, and fail if one takes longer than it may."""
    began = time.monotonic()
    nodes.stop()
    took = time.monotonic() - began
    assert took < GRACE + KILL_AFTER + witness.bound, f"after {took:.1f} s, the last node has heeded SIGTERM"
    return took


def test_jobs_that_do_what_they_like_to_their_processes(storm, say):
    with loops(storm) as nodes, Witness.present(nodes) as witness:
        wild = wild_jobs(storm, len(WAYS) // 2)
        until_loops_work(storm, nodes)
        punctual = storm.jobs_each_second(3)
        storm.drive(nodes, lambda: storm.started() >= RUNS)
        late = lateness(punctual)
        took = stop(nodes, witness)
        verdict = storm.audit(nodes)
    say(f"{len(wild)} wild jobs: {verdict}; {late:.2f} s late at most, of {witness}; {took:.1f} s to stop")
    assert_kept(verdict)
    assert late < witness.bound
    until(lambda: not left_over(storm), what="what runs have left behind has ended by itself")


def left_over(storm):
    """Return the ids of processes that runs have started, and that live."""
    return families.of_sessions({run.pid for run in storm.runs()})


def until_loops_work(storm, nodes):
    """Wait until each node has had a run: what falls due before is late for a reason of its own."""
    storm.drive(nodes, lambda: len(storm.winners()) == nodes.number)


@pytest.mark.parametrize("way", WAYS if is_long() else ["close_everything_and_sleep", "leave_forked_child"])
def test_jobs_that_all_do_the_same(storm, say, way):
    """So that it is known which way is to blame."""
    with loops(storm, 1) as nodes, Witness.present(nodes) as witness:
        wild = wild_jobs(storm, 2, [way])
        until_loops_work(storm, nodes)
        punctual = storm.jobs_each_second(2)
        storm.drive(nodes, lambda: len([run for run in storm.runs() if run.job in {job.pk for job in punctual}]) >= 8)
        late = lateness(punctual)
        stop(nodes, witness)
        verdict = storm.audit(nodes)
    say(f"{len(wild)} jobs that {way.replace('_', ' ')}: {verdict}; {late:.2f} s late at most, of {witness}")
    assert_kept(verdict)
    assert late < witness.bound


# The saboteurs. They go on until the violation is seen, and would fail if it never were.


@pytest.mark.saboteur
def test_a_node_that_waits_for_a_process_is_late(storm, tally):
    """However late a busy machine lets the others be: the process does not end before the node does."""
    with loops(storm, 1, CRONKITE_TEST_SABOTAGE="held-node") as nodes, Witness.present(nodes) as witness:
        # With a short timeout, its worker would end by itself once it hears no more of the node, and let that go.
        wild_jobs(storm, 1, ["close_everything_and_hang"], timeout=600)
        until_loops_work(storm, nodes)
        punctual = storm.jobs_each_second(2)
        storm.drive(nodes, lambda: lateness(punctual) > witness.bound)
    tally.add(saboteurs=1)


@pytest.mark.saboteur
def test_a_nursery_that_goes_by_pipes_sees_no_death(storm, tally):
    """The run is taken to go on for as long as its child lives, whatever its timeout."""
    with loops(storm, 1, CRONKITE_TEST_SABOTAGE="deaf-nursery") as nodes, Witness.present(nodes) as witness:
        (wild,) = wild_jobs(storm, 1, ["die_with_child"])
        until_loops_work(storm, nodes)
        storm.drive(nodes, lambda: lateness([wild]) > witness.bound)
    tally.add(saboteurs=1)


@pytest.mark.saboteur
def test_children_that_come_back_go_on_as_workers(storm, tally):
    """They wait for jobs that nobody gives them, for ever."""
    with loops(storm, 1, CRONKITE_TEST_SABOTAGE="open-forks") as nodes:
        wild_jobs(storm, 2, ["fork_and_return"])
        storm.drive(nodes, lambda: storm.started() >= 4)
        nodes.stop()
        left = until(lambda: left_over(storm))
        time.sleep(LINGER)
        # Some may have been ending by themselves, as all would have without the sabotage.
        still = left_over(storm)
        assert still
        assert set(still) <= set(left)
        families.signal_all(still, signal.SIGKILL)
    tally.add(saboteurs=1)
