"""A task is handed over to its engine, once for each slot, and the log knows."""

from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
from conftest import due
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult
from nodes import cron, nodes, turn_of_tasks, until

import families
from cronkite import requests
from cronkite.claims import claiming, handing, holding
from cronkite.claims.handing import Handed
from cronkite.claims.verdicts import Receipt
from cronkite.database import clock
from cronkite.models import Job, Log, Task
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


def tick():
    """Do in this process what a tick does, a look at what became of tasks included."""
    call_command("cron", workers=0)


def look_again():
    """Have the next tick ask what became of tasks."""
    turn_of_tasks()


def work():
    """Do what a worker of the engine does, until there is nothing left."""
    Worker(
        queue_names=["*"],
        interval=0,
        batch=True,
        backend_name="db",
        startup_delay=False,
        max_tasks=None,
        worker_id="w1",
        excluded_queue_names=[],
    ).run()


def save(job):
    """Save the job, so that it is known what its function is; and leave it due."""
    fresh = Job.objects.get(pk=job.pk)
    fresh.engine = "django.tasks"
    Job.objects.filter(pk=job.pk).write(engine="django.tasks")
    return fresh


def decide(read):
    return catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, read.now)


def test_a_task_is_enqueued_and_not_called(make_job):
    job = save(make_job("app.handed.bill", due=0, args=[7]))
    tick()
    log, task = Log.objects.get(), DBTaskResult.objects.get()
    assert log.status == Status.HANDED_OVER
    assert (log.engine, log.backend, log.queue, log.task_id) == ("django.tasks", "db", "default", str(task.id))
    assert (log.slot, log.fence, log.args, log.started_at) == (job.next_run, 1, [7], None)
    assert task.args_kwargs == {"args": [7], "kwargs": {}}
    job.refresh_from_db()
    assert job.lock is None
    assert job.last_slot == log.slot


def test_what_became_of_it_is_known_after_another_look(make_job):
    save(make_job("app.handed.bill", due=0, args=[7]))
    tick()
    work()
    look_again()
    tick()
    log = Log.objects.get()
    assert (log.status, log.result, log.worker) == (Status.SUCCEEDED, {"number": 7}, "w1")
    assert log.started_at <= log.finished_at
    assert not Task.objects.exists()
    assert Job.objects.get().follow_at is None


def test_a_task_that_failed_has_its_traceback(make_job, caplog):
    save(make_job("app.handed.fail", due=0))
    tick()
    work()
    look_again()
    with caplog.at_level(logging.ERROR, "cronkite"):
        tick()
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert "ValueError: no such customer" in log.exc_info
    assert "Job 'fail'" in caplog.text


def test_while_a_task_waits_the_log_says_handed_over(make_job):
    save(make_job("app.handed.bill", due=0))
    tick()
    look_again()
    tick()
    assert Log.objects.get().status == Status.HANDED_OVER
    assert Job.objects.get().follow_at > clock.now("default")


def test_a_task_that_its_engine_has_forgotten_is_followed_no_more(make_job):
    save(make_job("app.handed.bill", due=0))
    tick()
    DBTaskResult.objects.all().delete()
    look_again()
    tick()
    log = Log.objects.get()
    assert (log.status, log.reason) == (Status.HANDED_OVER, "its engine does not know of the task any more")
    assert not Task.objects.exists()
    assert Job.objects.get().follow_at is None


def test_an_idle_tick_asks_nothing_about_tasks(make_job, django_assert_num_queries):
    save(make_job("app.handed.bill", due=0))
    tick()
    with django_assert_num_queries(2):  # what is due, and the sign of life
        tick()


def test_run_here_calls_the_task_in_place(make_job):
    make_job("app.handed.bill", due=0, run_mode="here", args=[3])
    tick()
    log = Log.objects.get()
    assert (log.status, log.result, log.engine) == (Status.SUCCEEDED, {"number": 3}, "")
    assert not DBTaskResult.objects.exists()


def test_a_task_whose_backend_runs_it_at_once_is_run_by_the_node(make_job):
    make_job("app.handed.at_once", due=0)
    tick()
    assert (Log.objects.get().status, Log.objects.get().result) == (Status.SUCCEEDED, "here")


def test_a_plain_function_is_handed_over_by_the_projects_task(make_job, settings):
    settings.CRONKITE_TASK = "cronkite.tasks.run"
    make_job("app.handed.plain", due=0, run_mode="hand over", backend="db", args=[4])
    tick()
    assert DBTaskResult.objects.get().args_kwargs["args"] == ["app.handed.plain", [4], {}]
    work()
    look_again()
    tick()
    assert (Log.objects.get().status, Log.objects.get().result) == (Status.SUCCEEDED, 5)


def test_without_such_a_task_it_is_said_what_to_do(make_job, caplog):
    make_job("app.handed.plain", due=0, run_mode="hand over")
    tick()
    assert "CRONKITE_TASK" in caplog.text
    assert not Log.objects.exists()


def test_the_jobs_queue_and_priority_are_the_tasks(make_job):
    save(make_job("app.handed.bill", due=0, queue="mail", priority=7))
    tick()
    task = DBTaskResult.objects.get()
    assert (task.queue_name, task.priority) == ("mail", 7)
    assert Log.objects.get().queue == "mail"


def test_an_engine_that_takes_nothing_makes_the_slot_fail(make_job, caplog):
    save(make_job("app.handed.broken", due=0))
    tick()
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert log.reason == "could not be handed over: ConnectionError: nobody listens there"
    assert "ConnectionError" in log.exc_info
    assert Job.objects.get().lock is None
    assert "could not be handed over" in caplog.text


def test_a_task_for_elsewhere_is_handed_over_after_the_claim(make_job, tmp_path, monkeypatch):
    monkeypatch.setenv("CRONKITE_TEST_QUEUE", str(tmp_path / "queue"))
    save(make_job("app.handed.elsewhere", due=0, args=[2]))
    tick()
    log = Log.objects.get()
    ((task_id, path, *_),) = [line.split() for line in (tmp_path / "queue").read_text().splitlines()]
    assert (log.status, log.backend, log.task_id) == (Status.HANDED_OVER, "elsewhere", task_id)
    assert path == "app.handed.elsewhere"
    job = Job.objects.get()
    # It can't tell what becomes of its tasks.
    assert (job.lock, Task.objects.count()) == (None, 0)


def test_a_job_that_waits_for_its_task_keeps_the_lock(make_job):
    job = save(make_job("app.handed.bill", due=0, overlap="wait for the task"))
    tick()
    job.refresh_from_db()
    assert job.lock is not None
    assert Log.objects.get().status == Status.HANDED_OVER
    work()
    look_again()
    tick()
    job.refresh_from_db()
    assert job.lock is None
    assert Log.objects.get().status == Status.SUCCEEDED


def test_a_job_of_a_group_keeps_its_seat_until_its_task_has_ended(make_job):
    first = save(make_job("app.handed.bill", name="first", due=60, group="bills"))
    save(make_job("app.handed.bill", name="second", due=0, group="bills"))
    tick()
    (log,) = Log.objects.all()
    assert (log.job_id, log.status) == (first.pk, Status.HANDED_OVER)
    assert Job.objects.get(seat=1) == first
    tick()
    assert Log.objects.count() == 1
    work()
    look_again()
    tick()
    assert set(Log.objects.values_list("job_name", "status")) == {
        ("first", Status.SUCCEEDED),
        ("second", Status.HANDED_OVER),
    }
    assert Job.objects.exclude(seat=None).get().name == "second"


def test_a_lock_that_waits_for_a_task_is_taken_over_when_it_is_stale(make_job, lock_timeout):
    lock_timeout(60)
    waits = {"overlap": "wait for the task", "catch_up": "all"}
    job = save(make_job("app.handed.bill", due=60, schedule="* * * * *", **waits))
    tick()
    rows = Job.objects.filter(pk=job.pk)
    rows.write(follow_at=None)
    tick()
    assert Log.objects.count() == 1
    rows.write(locked_at=clock.now("default") - timedelta(hours=1))
    tick()
    assert Log.objects.count() == 2
    # The first goes on, and is followed to its end.
    work()
    look_again()
    tick()
    assert set(Log.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert Job.objects.get().lock is None


def test_what_was_asked_for_is_handed_over_too(make_job):
    job = save(make_job("app.handed.bill"))
    requests.ask(job, "anna")
    tick()
    log = Log.objects.get()
    assert (log.status, log.slot, log.reason) == (Status.HANDED_OVER, None, "asked for by anna")
    assert DBTaskResult.objects.count() == 1


def test_a_worker_finds_out_that_a_function_is_a_task(make_job):
    """Nobody has looked at the function before: jobs that were made in bulk, say."""
    job = make_job("app.handed.bill", due=0)
    assert job.engine == ""
    cron()
    assert Log.objects.get().status == Status.HANDED_OVER
    assert Job.objects.get().engine == "django.tasks"


def test_a_task_that_has_become_a_function_is_run(make_job):
    save(make_job("app.handed.plain", due=0))
    cron()
    assert (Log.objects.get().status, Log.objects.get().result) == (Status.SUCCEEDED, 2)
    assert Job.objects.get().engine == ""


def test_a_node_that_only_hands_over_has_no_workers(make_job):
    save(make_job("app.handed.bill", schedule="* * * * * *"))
    with nodes(("cron", "loop")) as (node,):
        until(lambda: Log.objects.count() > 2)
        assert families.workers(node.pid) == []
    assert Log.objects.count() == DBTaskResult.objects.count()


def test_a_saved_job_knows_its_engine():
    job = Job(name="bill", function="app.handed.bill", schedule="@daily")
    job.save()
    assert Job.objects.get().engine == "django.tasks"
    job.function = "app.handed.plain"
    job.save()
    assert Job.objects.get().engine == ""


@pytest.mark.parametrize(
    ("columns", "field", "words"),
    [
        ({"queue": "fax"}, "queue", "Queue 'fax' is not valid for backend"),
        ({"backend": "nowhere"}, "backend", "nowhere"),
        ({"priority": 101}, "priority", "between -100 and 100"),
        ({"function": "app.handed.plain", "run_mode": "hand over"}, "run_mode", "CRONKITE_TASK"),
    ],
)
def test_what_an_engine_would_not_take_is_refused_in_a_form(columns, field, words):
    job = Job(**{"name": "bill", "function": "app.handed.bill", "schedule": "@daily", **columns})
    with pytest.raises(ValidationError) as refusal:
        job.full_clean()
    assert words in " ".join(refusal.value.message_dict[field])


@pytest.mark.parametrize(
    ("column", "value"), [("run_mode", "there"), ("overlap", "no"), ("queue", 7), ("backend", None)]
)
def test_what_no_code_knows_is_refused_by_save(column, value):
    with pytest.raises(ValueError, match=f"A job's {column} is"):
        Job(name="bill", function="app.handed.bill", schedule="@daily", **{column: value}).save()


def test_a_lock_that_waits_for_a_task_is_not_stuck_while_the_engine_has_the_task(make_job):
    """Without a lock timeout nobody else shows a sign of life."""
    job = save(make_job("app.handed.bill", due=0, overlap="wait for the task"))
    tick()
    Job.objects.filter(pk=job.pk).write(locked_at=clock.now("default") - timedelta(hours=1))
    assert Job.objects.with_now().get().is_stuck
    look_again()
    tick()
    assert not Job.objects.with_now().get().is_stuck


def test_of_a_job_that_is_deleted_the_log_says_that_its_task_is_not_followed(make_job):
    job = save(make_job("app.handed.bill", due=0))
    tick()
    job.delete()
    log = Log.objects.get()
    assert (log.status, log.reason) == (
        Status.HANDED_OVER,
        "its job was deleted, so what became of the task is not known",
    )
    assert not Task.objects.exists()


def test_what_was_handed_over_is_recorded_once_however_often_it_is_written(make_job):
    job = save(make_job("app.handed.elsewhere", due=0))
    claim = claiming.claim(due(job), decide(due(job)), "node")
    handed = [Handed(claim, Receipt("django.tasks", "id-1", "elsewhere", "default"), keeps_lock=False)]
    for _ in "twice, as when the answer is lost":
        assert handing.record(handed) == []
    log = Log.objects.get()
    assert (log.status, log.task_id) == (Status.HANDED_OVER, "id-1")
    assert Task.objects.count() == 1


def test_a_hand_over_whose_lock_was_lost_meanwhile_is_told_in_its_log(make_job, lock_timeout):
    lock_timeout(60)
    job = save(make_job("app.handed.elsewhere", due=0))
    claim = claiming.claim(due(job), decide(due(job)), "node")
    assert holding.unlock(Job.objects.get(), by="ada")
    handed = [Handed(claim, Receipt("django.tasks", "id-1", "elsewhere", "default"), keeps_lock=False)]
    assert handing.record(handed) == [claim]
    log = Log.objects.get()
    assert (log.status, log.task_id) == (Status.LOST, "id-1")
    assert log.reason.endswith("its lock was lost before it was known that the engine has the task")


def test_the_page_of_a_log_tells_of_the_task_and_leads_to_it(make_job, admin_client):
    save(make_job("app.handed.bill", due=0))
    tick()
    log = Log.objects.get()
    page = admin_client.get(f"/admin/cronkite/log/{log.pk}/change/").content.decode()
    for said in ("handed over", "django.tasks (db)", log.task_id):
        assert said in page
    address = re.search(r'href="([^"]+)"[^>]*>\s*Its task', page)[1]
    assert admin_client.get(address).status_code == 200
    DBTaskResult.objects.all().delete()
    assert "Its task" not in admin_client.get(f"/admin/cronkite/log/{log.pk}/change/").content.decode()


def test_who_may_not_see_tasks_is_not_led_there(make_job, client):
    save(make_job("app.handed.bill", due=0))
    tick()
    user = User.objects.create(username="looks", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_log"))
    client.force_login(user)
    page = client.get(f"/admin/cronkite/log/{Log.objects.get().pk}/change/").content.decode()
    assert "handed over" in page
    assert "Its task" not in page


def test_slots_that_are_caught_up_on_wait_for_the_task_before(make_job):
    job = save(make_job("app.handed.bill", due=180, schedule="* * * * *", catch_up="all", overlap="wait for the task"))
    looks = 0
    while due(job) or Task.objects.exists():
        tick()
        work()
        turn_of_tasks()
        looks += 1
        assert Task.objects.count() <= 1
        assert looks < 60
    logs = Log.objects.order_by("slot")
    assert set(logs.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert logs.count() >= 4
    assert not any(log.missed for log in logs)


def test_a_job_that_is_disabled_is_followed_to_the_end_of_its_task(make_job):
    job = save(make_job("app.handed.bill", due=0))
    tick()
    job.enabled = False
    job.save()
    work()
    turn_of_tasks()
    tick()
    assert Log.objects.get().status == Status.SUCCEEDED
    assert not Task.objects.exists()


def test_nodes_that_are_told_to_stop_while_they_hand_over_leave_nothing_half_done(tmp_path):
    columns = {"function": "app.handed.bill", "schedule": "* * * * * *", "catch_up": "all", "engine": "django.tasks"}
    Job.objects.bulk_create([Job(name=f"bill {n}", **columns) for n in range(200)])
    with nodes(("cron", "loop"), ("cron", "loop"), log=tmp_path / "log") as both:
        until(Log.objects.count)
        for node in both:
            node.process.terminate()
        assert [node.wait() for node in both] == [0, 0]
    tasks = {str(task_id) for task_id in DBTaskResult.objects.values_list("pk", flat=True)}
    assert sorted(tasks) == sorted(Log.objects.values_list("task_id", flat=True))
    assert not Job.objects.filter(lock__isnull=False).exists()


def test_cron_run_calls_the_task_in_place(make_job):
    make_job("app.handed.bill", args=[3])
    call_command("cron", "run", "bill")
    assert (Log.objects.get().status, Log.objects.get().result) == (Status.SUCCEEDED, {"number": 3})
    assert not DBTaskResult.objects.exists()
