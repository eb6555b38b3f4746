"""Storms while the world breaks: the database's server, the network, the clocks, the disk, and half of a deployment.

Whatever happens, no slot is run twice, all are accounted for, and the nodes live on.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction

from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.models.logs import Status
from databases import parse_url
from databases.levels import isolation_level
from proof.race.faults import clocks, pooler, proxy, readonly
from proof.race.fleet import POLL
from proof.race.storm import LOCK_TIMEOUT, LONG_LOCK_TIMEOUT, Storm, assert_kept, fleet

pytestmark = pytest.mark.django_db(transaction=True)

#: As most of the storms here have it: loops that take over what shows no life.
TIMEOUT = {"lock_timeout": LOCK_TIMEOUT}
#: As those have it in which nobody is to be taken for dead.
STEADY = {"lock_timeout": 60}
#: How long (seconds) the server is away in the longest outage. A tick would give up after 30; a loop never does.
OUTAGE = 20
#: When every node should have had some of so many jobs.
MOST_JOBS = 4000


def loops(storm: Storm, number: int = 4, *, workers: int = 1, options=None):
    """Have loops in the storm."""
    return fleet(storm.folder, number, "cron", "loop", "--workers", str(workers), options=options or TIMEOUT)


def weathered(storm: Storm, nodes, say, *what):
    """Let the storm end; hold it against the promises, and the nodes to having lived through it. Return the verdict."""
    storm.drive(nodes, storm.all_taken)
    return stopped(storm, nodes, say, *what)


def stopped(storm: Storm, nodes, say, *what):
    """As :func:`weathered`, for a storm that has no end of its own."""
    nodes.stop()
    verdict = storm.audit(nodes)
    say(f"{', '.join(map(str, what))}: {verdict}")
    assert_kept(verdict)
    assert not nodes.deaths
    assert nodes.started == nodes.number, "the same nodes all the time"
    return verdict


#: What the log says of a claim that was committed, and that nobody has run.
UNBEGUN = ("took it over", "showed too late to run it", "unlocked by the storm")


def unbegun(storm: Storm):
    """Return the logs of the claims that nobody has run; fail unless each says why.

    A claim may be committed, and its node not hear of it before the lock is stale, or before it has given it up, or is
    being stopped.
    """
    begun = {(run.job, run.fence) for run in storm.runs()}
    logs = [log for log in storm.logs() if (log.job_id, log.fence) not in begun]
    stopped = [log for log in logs if (log.status, log.reason) == (Status.INTERRUPTED, "its node was stopped")]
    lost = [log for log in logs if log.status == Status.LOST and any(words in log.reason for words in UNBEGUN)]
    assert len(stopped) + len(lost) == len(logs), [(log.status, log.reason) for log in logs]
    return logs


# The server.


def test_loops_live_on_when_the_server_is_killed_and_comes_back(storm, server, say):
    storm.jobs_in_arrears(60, 3)
    with loops(storm) as nodes:
        for n in (1, 2):
            storm.drive(nodes, lambda n=n: storm.progress() >= 50 * n)
            connection.close()
            server.restart()
            storm.tally.add(restarts=1)
        verdict = weathered(storm, nodes, say, "server killed twice")
    assert verdict.slots + len(unbegun(storm)) == 180


def test_loops_live_through_an_outage(storm, server, say):
    """What runs goes on; what fell due meanwhile is run or recorded as missed afterwards."""
    storm.jobs_each_second(6, seconds=0.5)
    with loops(storm) as nodes:
        storm.drive(nodes, lambda: storm.progress() >= 12)
        connection.close()
        with server.held_down():
            time.sleep(OUTAGE)  # what is tested is the time itself
        storm.tally.add(restarts=1)
        before = storm.progress()
        storm.drive(nodes, lambda: storm.progress() >= before + 12)
        verdict = stopped(storm, nodes, say, f"server away for {OUTAGE} s")
    assert verdict.missed


# The network.


def test_a_connection_that_dies_at_commit_leaves_no_doubt(storm, server, say):
    """Whether the COMMIT was done or not, the node finds out, and the slot runs once."""
    storm.jobs_in_arrears(40, 2)
    with proxy.proxied() as network, network.answers_lost(0.1), network.commits_lost(0.1):
        with loops(storm, options={**TIMEOUT, "DATABASE_URL": network.url}) as nodes:
            verdict = weathered(storm, nodes, say, "cut at COMMIT", network)
        assert network.counts["unanswered"]
        assert network.counts["undelivered"]
    assert verdict.slots + len(unbegun(storm)) == 80


#: The lowest of the isolation levels, at which MySQL and MariaDB read what may yet be rolled back.
LOWEST = {
    "pg": "options=-c default_transaction_isolation=read%5C%20uncommitted",
    "mysql": "isolation_level=read uncommitted",
    "mariadb": "isolation_level=read uncommitted",
}


def at_the_lowest_level(network) -> str:
    """Return the URL of the database by way of the proxy, and at READ UNCOMMITTED."""
    return f"{network.url}?{LOWEST[os.environ['CRONKITE_TEST_DB']]}"


def test_a_commit_that_the_server_has_yet_to_hear_of_is_none(storm, server, say):
    """Its client is cut off; the server has the transaction open for seconds, and then ends it, this way or that."""
    storm.jobs_in_arrears(40, 2)
    with proxy.proxied() as network, network.commits_held(0.1), network.commits_delayed(0.1):
        with loops(storm, options={**TIMEOUT, "DATABASE_URL": at_the_lowest_level(network)}) as nodes:
            verdict = weathered(storm, nodes, say, "COMMITs swallowed", network)
        assert network.counts["held"]
        assert network.counts["delayed"]
    assert verdict.slots + len(unbegun(storm)) == 80


@pytest.mark.saboteur
def test_where_a_claim_is_settled_by_a_dirty_read_slots_are_run_twice(storm, server, tally):
    """The saboteur of the storm above."""
    if connection.vendor != "mysql":
        pytest.skip("only MySQL and MariaDB read what is not committed")
    storm.jobs_in_arrears(40, 2)
    with proxy.proxied() as network, network.commits_held(0.2):
        blind = {"CRONKITE_TEST_SABOTAGE": "dirty-settle", "DATABASE_URL": at_the_lowest_level(network)}
        with loops(storm, options={**TIMEOUT, **blind}) as nodes:
            storm.drive(nodes, storm.duplicates, lambda: storm.all_taken() and storm.jobs_in_arrears(40, 2))
    tally.add(saboteurs=1)


def test_connections_are_cut_at_random_moments(storm, server, say):
    """Goes on until enough were: a storm may be over before its first cut."""
    with (
        proxy.proxied() as network,
        network.cuts(pause=1),
        loops(storm, options={**TIMEOUT, "DATABASE_URL": network.url}) as nodes,
    ):
        while network.counts["cut"] < 10:
            storm.jobs_in_arrears(40, 3)
            storm.drive(nodes, storm.all_taken)
        verdict = weathered(storm, nodes, say, "cut", network)
    assert verdict.slots + len(unbegun(storm)) == 3 * len(storm.jobs)


#: Options of connections that the server ends when they have been idle for five seconds: on a busy machine, a node may
#: be stalled for more than one between connecting anew and what it wanted to say.
IMPATIENT = {
    "pg": "options=-c idle_session_timeout=5000",
    "mysql": "init_command=SET SESSION wait_timeout=5",
    "mariadb": "init_command=SET SESSION wait_timeout=5",
}
#: What a node says of an outage.
ALARMS = ("can't be written yet", "does not answer as it should", "may be claimed")


def idling(storm, **options):
    """Have nodes in the storm that do something every twelve seconds."""
    storm.jobs_each_second(3, schedule="* * * * * */12")
    url = f"{os.environ['DATABASE_URL']}?{IMPATIENT[os.environ['CRONKITE_TEST_DB']]}"
    return loops(storm, 3, options={**STEADY, "CRONKITE_TEST_POLL": "12", "DATABASE_URL": url, **options})


def test_connections_that_are_ended_when_they_are_idle_are_no_outage(storm, server, say):
    with idling(storm) as nodes:
        storm.drive(nodes, lambda: storm.started() >= 12)
        stopped(storm, nodes, say, "idle connections ended")
        assert not any(map(nodes.said, ALARMS))


@pytest.mark.saboteur
def test_where_nothing_is_tried_anew_idle_connections_raise_alarms(storm, server, tally):
    """The saboteur of the storm above."""
    with idling(storm, CRONKITE_TEST_SABOTAGE="only-once") as nodes:
        storm.drive(nodes, lambda: any(map(nodes.said, ALARMS)))
    tally.add(saboteurs=1)


def test_nodes_whose_connections_are_half_open_lose_their_locks_and_nothing_else(storm, server, say):
    """Two nodes hear nothing for longer than the lock timeout; two others, by another way, take over."""
    go = jobs_that_wait(storm, 6)
    held = Job.objects.filter(lock__isnull=False, locked_by__in=["node-1", "node-2"])
    with proxy.proxied() as network:
        # Nobody is taken for dead before: both hold a lock when the silence begins.
        options = {"lock_timeout": LONG_LOCK_TIMEOUT}
        silent = {**options, "DATABASE_URL": network.url}
        with loops(storm, options=lambda n: silent if n <= 2 else options) as nodes:
            storm.drive(nodes, lambda: set(held.values_list("locked_by", flat=True)) == {"node-1", "node-2"})
            with network.silence():
                claims = list(held.values_list("pk", "fence"))
                go.touch()
                before = storm.progress()
                storm.drive(nodes, lambda: storm.progress() >= before + 30 and are_lost(claims))
            began = storm.started()
            storm.drive(nodes, lambda: {"node-1", "node-2"} & {run.node for run in storm.runs()[began:]})
            verdict = stopped(storm, nodes, say, "half-open connections")
    assert len(claims) == 2
    assert verdict.takeovers >= 2


def are_lost(claims):
    """Tell whether all of the claims, by their jobs and fencing tokens, are lost."""
    logs = [Log.objects.filter(job=job, fence=fence, status=Status.LOST) for job, fence in claims]
    return all(log.exists() for log in logs)


# The clocks.


def test_nodes_whose_clocks_are_wrong_change_nothing(storm, say):
    """Five hours fast, seven slow, right, and one that jumps.

    On SQLite, where a node's clock is its database's, all jump together, and runs may be taken for dead after a jump;
    elsewhere nobody is, as nothing has happened.
    """
    each = connection.vendor != "sqlite"
    storm.jobs_each_second(6)
    with ExitStack() as stack:
        jumping = stack.enter_context(clocks.clock())
        shifts = {1: timedelta(hours=5), 2: timedelta(hours=-7), 3: timedelta(0)}
        wrong = {n: stack.enter_context(clocks.clock(shift)) if each else jumping for n, shift in shifts.items()}
        wrong[4] = jumping
        with loops(storm, options=lambda n: {**STEADY, **wrong[n].environment()}) as nodes:
            storm.drive(nodes, lambda: len(storm.winners()) == 4)
            for hours in (3, -2, 0):
                jumping.set(timedelta(hours=hours))
                before = storm.progress()
                # On SQLite nothing falls due for hours after a jump back, and that is as it should be.
                storm.drive(nodes, lambda before=before: not each or storm.progress() >= before + 12)
            verdict = stopped(storm, nodes, say, "wrong clocks")
    assert each is False or verdict.takeovers == 0


def test_a_database_whose_clock_is_set_back_repeats_nothing(storm, server, say):
    """By 90 minutes: what has run in that time does not run again. Then it is set right, and all goes on."""
    storm.jobs_each_second(6)
    with loops(storm) as nodes:
        storm.drive(nodes, lambda: storm.progress() >= 30)
        with server.clock_set(timedelta(minutes=-90)):
            for _ in range(2):  # a claim that began before the clock was set may wait for the row, and come through
                storm.drive(nodes, storm.is_quiet)
            ran = storm.started()
            assert Job.objects.filter(next_run__gt=clock.now("default") + timedelta(minutes=80)).count() == 6
            time.sleep(2 * float(POLL))  # so all have looked again: that nothing happens has no event to wait for
            assert storm.started() == ran
        before = storm.progress()
        storm.drive(nodes, lambda: storm.progress() >= before + 12)
        stopped(storm, nodes, say, "database's clock set back by 90 minutes, and right again")


# How the database keeps transactions apart, and who stands before it.

SNAPSHOTS = "init_command=SET innodb_snapshot_isolation=ON"
MODES = {
    "pg": {
        "read uncommitted": "options=-c default_transaction_isolation=read%5C%20uncommitted",
        "read committed": "options=-c default_transaction_isolation=read%5C%20committed",
        "repeatable read": "options=-c default_transaction_isolation=repeatable%5C%20read",
        "serializable": "options=-c default_transaction_isolation=serializable",
        "repeatable read, by the driver": "isolation_level=repeatable read",
        "serializable, by the driver": "isolation_level=serializable",
    },
    "mysql": {
        "read uncommitted": "isolation_level=read uncommitted",
        "read committed": "isolation_level=read committed",
        "repeatable read": "isolation_level=repeatable read",
        "serializable": "isolation_level=serializable",
    },
    "mariadb": {
        "read uncommitted": "isolation_level=read uncommitted",
        "read committed": "isolation_level=read committed",
        "repeatable read, snapshots": f"isolation_level=repeatable read&{SNAPSHOTS}",
        "serializable, snapshots": f"isolation_level=serializable&{SNAPSHOTS}",
        "repeatable read": "isolation_level=repeatable read&init_command=SET innodb_snapshot_isolation=OFF",
        "serializable": "isolation_level=serializable&init_command=SET innodb_snapshot_isolation=OFF",
    },
    "sqlite": {
        "write-ahead log, immediate": "transaction_mode=IMMEDIATE&init_command=PRAGMA journal_mode=WAL",
        "write-ahead log, deferred": "transaction_mode=DEFERRED&init_command=PRAGMA journal_mode=WAL",
        "rollback journal, immediate": "transaction_mode=IMMEDIATE&init_command=PRAGMA journal_mode=DELETE",
        "rollback journal, deferred": "transaction_mode=DEFERRED&init_command=PRAGMA journal_mode=DELETE",
    },
}


@pytest.mark.parametrize("mode", MODES[os.environ.get("CRONKITE_TEST_DB", "sqlite")].items(), ids=lambda mode: mode[0])
def test_each_isolation_level_will_do(storm, say, mode):
    """Jobs in arrears, and hot ones: at each second, all nodes want the same."""
    name, options = mode
    url = f"{os.environ['DATABASE_URL']}?{options}"
    storm.jobs_in_arrears(30, 2)
    storm.jobs_each_second(4)
    with (
        as_in(url, name.partition(",")[0]),
        loops(storm, 3, options={**TIMEOUT, "DATABASE_URL": url}, workers=0) as nodes,
    ):
        storm.drive(nodes, lambda: storm.progress() >= 90)
        stopped(storm, nodes, say, name)


@contextmanager
def as_in(url: str, level: str):
    """Have this process's connection as that of the nodes, and its transactions at the ``level``, by the server's word.

    The journal of SQLite, which has no levels, is changed only by who is alone.
    """
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = {**before, "OPTIONS": parse_url(url)["OPTIONS"]}
    try:
        with transaction.atomic():
            assert isolation_level() in (level, None)
        yield
    finally:
        connection.close()
        connection.settings_dict = before


def test_nodes_share_few_connections_of_a_pooler(storm, say):
    """PgBouncer in transaction mode: each transaction may have another connection."""
    if connection.vendor != "postgresql":
        pytest.skip("PgBouncer is for PostgreSQL")
    storm.jobs_in_arrears(40, 3)
    with pooler.pooled(size=3) as url, loops(storm, workers=2, options={**TIMEOUT, "DATABASE_URL": url}) as nodes:
        weathered(storm, nodes, say, "pgbouncer, 12 clients and more on 3 connections")


# The disk.


def jobs_that_wait(storm, number):
    """Add jobs that fall due each second, and end when there is a file; return that."""
    go = storm.folder / "go"
    storm.jobs_each_second(number, function="app.storm.run_until", args=[str(storm.evidence), str(go)])
    return go


def test_a_run_whose_end_cannot_be_written_keeps_its_lock_until_it_can(storm, say):
    """Read-only, or a full disk. The end is reported on the logger, again and again, and written when it can be."""
    go = jobs_that_wait(storm, 4)
    with loops(storm, options={**STEADY, **readonly.environment()}, workers=2) as nodes:
        storm.drive(nodes, lambda: len(storm.unended()) == 4)
        with readonly.writes_refused(nodes.nodes.values()):
            cut_short = storm.unended()
            go.touch()
            storm.drive(nodes, lambda: nodes.said("can't be written yet") >= len(cut_short))
            held = {job.pk: job.fence for job in Job.objects.filter(lock__isnull=False)}
            assert held.items() >= {(run.job, run.fence) for run in cut_short}
        storm.drive(nodes, lambda: all(storm.log_of(run).status != Status.RUNNING for run in cut_short))
        verdict = stopped(storm, nodes, say, f"the ends of {len(cut_short)} runs could not be written for a while")
    assert len(cut_short) == 4
    assert verdict.takeovers == 0


def test_a_run_whose_end_is_never_written_is_lost_when_its_lock_is_stale(storm, say):
    """As above, but the node dies before: the lock stays until its timeout, and then the next slot is run."""
    go = jobs_that_wait(storm, 2)
    # Those that come after are not to be taken for dead, too.
    options = {"lock_timeout": LONG_LOCK_TIMEOUT, **readonly.environment()}
    with loops(storm, options=options, number=1, workers=2) as nodes:
        storm.drive(nodes, lambda: len(storm.unended()) == 2)
        with readonly.writes_refused(nodes.nodes.values()):
            cut_short = storm.unended()
            go.touch()
            storm.drive(nodes, lambda: nodes.said("can't be written yet") >= len(cut_short))
            nodes.end()
        nodes.tend()
        began = storm.started()
        storm.drive(nodes, lambda: {run.job for run in storm.runs()[began:]} >= {run.job for run in cut_short})
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"the ends of {len(cut_short)} runs were never written: {verdict}")
    assert_kept(verdict)
    assert {storm.log_of(run).status for run in cut_short} == {Status.LOST}
    assert verdict.takeovers == len(cut_short) == 2


# A deployment that is half done.


def test_a_node_that_lacks_the_function_leaves_it_to_one_that_has_it(storm, say):
    """Nothing is missed, and what both have is shared as ever."""
    newer = storm.jobs_in_arrears(20, 3, function="app.newer.run")
    old = {**STEADY, "CRONKITE_TEST_OLD": "1"}
    with loops(storm, options=lambda n: old if n <= 2 else STEADY) as nodes:
        storm.share(nodes, 40, 3, MOST_JOBS)
        verdict = weathered(storm, nodes, say, "two nodes lack a function")
    keys = {job.pk for job in newer}
    assert {run.node for run in storm.runs() if run.job in keys} <= {"node-3", "node-4"}
    assert len(verdict.winners) == 4
    assert (verdict.slots, verdict.missed) == (3 * len(storm.jobs), 0)
