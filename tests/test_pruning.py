"""Logs go by age and by number, in small batches, and what must stay stays."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import due, make_due
from django.db import connection, connections
from django.test import override_settings
from nodes import nodes, until

from cronkite import crontab, pruning
from cronkite.claims import claiming, holding
from cronkite.code import declarations, functions
from cronkite.database import clock
from cronkite.models import Job, Log, Task
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def test_what_waits_at_an_engine_keeps_its_log(make_job):
    """How it ends is written there; of what the engine can't tell of, nobody knows more."""
    job = make_job()
    now = clock.now("default")
    handed = {"job": job, "job_name": "ok", "function": "app.jobs.ok", "status": Log.Status.HANDED_OVER}
    Log.objects.bulk_create([Log(fence=n, created=now - DAY, **handed) for n in (1, 2)])
    Task.objects.create(job=job, fence=1, engine="celery", task_id="1", created=now, ask_at=now)
    assert sum(pruning.prune(keep=0)) == 1
    assert Log.objects.get().fence == 1
    Task.objects.all().delete()
    assert sum(pruning.prune(older_than=timedelta(0))) == 1


@pytest.fixture
def add_logs():
    """Add logs of a job (or of none), each a day older than the one before, the newest ``youngest`` days old."""

    def add(job, number, youngest=0, status=Log.Status.SUCCEEDED):
        now, fence = clock.now("default"), Log.objects.count()
        Log.objects.bulk_create(
            Log(
                job=job,
                job_name="job",
                function="app.jobs.ok",
                slot=now - n * DAY,
                fence=fence + number - n,
                node="node",
                status=status,
                created=now - n * DAY - timedelta(hours=1),
                started_at=now - n * DAY,
            )
            for n in reversed(range(youngest, youngest + number))
        )

    return add


def ages():
    """Return the ages of all logs in days."""
    now = clock.now("default")
    return sorted((now - log.created).days for log in Log.objects.all())


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_logs_go_by_their_age(make_job, add_logs, monkeypatch, batch):
    monkeypatch.setattr(pruning, "BATCH", batch)
    add_logs(make_job(), 6)
    add_logs(None, 2, youngest=4)
    assert sum(pruning.prune(older_than=3 * DAY)) == 5
    assert ages() == [0, 1, 2]


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_of_each_job_the_newest_logs_stay(make_job, add_logs, monkeypatch, batch):
    monkeypatch.setattr(pruning, "BATCH", batch)
    for number in (0, 1, 2, 3, 7):
        add_logs(make_job(), number)
    assert sum(pruning.prune(keep=2)) == 6
    assert sorted(job.logs.count() for job in Job.objects.all()) == [0, 1, 2, 2, 2]
    assert ages() == [0, 0, 0, 0, 1, 1, 1]


def test_none_are_kept_if_none_are_to_be(make_job, add_logs):
    add_logs(make_job(), 3)
    assert sum(pruning.prune(keep=0)) == 3
    assert not Log.objects.exists()


def test_either_bound_is_enough(make_job, add_logs):
    add_logs(make_job(), 5)
    add_logs(make_job(), 2, youngest=9)
    assert sum(pruning.prune(older_than=8 * DAY, keep=3)) == 4
    assert ages() == [0, 1, 2]


def test_without_a_bound_all_stay(make_job, add_logs):
    add_logs(make_job(), 3, youngest=1000)
    assert list(pruning.prune()) == []
    assert Log.objects.count() == 3


def test_what_runs_keeps_its_log(make_job, add_logs):
    job = make_job()
    add_logs(job, 1, youngest=7, status=Log.Status.RUNNING)
    Log.objects.update(fence=7)
    Job.objects.filter(pk=job.pk).write(fence=7, lock=uuid4(), locked_at=clock.Now())
    assert sum(pruning.prune(older_than=DAY, keep=0)) == 0
    assert Log.objects.count() == 1


def test_the_logs_of_a_job_that_is_gone_go_by_their_age_alone(add_logs):
    add_logs(None, 3)
    assert sum(pruning.prune(keep=1)) == 0
    assert sum(pruning.prune(older_than=DAY)) == 2


@pytest.mark.parametrize("bounds", [{"older_than": -DAY}, {"keep": -1}])
def test_bounds_that_make_no_sense_are_refused_at_once(bounds):
    with pytest.raises(ValueError, match="negative"):
        pruning.prune(**bounds)


def test_each_batch_is_a_transaction_of_its_own(make_job, add_logs, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 2)
    add_logs(make_job(), 5)
    for _ in pruning.prune(keep=0):
        assert not connection.in_atomic_block
        break
    assert Log.objects.count() == 3


def test_a_slot_does_not_run_again_when_its_log_is_gone(make_job):
    """What says so is the job's own row."""
    job = make_job(due=60)
    slot = job.next_run
    read = due(job)
    decision = catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, read.now)
    claim = claiming.claim(read, decision, "node")
    Log.objects.update(status=Log.Status.SUCCEEDED)
    assert sum(pruning.prune(keep=0)) == 1
    assert holding.unlock(Job.objects.get(), "test")
    assert claim is not None
    Job.objects.filter(pk=job.pk).write(next_run=slot)
    again = due(job)
    assert claiming.claim(again, decision, "node") is None


def test_nodes_go_on_while_logs_go(make_job, add_logs, monkeypatch, tmp_path):
    """With batches of one, from another connection, while a node works off slot after slot."""
    monkeypatch.setattr(pruning, "BATCH", 1)
    monkeypatch.setattr(pruning, "ATTEMPTS", 300)
    job = make_job(schedule="* * * * *", catch_up="all")
    add_logs(make_job(), 40, youngest=400)
    Job.objects.filter(pk=job.pk).write(next_run=make_due(job) - timedelta(minutes=30))
    gone = []

    def prune():
        try:
            gone.extend(pruning.prune(older_than=100 * DAY))
        finally:
            connections.close_all()

    thread = threading.Thread(target=prune)
    thread.start()
    with nodes(["cron", "--workers", "0"]) as (node,):
        assert node.wait() == 0, node.output
    thread.join(60)
    assert not thread.is_alive()
    assert sum(gone) == 40
    assert job.logs.filter(status=Log.Status.SUCCEEDED).count() >= 31


# The job that does it each night.


def test_the_nightly_job_is_declared_only_where_a_setting_asks_for_it():
    assert declarations.of(crontab.prune_logs) is None


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=[])
def test_the_nightly_job_may_run_whatever_else_may():
    assert functions.resolve("cronkite.crontab.prune_logs") is crontab.prune_logs


@override_settings(CRONKITE_LOG_MAX_DAYS=3, CRONKITE_LOG_MAX_PER_JOB=2)
def test_the_nightly_job_does_what_the_settings_say(make_job, add_logs):
    add_logs(make_job(), 4)
    add_logs(None, 4, youngest=2)
    assert crontab.prune_logs() == "5 logs deleted"
    assert ages() == [0, 1, 2]


def test_a_node_finds_the_nightly_job_and_it_runs(make_job, add_logs):
    with nodes(["cron", "loop", "--workers", "0"], CRONKITE_TEST_LOG_MAX_DAYS="3"):
        until(Job.objects.filter(function="cronkite.crontab.prune_logs").exists)
    # Not before: the node, too, runs it at its hour.
    add_logs(make_job(), 5, youngest=1)
    with override_settings(CRONKITE_LOG_MAX_DAYS=3):
        assert Job.objects.get(name="prune_logs").run() == "3 logs deleted"
