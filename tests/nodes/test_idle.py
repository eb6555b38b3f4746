"""A connection that has been idle may be dead: servers, poolers and firewalls end such. That is nobody's to hear of."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import nullcontext, suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from conftest import due
from deciding import decide
from django.db import DatabaseError, Error, OperationalError, connection, connections, transaction
from nodes import PATIENCE, cut_connections, nodes, processes, until

from cronkite import requests
from cronkite.claims import claiming, concluding, holding, seats
from cronkite.code.outcomes import Outcome
from cronkite.database import clock, quirks, waits
from cronkite.engines import django_tasks
from cronkite.engines.couriers import Couriers
from cronkite.models import Job, Log, Node, Task
from cronkite.nodes import heartbeat, ticks
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.dispatch import Dispatch
from cronkite.runs import onlookers, runner
from cronkite.schedules.catch_up import Decision

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no connections that a server could end"),
]

Status = Log.Status
DONE = Outcome(Status.SUCCEEDED)


def cut():
    """Have the server end this thread's connection, as one that has been idle for too long."""
    connection.ensure_connection()
    other = connection.copy()
    ask, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s, 10000)"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL %s"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ask)
        (number,) = cursor.fetchone()
    with other.cursor() as cursor:
        cursor.execute(end, [number])
        if connection.vendor == "mysql":
            # It may take the server a moment, in which the rows that the connection has locked stay so.
            until(lambda: number not in [process["Id"] for process in processes(cursor)])
    other.close()


@pytest.fixture
def job(make_job):
    return make_job(due=0)


@pytest.fixture(autouse=True)
def silence(caplog):
    """Fail if anything was said that is not for who wants to know everything."""
    yield caplog
    assert [record.getMessage() for record in told(caplog)] == []


def told(caplog):
    """Return what we have said that matters. A pool says of its own what it throws away."""
    return [record for record in caplog.records if record.name == "cronkite" and record.levelno > logging.INFO]


def claim(job):
    return claiming.claim(due(job), decide(due(job)), "node")


def test_a_look(job):
    agenda = Agenda(stays=True)
    agenda.look(set())
    cut()
    agenda.look(set())
    assert agenda.waiting() == 1


def test_the_beginning_of_a_node(job):
    """Between its first look, or what a loop says of itself, and its work."""
    cut()
    with waits.impatient("default"):
        heartbeat.beat("node", stays=True)
        assert Node.objects.get().name == "node"


def test_a_claim(job, in_steps):
    read = due(job)
    cut()
    assert claiming.claim(read, decide(read), "node") is not None


def test_a_claim_for_who_asked(job):
    requests.ask(job, "ada")
    read = Job.objects.agenda().get()
    cut()
    assert claiming.claim_asked(read, "node") is not None


def test_a_claim_by_hand(job):
    cut()
    assert job.run() is not None


def test_slots_that_are_passed_over(job):
    read = due(job)
    cut()
    assert claiming.why_missed(read) == "no node ticked in time"
    cut()
    assert claiming.pass_over(read, Decision(None, 1, read.next_run, decide(read).next_run, "because"), "node")


def test_a_doubt(job):
    taken = claim(job)
    cut()
    assert claiming.settle(taken) == taken


def test_a_renewal(job):
    taken = claim(job)
    before = Job.objects.get(pk=job.pk).locked_at
    cut()
    assert holding.renew([taken]) == []
    assert Job.objects.get(pk=job.pk).locked_at > before


def test_who_looks_at_runs_and_what_they_have_written(job):
    taken = claim(job)
    onlookers.look(Log.objects.get())
    cut()
    assert onlookers.watched([taken]) == [taken]
    cut()
    onlookers.show(taken, "so far")
    assert Log.objects.get().output == "so far"


def test_which_groups_are_full(make_job):
    one, other = (make_job(name=name, due=0, group="reports") for name in "ab")
    assert claim(one) is not None
    cut()
    assert seats.full([other]) == {"reports"}


def test_that_a_function_turns_out_to_be_a_task(job):
    dispatch = Dispatch("node", Agenda(stays=True), SimpleNamespace(lived_through=nullcontext), Couriers(lambda: None))
    cut()
    dispatch.note(job, "celery")
    assert Job.objects.get().engine == "celery"


def test_when_a_job_begins_that_begins_later(make_job):
    make_job(due=0, jitter=3600)
    agenda = Agenda(stays=True)
    agenda.look(set())
    Job.objects.all().write(jittered_slot=None, jittered_to=None)
    cut_before(agenda.look, "UPDATE")
    job = Job.objects.get()
    assert job.jittered_slot == job.next_run


def test_the_first_look_of_a_loop(job):
    cut()
    Agenda(stays=True).look(set())


def test_which_tasks_are_asked_about(job):
    at = clock.now("default")
    handed = {"engine": "django.tasks", "backend": "db", "task_id": "1", "created": at, "ask_at": at}
    Task.objects.create(job=job, fence=1, **handed)
    Job.objects.filter(pk=job.pk).write(follow_at=at)
    read = list(Job.objects.agenda())
    cut()
    assert [task.task_id for task in concluding.reserve(read, 10)[1]] == ["1"]


def test_what_became_of_tasks():
    unknown = "00000000-0000-0000-0000-000000000001"
    cut()
    assert list(django_tasks.tell(Job(), "db", [unknown])) == [(unknown, None)]


def cut_before(action, word):
    """Do it; before the first statement that begins with ``word``, the connection is found to be dead."""
    cuts = []

    def cutting(execute, sql, params, many, context):
        if sql.startswith(word) and not cuts:
            cuts.append(word)
            cut()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cutting):
        action(set())
    assert cuts


def test_an_end(job):
    taken = claim(job)
    cut()
    assert runner.record(taken, DONE, pause=pytest.fail)
    assert Log.objects.get().status == Status.SUCCEEDED


def test_a_sign_of_life():
    heartbeat.beat("here", stays=False)
    before = Node.objects.get().ticked_at
    cut()
    heartbeat.beat("here", stays=False)
    assert Node.objects.get().ticked_at > before


class Never:
    """A pause that nobody is to make."""

    def __radd__(self, other):
        pytest.fail("the node waits, as in an outage")


@pytest.mark.parametrize("joined", [True, False])
def test_a_node_loses_no_time(make_job, monkeypatch, joined):
    """Whatever it is that finds the connection dead."""
    if not joined:
        monkeypatch.setattr(quirks, "can_join_writes", lambda connection: False)
    monkeypatch.setattr("cronkite.nodes.outages.OUTAGE_PAUSE", Never())
    for name in ("first", "second"):
        make_job(name=name, due=0)
    cuts = []

    def cutting(execute, sql, params, many, context):
        word = sql.split()[0]
        # In the middle of a transaction that has just begun, none has been idle.
        if word not in cuts and params and "cronkite_job" in sql and not (joined and connection.in_atomic_block):
            cuts.append(word)
            cut()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cutting):
        ticks.tick(workers=0)
    assert cuts
    assert [log.status for log in Log.objects.all()] == [Status.SUCCEEDED] * 2


@pytest.mark.parametrize("is_open", [True, False])
def test_all_connections_of_a_pool_may_have_been_idle(job, is_open):
    if "pool" not in connection.settings_dict["OPTIONS"]:
        pytest.skip("these connections are of no pool")
    if not is_open:
        connection.close()
    own = connection.copy()
    own.settings_dict["OPTIONS"] = {k: v for k, v in own.settings_dict["OPTIONS"].items() if k != "pool"}
    others = " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with own.cursor() as cursor:

        def are_open():
            # By the server: the pool counts those that it is about to open.
            cursor.execute(f"SELECT count(*){others}")
            return cursor.fetchone()[0] >= connection.pool.min_size

        until(are_open)
        cursor.execute(f"SELECT pg_terminate_backend(pid, 10000){others}")
        assert len(cursor.fetchall()) >= connection.pool.min_size
    own.close()
    agenda = Agenda()
    agenda.look(set())
    read = agenda.take()
    assert claiming.claim(read, decide(read), "node") is not None


def test_a_loop_whose_connections_never_live_long(make_job, evidence):
    """Each waits longer than the server lets it: the node's for the next slot, the worker's for the next end."""
    make_job("app.jobs.note", schedule="* * * * * */15", args=[str(evidence)])
    options = dict(connection.settings_dict["OPTIONS"])
    # Not a second or so: on a busy machine, a node may be stalled for that between connecting anew and its statement.
    impatient = {
        "postgresql": "options=-c idle_session_timeout=5000",
        "mysql": "init_command=SET SESSION wait_timeout=5",
    }[connection.vendor]
    assert not options.keys() & {"options", "init_command"}
    with nodes(
        ("cron", "loop", "--workers", "1"),
        CRONKITE_TEST_OPTIONS=impatient,
        CRONKITE_TEST_LOG="1",
        CRONKITE_TEST_BEAT="10",
    ) as (loop,):
        # Of two slots in a row, one comes five seconds or more after the last sign of life.
        until(lambda: len(evidence.starts()) >= 3, patience=3 * PATIENCE)
        loop.signal(signal.SIGTERM)
        assert loop.wait() == 0
    for alarm in ("can't", "does not answer", "The database is back", "may be claimed"):
        assert alarm not in loop.output


def test_a_run_by_hand_whose_connections_are_cut_keeps_its_lock(make_job, tmp_path, lock_timeout):
    """The connection of its renewals, and its own, which is idle for as long as the function runs."""
    # A renewal each two seconds, so that the cut does not come in the midst of the next.
    lock_timeout(8)
    job = make_job("app.jobs.wait_for", args=[str(tmp_path / "go")])

    def watch():
        try:
            first = until(lambda: Job.objects.get(pk=job.pk).locked_at)
            renewed = until(lambda: Job.objects.filter(pk=job.pk, locked_at__gt=first).first()).locked_at
            cut_connections()
            until(lambda: Job.objects.filter(pk=job.pk, locked_at__gt=renewed + timedelta(seconds=1)).exists())
        finally:
            (tmp_path / "go").touch()
            connections.close_all()

    watcher = threading.Thread(target=watch)
    watcher.start()
    job.run()
    watcher.join(60)
    assert Log.objects.get().status == Status.SUCCEEDED


# What is no idle connection.


@pytest.fixture
def failing():
    """Have the statements that begin with ``word`` fail, over connections that live."""
    failed = []

    def fail(word):
        def wrapper(execute, sql, params, many, context):
            if sql.startswith(word):
                failed.append(sql)
                raise OperationalError("disk full")
            return execute(sql, params, many, context)

        return connection.execute_wrapper(wrapper)

    return fail, failed


def test_what_fails_over_a_connection_that_lives_is_not_tried_anew(job, failing):
    fail, failed = failing
    with fail("SELECT"), pytest.raises(DatabaseError):
        claiming.why_missed(job)
    assert len(failed) == 1


def test_what_fails_twice_is_told(job, caplog):
    taken = claim(job)
    pauses = []

    def cutting(execute, sql, params, many, context):
        if "cronkite_log" in sql and len(pauses) < 2:
            cut()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cutting):
        assert runner.record(taken, DONE, pause=pauses.append)
    assert [record.levelname for record in told(caplog)] == ["ERROR"] * 2
    assert "can't be written yet" in told(caplog)[0].getMessage()
    caplog.clear()


def test_a_callers_transaction_is_not_gone_on_with_over_another_connection(job):
    with suppress(Error), transaction.atomic():
        cut()
        with pytest.raises(DatabaseError):
            claiming.why_missed(job)
    connections["default"].close()
