"""Storms of jobs in a group: however many nodes want them, and whoever is killed, no more run at a time than may."""

from __future__ import annotations

import random

import pytest
from nodes import until

from cronkite.models import Group, Log
from cronkite.models.logs import Status
from proof.race.storm import LOCK_TIMEOUT, all_of, assert_kept, fleet, is_long, killing

pytestmark = pytest.mark.django_db(transaction=True)

#: How many jobs of the group may run at a time.
MOST = 2
#: How many runs there are to be. Two at a time take their time, whatever the proof was asked for.
RUNS = 5000 if is_long() else 250
#: After how many runs somebody is killed.
RUNS_PER_KILL = 200 if is_long() else 20


def jobs_of_group(storm, number):
    """Add jobs of one group that fall due each second."""
    Group.objects.create(name="reports", max_running=MOST)
    storm.jobs_each_second(number, seconds=0.1, group="reports")


def most_at_a_time(intervals):
    """Return how many of the intervals, pairs of instants, have an instant in common, at most."""
    # At the same instant, ends come first.
    events = sorted([(began, 1) for began, _ in intervals] + [(ended, -1) for _, ended in intervals])
    most = now = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most


def most_that_ran(storm):
    """Return how many runs went on at a time: by the evidence of those that have ended, and by the logs of all.

    A run that was stalled until its place was taken may end late, beside the one that has it. By the logs, it counts
    only if its end is that it was taken.
    """
    logs = storm.logs()
    lost = {(log.job_id, log.fence) for log in logs if log.status == Status.LOST}
    runs = [run for run in storm.runs() if (run.job, run.fence) not in lost]
    evidence = [(run.began, run.ended) for run in runs if run.ended is not None]
    logs = [(log.started_at, log.finished_at) for log in logs if log.started_at and log.finished_at and not late(log)]
    return most_at_a_time(evidence), most_at_a_time(logs)


def late(log):
    """Tell whether the run went on when it had lost its lock."""
    return log.status == Status.LOST and "it ended late" in log.reason


def test_of_a_group_no_more_run_than_may_though_nodes_and_workers_are_killed(storm, say):
    jobs_of_group(storm, 12)

    def is_enough():
        return storm.progress() >= RUNS and storm.winners() >= all_of(nodes) and places_taken()

    def places_taken():
        return Log.objects.filter(status=Status.LOST, reason__contains="took its place in the group").count()

    with fleet(storm.folder, 4, "cron", "loop", "--workers", "4", options={"lock_timeout": LOCK_TIMEOUT}) as nodes:
        storm.drive(nodes, is_enough, killing(storm, nodes, random.Random(11), RUNS_PER_KILL))
        nodes.stop()
        until(lambda: not nodes.orphans())
        verdict = storm.audit(nodes)
    ran = most_that_ran(storm)
    say(
        f"a group that lets {MOST} run, {nodes.kills} kills: {verdict}; {places_taken()} seats of dead runs taken; "
        f"at a time, by the evidence and the logs: {ran}"
    )
    assert_kept(verdict)
    assert max(ran) == MOST


@pytest.mark.saboteur
def test_with_seats_taken_unseen_and_without_the_constraint_more_run_than_may(storm, tally, without_unique_seats):
    """The saboteur."""
    jobs_of_group(storm, 12)
    options = {"CRONKITE_TEST_SABOTAGE": "blind-seats"}
    with fleet(storm.folder, 3, "cron", "loop", "--workers", "4", options=options) as nodes:
        storm.drive(nodes, lambda: most_that_ran(storm)[0] > MOST)
    tally.add(saboteurs=1)
