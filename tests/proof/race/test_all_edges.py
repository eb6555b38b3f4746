"""Storms in which all is met at once that a project may do to a node, or to the database.

Each node reaches the database in another way; some jobs do to their processes what they like; code of the project locks
the rows of others. Besides the promises: no other job is late by more than two seconds, and no node is deaf to SIGTERM
for longer than the grace and five seconds.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from importlib.util import find_spec

import pytest
from django.db import connection
from nodes import until

from cronkite.models import Job, Log
from proof.race.faults import holders
from proof.race.punctual import Witness, lateness
from proof.race.storm import LOCK_TIMEOUT, assert_kept, fleet, is_long
from proof.race.test_edges import GRACE, left_over, stop, until_loops_work, wild_jobs

pytestmark = pytest.mark.django_db(transaction=True)

#: How many runs are to be: of wild jobs, of those whose rows are locked, and of the others.
RUNS = 3000 if is_long() else 300
#: How many questions a job asks the database that is to be on time.
QUESTIONS = 50

ROUTER = {"CRONKITE_TEST_ROUTER": "splitting"}
POOL = {"CRONKITE_TEST_POOL": "1"}


def ways() -> dict[str, dict[str, str]]:
    """Return how a node may reach the database: by the settings of its own that a project may have."""
    found = {"plain": {}, "a router": ROUTER}
    if connection.vendor == "postgresql" and all(map(find_spec, ["psycopg", "psycopg_pool", "psycopg2"])):
        found |= {
            "a pool": POOL,
            "a pool and a router": POOL | ROUTER,
            "psycopg 2": {"CRONKITE_TEST_DRIVER": "psycopg2"},
        }
    if connection.vendor == "mysql":
        dirty = {"DATABASE_URL": f"{os.environ['DATABASE_URL']}?isolation_level=read uncommitted"}
        found |= {"READ UNCOMMITTED": dirty, "READ UNCOMMITTED and a router": dirty | ROUTER}
    return found


def test_all_edges_at_once(storm, say):
    """Where rows can't be locked, nobody does: on SQLite, that would be the whole database."""
    each = ways()
    options = {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SHUTDOWN_GRACE": str(GRACE)}
    of_node = [{**options, **way} for way in each.values()]
    loops = fleet(
        storm.folder, len(each), "cron", "loop", "--workers", "12", options=lambda number: of_node[number - 1]
    )
    with loops as nodes, Witness.present(nodes) as witness:
        wild_jobs(storm, 6)
        held = storm.jobs_each_second(2) + storm.jobs_each_second(2, seconds=1.5)
        until_loops_work(storm, nodes)
        punctual = asking_jobs(storm, 3)
        hung = hung_jobs(2)
        with nullcontext("nobody") if connection.vendor == "sqlite" else holders.at_work(held) as project:
            storm.drive(nodes, lambda: storm.started() >= RUNS)
            late = lateness(punctual)
            took = stop(nodes, witness)
        hung.delete()
        verdict = storm.audit(nodes)
    say(f"{', '.join(each)}; {project}: {verdict}; {late:.2f} s late at most, of {witness}; {took:.1f} s to stop")
    assert_kept(verdict)
    assert late < witness.bound
    assert not failed(punctual)
    assert not nodes.deaths
    until(lambda: not left_over(storm), what="what runs have left behind has ended by itself")


@pytest.mark.saboteur
def test_workers_that_share_their_nodes_pool_hear_what_is_for_others(storm, tally):
    """The saboteur of the storm above. Some wait for ever for what others have heard."""
    if "a pool" not in ways():
        pytest.skip("only PostgreSQL has a pool, by psycopg 3")
    options = {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SABOTAGE": "shared-pool", **POOL}
    with (
        fleet(storm.folder, 1, "cron", "loop", "--workers", "4", options=options) as nodes,
        Witness.present(nodes) as witness,
    ):
        jobs = asking_jobs(storm, 6)
        storm.drive(nodes, lambda: failed(jobs) or lateness(jobs) > witness.bound)
    tally.add(saboteurs=1)


def asking_jobs(storm, number):
    """Add jobs that ask the database, and fail if it gives them an answer to somebody else."""
    return storm.jobs_each_second(number, function="app.storm.ask", args=[str(storm.evidence), QUESTIONS])


def hung_jobs(number):
    """Add jobs whose modules can't be imported, as they never end; return the query for them."""
    names = [f"hung {n}" for n in range(number)]
    Job.objects.bulk_create(
        [Job(name=name, function=f"app.hung.h{n}.run", schedule="* * * * * *") for n, name in enumerate(names)]
    )
    return Job.objects.filter(name__in=names)


def failed(jobs):
    return Log.objects.filter(job__in=jobs, status=Log.Status.FAILED).exists()
