"""Storms in which nodes and workers are killed (SIGKILL), at random and at each step of the claim, or are frozen.

Nothing may run twice, nothing may vanish, and no job may be left behind.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
from django.db import connection
from nodes import Node, until

import families
from app.sabotage import STEPS
from cronkite.claims import skips
from cronkite.models import Job
from cronkite.models.logs import Status
from proof.race.storm import (
    LOCK_TIMEOUT,
    LONG_LOCK_TIMEOUT,
    MOST_DUE,
    assert_kept,
    fleet,
    is_long,
    killing,
    slots_wanted,
)

pytestmark = pytest.mark.django_db(transaction=True)

#: How long (seconds) what a node has sent may be on its way to the server.
PAUSE = 0.1
#: Each death costs the start of a node, which takes as long as many runs.
RUNS_PER_KILL = 500 if is_long() else 50


def test_nodes_and_workers_are_killed_at_random_moments(storm, say):
    """Goes on until as many slots are raced as the proof was asked for; kills a node or a worker again and again."""
    dice, wanted, raced = random.Random(1), slots_wanted(), 0

    def options(n):
        return {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_WORKERS": "1" if n <= 2 else "0"}

    with fleet(storm.folder, 6, "cron", "loop", options=options) as nodes:
        # A round may be over before the test has looked who could be killed.
        while raced < wanted or not nodes.kills:
            storm.jobs_in_arrears(40, min(MOST_DUE, max(2, -(-(wanted - raced) // 40))))
            storm.drive(nodes, storm.all_taken, killing(storm, nodes, dice, RUNS_PER_KILL))
            verdict = storm.next_round()
            assert_kept(verdict)
            raced += verdict.slots
            say(f"random kills: {raced} of {wanted} slots raced, {nodes.kills} kills so far, the last round: {verdict}")
        nodes.stop()
    storm.tally.add(kills=nodes.kills, nodes=nodes.started)
    assert nodes.kills


@pytest.mark.parametrize("workers", [0, 1])
def test_nodes_are_killed_at_each_step(storm, say, workers):
    """Each node dies at a step of its own, now and then; without workers of its own also at the steps of the end."""
    steps = list(STEPS)

    def options(n):
        return {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SABOTAGE": f"die={steps[n - 1]}:0.08"}

    deadly = [n for n, step in enumerate(steps, start=1) if not workers or "finish" not in step]
    with fleet(storm.folder, len(steps), "cron", "loop", "--workers", str(workers), options=options) as nodes:
        while not (all(nodes.deaths[f"node-{n}"] for n in deadly) and storm.has_takeovers()):
            storm.jobs_in_arrears(40, 20 if is_long() else 5)
            storm.drive(nodes, storm.all_taken)
        nodes.stop()
        until(lambda: not nodes.orphans())
        verdict = storm.audit(nodes)
    deaths = {steps[n - 1]: nodes.deaths[f"node-{n}"] for n in deadly}
    say(f"killed at steps, {workers} workers: {verdict}; deaths: {deaths}")
    assert_kept(verdict)


def test_workers_die_while_their_node_lives(storm, say):
    """The node notices at once: nobody has to wait for the lock to be stale."""
    storm.jobs_in_arrears(40, 3)
    options = {"CRONKITE_TEST_SABOTAGE": "die=before-finish:0.1:worker"}
    with fleet(storm.folder, 2, "cron", "loop", "--workers", "2", options=options) as nodes:
        storm.drive(nodes, storm.all_taken)
        nodes.stop()
        verdict = storm.audit(nodes)
    died = [log for log in storm.logs() if "its process was killed by SIGKILL" in log.reason]
    storm.tally.add(kills=len(died))
    say(f"{len(died)} workers died before they could write the end: {verdict}")
    assert_kept(verdict)
    assert died
    assert {log.status for log in died} == {Status.LOST}
    assert not verdict.takeovers
    assert not nodes.deaths


def test_the_runs_of_a_node_that_is_killed_go_on_and_are_recorded(storm, say):
    """The parent dies, its workers live: they renew their locks, so that nobody takes over, and record the ends."""
    # They take longer than a lock lives that nobody renews.
    storm.jobs_each_second(4, seconds=LONG_LOCK_TIMEOUT + 5)
    options = {"lock_timeout": LONG_LOCK_TIMEOUT}
    with fleet(storm.folder, 2, "cron", "loop", "--workers", "2", options=options) as nodes:
        storm.drive(nodes, lambda: storm.started() >= 4)
        before = storm.runs()[:4]
        for node in nodes.nodes.values():
            nodes.kill(node)
        nodes.tend()
        storm.drive(nodes, lambda: storm.started() >= 8)
        nodes.stop()
        until(lambda: not nodes.orphans())
        verdict = storm.audit(nodes)
    say(f"killed parents, living workers: {verdict}")
    assert_kept(verdict)
    assert verdict.overlaps == verdict.takeovers == 0
    survivors = {(log.job_id, log.fence): log.status for log in storm.logs()}
    assert {survivors[run.job, run.fence] for run in before} == {Status.SUCCEEDED}


@contextmanager
def frozen(node: Node):
    """Freeze a node with its workers during the block, while it holds no lock of the database's.

    Whoever is frozen in the middle of a write to SQLite's file keeps all others from writing, as the documents say, and
    elsewhere whoever is in the middle of a renewal keeps the job's row from being taken over.
    """
    until(lambda: freeze_between_writes(node))
    try:
        yield
    finally:
        families.signal_all(families.family(node.pid), signal.SIGCONT)


def freeze_between_writes(node: Node) -> bool:
    """Freeze a node with its workers, after a moment's going on if it was frozen before; ``False`` if amid a write."""
    for number in (signal.SIGCONT, signal.SIGSTOP):
        families.signal_all(families.family(node.pid), number)
    return can_write()


def can_write() -> bool:
    """Tell whether nobody holds SQLite's lock; elsewhere, that of a job's row, which could not be taken over then."""
    if connection.vendor != "sqlite":
        for _ in range(2):
            if skips.held(list(Job.objects.values_list("pk", flat=True))):
                return False
            # What was sent just before may be yet to come to the server.
            time.sleep(PAUSE)
        return True
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)) as own:
        try:
            own.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        own.execute("ROLLBACK")
        return True


def freeze_until_taken_over(storm, nodes):
    """Freeze the node that has the only job, until another has taken it over; return both runs."""
    while True:
        storm.drive(nodes, storm.unended)
        stale = storm.unended()[-1]
        with frozen(nodes.named(stale.node)):
            # It may have ended just before: then there is nothing to be taken over.
            if stale in storm.unended():
                storm.drive(nodes, lambda stale=stale: newer_than(storm, stale))
                return stale, newer_than(storm, stale)[0]


def newer_than(storm, run):
    """Return the runs of the only job that have begun with a newer lock."""
    return [each for each in storm.runs() if each.fence > run.fence]


def stalling(folder, **more):
    """Two nodes that stop soon when they are told to."""
    options = {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SHUTDOWN_GRACE": "1", **more}
    return fleet(folder, 2, "cron", "loop", "--workers", "1", options=options)


def test_a_node_that_was_frozen_finds_its_lock_gone_and_ends_its_run(storm, say):
    """SIGSTOP for longer than the lock timeout, then SIGCONT. The newer holder is not touched."""
    (job,) = storm.jobs_each_second(1, seconds=60)
    # Who is not frozen is not to be taken for it.
    with stalling(storm.folder, lock_timeout=LONG_LOCK_TIMEOUT) as nodes:
        stale, newer = freeze_until_taken_over(storm, nodes)
        until(lambda: "it ended late" in storm.log_of(stale).reason)
        now = Job.objects.get(pk=job.pk)
        assert (now.fence, now.locked_by) == (newer.fence, newer.node)
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"frozen: {verdict}; {storm.log_of(stale).reason}")
    assert_kept(verdict)
    assert storm.log_of(stale).status == Status.LOST
    assert storm.log_of(newer).status == Status.INTERRUPTED
    assert (verdict.takeovers, verdict.overlaps) == (1, 0), "it was ended, and did not go on beside the other"


@pytest.mark.saboteur
def test_a_node_that_does_not_notice_its_loss_lets_runs_overlap(storm, tally):
    """The saboteur: a renewal that is deaf."""
    storm.jobs_each_second(1, seconds=5)
    with stalling(storm.folder, CRONKITE_TEST_SABOTAGE="deaf-renewal") as nodes:
        storm.drive(nodes, lambda: storm.verdict().overlaps, lambda: freeze_until_taken_over(storm, nodes))
    tally.add(saboteurs=1)


def faults_of_overlaps(storm):
    """Return what is at fault about runs that overlap; while nodes are at work, what is going on is at fault, too."""
    return [fault for fault in storm.verdict().faults if "began before the end of" in fault]


@pytest.mark.saboteur
def test_an_end_that_ignores_the_fence_frees_the_lock_of_another_run(storm, tally):
    """The saboteur of the ends: the late run frees the newer one's lock, and a third overlaps that one."""
    storm.jobs_each_second(1, seconds=5)
    with stalling(storm.folder, CRONKITE_TEST_SABOTAGE="deaf-renewal blind-finish") as nodes:
        storm.drive(nodes, lambda: faults_of_overlaps(storm), lambda: freeze_until_taken_over(storm, nodes))
    tally.add(saboteurs=1)
