"""Storms in which code of the project locks rows of jobs, and of logs, at random.

Besides the promises: no other job is late by more than two seconds, and no node is deaf to SIGTERM for longer than the
grace and five seconds.
"""

from __future__ import annotations

import pytest
from django.db import connection

from proof.race.faults import holders
from proof.race.punctual import Witness, lateness
from proof.race.storm import LOCK_TIMEOUT, assert_kept, fleet, is_long
from proof.race.test_edges import GRACE, stop, until_loops_work

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite",
        reason="SQLite locks no rows: who writes keeps all others from writing",
    ),
]

#: How many runs of the jobs whose rows nobody locks.
RUNS = 1000 if is_long() else 60
#: What a node says of a job that it can't have.
HELD = "its row is locked by another transaction since"


def loops(storm, number=3, **options):
    options = {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SHUTDOWN_GRACE": str(GRACE), **options}
    return fleet(storm.folder, number, "cron", "loop", "--workers", "4", options=options)


def runs_of(storm, jobs):
    keys = {job.pk for job in jobs}
    return sum(run.job in keys for run in storm.runs())


def test_rows_that_are_locked_hold_up_their_own_jobs_only(storm, say):
    """Rows of half of the jobs, of which some take a while."""
    held = storm.jobs_each_second(3) + storm.jobs_each_second(3, seconds=1.5)
    with loops(storm) as nodes, Witness.present(nodes) as witness:
        until_loops_work(storm, nodes)
        punctual = storm.jobs_each_second(3)
        with holders.at_work(held) as project:
            storm.drive(nodes, lambda: runs_of(storm, punctual) >= RUNS and nodes.said(HELD))
            late = lateness(punctual)
            before = runs_of(storm, held)
            storm.drive(nodes, lambda: runs_of(storm, held) >= before + 3)
            stop(nodes, witness)
        verdict = storm.audit(nodes)
    say(f"{project}: {verdict}; {late:.2f} s late at most, of {witness}")
    assert_kept(verdict)
    assert late < witness.bound
    assert nodes.said(HELD)
    assert not nodes.deaths


@pytest.mark.saboteur
def test_where_nodes_wait_for_rows_other_jobs_are_late(storm, tally):
    """The saboteur of the storm above."""
    held = storm.jobs_each_second(6)
    with loops(storm, CRONKITE_TEST_SABOTAGE="patience") as nodes, Witness.present(nodes) as witness:
        until_loops_work(storm, nodes)
        punctual = storm.jobs_each_second(3)
        with holders.at_work(held):
            storm.drive(nodes, lambda: lateness(punctual) > witness.bound)
    tally.add(saboteurs=1)
