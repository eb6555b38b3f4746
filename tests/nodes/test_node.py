"""How a node ticks, loops, stops, and lives through the database's absence."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from types import SimpleNamespace

import pytest
from conftest import hourly, make_due
from deadlines import in_time
from django.db import OperationalError, ProgrammingError, connection
from django.test.utils import CaptureQueriesContext
from nodes import cron, cut_connections, nodes, until, until_seen

from cronkite import conf
from cronkite.claims import claiming, holding, skips, verdicts
from cronkite.claims.verdicts import Receipt
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.engines.counter import Sorted
from cronkite.exceptions import DatabaseAway
from cronkite.models import Job, Log, Node
from cronkite.nodes import agenda, node, outages, ticks, unsettled, waiting
from cronkite.nodes.wake import stopped_by_signals
from cronkite.processes.wakes import Wake
from cronkite.runs import pool
from cronkite.runs.here import Here
from cronkite.schedules.catch_up import ALL_CAP, Decision

Status = Log.Status
TICK = ("cron", "--workers", "1")


def statuses():
    return Counter(Log.objects.values_list("status", flat=True))


# A tick.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("jobs", [0, 10, 2000])
def test_an_idle_tick_is_a_look_and_a_sign_of_life_however_many_jobs_there_are(make_job, jobs):
    ticks.tick(workers=4)
    if jobs:
        far = make_job().next_run
        Job.objects.bulk_create(
            [Job(name=str(n), function="app.jobs.ok", schedule="0 0 1 1 *", next_run=far) for n in range(jobs)]
        )
    with CaptureQueriesContext(connection) as queries:
        ticks.tick(workers=4)
    # MySQL and MariaDB are told first for how long to wait for the row.
    limit = ["SET"] if connection.vendor == "mysql" else []
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", *limit, "UPDATE"]


@pytest.mark.django_db(transaction=True)
def test_an_idle_tick_starts_no_worker(make_job, monkeypatch):
    monkeypatch.setattr("cronkite.runs.nursery.Nursery.fork", lambda self: pytest.fail("a worker was started"))
    make_job()
    ticks.tick(workers=4)


@pytest.mark.django_db
def test_a_run_costs_a_constant_number_of_queries(make_job):
    """One look, four statements for the claim, four for the end (BEGIN and COMMIT among them, here as savepoints).

    MySQL and MariaDB have to be told to lock the row before. On PostgreSQL the claim is one in its savepoint, as there
    is a transaction already, and the end is one.
    """
    cost, counts = {"postgresql": 5, "mysql": 10}.get(connection.vendor, 9), []
    for _ in range(3):
        make_job(due=0)
        with CaptureQueriesContext(connection) as queries:
            ticks.tick(workers=0)
        counts.append(len(queries))
    assert counts == [cost] * 3


def test_a_node_waits_for_a_slot_to_the_fraction_of_a_millisecond(monkeypatch):
    """Whoever waits for descriptors counts in milliseconds: asked for 2.5, it would wait for 3."""
    one, asked = node.Node("one", Here(), agenda.Agenda()), []
    wait = one._runs.wait
    monkeypatch.setattr(one._runs, "wait", lambda seconds, wake: asked.append(seconds) or wait(seconds, wake))
    monkeypatch.setattr(one, "_next", lambda: (0.0025, ""))
    with stopped_by_signals(one.stop) as wake:
        began = time.monotonic()
        one._wait(wake)
        assert time.monotonic() - began >= 0.0025
    assert asked == [pytest.approx(0.002)]


@pytest.mark.django_db(transaction=True)
def test_a_tick_waits_for_a_slot_that_is_near(make_job):
    job = make_job(schedule="* * * * * *")
    slot = job.get_schedule().next_after(clock.now("default") + timedelta(seconds=2))
    Job.objects.filter(pk=job.pk).write(next_run=slot, schedule=f"{slot.minute} {slot.hour} * * * {slot.second}")
    ticks.tick(workers=0)
    log = Log.objects.get()
    assert (log.slot, log.status) == (slot, Status.SUCCEEDED)
    assert log.started_at >= slot


@pytest.mark.django_db(transaction=True)
def test_a_tick_does_not_wait_for_a_slot_that_is_far(make_job, settings):
    settings.CRONKITE_LOOKAHEAD = 0
    job = make_job()
    Job.objects.filter(pk=job.pk).write(next_run=clock.now("default").replace(microsecond=0) + timedelta(hours=1))
    ticks.tick(workers=0)
    assert not Log.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_tick_catches_up_on_each_slot_in_turn_if_all_is_wanted(make_job, evidence):
    job = make_job("app.jobs.note", schedule=hourly(), catch_up="all", due=5 * 3600, args=[str(evidence)])
    first = job.next_run
    cron("--workers", "2")
    slots = [datetime.fromisoformat(slot) for _, slot in evidence.starts()]
    assert slots == [first + n * timedelta(hours=1) for n in range(len(slots))]
    assert len(slots) >= 5
    job.refresh_from_db()
    assert job.next_run > clock.now("default")


@pytest.mark.django_db
def test_a_week_of_missed_minutes_is_one_row(make_job, settings):
    # Or the next minute might begin while the tick looks ahead, and be decided on as well.
    settings.CRONKITE_LOOKAHEAD = 0
    make_job(schedule="* * * * *", due=7 * 24 * 3600, catch_up="none", grace=0)
    ticks.tick(workers=0)
    missed = Log.objects.filter(status=Status.MISSED)
    assert missed.count() == 1
    assert missed.get().missed + 1 >= 7 * 24 * 60


@pytest.mark.django_db
def test_all_is_capped(make_job):
    make_job(schedule="* * * * *", due=7 * 24 * 3600, catch_up="all")
    ticks.tick(workers=0)
    assert ALL_CAP <= statuses()[Status.SUCCEEDED] <= ALL_CAP + 2
    assert Log.objects.order_by("slot").first().missed > 7 * 24 * 60 - 2 * ALL_CAP


@pytest.mark.django_db
def test_more_jobs_than_a_page_are_all_run(make_job, monkeypatch):
    monkeypatch.setattr(agenda, "PAGE", 3)
    for number in range(10):
        make_job(name=str(number), due=0)
    ticks.tick(workers=0)
    assert statuses() == {Status.SUCCEEDED: 10}


@pytest.mark.django_db
def test_process_queue_runs_what_is_due_in_this_process(make_job):
    make_job(due=0)
    make_job("app.jobs.fail", due=0)
    make_job(name="later")
    Job.process_queue()
    assert statuses() == {Status.SUCCEEDED: 1, Status.FAILED: 1}


@pytest.mark.django_db(transaction=True)
def test_a_node_can_tick_in_a_thread_that_gets_no_signals(make_job):
    from django.db import connections

    make_job(due=0)

    def tick():
        ticks.tick(workers=0)
        connections.close_all()

    thread = threading.Thread(target=tick)
    thread.start()
    thread.join(60)
    assert statuses() == {Status.SUCCEEDED: 1}


# Functions that this node lacks.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_job_that_cannot_be_imported_here_waits_for_a_node_that_can(make_job, workers):
    job = make_job("late.arrival", due=0)
    printed = cron("--workers", workers)
    assert "Job 'arrival' cannot be run on node" in printed
    assert not Log.objects.exists()
    Job.objects.filter(pk=job.pk).write(function="app.jobs.ok")
    cron("--workers", workers)
    assert statuses() == {Status.SUCCEEDED: 1}


@pytest.mark.django_db(transaction=True)
def test_a_node_with_newer_code_runs_what_another_one_lacks(make_job, tmp_path):
    """Mixed versions: the same function, importable on one node and not on the other."""
    make_job("app.fresh.job", due=0)
    code = tmp_path / "newer"
    code.mkdir()
    (code / "sitecustomize.py").write_text(
        "import sys, types\n"
        "module = types.ModuleType('app.fresh')\n"
        "exec('def job(): return 42', vars(module))\n"
        "module.job.__module__ = 'app.fresh'\n"
        "sys.modules['app.fresh'] = module\n"
    )
    assert "cannot be" in cron(*TICK[1:], name="old")
    assert not Log.objects.exists()
    cron(*TICK[1:], name="new", PYTHONPATH=os.pathsep.join([str(code), *sys.path]))
    log = Log.objects.get()
    assert (log.status, log.result, log.node) == (Status.SUCCEEDED, 42, "new")


@pytest.mark.django_db
def test_after_its_grace_a_slot_that_cannot_be_run_is_missed_for_that_reason(make_job):
    make_job("app.jobs.not_there", due=0, grace=60)
    ticks.tick(workers=0)
    log = Log.objects.get()
    assert log.status == Status.MISSED
    assert "app.jobs" in log.reason
    assert "not_there" in log.reason
    assert "grace of 60 s" in log.reason


@pytest.mark.django_db
def test_a_function_that_is_no_longer_allowed_is_not_run(make_job, settings, caplog):
    make_job(due=0)
    settings.CRONKITE_ALLOWED_FUNCTIONS = ["app.other.*"]
    ticks.tick(workers=0)
    assert not Log.objects.exists()
    assert "cannot be run on node" in caplog.text


# Locks.


@pytest.mark.django_db
def test_a_stuck_job_is_warned_of(make_job, caplog):
    job = make_job(due=0)
    Job.objects.filter(pk=job.pk).write(
        lock="00000000-0000-4000-8000-000000000000", locked_by="web-7", locked_at=clock.Now() - timedelta(hours=2)
    )
    with CaptureQueriesContext(connection) as queries:
        ticks.tick(workers=0)
    assert len(queries) == 1
    assert "is stuck: locked by web-7" in caplog.text
    assert not Log.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_runs_of_one_job_do_not_overlap(make_job, evidence, tmp_path):
    """Promise P3; what falls due meanwhile is missed, and the log says why."""
    go = tmp_path / "go"
    job = make_job("app.jobs.note_and_wait", schedule="* * * * * *", due=0, args=[str(evidence), str(go)])
    with nodes(*[("cron", "loop", "--workers", "2")] * 2) as started:
        until(evidence.texts)
        slot = Job.objects.get(pk=job.pk).last_slot
        until(lambda: clock.now("default") > slot + timedelta(seconds=3))
        until_seen(2)
        go.touch()
        until(lambda: len(evidence.texts()) >= 4)
        for each in started:
            each.signal(signal.SIGTERM)
        assert [each.wait() for each in started] == [0, 0]
    words = [text.split()[0] for text in evidence.texts()]
    assert words == ["begin", "end"] * (len(words) // 2)
    second = Log.objects.filter(slot__gt=slot).order_by("slot").first()
    assert second.missed >= 2
    assert "the run before was going on until" in second.reason


# A loop.


@pytest.mark.django_db(transaction=True)
def test_a_loop_ticks_at_each_slot_and_ends_cleanly_on_sigterm(make_job, evidence):
    job = make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(("cron", "loop")) as (loop,):
        until(lambda: len(evidence.starts()) >= 4)
        loop.signal(signal.SIGTERM)
        assert loop.wait() == 0
    slots = [datetime.fromisoformat(slot) for _, slot in evidence.starts()]
    assert slots == sorted(set(slots))
    job.refresh_from_db()
    assert job.lock is None
    assert not Log.objects.filter(status=Status.RUNNING).exists()


@pytest.mark.django_db(transaction=True)
def test_a_loop_sees_a_job_that_is_new(make_job, evidence):
    with nodes(("cron", "loop"), CRONKITE_TEST_NODE="looper") as (loop,):
        make_job("app.jobs.note", due=0, args=[str(evidence)])
        until(evidence.starts)
        loop.signal(signal.SIGINT)
        assert loop.wait() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", [(), ("loop",)])
def test_a_run_may_finish_within_the_grace_after_sigterm(make_job, evidence, tmp_path, mode):
    go = tmp_path / "go"
    make_job("app.jobs.note_and_wait", due=0, args=[str(evidence), str(go)])
    with nodes(("cron", *mode)) as (each,):
        until(evidence.texts)
        make_job(name="too late", due=0)
        each.signal(signal.SIGTERM)
        go.touch()
        assert each.wait() == 0
    assert [log.status for log in Log.objects.filter(function="app.jobs.note_and_wait")] == [Status.SUCCEEDED]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", [(), ("loop",)])
def test_a_run_is_interrupted_when_the_grace_is_over(make_job, tmp_path, mode):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang", due=0, args=[str(begun)])
    with nodes(("cron", *mode), CRONKITE_TEST_SHUTDOWN_GRACE="0.1") as (each,):
        until(begun.exists)
        each.signal(signal.SIGTERM)
        assert each.wait() == 0
    log = Log.objects.get()
    assert (log.status, log.reason) == (Status.INTERRUPTED, "its node was stopped")
    assert Job.objects.get(pk=job.pk).lock is None


@pytest.mark.django_db(transaction=True)
def test_a_second_signal_ends_the_runs_at_once(make_job, tmp_path):
    begun = tmp_path / "begun"
    make_job("app.jobs.hang", due=0, args=[str(begun)])
    with nodes(("cron", "-v", "2"), CRONKITE_TEST_SHUTDOWN_GRACE="3600", CRONKITE_TEST_LOG="1") as (each,):
        until(begun.exists)
        each.signal(signal.SIGTERM)
        with in_time(each.process):
            while "stops: it claims no more" not in each.process.stdout.readline():
                assert each.process.poll() is None
        each.signal(signal.SIGINT)
        assert each.wait() == 0
    assert statuses() == {Status.INTERRUPTED: 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_workers_a_signal_interrupts_the_run_at_once(make_job, tmp_path, number):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang", due=0, args=[str(begun)])
    with nodes(("cron", "--workers", "0")) as (each,):
        until(begun.exists)
        each.signal(number)
        assert each.wait() == 0, each.output
    assert statuses() == {Status.INTERRUPTED: 1}
    assert Job.objects.get(pk=job.pk).lock is None


@pytest.mark.django_db(transaction=True)
def test_runs_that_take_long_make_room_for_others(make_job, tmp_path, evidence, monkeypatch):
    """Promise P4: as many hanging jobs as there are workers, and still another job is run."""
    for number in range(2):
        make_job("app.jobs.hang", name=f"hang {number}", due=3600, args=[str(tmp_path / f"begun {number}")], timeout=30)
    with nodes(("cron", "--workers", "2"), script="impatient.py", CRONKITE_TEST_SHUTDOWN_GRACE="0") as (each,):
        until(lambda: all((tmp_path / f"begun {number}").exists() for number in range(2)))
        make_job("app.jobs.note", name="patient", due=0, args=[str(evidence)])
        until(evidence.starts)
        each.signal(signal.SIGTERM)
        assert each.wait() == 0


@pytest.mark.django_db(transaction=True)
def test_an_import_that_hangs_delays_no_other_job(make_job, evidence, tmp_path):
    """Promise P4: the function is resolved in a worker, and not in the node; and not in its only one for long."""
    make_job("app.hanging.anything", due=3600)
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    log = tmp_path / "log"
    words = "app.hanging.anything cannot be imported here: its import took longer than 15 s"
    options = {"script": "impatient.py", "CRONKITE_TEST_IMPORT_PATIENCE": "15"}
    with nodes(("cron", "--workers", "1"), log=log, **options) as (each,):
        until(evidence.starts)
        assert words not in log.read_text()
        until(lambda: words in log.read_text())
        each.signal(signal.SIGTERM)
        assert each.wait() == 0
    assert not Log.objects.exclude(status=Status.SUCCEEDED).exists()


@pytest.mark.django_db(transaction=True)
def test_many_imports_that_hang_starve_nobody(make_job, evidence, tmp_path):
    """Promise P4: more of them than workers, each in a module of its own, and tried again and again."""
    for number in range(5):
        make_job(f"app.hung.h{number}.anything", name=f"hung {number}", due=3600)
    for number in range(3):
        make_job("app.jobs.note", name=f"good {number}", due=0, args=[str(evidence), str(number)])
    log = tmp_path / "log"
    with nodes(("cron", "-v", "2", "--workers", "1"), script="impatient.py", log=log) as (each,):
        until(lambda: sorted(evidence.texts()) == list("012"))
        until(lambda: "s, and 2 others take as long" in log.read_text())
        for number in range(5):
            until(lambda number=number: f"app.hung.h{number}.anything cannot be imported here" in log.read_text())
        each.signal(signal.SIGTERM)
        assert each.wait() == 0


@pytest.mark.django_db(transaction=True)
def test_imports_that_only_take_their_time_are_had_one_after_another(make_job, evidence, tmp_path):
    """Twice as many as a node with one worker has at a time: each job is run in this tick, and nobody is alarmed."""
    for number in range(4):
        make_job(f"app.slow.s{number}.note", name=f"slow {number}", due=0, args=[str(evidence), str(number)])
    make_job("app.jobs.note", name="quick", due=0, args=[str(evidence), "quick"])
    with nodes(TICK, CRONKITE_TEST_LOG="1") as (each,):
        assert each.wait() == 0
    assert sorted(evidence.texts()) == ["0", "1", "2", "3", "quick"]
    assert "cannot be run" not in each.output


@pytest.mark.django_db(transaction=True)
def test_a_watchdog_of_the_projects_keeps_no_run_from_ending(make_job):
    """One of faulthandler's has a thread, which does not come over a fork; who would cancel it there waits for that."""
    for number in range(3):
        make_job(name=f"ok {number}", due=0)
    cron("--workers", "1", CRONKITE_TEST_WATCHDOG="1")
    assert statuses() == {Status.SUCCEEDED: 3}


@pytest.mark.django_db(transaction=True)
def test_a_node_waits_in_peace_for_the_end_of_what_was_killed(monkeypatch):
    """However long that takes: it may be held by a disk."""
    monkeypatch.setattr(node, "KILL_AFTER", 0.0)
    one = node.Node("one", Here(), agenda.Agenda(stays=True))
    one._peek_at += 3600
    monkeypatch.setattr(one._runs, "claims", lambda: ["a claim"])
    for _ in range(2):
        one.stop()
    assert one._go_on()
    assert one._go_on()
    assert one._next()[0] > 0


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_has_given_up_still_hears_that_it_is_told_to_stop(monkeypatch):
    """Its runs go on, and may take hours."""
    one, ended = node.Node("one", Here(), agenda.Agenda()), []
    monkeypatch.setattr(one._runs, "claims", lambda: ["a claim"])
    monkeypatch.setattr(one._runs, "end", lambda claim, status, reason: ended.append((claim, status)))
    one._give_up()
    one._heed()
    assert not ended
    one.stop()
    one._heed()
    assert one._stop_by is not None
    one.stop()
    one._heed()
    assert ended == [("a claim", Status.INTERRUPTED)]


@pytest.mark.django_db(transaction=True)
def test_a_node_that_leaves_while_the_database_is_away_says_what_it_could_not_write(make_job, monkeypatch, caplog):
    one = node.Node("one", Here(), agenda.Agenda(stays=True))
    one._outages._away_since = one._outages.retry_at = time.monotonic() + 3600
    taken = claiming.claim_by_hand(make_job(), "one")
    one._unsettled.end(taken, Outcome(Status.SUCCEEDED))
    one.stop()
    one.stop()
    assert one._go_on()
    one._leave_by = time.monotonic()
    assert not one._go_on()
    assert "could not be written, as it was told to stop" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_waits_for_no_database_waits_for_one_question_at_most(make_job, monkeypatch):
    """Each may take a connect's time to fail: signals, timeouts and deaths are not to wait for all of them."""
    one, asked = node.Node("one", Here(), agenda.Agenda(stays=True)), []

    def fail(*arguments):
        asked.append(arguments)
        raise OperationalError("away")

    for part, name in [(claiming, "settle"), (holding, "finish"), (skips, "held"), (holding, "renewal")]:
        monkeypatch.setattr(part, name, fail)
    monkeypatch.setattr(one._agenda, "look", fail)
    jobs = [make_job(name=f"job {n}", due=0) for n in range(3)]
    one._unsettled.doubt([claiming.claim_by_hand(job, "one") for job in jobs], jobs)
    one._renew_at = 0.0
    monkeypatch.setattr(one._runs, "claims", lambda: ["a claim"])
    one._go_on()
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_what_fails_for_good_keeps_nothing_else_from_being_done(make_job, monkeypatch):
    one, looks = node.Node("one", Here(), agenda.Agenda(stays=True)), []

    def fail(*arguments):
        raise OperationalError("this, for good")

    monkeypatch.setattr(holding, "finish", fail)
    monkeypatch.setattr(one._agenda, "look", looks.append)
    one._unsettled.end(claiming.claim_by_hand(make_job(), "one"), Outcome(Status.SUCCEEDED))
    for _ in range(2):
        assert one._go_on()
        one._outages.retry_at = time.monotonic()
    assert looks


@pytest.fixture
def refused(make_job, monkeypatch):
    """A run whose end, and no other, is refused by a database that answers, as by a trigger of the project's."""
    taken, original = claiming.claim_by_hand(make_job(name="refused"), "one"), holding.finish

    def refuse(claim, outcome):
        if claim is taken:
            raise OperationalError("a trigger raised this")
        return original(claim, outcome)

    monkeypatch.setattr(holding, "finish", refuse)
    return taken


@pytest.mark.django_db(transaction=True)
def test_an_end_that_is_refused_for_good_keeps_no_other_job_from_its_run(make_job, refused, caplog):
    one = node.Node("one", Here(), agenda.Agenda(stays=True))
    one._unsettled.end(refused, Outcome(Status.SUCCEEDED))
    job = make_job(due=0)

    def has_run():
        if one._go_on():
            one._wait(wake)
        return Log.objects.filter(job=job, status=Status.SUCCEEDED).exists() and one._has_beaten

    wake = Wake()
    until(has_run)
    wake.close()
    assert Node.objects.filter(name="one").exists()
    assert not one._unsettled.is_empty()
    assert caplog.text.count("which the database refuses to record; trying again. a trigger raised this") == 1


@pytest.mark.django_db(transaction=True)
def test_a_tick_leaves_an_end_that_is_refused_for_good(refused, monkeypatch, caplog):
    monkeypatch.setattr("cronkite.nodes.unsettled.REFUSAL_PATIENCE", 0.1)
    one = node.Node("one", Here(), agenda.Agenda())
    one._unsettled.end(refused, Outcome(Status.SUCCEEDED))
    one.work()
    assert "could not be written. a trigger raised this" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_tick_gives_up_an_end_though_its_row_can_be_locked(make_job, monkeypatch, caplog):
    """Or need not be: not all databases are asked for that, and then nothing tells that one is back."""
    taken, now = claiming.claim_by_hand(make_job(), "one"), [time.monotonic()]

    def fail(claim, outcome):
        connection.close()
        raise OperationalError("the server is gone")

    monkeypatch.setattr(holding, "finish", fail)
    monkeypatch.setattr("cronkite.database.quirks.lives", lambda _: False)
    one = node.Node("one", Here(), agenda.Agenda())
    one._unsettled.end(taken, Outcome(Status.SUCCEEDED))
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for _ in range(40):
        one._unsettled.go_on(stopping=False)
        now[0] += 1
    assert one._unsettled.is_empty()
    assert "is back" not in caplog.text
    assert "could not be written" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_an_end_that_a_server_refuses_is_tried_over_another_connection(make_job, monkeypatch, caplog):
    """After a switch-over, the server that was the primary may answer still, and take nothing."""
    taken = replace(claiming.claim_by_hand(make_job(), "one"), next_run=None)
    original, first = holding.finish, []

    def refuse(claim, outcome):
        connection.ensure_connection()
        first.append(connection.connection)
        if first[-1] is first[0]:
            raise OperationalError("read only")
        return original(claim, outcome)

    monkeypatch.setattr(holding, "finish", refuse)
    # Not during the test.
    monkeypatch.setattr("cronkite.nodes.unsettled.REFUSAL_PATIENCE", 1_000_000)
    one = node.Node("one", Here(), agenda.Agenda())
    one._outages._away_since, one._outages._refuses_writes = time.monotonic(), True
    one._unsettled.end(taken, Outcome(Status.SUCCEEDED))
    one._unsettled.go_on(stopping=False)
    assert len(first) == 1
    # It is not back by refusing something.
    assert one._outages.is_away
    one.work()
    assert Log.objects.get().status == Status.SUCCEEDED
    assert Job.objects.get().lock is None


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_gives_up_tells_of_what_an_engine_has_been_given(make_job, monkeypatch, caplog):
    """When the database is back; and after an hour, that it is not told of."""
    one, job = node.Node("one", Here(), agenda.Agenda()), make_job()
    taken = claiming.claim_by_hand(job, "one")
    one._dispatch._claims[job.pk] = taken
    one._dispatch._found = [(Sorted(job), taken, Receipt("celery", "7"))]
    one._outages.retry_at = time.monotonic() + 3600
    one._give_up()
    assert not one._is_done()
    one._give_up()
    assert "could not be written" not in caplog.text
    one._tells_until = time.monotonic()
    assert one._is_done()
    assert one._is_done()
    assert caplog.text.count("which could not be written, as the database is out of reach") == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_waited_for_may_be_the_retry_of_a_one_off(make_job, caplog):
    """Which has no next slot."""
    caplog.set_level("DEBUG", "cronkite.waiting")
    job = make_job(due=0)
    read = Job.objects.agenda().get(pk=job.pk)
    read.next_run, read.retry_at, read.retry_slot = None, clock.as_utc("2026-01-01 03:04:05"), read.next_run
    looked = SimpleNamespace(first=lambda: read)
    waiting.Waiting(Here(), looked).tell(1.0, "the end of the world")
    assert "job 'ok', whose retry is 2026-01-01 03:04:05 UTC" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_node_that_leaves_has_written_what_it_does_not_know(monkeypatch):
    """Though the time to leave comes between its look at that and the question whether it is done."""
    one, written = node.Node("one", Here(), agenda.Agenda(stays=True)), []
    monkeypatch.setattr(one._dispatch, "is_idle", lambda: False)
    monkeypatch.setattr(one._dispatch, "give_up", written.append)
    one.stop()
    one.stop()
    assert one._go_on()
    one._leave_by = time.monotonic()
    assert not one._is_done()
    assert not one._go_on()
    assert written == ["its node was stopped"]


@pytest.mark.django_db(transaction=True)
def test_a_claim_whose_worker_has_died_meanwhile_is_lost_at_once(make_job, nursery):
    workers = pool.Pool(1, nursery)
    job = make_job(due=0)
    read = Job.objects.queue().get()
    claim = claiming.claim(read, Decision(read.next_run, 0, None, read.next_run + timedelta(days=1)), "node")
    try:
        workers.start(job, claim)
        (event,) = workers.wait(0, 0)
    finally:
        workers.close(by=None)
    assert event.claim is claim
    assert (event.unrecorded.status, event.unrecorded.reason) == (Status.LOST, "its process had died")
    assert workers.claims() == []


# The database goes away.


@contextmanager
def failing(errors, word="UPDATE"):
    """Have the next statements that begin with ``word`` fail, one for each of the errors."""

    def wrapper(execute, sql, params, many, context):
        if errors and sql.startswith(word):
            raise errors.pop(0)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield


@pytest.fixture
def hasty(monkeypatch):
    """Make the pauses short, as the database is away only for as long as a test says."""
    monkeypatch.setattr(outages, "OUTAGE_PAUSE", 0.01)


LOST = (2013, "Lost connection to server during query")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("word", ["SELECT", "UPDATE", "INSERT"])
def test_a_tick_lives_through_a_short_outage(make_job, hasty, in_steps, caplog, word):
    make_job(due=0)
    with failing([OperationalError(*LOST), OperationalError(*LOST)], word):
        ticks.tick(workers=0)
    assert statuses() == {Status.SUCCEEDED: 1}
    assert "does not answer as it should" in caplog.text
    assert "The database is back" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_tick_gives_up_when_the_outage_lasts(make_job, hasty, monkeypatch):
    monkeypatch.setattr(outages, "OUTAGE_PATIENCE", 0.05)
    make_job(due=0)
    with failing([OperationalError(*LOST) for _ in range(10_000)], "SELECT"), pytest.raises(DatabaseAway):
        ticks.tick(workers=0)
    assert not Log.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_tick_gives_up_where_all_that_is_left_is_reading(make_job, hasty, in_steps, monkeypatch, caplog):
    monkeypatch.setattr(outages, "OUTAGE_PATIENCE", 0.2)
    make_job(due=0)
    with failing([OperationalError(*LOST) for _ in range(10_000)], "UPDATE"), pytest.raises(DatabaseAway):
        ticks.tick(workers=0)
    assert not Log.objects.exists()
    assert "is back" not in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("renewal", [0.01, 60])
def test_a_database_that_is_asked_for_nothing_is_not_back(make_job, hasty, monkeypatch, caplog, renewal):
    monkeypatch.setattr(outages, "OUTAGE_PATIENCE", 0.2)
    monkeypatch.setattr(type(conf.get()), "renewal_interval", timedelta(seconds=renewal))
    make_job(due=0)
    with failing([OperationalError(*LOST) for _ in range(10_000)], "SELECT"), pytest.raises(DatabaseAway):
        ticks.tick(workers=0)
    assert "is back" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_missing_tables_are_no_outage(make_job):
    with failing([ProgrammingError("no such relation")], "SELECT"), pytest.raises(ProgrammingError):
        ticks.tick(workers=0)


@pytest.mark.django_db(transaction=True)
def test_a_conflict_is_tried_again_soon(make_job):
    make_job(due=0)
    with failing([OperationalError(1213, "Deadlock found when trying to get lock")]):
        ticks.tick(workers=0)
    assert statuses() == {Status.SUCCEEDED: 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [True, False])
def test_a_claim_whose_commit_was_not_answered_runs_once(make_job, hasty, monkeypatch, evidence, committed):
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    claim, doubts = claiming.claim_all, []

    def doubtful(wanted, name):
        taken = claim(wanted, name)
        if doubts:
            return taken
        doubts.append(taken)
        if not committed:
            for job, _ in wanted:
                Job.objects.filter(pk=job.pk).write(
                    lock=None, locked_by="", locked_at=None, fence=0, next_run=job.next_run, last_slot=None
                )
            Log.objects.all().delete()
        raise verdicts.OutcomeUnknown(taken)

    monkeypatch.setattr(claiming, "claim_all", doubtful)
    ticks.tick(workers=0)
    assert len(evidence.starts()) == 1
    assert statuses() == {Status.SUCCEEDED: 1}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_edited_just_as_it_is_claimed_does_not_wait_for_the_next_look(make_job, monkeypatch, times):
    make_job(due=0)
    claim, edits = claiming.claim_all, []

    def claim_too_late(wanted, name):
        if len(edits) < times:
            edits.append(wanted[0][0].revision)
            Job.objects.get().save()
        return claim(wanted, name)

    monkeypatch.setattr(claiming, "claim_all", claim_too_late)
    ticks.tick(workers=0)
    assert len(edits) == times
    assert statuses() == {Status.SUCCEEDED: 1}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_commits_no_claim_is_left_in_peace(make_job, monkeypatch, caplog):
    """One whose disk is full answers all questions, and at once."""
    monkeypatch.setattr(unsettled, "VAIN_PAUSE", 0.2)
    make_job(due=0)
    claim, tried = claiming.claim_all, []

    def claim_in_vain(wanted, name):
        tried.append(time.monotonic())
        if len(tried) > 4:
            return claim(wanted, name)
        raise verdicts.OutcomeUnknown([claiming._attempt(job, decision, name).claim for job, decision in wanted])

    monkeypatch.setattr(claiming, "claim_all", claim_in_vain)
    ticks.tick(workers=0)
    assert statuses() == {Status.SUCCEEDED: 1}
    assert all(later - earlier > 0.1 for earlier, later in pairwise(tried[1:]))
    assert caplog.text.count("The connection died at the claim") == 3


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_gives_up_says_what_it_leaves_in_doubt(make_job, hasty, monkeypatch, caplog):
    monkeypatch.setattr(outages, "OUTAGE_PATIENCE", 0.05)
    make_job(due=0)
    claim, errors = claiming.claim_all, []

    def doubtful(*arguments):
        taken = claim(*arguments)
        errors.extend(OperationalError(*LOST) for _ in range(10_000))
        raise verdicts.OutcomeUnknown(taken)

    monkeypatch.setattr(claiming, "claim_all", doubtful)
    with failing(errors, "SELECT"), pytest.raises(DatabaseAway):
        ticks.tick(workers=0)
    assert "may be claimed by this node" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_run_is_written_when_the_database_is_back(make_job, monkeypatch, caplog):
    monkeypatch.setattr("cronkite.runs.runner.RECORD_PAUSE", 0.01)
    make_job(due=0)
    finish, errors = holding.finish, [OperationalError(*LOST)] * 3

    def failing_finish(*arguments):
        if errors:
            raise errors.pop()
        return finish(*arguments)

    monkeypatch.setattr(holding, "finish", failing_finish)
    ticks.tick(workers=0)
    assert statuses() == {Status.SUCCEEDED: 1}
    assert "can't be written yet" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_conflict_at_the_end_of_a_run_is_tried_again_without_a_word(make_job, monkeypatch, caplog):
    make_job(due=0)
    finish, errors = holding.finish, [OperationalError(1213, "Deadlock found")]

    def conflicting(*arguments):
        if errors:
            raise errors.pop()
        return finish(*arguments)

    monkeypatch.setattr(holding, "finish", conflicting)
    ticks.tick(workers=0)
    assert statuses() == {Status.SUCCEEDED: 1}
    assert not caplog.records


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_run_that_can_never_be_written_is_left_to_the_logger(make_job, monkeypatch, caplog):
    """A full disk, or a database that is read-only: the lock stays, and nothing runs twice."""
    monkeypatch.setattr("cronkite.runs.runner.RECORD_PAUSE", 0.01)
    monkeypatch.setattr("cronkite.runs.runner.RECORD_PATIENCE", 0.02)
    job = make_job(due=0)
    monkeypatch.setattr(holding, "finish", lambda *_: (_ for _ in ()).throw(OperationalError("disk is full")))
    ticks.tick(workers=0)
    assert "could not be written" in caplog.text
    job.refresh_from_db()
    assert job.is_locked
    make_due(job)
    ticks.tick(workers=0)
    assert statuses() == {Status.RUNNING: 1}


@pytest.mark.django_db(transaction=True)
def test_a_loop_lives_on_when_its_connections_are_cut(make_job, evidence):
    """Again and again, at whatever it is doing."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no connections that somebody else could cut")
    job = make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(*[("cron", "loop", "--workers", "1")] * 2) as started:
        for count in range(2, 7):
            until(lambda count=count: len(evidence.starts()) >= count)
            cut_connections()
        seen = len(evidence.starts())
        until(lambda: len(evidence.starts()) >= seen + 3, what="slots are run after the connections were cut")
        until_seen(2)
        for each in started:
            each.signal(signal.SIGTERM)
        assert [each.wait() for each in started] == [0, 0], [each.output for each in started]
    assert set(Counter(evidence.starts()).values()) == {1}
    logs = list(Log.objects.filter(job=job).order_by("slot"))
    accounted = 1 + sum(log.missed + 1 for log in logs[1:])
    assert accounted == 1 + job.get_schedule().count_between(logs[0].slot, logs[-1].slot)
    if "pool" in connection.settings_dict["OPTIONS"]:
        # What is in this process's own pool was cut, too.
        connection.close()
        connection.close_pool()


@pytest.mark.django_db(transaction=True)
def test_a_node_whose_own_clock_is_wrong_changes_nothing(make_job, monkeypatch):
    """Promise P5: whatever this process believes the time to be."""
    import time as clocks

    now = clocks.time
    monkeypatch.setattr(clocks, "time", lambda: now() + 9 * 3600)
    make_job()
    due = make_job(name="due", due=0)
    ticks.tick(workers=0)
    assert Log.objects.get().job == due
    assert abs(Log.objects.get().created - datetime.now(timezone.utc)) < timedelta(minutes=5)
