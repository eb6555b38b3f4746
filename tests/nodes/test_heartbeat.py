"""How a node shows that it is alive, and what that costs."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext
from nodes import cron, nodes, until
from rivals import rival

import cronkite
from cronkite.database import clock
from cronkite.models import Job, Log, Node
from cronkite.nodes import heartbeat, ticks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def name(settings):
    settings.CRONKITE_NODE = "here"
    return "here"


def statements():
    """Return the statements of an idle tick."""
    with CaptureQueriesContext(connection) as queries:
        ticks.tick(workers=4)
    return [query["sql"].split()[0] for query in queries]


def test_an_idle_tick_costs_one_statement_more(make_job):
    make_job()
    ticks.tick(workers=4)
    # MySQL and MariaDB are told first for how long to wait for the row.
    limit = ["SET"] if connection.vendor == "mysql" else []
    assert statements() == ["SELECT", *limit, "UPDATE"]


def test_the_first_tick_of_a_node_makes_its_row():
    ticks.tick(workers=4)
    node, now = Node.objects.get(), clock.now("default")
    assert (node.name, node.stays, node.version) == ("here", False, cronkite.__version__)
    assert now - timedelta(minutes=1) < node.started_at == node.ticked_at <= now
    # Both clocks are this machine's.
    assert abs(node.skew) < 60


def test_each_tick_moves_the_sign_of_life():
    ticks.tick(workers=4)
    Node.objects.update(ticked_at=clock.Now() - timedelta(hours=1), started_at=clock.Now() - timedelta(hours=2))
    ticks.tick(workers=4)
    node, now = Node.objects.get(), clock.now("default")
    assert node.ticked_at > now - timedelta(minutes=1)
    assert node.started_at < now - timedelta(hours=1)


def test_a_tick_that_has_something_to_run_shows_itself_too(make_job):
    make_job(due=0)
    ticks.tick(workers=0)
    assert Node.objects.get().name == "here"
    assert Log.objects.get().status == Log.Status.SUCCEEDED


def test_the_skew_is_how_far_the_nodes_clock_is_ahead():
    now = clock.now("default")
    assert Node(ticked_at=now, clock_at=now + timedelta(hours=2)).skew == 7200
    assert Node(ticked_at=now).skew is None


def test_nodes_that_were_not_seen_for_a_week_are_forgotten_when_a_new_one_comes():
    now = clock.now("default")
    for name, days in (("gone", 8), ("away", 6)):
        Node.objects.create(name=name, ticked_at=now - timedelta(days=days), started_at=now - timedelta(days=30))
    ticks.tick(workers=4)
    assert set(Node.objects.values_list("name", flat=True)) == {"here", "away"}


def test_two_first_ticks_at_once_make_one_row(monkeypatch):
    """The second to insert finds that the row is there, which is as good."""
    update = type(Node.objects.all()).update

    def early(queryset, **columns):
        changed = update(queryset, **columns)
        if not Node.objects.exists():
            Node.objects.create(**{"started_at": clock.Now(), **columns, "name": "here"})
        return changed

    monkeypatch.setattr(type(Node.objects.all()), "update", early)
    ticks.tick(workers=4)
    assert Node.objects.count() == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows")
@pytest.mark.parametrize("is_new", [True, False])
def test_an_idle_tick_does_not_wait_long_for_its_nodes_row(caplog, is_new):
    """Another transaction has locked the row, or has inserted one of that name."""
    if not is_new:
        ticks.tick(workers=4)

    def hold():
        if is_new:
            Node.objects.create(name="here", ticked_at=clock.Now(), started_at=clock.Now())
        list(Node.objects.select_for_update())

    with rival(hold):
        ticks.tick(workers=4)
        assert "Node here can't show that it is alive. It goes on with its jobs." in caplog.text


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OperationalError("attempt to write a readonly database"), "It goes on with its jobs."),
        (ProgrammingError('relation "cronkite_node" does not exist'), "manage.py migrate"),
    ],
)
@pytest.mark.parametrize("due", [None, 0])
def test_a_heartbeat_that_fails_keeps_no_job_from_running(make_job, caplog, error, advice, due):
    make_job(due=due)

    def refuse(execute, sql, params, many, context):
        if "cronkite_node" in sql:
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        ticks.tick(workers=0)
    assert "Node here can't show that it is alive." in caplog.text
    assert advice in caplog.text
    assert Log.objects.count() == (0 if due is None else 1)


def test_within_a_callers_transaction_nothing_is_written():
    """The row would stay locked until the caller's transaction ends, for each tick on this machine."""
    with transaction.atomic():
        Job.process_queue()
    assert not Node.objects.exists()


def test_a_loop_shows_itself_at_its_start_and_goes_on():
    now = clock.now("default")
    long_ago = now - timedelta(days=2)
    Node.objects.create(name="node-1", ticked_at=long_ago, started_at=long_ago)
    with nodes(("cron", "loop"), script="restless.py") as (loop,):
        first = until(lambda: Node.objects.filter(name="node-1", stays=True).first())
        assert first.started_at >= now
        later = until(lambda: Node.objects.filter(name="node-1", ticked_at__gt=first.ticked_at).first())
        assert later.started_at == first.started_at
        assert later.stopped_at is None
        loop.signal(signal.SIGTERM)
        assert loop.wait() == 0
    assert Node.objects.get(name="node-1").stopped_at >= now


def test_a_node_that_comes_back_is_not_taken_for_stopped():
    ticks.tick(workers=4)
    heartbeat.leave("here")
    assert Node.objects.get().stopped_at is not None
    ticks.tick(workers=4)
    assert Node.objects.get().stopped_at is None


def test_a_last_word_that_fails_keeps_no_node_from_ending(caplog):
    def refuse(execute, sql, params, many, context):
        raise OperationalError("attempt to write a readonly database")

    with connection.execute_wrapper(refuse):
        heartbeat.leave("here")
    assert "Node here can't show that it ends" in caplog.text
    with transaction.atomic():
        heartbeat.leave("here")


def test_a_tick_of_a_real_node_is_seen():
    cron(name="web-1")
    cron(name="web-2")
    assert list(Node.objects.values_list("name", flat=True)) == ["web-1", "web-2"]


def test_a_busy_node_claims_first_and_shows_itself_then(make_job, monkeypatch):
    order = []
    beat = heartbeat.beat
    monkeypatch.setattr("cronkite.nodes.node.COURTESY", 600)
    monkeypatch.setattr(heartbeat, "beat", lambda *a, **k: (order.append("beat"), beat(*a, **k)))
    monkeypatch.setattr("app.jobs.ok", noting(order), raising=True)
    make_job(due=0)
    ticks.tick(workers=0)
    assert order == ["run", "beat"]


def noting(order):
    def ok():
        order.append("run")

    ok.__module__ = "app.jobs"
    return ok
