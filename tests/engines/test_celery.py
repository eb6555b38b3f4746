"""Celery on Redis: a task goes to the broker once at most, whatever becomes of the broker."""

from __future__ import annotations

import json
import os
import socket

import pytest
from brokers import redis_server, swallowing, worker
from django.db import connection
from nodes import cron, until

from cronkite.database import clock
from cronkite.models import Job, Log, Task

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
        Job.objects.filter(follow_at__isnull=False).write(follow_at=clock.Now())
        return cron(CRONKITE_TEST_BROKER=url, CRONKITE_TEST_RESULTS=results, **options)

    return tick


@pytest.fixture
def working(broker):
    """A worker of Celery's."""

    def working():
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "CRONKITE_TEST_BROKER": broker.url,
            "CRONKITE_TEST_RESULTS": broker.url,
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


def test_a_broker_that_is_silent_holds_up_no_other_job(make_task, make_job, broker, tick):
    """It takes connections, and nothing comes of them."""
    make_task("double")
    make_job("app.jobs.ok", due=0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tick(url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout=3")
    other = Log.objects.get(function="app.jobs.ok")
    assert other.status == Status.SUCCEEDED
    log = Log.objects.get(job_name="double")
    assert log.status in {Status.FAILED, Status.HANDED_OVER}
    assert other.finished_at < log.finished_at
