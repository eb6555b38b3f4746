"""RQ, by the backend of django-tasks-rq: its queue is in Redis, and so each slot is put there at most once."""

from __future__ import annotations

import os
import signal

import pytest
from brokers import redis_server, worker
from django.db import connection
from nodes import cron, nodes, turn_of_tasks, until

import families
from cronkite.models import Job, Log, Task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
Status = Log.Status


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def redis(server):
    """A server of Redis that has nothing."""
    if server.process is None:
        server.start()
    server.client.flushall()
    return server


@pytest.fixture
def tick(redis):
    """A tick of a node that has RQ, and asks what became of tasks."""

    def tick(**options):
        turn_of_tasks()
        return cron(CRONKITE_TEST_RQ=redis.url, **options)

    return tick


@pytest.fixture
def working(redis):
    """A worker of RQ's."""

    def working():
        environment = {
            **os.environ,
            "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "CRONKITE_TEST_RQ": redis.url,
        }
        return worker("manage.py", "rqworker", "--job-class", "django_tasks_rq.Job", "default", "mail", **environment)

    return working


@pytest.fixture
def make_task(make_job):
    """Make a job that is known to be a task."""

    def make(name, **columns):
        job = make_job(f"app.rq_tasks.{name}", **{"due": 0, **columns})
        Job.objects.filter(pk=job.pk).write(engine="django.tasks")
        return job

    return make


def queued(redis, queue="default"):
    """Return the ids of the tasks in a queue."""
    return [each.decode() for each in redis.client.lrange(f"rq:queue:{queue}", 0, -1)]


@pytest.mark.parametrize("name", ["double", "triple"])
def test_a_task_of_either_home_is_put_into_its_queue(make_task, redis, tick, name):
    make_task(name, args=[4])
    tick()
    log = Log.objects.get()
    assert (log.status, log.engine, log.backend, log.queue) == (Status.HANDED_OVER, "django.tasks", "rq", "default")
    assert queued(redis) == [log.task_id]
    assert (Job.objects.get().lock, Task.objects.count()) == (None, 1)


def test_the_jobs_queue_is_the_tasks(make_task, redis, tick):
    make_task("double", queue="mail")
    tick()
    assert queued(redis, "mail") == [Log.objects.get().task_id]


def test_the_log_follows_tasks_to_their_ends(make_task, redis, tick, working):
    make_task("double", args=[4])
    make_task("fail")
    make_task("triple", args=[4])
    tick()
    with working():
        until(lambda: redis.client.zcard("rq:finished:default") == 2 and redis.client.zcard("rq:failed:default") == 1)
    tick()
    double, fail, triple = Log.objects.order_by("job_name")
    assert (double.status, double.result) == (Status.SUCCEEDED, 8)
    assert (triple.status, triple.result) == (Status.SUCCEEDED, 12)
    assert double.worker
    assert double.started_at <= double.finished_at
    assert fail.status == Status.FAILED
    assert "ValueError: no such customer" in fail.exc_info
    assert not Task.objects.exists()


def test_while_the_broker_is_away_slots_fail_and_say_why_and_later_ones_are_handed_over(make_task, redis, tmp_path):
    make_task("note", args=[str(tmp_path / "evidence")], schedule="* * * * * *", catch_up="all", due=None)
    logs = Log.objects.order_by("slot")
    with nodes(("cron", "loop"), CRONKITE_TEST_RQ=redis.url, log=tmp_path / "log") as (node,):
        until(lambda: logs.filter(status=Status.HANDED_OVER).count() >= 2)
        redis.kill()
        until(lambda: logs.filter(reason__contains="Error 111 connecting").count() >= 2)
        redis.start()
        last = logs.filter(status=Status.FAILED).last()
        until(lambda: logs.filter(status=Status.HANDED_OVER, slot__gt=last.slot).count() >= 2)
        node.process.terminate()
        assert node.wait() == 0
    assert set(logs.values_list("status", flat=True)) == {Status.HANDED_OVER, Status.FAILED}
    failed, refused = (
        logs.filter(status=Status.FAILED),
        "could not be handed over: ConnectionError: Error 111 connecting to",
    )
    assert failed.filter(reason__startswith=refused).count() >= 2
    # Of what was on its way when the broker died, nobody knows whether it has arrived.
    doubted = failed.exclude(reason__startswith=refused)
    assert all(log.reason.startswith("could not be handed over: ConnectionError: ") for log in doubted)
    there = set(queued(redis))
    handed = set(logs.filter(status=Status.HANDED_OVER).values_list("task_id", flat=True))
    assert handed <= there
    assert len(there - handed) <= doubted.count()
    assert Job.objects.get().lock is None


def test_a_task_whose_process_was_killed_has_failed_as_its_engine_says(make_task, redis, tick, working, tmp_path):
    evidence = tmp_path / "evidence"
    make_task("slow", args=[str(evidence), 3600])
    tick()
    with working() as process:
        until(evidence.exists)
        (horse,) = families.children(process.pid)
        os.kill(horse, signal.SIGKILL)
        until(lambda: redis.client.zcard("rq:failed:default"))
    tick()
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert "Work-horse terminated unexpectedly" in log.exc_info
