"""Each task that was handed over is asked about in its turn, and nothing that an engine does keeps others from that."""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from conftest import put_in_place_of
from django.db import connection
from django_tasks_db.models import DBTaskResult
from nodes import turn_of_tasks, until
from rivals import rival

from app import engines
from cronkite.claims import concluding
from cronkite.claims.concluding import Answers, Ended
from cronkite.code.outcomes import Outcome
from cronkite.database import clock, waits
from cronkite.engines import following
from cronkite.engines.couriers import Couriers
from cronkite.models import Job, Log, Task
from cronkite.nodes import ticks
from cronkite.nodes.dispatch import Dispatch

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


@pytest.fixture
def make_tasks(make_job):
    """Make a job and tasks of it, which were handed over an hour ago; return the ids."""

    def make(number, backend="db", **columns):
        job, now = make_job(f"app.handed.{'bill' if backend == 'db' else backend}"), clock.now("default")
        if backend == "db":
            row = {"args_kwargs": {"args": [], "kwargs": {}}, "backend_name": "db", "run_after": now, **columns}
            rows = [DBTaskResult(task_path="app.handed.bill", **row) for _ in range(number)]
            ids = [str(row.pk) for row in DBTaskResult.objects.bulk_create(rows)]
        else:
            ids = [f"{backend}-{n}" for n in range(number)]
        handed = {"engine": "django.tasks", "backend": backend, "created": now - timedelta(hours=1)}
        Task.objects.bulk_create(
            [Task(job=job, fence=n, task_id=task_id, ask_at=now, **handed) for n, task_id in enumerate(ids, start=1)]
        )
        of_job = {"job": job, "job_name": job.name, "function": job.function, "status": Status.HANDED_OVER, **handed}
        slots = [now - timedelta(seconds=n) for n in range(number, 0, -1)]
        Log.objects.bulk_create(
            [
                Log(fence=n, slot=slot, task_id=task_id, **of_job)
                for n, (slot, task_id) in enumerate(zip(slots, ids, strict=True), start=1)
            ]
        )
        Job.objects.filter(pk=job.pk).write(fence=number, engine="django.tasks", follow_at=now)
        turn_of_tasks()
        return ids

    return make


@pytest.fixture
def elsewhere(monkeypatch):
    """Have a function tell what became of the tasks that are elsewhere."""

    def tell_by(function):
        monkeypatch.setattr(engines.ElsewhereBackend, "get_result", lambda self, task_id: function(task_id))

    return tell_by


def result(value):
    nothing = dict.fromkeys(("started_at", "finished_at"))
    return SimpleNamespace(status="SUCCESSFUL", return_value=value, errors=[], worker_ids=[], **nothing)


def test_a_row_that_is_locked_keeps_no_other_jobs_task_from_its_end(make_tasks, lock_timeout):
    """Where there is no lock timeout, a task that goes on has its lock renewed: but not in a row of somebody else's."""
    lock_timeout(None)
    (ended,), (goes_on,) = make_tasks(1), make_tasks(1, "elsewhere")
    token = uuid4()
    Task.objects.filter(task_id=goes_on).update(lock=token)
    tasks = {task.task_id: task for task in Task.objects.all()}
    Job.objects.filter(pk=tasks[goes_on].job_id).write(lock=token, locked_by="node", locked_at=clock.now("default"))
    answers = Answers([Ended(tasks[ended], Outcome(Status.SUCCEEDED), None, None, "")], [], [tasks[goes_on]])
    locked = Job.objects.filter(pk=tasks[goes_on].job_id)
    with rival(lambda: list(locked.select_for_update())) if waits.skips(connection) else nullcontext():
        concluding.conclude(answers, {task.job_id for task in tasks.values()})
    assert list(Task.objects.values_list("task_id", flat=True)) == [goes_on]


def due():
    return list(Job.objects.filter(follow_at__lte=clock.Now()).with_now())


def test_an_engine_that_is_not_installed_here_ends_no_node(make_job, make_tasks, monkeypatch, caplog):
    """As on a node with another image, or after Celery was taken out."""
    make_tasks(1)
    Task.objects.update(engine="celery", backend="")
    make_job("app.jobs.ok", due=0)
    monkeypatch.setitem(sys.modules, "cronkite.engines.celery", None)
    ticks.tick(workers=0)
    assert Log.objects.get(function="app.jobs.ok").status == Status.SUCCEEDED
    assert Log.objects.exclude(function="app.jobs.ok").get().status == Status.HANDED_OVER


@pytest.mark.parametrize("part", ["look", "ask"])
def test_whatever_a_question_raises_ends_no_node(make_job, make_tasks, monkeypatch, caplog, part):
    make_tasks(1)
    make_job("app.jobs.ok", due=0)

    def fail(*arguments):
        raise RuntimeError("nobody has thought of it")

    monkeypatch.setattr(following, part, fail)
    ticks.tick(workers=0)
    assert Log.objects.get(function="app.jobs.ok").status == Status.SUCCEEDED
    assert "nobody has thought of it" in caplog.text


def test_of_many_tasks_that_wait_each_has_its_turn(make_tasks, monkeypatch):
    monkeypatch.setattr(following, "MOST", 3)
    ids = make_tasks(8)
    DBTaskResult.objects.filter(pk=ids[-1]).update(status="SUCCESSFUL", return_value=1)
    looks = 0
    while jobs := due():
        following.follow(jobs)
        looks += 1
    assert Log.objects.get(status=Status.SUCCEEDED).task_id == ids[-1]
    assert looks == 3
    # An hour old, they are asked about once a minute; nobody asks at once again.
    assert Job.objects.get().follow_at > clock.now("default") + timedelta(seconds=30)
    assert Task.objects.filter(ask_at__gt=clock.Now() + timedelta(seconds=30)).count() == 7


def test_a_task_that_can_not_be_told_of_keeps_no_other_of_its_backend(make_tasks, elsewhere, caplog):
    make_tasks(5, "elsewhere")

    def tell(task_id):
        if task_id == "elsewhere-0":
            raise ImportError("No module named 'gone'")
        return result(task_id)

    elsewhere(tell)
    following.follow(due())
    assert Log.objects.filter(status=Status.SUCCEEDED).count() == 4
    assert Task.objects.get().task_id == "elsewhere-0"
    assert "django.tasks does not tell what became of 1 tasks; it is asked again. ImportError: No module" in caplog.text


def test_a_task_whose_log_is_locked_keeps_no_other_from_being_told_of(make_tasks, elsewhere):
    if not waits.skips(connection):
        pytest.skip("SQLite locks no rows: who writes keeps all others from writing")
    make_tasks(3, "elsewhere")
    elsewhere(result)
    with rival(lambda: list(Log.objects.select_for_update().filter(task_id="elsewhere-0"))):
        following.follow(due())
        told = Log.objects.order_by("task_id").values_list("status", flat=True)
        assert list(told) == [Status.HANDED_OVER, Status.SUCCEEDED, Status.SUCCEEDED]
    task = Task.objects.get()
    assert (task.task_id, Job.objects.get().follow_at) == ("elsewhere-0", task.ask_at)
    turn_of_tasks()
    following.follow(due())
    assert Log.objects.get(task_id="elsewhere-0").status == Status.SUCCEEDED
    assert not Task.objects.exists()


def test_of_a_task_that_is_never_told_of_that_is_said_after_a_week(make_tasks):
    make_tasks(1, "nowhere")
    following.follow(due())
    assert Task.objects.count() == 1
    Task.objects.update(created=clock.Now() - following.PATIENCE - timedelta(hours=1))
    turn_of_tasks()
    following.follow(due())
    assert not Task.objects.exists()
    assert Log.objects.get().reason == following.SILENT
    assert Job.objects.get().follow_at is None


def test_an_engine_that_does_not_answer_keeps_no_other_from_being_asked(make_tasks, elsewhere):
    make_tasks(2, "elsewhere")
    ids = make_tasks(2)
    DBTaskResult.objects.update(status="SUCCESSFUL", return_value=1)
    answer = threading.Event()

    def tell(task_id):
        assert answer.wait(60)
        return result(task_id)

    elsewhere(tell)
    errands = Couriers(lambda: None)
    outages = SimpleNamespace(lived_through=nullcontext)
    agenda = SimpleNamespace(stays=False)
    dispatch = Dispatch("node", agenda, outages, errands)
    try:
        dispatch.follow(due())
        ended = Log.objects.filter(status=Status.SUCCEEDED)
        until(lambda: (dispatch.go_on(), ended.count() == 2)[1])
        assert set(ended.values_list("task_id", flat=True)) == set(ids)
        answer.set()
        until(lambda: (dispatch.go_on(), dispatch.is_idle())[1])
    finally:
        answer.set()
        dispatch.close()
    assert not Task.objects.exists()


def test_a_task_that_is_handed_over_while_others_are_asked_about_is_asked_about(make_tasks):
    """It was claimed before, as of a job whose queue is elsewhere: the fencing token tells nothing."""
    (task_id,) = make_tasks(1)
    jobs = due()
    _, tasks = concluding.reserve(jobs, 10)
    new = Task.objects.get()
    new.pk, new.fence, new.task_id = None, 2, "new"
    new.ask_at = clock.now("default") + timedelta(seconds=5)
    new.save(force_insert=True)
    concluding.conclude(Answers([], [(task, "forgotten") for task in tasks], []), [job.pk for job in jobs])
    assert Task.objects.get().task_id == "new"
    assert Job.objects.get().follow_at == Task.objects.get().ask_at
    assert Log.objects.get().task_id == task_id


def test_the_end_of_a_task_is_not_written_of_the_job_that_is_at_the_key_of_its_own(make_tasks):
    """That has been handed over as often, so that the fencing token tells nothing."""
    (task_id,) = make_tasks(1)
    _, (task,) = concluding.reserve(due(), 10)
    job = Job.objects.get()
    new = put_in_place_of(job, function=job.function)
    Log.objects.create(
        job=new, fence=1, task_id="new", engine="django.tasks", status=Status.HANDED_OVER, created=clock.now("default")
    )
    ended = concluding.Ended(task, Outcome(Status.SUCCEEDED), None, None, "")
    concluding.conclude(Answers([ended], [], []), [new.pk])
    concluding.conclude(Answers([], [(task, "forgotten")], []), [new.pk])
    log = Log.objects.get(task_id="new")
    assert (log.status, log.reason) == (Status.HANDED_OVER, "")
    assert Log.objects.get(task_id=task_id).status == Status.HANDED_OVER


def test_what_nobody_has_told_of_is_asked_again_by_whoever_comes_next(make_tasks):
    """A node may die while it asks."""
    make_tasks(1)
    jobs = due()
    assert len(concluding.reserve(jobs, 10)[1]) == 1
    assert concluding.reserve(jobs, 10) == ([], [])
    assert not due()
    soon = clock.now("default") + concluding.RESERVED
    assert Job.objects.get().follow_at <= soon
    assert Task.objects.get().ask_at <= soon
