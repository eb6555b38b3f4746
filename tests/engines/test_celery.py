"""Celery on Redis: a task goes to the broker once at most, whatever becomes of the broker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
from brokers import redis_server, swallowing, worker
from django.db import connection
from django_tasks_db.models import DBTaskResult
from nodes import HERE, cron, nodes, turn_of_tasks, until

from cronkite.database import clock
from cronkite.models import Group, Job, Log, Task

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def broker(server):
    """A server of Redis that has nothing."""
    if server.process is None:
        server.start()
    server.client.flushall()
    return server


@pytest.fixture
def tick(broker):
    """A tick of a node that knows the broker, and asks for results if there are to be any."""

    def tick(url=broker.url, results="", **options):
        turn_of_tasks()
        return cron(CRONKITE_TEST_BROKER=url, CRONKITE_TEST_RESULTS=results, **options)

    return tick


@pytest.fixture
def working(broker):
    """A worker of Celery's."""

    def working(results=broker):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "CRONKITE_TEST_BROKER": broker.url,
            "CRONKITE_TEST_RESULTS": results.url,
        }
        return worker("-m", "celery", "-A", "app.celery_app", "worker", "--pool", "solo", **environment)

    return working


@pytest.fixture
def make_task(make_job):
    """Make a job that is known to be a task of Celery."""

    def make(name, **columns):
        job = make_job(f"app.celery_app.{name}", **{"due": 0, **columns})
        Job.objects.filter(pk=job.pk).write(engine="celery")
        return job

    return make


def claimed(name):
    """Wait for the claim of a job, and return its log. It may come late: its module is imported first, with Celery."""
    return until(Log.objects.filter(job_name=name).first)


def sent(broker, queue="celery"):
    """Return the ids of the tasks in a queue."""
    return [json.loads(each)["headers"]["id"] for each in broker.client.lrange(queue, 0, -1)]


def test_a_task_is_sent_to_its_queue_with_the_slots_own_id(make_task, broker, tick):
    make_task("double", args=[4])
    tick()
    log = Log.objects.get()
    assert (log.status, log.engine, log.queue) == (Status.HANDED_OVER, "celery", "celery")
    assert sent(broker) == [log.task_id]
    assert Job.objects.get().lock is None
    # Without a result backend there is nobody to ask.
    assert not Task.objects.exists()


def test_the_jobs_queue_is_the_tasks(make_task, broker, tick):
    make_task("double", queue="mail", priority=3)
    tick()
    assert sent(broker) == []
    assert sent(broker, "mail\x06\x163") == [Log.objects.get().task_id]


def test_what_a_worker_makes_of_it_is_known_after_a_look(make_task, broker, tick, working):
    make_task("double", args=[4])
    make_task("fail")
    tick(results=broker.url)
    with working():
        until(lambda: len(broker.client.keys("celery-task-meta-*")) == 2)
    tick(results=broker.url)
    double, fail = Log.objects.order_by("job_name")
    assert (double.status, double.result) == (Status.SUCCEEDED, 8)
    assert fail.status == Status.FAILED
    assert "ValueError: no such customer" in fail.exc_info
    assert double.finished_at is not None
    assert not Task.objects.exists()


def test_a_plain_function_is_called_by_the_projects_task(make_job, broker, tick, working):
    make_job("app.handed.plain", due=0, run_mode="hand over", args=[4])
    task = {"CRONKITE_TEST_TASK": "cronkite.tasks.run_by_celery", "CRONKITE_TEST_RESULTS": broker.url}
    cron(CRONKITE_TEST_BROKER=broker.url, **task)
    log = Log.objects.get()
    assert (log.status, log.engine) == (Status.HANDED_OVER, "celery")
    with working():
        until(lambda: broker.client.keys("celery-task-meta-*"))
    Job.objects.all().write(follow_at=clock.Now())
    cron(CRONKITE_TEST_BROKER=broker.url, **task)
    log = Log.objects.get()
    assert (log.status, log.result, log.exc_info) == (Status.SUCCEEDED, 5, "")


def test_with_the_broker_down_the_slot_is_tried_again_if_the_job_says_so(make_task, broker, tick):
    make_task("double", retries=1, retry_delay=0)
    broker.kill()
    tick()
    broker.start()
    tick()
    assert list(Log.objects.order_by("pk").values_list("attempt", "status")) == [
        (1, Status.FAILED),
        (2, Status.HANDED_OVER),
    ]
    assert len(sent(broker)) == 1


def test_with_the_broker_down_the_slot_has_failed_and_says_why(make_task, broker, tick):
    make_task("double")
    broker.kill()
    said = tick()
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert log.reason.startswith("could not be handed over: OperationalError: Error 111 connecting to 127.0.0.1")
    assert "could not be handed over" in said
    assert Job.objects.get().lock is None
    broker.start()
    assert sent(broker) == []


def test_what_could_not_be_handed_over_makes_room_in_its_group_at_once(make_task, broker, tick):
    Group.objects.create(name="reports", max_running=1)
    make_task("double", group="reports")
    make_task("fail", group="reports")
    broker.kill()
    tick(results=broker.url)
    broker.start()
    assert list(Log.objects.values_list("status", flat=True)) == [Status.FAILED, Status.FAILED]


def test_a_broker_whose_answer_is_lost_has_the_task_once(make_task, broker, tick, tmp_path, working):
    evidence = tmp_path / "evidence"
    make_task("note", args=[str(evidence)])
    with swallowing(broker.port, b"LPUSH") as between:
        said = tick(url=f"redis://127.0.0.1:{between.port}/0", results=broker.url)
    assert between.swallowed == 1
    log = Log.objects.get()
    assert log.status == Status.HANDED_OVER
    assert "the broker did not answer, so whether it has the task is not known yet" in log.reason
    assert "did not answer" in said
    assert sent(broker) == [log.task_id]
    with working():
        until(evidence.exists)
        until(lambda: broker.client.keys("celery-task-meta-*"))
    tick(results=broker.url)
    assert Log.objects.get().status == Status.SUCCEEDED
    assert evidence.read_text().split() == [log.task_id]


def test_a_broker_that_is_silent_holds_up_no_other_job(make_task, make_job, broker):
    """It takes connections, and nothing comes of them until it is gone."""
    make_task("double")
    make_job("app.jobs.ok", due=0)
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
    with silent, nodes(("cron",), CRONKITE_TEST_BROKER=url) as (node,):
        until(lambda: Log.objects.filter(function="app.jobs.ok", status=Status.SUCCEEDED).exists())
        log = claimed("double")
        assert log.status == Status.RUNNING
        silent.close()
        assert node.wait() == 0
    log.refresh_from_db()
    assert log.status in {Status.FAILED, Status.HANDED_OVER}


@pytest.fixture
def looping(broker, tmp_path):
    """A loop that knows the broker; what it says is in a file."""

    def looping(url=broker.url, **options):
        options = {"CRONKITE_TEST_BROKER": url, "log": tmp_path / "log", "CRONKITE_TEST_POLL": "1", **options}
        return nodes(("cron", "loop"), **options)

    return looping


def test_while_the_broker_is_away_slots_fail_and_later_ones_are_sent_once(make_task, broker, looping, tmp_path):
    make_task("note", args=[str(tmp_path / "evidence")], schedule="* * * * * *", catch_up="all", due=None)
    logs = Log.objects.order_by("slot")
    handed = logs.filter(status=Status.HANDED_OVER)
    with looping() as (node,):
        until(lambda: handed.count() >= 2)
        broker.kill()
        until(lambda: logs.filter(status=Status.FAILED).count() >= 2)
        broker.start()
        last = logs.filter(status=Status.FAILED).last()
        until(lambda: handed.filter(slot__gt=last.slot).count() >= 2)
        node.process.terminate()
        assert node.wait() == 0
    assert set(logs.values_list("status", flat=True)) == {Status.HANDED_OVER, Status.FAILED}
    assert all("could not be handed over" in log.reason for log in logs.filter(status=Status.FAILED))
    # One that was being sent when the broker died is in doubt.
    certain = set(handed.filter(reason="").values_list("task_id", flat=True))
    every = set(handed.values_list("task_id", flat=True))
    queued = sent(broker)
    assert len(queued) == len(set(queued))
    assert certain <= set(queued) <= every
    assert Job.objects.get().lock is None


def test_a_broker_that_is_silent_keeps_a_loop_neither_from_other_jobs_nor_from_stopping(
    make_task, make_job, looping, tmp_path
):
    """It takes connections, and nothing comes of them: for how long, only a time limit of its own would tell."""
    make_task("double")
    make_job("app.handed.bill", schedule="* * * * * *")
    Job.objects.filter(function="app.handed.bill").write(engine="django.tasks")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        looping(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", CRONKITE_TEST_SHUTDOWN_GRACE="1") as (node,),
    ):
        until(lambda: Log.objects.filter(function="app.handed.bill").count() > 2)
        log = claimed("double")
        assert log.status == Status.RUNNING
        node.process.terminate()
        assert node.wait() == 0
    log.refresh_from_db()
    assert log.status == Status.FAILED
    words = "the engine did not answer, so whether it has the task is not known; its node was stopped"
    assert words in log.reason
    assert Job.objects.get(pk=log.job_id).lock is None


def test_a_task_whose_worker_was_killed_is_not_known_to_have_ended(make_task, broker, tick, working, tmp_path):
    begun = tmp_path / "begun"
    make_task("slow", args=[str(begun), 3600])
    tick(results=broker.url)
    with working():
        until(begun.exists)
    tick(results=broker.url)
    assert Log.objects.get().status == Status.HANDED_OVER
    assert Task.objects.exists()


def test_a_task_that_was_revoked_has_failed_and_says_so(make_task, broker, tick):
    make_task("double")
    tick(results=broker.url)
    log = Log.objects.get()
    # As a worker does that was told so.
    revoke = f"from app.celery_app import app; app.backend.mark_as_revoked({log.task_id!r}, 'a person')"
    environment = {"CRONKITE_TEST_BROKER": broker.url, "CRONKITE_TEST_RESULTS": broker.url}
    subprocess.run([sys.executable, "-c", revoke], env={**os.environ, **environment}, cwd=HERE, check=True, timeout=60)
    tick(results=broker.url)
    log.refresh_from_db()
    assert (log.status, log.reason) == (Status.FAILED, "Celery was told not to run it")


def test_of_a_task_that_ignores_its_result_nobody_asks(make_task, broker, tick):
    make_task("forget")
    tick(results=broker.url)
    log = Log.objects.get()
    assert log.status == Status.HANDED_OVER
    assert sent(broker) == [log.task_id]
    assert not Task.objects.exists()


def test_a_job_does_not_wait_for_a_task_that_ignores_its_result(make_task, broker, tick):
    make_task("forget", overlap="wait for the task")
    tick(results=broker.url)
    assert Job.objects.get().lock is None


def test_a_job_of_a_group_is_not_handed_over_as_a_task_that_ignores_its_result(make_task, broker, tick):
    make_task("forget", group="mails")
    said = tick(results=broker.url)
    assert not Log.objects.exists()
    assert sent(broker) == []
    assert "its group, mails, can't be kept to: celery does not tell when its task has ended" in said


def test_a_task_goes_where_it_is_routed_unless_the_job_says_where(make_task, broker, tick):
    make_task("routed")
    make_task("routed", queue="mail")
    tick()
    routed, to_mail = Log.objects.order_by("job_name")
    assert (routed.queue, to_mail.queue) == ("lane", "mail")
    assert sent(broker, "lane") == [routed.task_id]
    assert sent(broker, "mail") == [to_mail.task_id]


def test_each_app_has_its_own_broker(make_task, broker, tick, tmp_path):
    with redis_server(tmp_path) as other:
        make_task("double")
        make_task("abroad")
        tick(CRONKITE_TEST_OTHER_BROKER=other.url)
        abroad, double = Log.objects.order_by("job_name")
        assert sent(other) == [abroad.task_id]
        assert sent(broker) == [double.task_id]


def test_results_that_are_out_of_reach_are_asked_for_again_and_other_engines_too(
    make_task, make_job, broker, looping, working, tmp_path
):
    make_task("double", args=[4])
    make_job("app.handed.bill", due=0)
    Job.objects.filter(function="app.handed.bill").write(engine="django.tasks")
    with redis_server(tmp_path) as results, looping(CRONKITE_TEST_RESULTS=results.url) as (node,):
        until(lambda: Log.objects.filter(status=Status.HANDED_OVER).count() == 2)
        results.kill()
        turn_of_tasks()
        log = tmp_path / "log"
        until(lambda: "celery does not tell what became of 1 tasks; it is asked again." in log.read_text())
        DBTaskResult.objects.update(status="SUCCESSFUL", return_value=1, finished_at=clock.now("default"))
        turn_of_tasks()
        until(lambda: Log.objects.filter(function="app.handed.bill", status=Status.SUCCEEDED).exists())
        # Not again and again: a task that was just handed over is asked about once a second.
        assert log.read_text().count("does not tell what became") < 60
        results.start()
        with working(results):
            until(lambda: results.client.keys("celery-task-meta-*"))
            turn_of_tasks()
            until(lambda: Log.objects.filter(job_name="double", status=Status.SUCCEEDED).exists())
        node.process.terminate()
        assert node.wait() == 0


def test_a_job_that_is_created_knows_that_its_function_is_a_task_of_celery(db):
    job = Job.objects.create(name="double", function="app.celery_app.double", schedule="@daily", args=[4])
    assert job.engine == "celery"
    job.full_clean()
