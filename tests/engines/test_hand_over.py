"""A task is handed over to its engine, once for each slot, and the log knows."""

from __future__ import annotations

import logging
import re
import signal
from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import due
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db.backends.utils import CursorWrapper
from django_tasks_db.compat import task_enqueued
from django_tasks_db.models import DBTaskResult
from engine_worker import work
from nodes import cron, nodes, turn_of_tasks, until, until_seen

import families
from app import engines, handed, strange
from cronkite import requests, signals
from cronkite.claims import claiming, handing, holding
from cronkite.claims.handing import Handed
from cronkite.claims.verdicts import Receipt
from cronkite.database import clock, teller
from cronkite.engines import counter
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


def test_receivers_are_told_of_the_end_of_a_task_and_not_of_its_beginning(make_job):
    heard = []

    def hear(signal, run, **more):
        heard.append((signal is signals.run_finished, run.job_name, more.get("outcome") and more["outcome"].status))

    signals.run_started.connect(hear)
    signals.run_finished.connect(hear)
    try:
        save(make_job("app.handed.bill", due=0, args=[7]))
        tick()
        assert teller.wait(30)
        assert heard == []
        work()
        look_again()
        tick()
        assert teller.wait(30)
    finally:
        signals.run_started.disconnect(hear)
        signals.run_finished.disconnect(hear)
    assert heard == [(True, "bill", Status.SUCCEEDED)]


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
    before = clock.now("default")
    tick()
    assert Log.objects.get().status == Status.HANDED_OVER
    assert Job.objects.get().follow_at > before


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
    # The first question is a second away.
    Job.objects.all().write(follow_at=clock.Now() + timedelta(hours=1))
    Task.objects.update(ask_at=clock.Now() + timedelta(hours=1))
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


def test_a_management_command_is_handed_over_as_a_plain_function_is(make_job, settings):
    settings.CRONKITE_TASK = "cronkite.tasks.run"
    call = "cronkite.commands.call"
    for args in (["report", "north"], ["leave", "zero"], ["leave", "three"]):
        make_job(call, due=0, run_mode="hand over", backend="db", args=args, name=" ".join(args))
    tick()
    assert DBTaskResult.objects.count() == 3
    work()
    look_again()
    tick()
    found = {log.job_name: (log.status, log.result) for log in Log.objects.all()}
    assert found["report north"] == (Status.SUCCEEDED, "all is reported")
    assert found["leave zero"] == (Status.SUCCEEDED, None)
    assert found["leave three"][0] == Status.FAILED
    assert "it exited with code 3" in Log.objects.get(job_name="leave three").exc_info


def test_a_command_that_may_not_run_is_not_handed_over(make_job, settings, caplog):
    settings.CRONKITE_TASK = "cronkite.tasks.run"
    make_job("cronkite.commands.call", due=0, run_mode="hand over", backend="db", args=["migrate"])
    tick()
    assert not DBTaskResult.objects.exists()
    assert "it is one of Django's own" in caplog.text


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


@pytest.mark.parametrize("kind", [SystemExit, *strange.ERRORS.values()])
def test_whatever_an_engine_raises_makes_the_slot_fail_and_ends_no_node(make_job, monkeypatch, kind):
    def enqueue(*args):
        raise kind("no")

    monkeypatch.setattr(engines.BrokenBackend, "enqueue", enqueue)
    save(make_job("app.handed.broken", due=0))
    tick()
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert log.reason.startswith("could not be handed over: ")
    assert Job.objects.get().lock is None


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
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
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
    given = [Handed(claim, Receipt("django.tasks", "id-1", "elsewhere", "default"), keeps_lock=False)]
    for _ in "twice, as when the answer is lost":
        assert handing.record(given) == []
    log = Log.objects.get()
    assert (log.status, log.task_id) == (Status.HANDED_OVER, "id-1")
    assert Task.objects.count() == 1


def test_a_hand_over_whose_lock_was_lost_meanwhile_is_told_in_its_log(make_job, lock_timeout):
    lock_timeout(60)
    job = save(make_job("app.handed.elsewhere", due=0))
    claim = claiming.claim(due(job), decide(due(job)), "node")
    assert holding.unlock(Job.objects.get(), by="ada")
    given = [Handed(claim, Receipt("django.tasks", "id-1", "elsewhere", "default"), keeps_lock=False)]
    assert handing.record(given) == [claim]
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
        until_seen(2)
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


# Several at a time.


@pytest.fixture
def five(make_job):
    """Five jobs that are due, the odd ones of which wait for their tasks."""
    overlaps = ["hand over", "wait for the task"] * 3
    columns = {"due": 0, "engine": "django.tasks"}
    return [make_job("app.handed.bill", args=[n], overlap=overlaps[n], **columns) for n in range(5)]


def wanted(jobs):
    """Return what a node hands over that has read these jobs."""
    return [(each, decide(each.job)) for each in counter.sort([due(job) for job in jobs])]


def billed():
    """Return what the tasks in the queue are about, each of which its log knows."""
    tasks = {str(task.pk): task.args_kwargs["args"] for task in DBTaskResult.objects.all()}
    logs = Log.objects.filter(status=Status.HANDED_OVER)
    assert tasks == {log.task_id: log.args for log in logs}
    assert set(logs.values_list("job", "fence")) == set(Task.objects.values_list("job", "fence"))
    return sorted(number for (number,) in tasks.values())


def test_jobs_are_handed_over_together_each_with_its_own_lock(five):
    claims = counter.hand_over(wanted(five), "node")
    assert [claim.job_id for claim in claims] == [job.pk for job in five]
    assert billed() == [0, 1, 2, 3, 4]
    locked = {claim.job_id: claim.token for claim in claims[1::2]}
    assert dict(Job.objects.filter(lock__isnull=False).values_list("pk", "lock")) == locked
    assert dict(Task.objects.filter(lock__isnull=False).values_list("job", "lock")) == locked


def test_of_jobs_that_are_handed_over_together_those_that_others_took_are_left_to_them(five):
    mine = wanted(five)
    others = counter.hand_over(wanted(five[1:3]), "other")
    assert [claim is None for claim in counter.hand_over(mine, "node")] == [False, True, True, False, False]
    assert billed() == [0, 1, 2, 3, 4]
    assert set(Log.objects.filter(node="other").values_list("job", flat=True)) == {claim.job_id for claim in others}


def test_a_stale_lock_among_jobs_that_are_handed_over_together_is_taken_over(five, lock_timeout):
    lock_timeout(60)
    claiming.claim(due(five[3]), decide(due(five[3])), "dead")
    an_hour_ago = clock.now("default") - timedelta(hours=1)
    slot = five[3].get_schedule().latest_at(an_hour_ago - timedelta(days=400))
    Job.objects.filter(pk=five[3].pk).write(locked_at=an_hour_ago, next_run=five[3].next_run, last_slot=slot)
    Log.objects.update(slot=slot)
    assert all(counter.hand_over(wanted(five), "node"))
    assert billed() == [0, 1, 2, 3, 4]
    assert Log.objects.get(node="dead").status == Status.LOST


def test_what_the_queue_refuses_of_jobs_that_are_handed_over_together_has_failed_alone(five, monkeypatch, caplog):
    ids = [uuid4(), uuid4(), uuid4(), uuid4()]
    again = iter([*ids, ids[2]] * 3)
    backend = handed.bill.get_backend()
    monkeypatch.setattr(backend, "id_function", lambda: next(again))
    claims = counter.hand_over(wanted(five), "node")
    assert all(claims)
    assert billed() == [0, 1, 2, 3]
    log = Log.objects.get(status=Status.FAILED)
    assert log.job == five[4]
    assert log.reason.startswith("could not be handed over: IntegrityError")
    assert not Job.objects.filter(pk=five[4].pk, lock__isnull=False).exists()


def test_what_an_engine_refuses_of_jobs_that_are_handed_over_together_has_failed_alone(five, make_job):
    broken = make_job("app.handed.bill", due=0, name="unfit", engine="django.tasks", kwargs={"unknown": 1})
    pairs = wanted([*five, broken])

    def refuse(sender, task_result, **kwargs):
        if task_result.kwargs:
            raise LookupError("nobody is called unknown")

    task_enqueued.connect(refuse)
    try:
        assert all(counter.hand_over(pairs, "node"))
    finally:
        task_enqueued.disconnect(refuse)
    assert billed() == [0, 1, 2, 3, 4]
    log = Log.objects.get(status=Status.FAILED)
    assert (log.job, log.reason) == (broken, "could not be handed over: LookupError: nobody is called unknown")


def test_however_many_are_handed_over_together_their_tasks_take_one_insert(five, monkeypatch):
    said, execute = [], CursorWrapper._execute

    def listen(cursor, sql, *args):
        said.append(sql)
        return execute(cursor, sql, *args)

    pairs = wanted(five)
    monkeypatch.setattr(CursorWrapper, "_execute", listen)
    assert all(counter.hand_over(pairs, "node"))
    assert sum(sql.startswith("INSERT") for sql in said) == 3  # of tasks, logs, and what is to be asked about
