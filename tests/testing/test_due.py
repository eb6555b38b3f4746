"""What is due at an instant is run in the test's own process and transaction, once, and nothing waits for it."""

from __future__ import annotations

import logging
import sys
import threading
from datetime import datetime, timedelta, timezone
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group as Rows
from django.db import IntegrityError, connection, transaction

from cronkite import requests, signals
from cronkite.exceptions import CronkiteError, FunctionError
from cronkite.models import Group, Job, Log, Node
from cronkite.testing import freeze, run_due

#: Sundays.
THREE = datetime(2026, 3, 1, 3, tzinfo=timezone.utc)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("alone")]

#: Within a test's transaction, as in a TestCase, and outside of any, as in a TransactionTestCase.
everywhere = pytest.mark.parametrize(
    "is_lent",
    [
        pytest.param(True, marks=pytest.mark.django_db, id="TestCase"),
        pytest.param(False, marks=pytest.mark.django_db(transaction=True), id="TransactionTestCase"),
    ],
)


def told(logs):
    return [(log.job_name, log.slot, log.status) for log in logs]


@everywhere
def test_what_is_due_is_run_and_logged(make, is_lent):
    make()
    make(name="later", schedule="0 4 * * *")
    assert connection.in_atomic_block == is_lent
    assert told(run_due(at=THREE)) == [("ok", THREE, "succeeded")]
    (log,) = Log.objects.all()
    assert (log.created, log.started_at, log.finished_at) == (THREE, THREE, THREE)
    job = Job.objects.get(name="ok")
    assert (job.last_slot, job.next_run, job.lock) == (THREE, THREE + DAY, None)


@everywhere
def test_the_same_instant_again_runs_nothing_again(make, is_lent):
    make()
    assert run_due(at=THREE)
    assert run_due(at=THREE) == []
    assert Log.objects.count() == 1


@pytest.mark.parametrize("year", [1999, 2026, 2083])
def test_it_makes_no_difference_on_which_day_the_test_itself_is_run(make, year):
    make()
    slot = THREE.replace(year=year)
    assert [(log.slot, log.missed) for log in run_due(at=slot)] == [(slot, 0)]


def test_an_instant_is_one_in_whatever_zone_it_is_told(make):
    make(timezone="Europe/Berlin")
    (log,) = run_due(at=datetime(2026, 7, 1, 3, tzinfo=ZoneInfo("Europe/Berlin")))
    assert log.slot == datetime(2026, 7, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(("late", "number"), [(timedelta(seconds=59), 1), (MINUTE, 0)])
def test_a_new_job_is_due_for_the_minute_in_which_a_crontab_would_tick(make, late, number):
    make()
    assert len(run_due(at=THREE + late)) == number


def test_nothing_is_taken_ahead_of_its_slot(make):
    make()
    assert run_due(at=THREE - timedelta(seconds=1)) == []
    assert len(run_due(at=THREE)) == 1


def test_time_goes_on_from_one_instant_to_the_next(make):
    make()
    make(name="at five", schedule="0 5 * * *")
    assert told(run_due(at=THREE)) == [("ok", THREE, "succeeded")]
    later = THREE + 3 * DAY
    assert [(log.job_name, log.slot, log.missed) for log in run_due(at=later)] == [
        ("at five", later - 22 * HOUR, 2),
        ("ok", later, 2),
    ]


@pytest.mark.parametrize(
    ("columns", "ran"),
    [
        ({"catch_up": "latest"}, [(3, "succeeded", 3)]),
        ({"catch_up": "all"}, [(0, "succeeded", 0), (1, "succeeded", 0), (2, "succeeded", 0), (3, "succeeded", 0)]),
        ({"catch_up": "all", "grace": 3600}, [(3, "succeeded", 3)]),
        ({"catch_up": "all", "grace": 7200}, [(2, "succeeded", 2), (3, "succeeded", 0)]),
        ({"catch_up": "none"}, [(3, "missed", 3)]),
        ({"catch_up": "none", "grace": 3600}, [(3, "succeeded", 3)]),
    ],
)
def test_slots_since_an_instant_are_caught_up_on_as_the_job_says(make, columns, ran):
    make(schedule="0 * * * *", **columns)
    logs = run_due(at=THREE + 30 * MINUTE, since=THREE - 4 * HOUR + MINUTE)
    assert [(log.slot.hour, log.status, log.missed) for log in logs] == ran


def test_jobs_are_run_in_the_order_of_their_slots(make):
    make(name="b", schedule="2 3 * * *")
    make(name="c", schedule="1 3 * * *")
    make(name="a", schedule="2 3 * * *")
    logs = run_due(at=THREE + 3 * MINUTE, since=THREE)
    assert [log.job_name for log in logs] == ["c", "b", "a"]


def test_a_job_that_was_saved_while_the_clock_stood_keeps_its_plan(make):
    with freeze(THREE - 3 * DAY):
        make()
    (log,) = run_due(at=THREE + 12 * HOUR)
    assert (log.slot, log.missed) == (THREE, 2)


def test_a_plan_that_the_test_has_written_is_kept(make):
    job = make()
    Job.objects.filter(pk=job.pk).update(next_run=THREE - 2 * DAY)
    (log,) = run_due(at=THREE)
    assert (log.slot, log.missed) == (THREE, 2)


def test_a_disabled_job_is_not_run(make):
    make(enabled=False)
    assert run_due(at=THREE) == []


def test_without_an_instant_it_is_the_database_s_now_and_plans_stay(make, make_job):
    job = make()
    make_job(name="due", due=0)
    assert [log.job_name for log in run_due()] == ["due"]
    before = job.next_run
    job.refresh_from_db()
    assert job.next_run == before


def test_without_an_instant_it_is_where_the_clock_stands(make):
    make()
    with freeze(THREE):
        assert told(run_due()) == [("ok", THREE, "succeeded")]


@pytest.mark.parametrize("name", ["at", "since"])
def test_an_instant_without_a_zone_is_refused(name):
    instants = {"at": THREE, name: THREE.replace(tzinfo=None)}
    with pytest.raises(ValueError, match=f"^{name} has no time zone.* tzinfo="):
        run_due(**instants)


def test_what_is_no_instant_is_refused():
    with pytest.raises(TypeError, match=r"must be a datetime with a time zone.*'2026-03-01 03:00'"):
        run_due(at="2026-03-01 03:00")


def test_a_beginning_after_the_end_is_refused():
    with pytest.raises(ValueError, match="since must not be after at"):
        run_due(at=THREE, since=THREE + MINUTE)


# What fails.


@everywhere
def test_a_function_that_raises_has_failed_and_keeps_no_other_from_being_run(make, is_lent):
    make("app.jobs.fail", name="a")
    make(name="b")
    assert [(log.job_name, log.status) for log in run_due(at=THREE)] == [("a", "failed"), ("b", "succeeded")]
    assert "ValueError: it went wrong" in Log.objects.get(job_name="a").exc_info


def test_its_error_is_raised_if_that_is_asked_for_when_all_have_been_run(make):
    make("app.jobs.fail", name="a")
    make(name="b")
    with pytest.raises(ValueError, match="it went wrong"):
        run_due(at=THREE, raises=True)
    assert sorted(told(Log.objects.all())) == [("a", THREE, "failed"), ("b", THREE, "succeeded")]


def test_a_function_that_can_not_be_had_is_told_of_too(make):
    job = make()
    Job.objects.filter(pk=job.pk).write(function="app.jobs.gone")
    assert run_due(at=THREE) == []
    with pytest.raises(FunctionError, match=r"app\.jobs\.gone"):
        run_due(at=THREE, raises=True)


@everywhere
@pytest.mark.parametrize("is_raw", [False, True])
def test_a_statement_that_fails_breaks_no_transaction(make, is_lent, is_raw):
    make(name="a")
    make("app.jobs.note", name="b", args=["nowhere"])

    def clash():
        Rows.objects.create(name="kept")
        if is_raw:
            with connection.cursor() as cursor:
                cursor.execute("SELECT no_such_column FROM auth_group")
        Rows.objects.create(pk=Rows.objects.get().pk)

    with mock.patch("app.jobs.ok", side_effect=clash), mock.patch("app.jobs.note"):
        logs = run_due(at=THREE)
    assert [(log.job_name, log.status) for log in logs] == [("a", "failed"), ("b", "succeeded")]
    if not is_lent:
        # There is no transaction that it could break.
        assert Rows.objects.exists()


@everywhere
def test_what_a_function_has_written_before_it_raised_stays(make, is_lent):
    make()

    def write():
        Rows.objects.create(name="written")
        raise LookupError

    with mock.patch("app.jobs.ok", side_effect=write):
        run_due(at=THREE)
    assert Rows.objects.exists()


def test_a_statement_whose_failure_the_function_has_swallowed_in_a_block_of_its_own_does_no_harm(make):
    make()

    def clash():
        row = Rows.objects.create(name="kept")
        try:
            with transaction.atomic():
                Rows(pk=row.pk, name="twice").save(force_insert=True)
        except IntegrityError:
            pass

    with mock.patch("app.jobs.ok", side_effect=clash):
        assert [log.status for log in run_due(at=THREE)] == ["succeeded"]
    assert Rows.objects.exists()


def test_what_a_person_or_the_test_s_own_tools_raise_goes_through(make):
    make()
    with mock.patch("app.jobs.ok", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        run_due(at=THREE)
    with mock.patch("app.jobs.ok", side_effect=pytest.fail.Exception("wrong")), pytest.raises(pytest.fail.Exception):
        run_due(at=THREE + DAY)


def test_the_clock_goes_again_whatever_has_happened(make):
    make()
    with mock.patch("app.jobs.ok", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        run_due(at=THREE)
    assert Job.objects.with_now().get().now.year >= 2026
    assert Job.objects.with_now().get().now != THREE


@pytest.mark.parametrize(("code", "status"), [(0, "succeeded"), (3, "failed")])
def test_a_function_that_exits_ends_no_test(make, code, status):
    make("app.jobs.exit_softly", args=[code])
    assert [log.status for log in run_due(at=THREE)] == [status]


# What else a node does.


@everywhere
def test_a_slot_is_tried_again_at_a_later_instant(make, is_lent):
    make("app.jobs.fail", retries=2, retry_delay=60)
    assert [log.attempt for log in run_due(at=THREE)] == [1]
    assert run_due(at=THREE + 59 * timedelta(seconds=1)) == []
    assert [(log.attempt, log.slot) for log in run_due(at=THREE + MINUTE)] == [(2, THREE)]
    assert [log.attempt for log in run_due(at=THREE + 3 * MINUTE)] == [3]
    assert run_due(at=THREE + HOUR) == []


def test_a_job_is_begun_later_by_its_jitter(make):
    job = make(jitter=600)
    begins = job.begins(THREE)
    assert THREE < begins < THREE + 10 * MINUTE
    assert run_due(at=begins - timedelta(seconds=1)) == []
    assert [log.slot for log in run_due(at=begins)] == [THREE]


@everywhere
def test_the_jobs_of_a_group_are_all_run_one_after_the_other(make, is_lent):
    Group.objects.create(name="reports", max_running=1)
    for name in "abc":
        make(name=name, group="reports")
    assert [log.job_name for log in run_due(at=THREE)] == ["a", "b", "c"]


def test_an_async_function_is_awaited(make):
    make("app.targets.add_later", args=[1, 2])
    assert [log.result for log in run_due(at=THREE)] == [3]


@everywhere
def test_what_an_async_function_asks_of_the_database_is_asked_in_the_test_s_transaction(make, is_lent):
    make()
    Rows.objects.create(name="before")

    async def write(*args):
        await Rows.objects.acreate(name="meanwhile")
        return [row.name async for row in Rows.objects.order_by("pk")]

    with mock.patch("app.jobs.ok", side_effect=write, new_callable=mock.Mock):
        assert [log.result for log in run_due(at=THREE, raises=True)] == [["before", "meanwhile"]]
    assert Rows.objects.count() == 2


def test_a_function_knows_its_run_and_what_it_prints_is_kept(make):
    make()

    def tell(*args):
        from cronkite import current_run

        print("slot", current_run().slot)

    with mock.patch("app.jobs.ok", side_effect=tell):
        (log,) = run_due(at=THREE)
    assert log.output == f"slot {THREE}\n"


def test_what_somebody_asked_for_is_run(make):
    job = make("app.jobs.ok", schedule="0 0 1 1 *")
    requests.ask_with(job, "kim", [1], {})
    (log,) = run_due(at=THREE)
    assert (log.slot, log.reason, log.args) == (None, "asked for by kim", [1])
    with freeze(THREE + HOUR):
        requests.ask(job, "kim")
        assert [log.args for log in run_due()] == [[]]


def test_the_project_s_own_time_goes_on_meanwhile(make):
    from django.db.models.functions import Now
    from django.utils import timezone as django_timezone

    make()
    seen = []

    def look():
        now = Rows.objects.create(name="now") and Rows.objects.annotate(now=Now()).get().now
        seen.extend([django_timezone.now(), now])

    with mock.patch("app.jobs.ok", side_effect=look):
        run_due(at=THREE.replace(year=1999))
    assert [instant.year >= 2026 for instant in seen] == [True, True]


@everywhere
def test_no_node_is_seen(make, is_lent):
    make()
    run_due(at=THREE)
    assert not Node.objects.exists()


def test_a_module_is_imported_without_a_process_in_which_it_is_tried(make, monkeypatch):
    job = make()
    Job.objects.filter(pk=job.pk).write(function="app.handed.plain", engine="django.tasks")
    monkeypatch.delitem(sys.modules, "app.handed", raising=False)
    run_due(at=THREE, raises=True)
    assert "app.handed" in sys.modules


def test_a_mistake_in_a_row_is_logged_and_keeps_no_other(make, caplog):
    make(name="a")
    make(name="b")
    Job.objects.filter(name="a").write(schedule="nonsense")
    with caplog.at_level(logging.ERROR, "cronkite"):
        assert [log.job_name for log in run_due(at=THREE)] == ["b"]


@pytest.mark.django_db(transaction=True)
def test_where_a_node_would_have_to_wait_that_is_said(make, monkeypatch):
    from cronkite.claims import claiming, verdicts

    make()

    def lose(*args, **kwargs):
        raise verdicts.Contention

    monkeypatch.setattr(claiming, "claim_all", lose)
    with pytest.raises(CronkiteError, match=r"can't be run now, but only after the next look.*locked the job's row"):
        run_due(at=THREE)


# Engines.


def test_a_task_of_a_backend_that_runs_it_at_once_is_run(make):
    make("app.handed.at_once")
    assert [(log.status, log.result) for log in run_due(at=THREE)] == [("succeeded", "here")]


@everywhere
def test_a_task_of_celery_that_is_to_be_run_at_once_is_run(make, is_lent, monkeypatch):
    from app.celery_app import app

    monkeypatch.setitem(app.conf, "task_always_eager", True)
    make("app.celery_app.double", args=[21])
    make("app.celery_app.fail")
    logs = run_due(at=THREE)
    assert {(log.job_name, log.status, log.result, log.engine) for log in logs} == {
        ("double", "succeeded", 42, ""),
        ("fail", "failed", None, ""),
    }
    with pytest.raises(ValueError, match="no such customer"):
        run_due(at=THREE + DAY, raises=True)


@everywhere
def test_a_task_is_handed_over_and_its_log_follows_it(make, is_lent, settings):
    settings.TASKS = {**settings.TASKS, "db": {**settings.TASKS["default"], "BACKEND": _dummy(settings)}}
    make("app.handed.bill")
    (log,) = run_due(at=THREE)
    assert (log.status, log.engine, log.backend) == ("handed_over", "django.tasks", "db")
    assert run_due(at=THREE) == []
    assert run_due(at=THREE + HOUR) == []


def _dummy(settings):
    return settings.TASKS["default"]["BACKEND"].replace("immediate.ImmediateBackend", "dummy.DummyBackend")


@everywhere
def test_a_task_of_an_engine_in_the_same_database_is_handed_over_within_the_transaction(make, is_lent):
    from django_tasks_db.models import DBTaskResult

    make("app.handed.bill", args=[7])
    (log,) = run_due(at=THREE)
    assert log.status == "handed_over"
    assert DBTaskResult.objects.count() == 1
    DBTaskResult.objects.get().set_successful({"number": 7})
    run_due(at=THREE + MINUTE)
    log.refresh_from_db()
    assert (log.status, log.result) == ("succeeded", {"number": 7})


def test_a_task_that_its_engine_refuses_has_failed_and_that_is_raised_if_it_is_asked_for(make):
    make("app.handed.broken")
    assert [log.status for log in run_due(at=THREE)] == ["failed"]
    with pytest.raises(CronkiteError, match="nobody listens there"):
        run_due(at=THREE + DAY, raises=True)


@pytest.fixture
def heard():
    """The ends of runs that a receiver is told of."""
    ends = []

    def receive(sender, run, outcome, **values):
        ends.append((run.job_name, outcome.status, threading.current_thread() is threading.main_thread()))

    signals.run_finished.connect(receive)
    yield ends
    signals.run_finished.disconnect(receive)


@pytest.mark.django_db(transaction=True)
def test_signals_are_told_at_once_and_by_no_thread(make, heard):
    make()
    (log,) = run_due(at=THREE)
    assert heard == [(log.job_name, "succeeded", True)]


@pytest.mark.django_db
def test_in_a_test_case_signals_are_told_when_what_waits_for_the_commit_is_called(
    make, heard, django_capture_on_commit_callbacks
):
    make()
    with django_capture_on_commit_callbacks(execute=True):
        (log,) = run_due(at=THREE)
    assert heard == [(log.job_name, "succeeded", True)]
