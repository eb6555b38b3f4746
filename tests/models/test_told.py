"""Who is told of what: once, after the COMMIT, in the right process, and whatever receivers do."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from datetime import timedelta

import pytest
from admin_pages import act
from conftest import hourly, make_due
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from documents import table
from nodes import cron, nodes, until

from app.listening import BAD, NAMES, listen
from cronkite import requests, signals
from cronkite.claims import claiming, holding
from cronkite.database import clock, teller
from cronkite.models import Job, Log, told
from cronkite.nodes import ticks
from cronkite.schedules import catch_up

Status = Log.Status


class Heard:
    """What receivers have written down."""

    def __init__(self, path):
        self.path = path

    def all(self, *names):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        told = [json.loads(line) for line in lines]
        return [each for each in told if not names or each["signal"] in names]

    def names(self, *names):
        return [each["signal"] for each in self.all(*names)]


@pytest.fixture
def heard(tmp_path):
    """What receivers in nodes hear: give them ``CRONKITE_TEST_LISTEN``."""
    return Heard(tmp_path / "heard")


@pytest.fixture
def listening(heard):
    """Have receivers in this process."""
    disconnect = listen(heard.path)
    yield heard
    assert teller.wait(60)
    disconnect()


RUNS = ("run_started", "run_finished")
#: Longer than the longest year (seconds), so that no slot of a job that has one a year is too old for it.
GRACE = 367 * 24 * 3600


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_node_tells_of_the_beginning_and_the_end_of_a_run(make_job, heard, workers):
    job = make_job(due=0, grace=GRACE, kwargs={"n": 1})
    cron("--workers", workers, name="told", CRONKITE_TEST_LISTEN=str(heard.path))
    log = Log.objects.get()
    begun, ended = heard.all(*RUNS)
    assert [begun["signal"], ended["signal"]] == ["run_started", "run_finished"]
    assert begun["run"] == ended["run"]
    assert ended["run"] == {
        "job_id": job.pk,
        "job_name": "ok",
        "function": "app.jobs.ok",
        "slot": str(log.slot),
        "due_at": str(log.slot),
        "attempt": 1,
        "fence": 1,
        "log_id": log.pk,
        "node": "told",
        "started_at": str(log.started_at),
        "schedule": job.schedule,
        "timezone": "",
        "grace": GRACE,
        "timeout": None,
    }
    assert ended["outcome"]["status"] == "succeeded"
    assert ended["outcome"]["result"] == {"args": [], "kwargs": {"n": 1}}
    assert ended["finished_at"] == str(log.finished_at)
    assert ended["sender"] == "Job"
    assert ended["thread"] == "cronkite teller"


@pytest.mark.django_db(transaction=True)
def test_it_is_the_node_that_tells_and_no_worker(make_job, heard, evidence):
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    with nodes(("cron", "--workers", "1"), CRONKITE_TEST_LISTEN=str(heard.path)) as (node,):
        assert node.wait() == 0
    assert {each["pid"] for each in heard.all(*RUNS)} == {node.pid}
    assert int(evidence.lines()[0][3]) != node.pid


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("function", "status"),
    [("app.jobs.fail", "failed"), ("app.jobs.die", "lost"), ("app.jobs.exit_hard", "lost")],
)
def test_an_end_is_told_once_whoever_has_written_it(make_job, heard, function, status):
    make_job(function, due=0)
    cron("--workers", "1", CRONKITE_TEST_LISTEN=str(heard.path))
    assert [each["outcome"]["status"] for each in heard.all("run_finished")] == [status]
    assert heard.names(*RUNS) == ["run_started", "run_finished"]


@pytest.mark.django_db(transaction=True)
def test_missed_slots_are_told_of_once_for_each_record(make_job, listening):
    job = make_job(schedule=hourly())
    last = make_due(job, 3600)
    first = last - timedelta(hours=4)
    Job.objects.filter(pk=job.pk).write(next_run=first)
    ticks.tick(workers=0)
    teller.wait(60)
    log = Log.objects.get()
    assert log.missed == 5
    (missed,) = listening.all("slots_missed")
    assert (missed["job_id"], missed["job_name"], missed["count"]) == (job.pk, "ok", 5)
    assert (missed["first"], missed["last"]) == (str(first), str(log.slot - timedelta(hours=1)))
    assert "only the newest is run" in missed["reason"]


@pytest.mark.django_db(transaction=True)
def test_slots_that_nothing_was_run_of_are_told_of(make_job, listening):
    job = make_job(due=60, catch_up="none", grace=1)
    slot = job.next_run
    ticks.tick(workers=0)
    teller.wait(60)
    (missed,) = listening.all("slots_missed")
    assert (missed["first"], missed["last"], missed["count"]) == (str(slot), str(slot), 1)


@pytest.mark.django_db(transaction=True)
def test_what_an_edit_passes_over_is_told_of_and_so_is_the_edit(make_job, listening):
    job = make_job(due=60)
    job.enabled = False
    job.save()
    teller.wait(60)
    # One is told by a thread of its own, so either may be first.
    assert sorted(listening.names()) == ["job_edited", "slots_missed"]
    edit = listening.all("job_edited")[0]
    assert (edit["job_id"], edit["job_name"], edit["change"]) == (job.pk, "ok", "changed")
    assert "enabled" in edit["columns"]
    assert edit["thread"] == threading.current_thread().name


@pytest.mark.django_db(transaction=True)
def test_each_edit_is_told_of_when_it_is_committed(listening):
    with transaction.atomic():
        job = Job.objects.create(name="new", function="app.jobs.ok", schedule="@daily")
        assert listening.names() == []
    job.description = "of use"
    job.save(update_fields=["description"])
    key = job.pk
    job.delete()
    assert [(each["change"], each["job_id"]) for each in listening.all("job_edited")] == [
        ("made", key),
        ("changed", key),
        ("deleted", key),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("action", "told_of"),
    [
        ("unlock", {("lock_cleared", ""), ("lock_lost", ""), ("run_finished", "")}),
        ("disable", {("job_edited", "changed")}),
        ("delete_selected", {("job_edited", "deleted")}),
        ("run", set()),
    ],
)
def test_what_people_do_in_the_admin_is_told_of(make_job, listening, admin_client, action, told_of):
    job = make_job()
    if action == "unlock":
        claiming.claim_by_hand(job, "gone")
    more = {"post": "yes"} if action == "delete_selected" else {}
    assert act(admin_client, action, job, **more).status_code == 200
    assert teller.wait(60)
    assert {(each["signal"], each.get("change", "")) for each in listening.all()} == told_of
    assert {each["by"] for each in listening.all("lock_cleared")} <= {"admin"}


@pytest.mark.django_db(transaction=True)
def test_an_edit_that_is_rolled_back_is_not_told_of(make_job, listening):
    job = make_job(due=60)
    with transaction.atomic():
        job.enabled = False
        job.save()
        transaction.set_rollback(True)
    teller.wait(60)
    assert listening.names() == []


@pytest.mark.django_db(transaction=True)
def test_jobs_that_are_switched_together_are_told_of_each(make_job, listening):
    from cronkite.models import switches

    jobs = [make_job(name=name) for name in ("a", "b")]
    switches.switch(jobs, on=False, using="default")
    assert sorted(each["job_name"] for each in listening.all("job_edited")) == ["a", "b"]


@pytest.mark.django_db(transaction=True)
def test_a_stale_lock_that_is_taken_over_is_told_of_with_the_end_of_its_run(make_job, listening, lock_timeout):
    lock_timeout(1)
    job = make_job(due=0)
    first = claiming.claim_by_hand(job, "dead")
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(seconds=60))
    ticks.tick(workers=0)
    teller.wait(60)
    lost, end = listening.all("lock_lost", "run_finished")[:2]
    assert lost["run"]["log_id"] == end["run"]["log_id"] == first.log_id
    assert lost["reason"].startswith("the lock was stale")
    assert end["outcome"]["status"] == "lost"
    assert len(listening.all("run_finished")) == 2


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_a_person_clears_is_told_of(make_job, listening):
    job = make_job()
    claim = claiming.claim_by_hand(job, "gone")
    job.refresh_from_db()
    assert holding.unlock(job, by="ada")
    teller.wait(60)
    assert sorted(listening.names()) == ["lock_cleared", "lock_lost", "run_finished"]
    (cleared,) = listening.all("lock_cleared")
    assert (cleared["job_id"], cleared["by"], cleared["run"]["log_id"]) == (job.pk, "ada", claim.log_id)
    assert not holding.unlock(job, by="ada")
    assert len(listening.all("lock_cleared")) == 1


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_lock_was_taken_is_told_to_have_ended_once(make_job, heard, tmp_path):
    make_job("app.jobs.wait_stubbornly", due=0, args=[str(tmp_path / "begun"), str(tmp_path / "go")])
    with nodes(("cron", "--workers", "1"), lock_timeout=1, CRONKITE_TEST_LISTEN=str(heard.path)) as (node,):
        until((tmp_path / "begun").exists)
        job = Job.objects.get()
        disconnect = listen(heard.path)
        assert holding.unlock(job, by="ada")
        teller.wait(60)
        disconnect()
        (tmp_path / "go").touch()
        assert node.wait() == 0
    assert [each["outcome"]["status"] for each in heard.all("run_finished")] == ["lost"]


@pytest.mark.django_db(transaction=True)
def test_a_run_by_hand_is_told_of_by_the_process_that_makes_it(make_job, listening):
    make_job().run()
    teller.wait(60)
    begun, ended = listening.all(*RUNS)
    assert (begun["run"]["slot"], begun["run"]["due_at"], begun["pid"]) == (None, None, os.getpid())
    assert ended["outcome"]["status"] == "succeeded"


@pytest.mark.django_db
def test_within_a_transaction_nothing_is_told_before_it_is_committed(
    make_job, listening, django_capture_on_commit_callbacks
):
    job = make_job()
    with django_capture_on_commit_callbacks(execute=True):
        job.run()
        assert listening.names() == []
    assert listening.names() == ["run_started", "run_finished"]


@pytest.mark.django_db(transaction=True)
def test_what_is_told_is_what_the_page_says(make_job, listening):
    job = make_job(due=60, catch_up="none", grace=1)
    ticks.tick(workers=0)
    job.run()
    claiming.claim_by_hand(job, "gone")
    job.refresh_from_db()
    holding.unlock(job, by="ada")
    job.delete()
    assert teller.wait(60)
    stated = {name: re.findall(r"``(\w+)``", cells[0]) for name, cells in table("Signal", "What is told").items()}
    heard = {each["signal"]: [*each][4:] for each in listening.all()}
    assert heard == {name: names for name, names in stated.items() if name != "node_silent"}


# Receivers that behave badly.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("receiver", ["raise", "exit", "nap", "kill", "leave_open"])
def test_a_bad_receiver_harms_neither_the_run_nor_its_record(make_job, heard, receiver, workers):
    for n in range(3):
        make_job(due=0, name=f"job {n}")
    cron("--workers", workers, CRONKITE_TEST_LISTEN=str(heard.path), CRONKITE_TEST_RECEIVER=receiver)
    assert list(Log.objects.values_list("status", flat=True)) == [Status.SUCCEEDED] * 3
    assert not Job.objects.filter(lock__isnull=False).exists()
    if receiver in {"raise", "kill"}:
        assert sorted(heard.names(*RUNS)) == ["run_finished"] * 3 + ["run_started"] * 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("receiver", ["close_all", "raise_later", "cancel", "exit"])
def test_a_bad_receiver_harms_no_edit_and_no_run_in_its_own_process(make_job, listening, receiver):
    for name in NAMES:
        getattr(signals, name).connect(BAD[receiver], weak=False)
    try:
        job = make_job(due=0)
        job.description = "of use"
        job.save()
        make_due(job)
        ticks.tick(workers=0)
        claiming.claim_by_hand(job, "gone")
        job.refresh_from_db()
        assert holding.unlock(job, by="ada")
        assert teller.wait(60)
    finally:
        for name in NAMES:
            getattr(signals, name).disconnect(BAD[receiver])
    assert Job.objects.get().description == "of use"
    assert sorted(Log.objects.values_list("status", flat=True)) == [Status.LOST, Status.SUCCEEDED]
    # Who ends the thread, or cancels it, is the last that is told of that; others come before.
    assert {"job_edited", "run_started", "run_finished", "lock_cleared"} <= {*listening.names()}


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_forks_and_does_not_end_its_child_harms_nothing(make_job, heard):
    make_job(due=0)
    cron("--workers", "1", CRONKITE_TEST_LISTEN=str(heard.path), CRONKITE_TEST_RECEIVER="fork")
    assert Log.objects.get().status == Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_ends_the_node_ends_no_run(make_job, tmp_path):
    make_job("app.jobs.wait_stubbornly", due=0, args=[str(tmp_path / "begun"), str(tmp_path / "go")])
    with nodes(("cron", "--workers", "1"), CRONKITE_TEST_RECEIVER="quit") as (node,):
        # Its output is open until its worker has ended.
        until(lambda: node.process.poll() == 7)
        until((tmp_path / "begun").exists)
        assert Log.objects.get().status == Status.RUNNING
        (tmp_path / "go").touch()
        until(lambda: Log.objects.get().status == Status.SUCCEEDED)
    assert not Job.objects.get().is_locked


@pytest.mark.django_db(transaction=True)
def test_an_async_receiver_is_told_and_one_that_is_connected_twice_by_its_uid_is_told_once(make_job):
    told_of = []

    async def note(run, outcome, **kwargs):
        told_of.append((outcome.status, (await Log.objects.aget(pk=run.log_id)).status))

    for _ in range(2):
        signals.run_finished.connect(note, dispatch_uid="tests")
    try:
        make_job(due=0)
        ticks.tick(workers=0)
        assert teller.wait(60)
    finally:
        signals.run_finished.disconnect(dispatch_uid="tests")
    assert told_of == [(Status.SUCCEEDED, Status.SUCCEEDED)]


@pytest.mark.django_db(transaction=True)
def test_a_receiver_may_ask_for_a_run_run_a_job_and_edit_one(make_job):
    first, asked, ran = (make_job(name=name) for name in ("first", "asked", "ran"))

    def go_on(run, **kwargs):
        if run.job_id == first.pk:
            requests.ask(Job.objects.get(pk=asked.pk), by="a receiver")
            Job.objects.get(pk=ran.pk).run()
            job = Job.objects.get(pk=first.pk)
            job.description = f"ended by log {run.log_id}"
            job.save()

    signals.run_finished.connect(go_on)
    try:
        make_due(first)
        ticks.tick(workers=0)
        assert teller.wait(60)
    finally:
        signals.run_finished.disconnect(go_on)
    runs = set(Log.objects.values_list("job__name", "status"))
    assert runs == {("first", Status.SUCCEEDED), ("ran", Status.SUCCEEDED)}
    assert Job.objects.get(pk=asked.pk).asked_by == "a receiver"
    assert Job.objects.get(pk=first.pk).description.startswith("ended by log ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("receiver", ["raise", "hang", "kill"])
def test_a_loop_goes_on_whatever_a_receiver_does(make_job, heard, receiver, evidence):
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    arguments = ("cron", "loop", "--workers", "1")
    with nodes(arguments, CRONKITE_TEST_LISTEN=str(heard.path), CRONKITE_TEST_RECEIVER=receiver) as (node,):
        until(lambda: len(evidence.lines()) >= 3)
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    assert set(Log.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert len(evidence.lines()) == Log.objects.count()


@pytest.mark.django_db(transaction=True)
def test_a_tick_waits_a_bounded_time_for_receivers(make_job, monkeypatch, listening, caplog):
    go = threading.Event()

    def hang(**values):
        go.wait(60)

    signals.run_started.connect(hang)
    monkeypatch.setattr(teller, "PATIENCE", 0.1)
    make_job(due=0)
    try:
        ticks.tick(workers=0)
    finally:
        signals.run_started.disconnect(hang)
        go.set()
    assert Log.objects.get().status == Status.SUCCEEDED
    assert "signals or alerts are not told" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_is_too_much_is_dropped_and_said_once(listening, monkeypatch, caplog):
    monkeypatch.setattr(teller, "MOST", 3)
    go, begun = threading.Event(), threading.Event()

    def hang():
        begun.set()
        go.wait(60)

    teller.put(hang)
    assert begun.wait(60)
    told_of = []
    for n in range(10):
        teller.put(lambda n=n: told_of.append(n))
    go.set()
    assert teller.wait(60)
    assert told_of == [0, 1, 2]
    assert caplog.text.count("Receivers of signals are too slow") == 1


def test_a_process_that_forks_leaves_what_is_to_be_told_to_its_parent():
    go, begun = threading.Event(), threading.Event()

    def hang():
        begun.set()
        go.wait(60)

    teller.put(hang)
    assert begun.wait(60)
    pid = os.fork()
    if not pid:
        os._exit(0 if teller.wait(0) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    go.set()
    assert teller.wait(60)


@pytest.mark.django_db(transaction=True)
def test_no_thread_of_ours_is_alive_when_workers_are_prepared(listening, make_job, nursery, monkeypatch):
    monkeypatch.setattr("cronkite.runs.nursery.TELLER_PATIENCE", 60)
    make_job().run()
    begun = threading.Event()
    teller.put(begun.set)
    assert begun.wait(60)
    threads = []
    monkey = nursery._load
    nursery.close()
    from cronkite.runs.nursery import Nursery

    another = Nursery(monkey)
    threads = [thread.name for thread in threading.enumerate()]
    another.close()
    assert "cronkite teller" not in threads


@pytest.mark.django_db(transaction=True)
def test_where_nobody_listens_there_is_no_thread_and_no_query(make_job, django_assert_num_queries):
    job = make_job()
    # An earlier test's thread lingers for a moment.
    assert teller.wait(60)
    with django_assert_num_queries(0):
        told.started(1)
        told.finished(1)
        told.recorded(1)
        told.task_ended(1, 1)
        told.missed(job, catch_up.Decision(None, 1, job.next_run, job.next_run))
        told.edited(job, "changed", (), "default")
        told.cleared(job, "ada", 1, "default")
    assert "cronkite teller" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.django_db(transaction=True)
def test_its_connections_are_closed_before_the_thread_ends(make_job, monkeypatch, listening):
    mine, closed = threading.current_thread(), []
    close = BaseDatabaseWrapper.close

    def count(self):
        if self.connection is not None and threading.current_thread() is not mine:
            closed.append(threading.current_thread().name)
        close(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "close", count)
    make_job().run()
    assert teller.wait(60)
    assert "cronkite teller" in closed
