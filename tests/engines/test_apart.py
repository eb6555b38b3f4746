"""The tables of django-tasks-db are in another database than the jobs: at most once, and that is said."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django_tasks_db.models import DBTaskResult
from nodes import cron, manage, nodes, turn_of_tasks, until

from cronkite.checks import job_checks
from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.engines import counter
from cronkite.models import Job, Log, Task

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


@pytest.fixture
def environment(tmp_path):
    """What has a process know of the other database, which has its tables."""
    names = {"CRONKITE_TEST_TASKS": str(tmp_path / "tasks"), "CRONKITE_TEST_DATABASE": connection.settings_dict["NAME"]}
    names = {name: str(value) for name, value in names.items()}
    done = manage("migrate", "--database", "tasks", "--skip-checks", "django_tasks_database", **names)
    assert not done.returncode, done.stderr
    return names


@pytest.fixture
def make_task(make_job):
    """Make a job that is due, and known to be a task."""

    def make(name, **columns):
        job = make_job(f"app.handed.{name}", **{"due": 0, **columns})
        Job.objects.filter(pk=job.pk).write(engine="django.tasks")
        return job

    return make


def queued(environment):
    """Return the ids of the tasks in the other database, without hyphens."""
    with closing(sqlite3.connect(environment["CRONKITE_TEST_TASKS"])) as other:
        return [row[0] for row in other.execute("SELECT id FROM django_tasks_database_dbtaskresult")]


def plain(task_id):
    return task_id.replace("-", "")


def test_a_task_is_put_there_after_the_claim_and_followed_to_its_end(make_task, environment):
    make_task("bill", args=[7])
    cron(**environment)
    log = Log.objects.get()
    assert (log.status, log.backend) == (Status.HANDED_OVER, "db")
    assert queued(environment) == [plain(log.task_id)]
    assert (Job.objects.get().lock, Task.objects.count()) == (None, 1)
    done = manage("db_worker", "--skip-checks", "--backend", "db", "--batch", "--interval", "0", **environment)
    assert not done.returncode, done.stderr
    turn_of_tasks()
    cron(**environment)
    log.refresh_from_db()
    assert (log.status, log.result) == (Status.SUCCEEDED, {"number": 7})


def test_a_node_that_dies_between_the_two_loses_the_slot_and_puts_it_there_never(make_task, environment):
    make_task("bill")
    options = {"lock_timeout": 1, "CRONKITE_TEST_SABOTAGE": "die=after-hand-over:1"}
    with nodes(("cron", "--skip-checks"), **options, **environment) as (node,):
        node.wait()
    assert Log.objects.get().status == Status.RUNNING
    Job.objects.all().write(schedule="* * * * * *", next_run=clock.Now())
    with nodes(("cron", "loop", "--skip-checks"), lock_timeout=1, **environment) as (node,):
        until(lambda: Log.objects.filter(status=Status.HANDED_OVER).exists())
        # Not killed: that may be between the two, again.
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    first = Log.objects.order_by("slot").first()
    assert first.status == Status.LOST
    assert first.task_id == ""
    given = Log.objects.filter(status=Status.HANDED_OVER).values_list("task_id", flat=True)
    assert sorted(queued(environment)) == sorted(map(plain, given))


def test_where_nobody_would_commit_the_task_it_is_not_handed_over(make_task, environment):
    environment["CRONKITE_TEST_TASKS_AUTOCOMMIT"] = "0"
    slot = make_task("bill").next_run
    printed = cron(**environment)
    assert "Job 'bill' cannot be handed over" in printed
    assert "The tasks of django-tasks-db are in the database 'tasks', which has AUTOCOMMIT = False" in printed
    # It is still due: a node that has other settings may take it.
    assert not Log.objects.exists()
    assert Job.objects.get().next_run == slot
    assert queued(environment) == []
    said = manage("check", "--database", "default", **environment).stderr
    assert "(cronkite.W012) 1 enabled job is not handed over: app.handed.bill." in said
    assert "which has AUTOCOMMIT = False" in said
    assert "W011" not in said


def test_over_a_connection_on_which_autocommit_is_turned_off_none_is_sent(make_task):
    job = make_task("bill")
    (sorted_job,) = counter.sort([job])
    claim = claiming.claim_by_hand(job, "web-1")
    connection.close()

    def turn_off(connection, **kwargs):
        connection.set_autocommit(False)

    connection_created.connect(turn_off)
    try:
        found = []
        counter.enqueue([(sorted_job, claim)], found)
    finally:
        connection_created.disconnect(turn_off)
        connection.close()
    counter.record(found)
    log = Log.objects.get()
    assert (log.status, DBTaskResult.objects.count()) == (Status.FAILED, 0)
    assert "connection_created" in log.reason


def test_manage_py_check_says_at_most_once(make_task, environment):
    make_task("bill")
    make_task("elsewhere")
    said = manage("check", "--database", "default", **environment)
    assert (
        "(cronkite.W011) 1 enabled job is handed over at most once, not exactly once: app.handed.bill." in said.stderr
    )
    assert "W011" not in manage("check", **environment).stderr


def test_where_both_are_in_one_database_there_is_nothing_to_say(make_task):
    make_task("bill")
    assert job_checks.check_handed_over_jobs(databases=["default"]) == []


def test_jobs_that_are_run_cost_one_query_and_no_import(make_job, django_assert_max_num_queries):
    make_job("app.hanging.anything")
    assert job_checks.check_handed_over_jobs() == []
    with django_assert_max_num_queries(3):  # its BEGIN and COMMIT included, where they are counted
        assert job_checks.check_handed_over_jobs(databases=["default"]) == []


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("", "Name the task that is to call such functions"),
        ("app.nowhere.run", "'app.nowhere.run' cannot be imported here"),
        ("app.handed.plain", "CRONKITE_TASK names 'app.handed.plain', which is no task"),
    ],
)
def test_jobs_that_nothing_calls_are_told_of(make_job, settings, task, words):
    settings.CRONKITE_TASK = task
    make_job("app.handed.plain", run_mode="hand over")
    make_job("app.handed.plain", run_mode="hand over", enabled=False, name="disabled")
    make_job("app.handed.bill", run_mode="hand over")
    (message,) = job_checks.check_handed_over_jobs(databases=["default"])
    assert message.id == "cronkite.W012"
    assert message.msg == "1 enabled job is not handed over: app.handed.plain."
    assert words in message.hint
