"""What the tables hold, and what an edit does to a job's plan."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import due, make_due
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from cronkite import clock, locks
from cronkite.catch_up import Decision
from cronkite.exceptions import FunctionNotAllowed, FunctionNotFound, ScheduleError
from cronkite.models import Job, Log
from cronkite.models.logs import Status

pytestmark = pytest.mark.django_db


def new_job(**columns):
    return Job.objects.create(**{"name": "job", "function": "app.jobs.ok", "schedule": "0 3 * * *", **columns})


def missed_logs(job):
    return list(Log.objects.filter(job=job, status=Status.MISSED).order_by("id"))


# Creating.


def test_a_new_job_is_planned_from_the_databases_now_on():
    before = clock.now("default")
    job = new_job()
    assert job.next_run == job.get_schedule().next_after(before)
    assert (job.last_slot, job.fence, job.lock, job.source) == (None, 0, None, "admin")


def test_a_new_job_that_is_disabled_has_no_next_run():
    assert new_job(enabled=False).next_run is None


def test_bulk_create_plans_each_job():
    jobs = Job.objects.bulk_create(
        [Job(name=str(n), function="app.jobs.ok", schedule="* * * * *", enabled=bool(n)) for n in range(2)]
    )
    assert [job.next_run is not None for job in jobs] == [False, True]


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"schedule": "61 * * * *"}, ScheduleError),
        ({"timezone": "Europe/Atlantis"}, ScheduleError),
        ({"function": "os.system"}, FunctionNotAllowed),
        ({"function": "app.jobs.nothing"}, FunctionNotFound),
    ],
)
def test_a_job_that_could_not_run_is_not_saved(columns, error):
    with pytest.raises(error):
        new_job(**columns)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"schedule": "nonsense"}, "schedule"),
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"function": "subprocess.run"}, "function"),
        ({"args": {"not": "a list"}}, "args"),
        ({"kwargs": ["not an object"]}, "kwargs"),
        ({"function": "app.jobs.fail", "args": [1, 2, 3]}, "args"),
    ],
)
def test_clean_puts_each_error_at_its_field(columns, field):
    job = Job(**{"name": "job", "function": "app.jobs.ok", "schedule": "0 3 * * *", **columns})
    with pytest.raises(ValidationError) as error:
        job.full_clean()
    assert set(error.value.message_dict) == {field}


# The schema keeps the promises, whatever the code does.


def test_the_database_refuses_a_second_run_of_a_slot():
    job = new_job()
    values = {"job": job, "slot": job.next_run, "created": job.next_run}
    Log.objects.create(fence=1, **values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Log.objects.create(fence=2, **values)


def test_the_database_refuses_two_runs_of_one_claim():
    job = new_job()
    Log.objects.create(job=job, fence=1, slot=job.next_run, created=job.next_run)
    with pytest.raises(IntegrityError), transaction.atomic():
        Log.objects.create(job=job, fence=1, slot=job.next_run + timedelta(days=1), created=job.next_run)


def test_runs_by_hand_are_as_many_as_one_likes():
    job = new_job()
    for fence in (1, 2, 3):
        Log.objects.create(job=job, fence=fence, slot=None, created=job.next_run)


@pytest.mark.parametrize("columns", [{"lock": uuid4()}, {"locked_by": "node"}, {"next_run": None}])
def test_the_database_refuses_half_a_lock_and_an_enabled_job_without_a_plan(columns):
    job = new_job()
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).write(**columns)


def test_the_database_refuses_a_missed_slot_with_a_claim():
    job = new_job()
    with pytest.raises(IntegrityError), transaction.atomic():
        Log.objects.create(job=job, slot=job.next_run, fence=1, status=Status.MISSED, created=job.next_run)


def test_a_log_outlives_its_job():
    job = new_job(name="billing")
    log = Log.objects.create(job=job, job_name="billing", fence=1, slot=job.next_run, created=job.next_run)
    job.delete()
    log.refresh_from_db()
    assert (log.job, log.job_name) == (None, "billing")
    assert str(log).startswith("billing, ")


# The due query.


def test_the_queue_is_what_is_enabled_and_due_and_not_locked(make_job):
    wanted = make_job(due=0)
    make_job(name="later", schedule="0 0 29 2 *")
    disabled = make_job(name="disabled", due=0)
    Job.objects.filter(pk=disabled.pk).write(enabled=False)
    locked = make_job(name="locked", due=0)
    Job.objects.filter(pk=locked.pk).write(lock=uuid4(), locked_by="x", locked_at=clock.Now())
    assert list(Job.objects.queue()) == [wanted]


def test_the_queue_looks_ahead_when_asked_to(make_job):
    job = make_job(schedule="* * * * *")
    assert not Job.objects.queue()
    assert list(Job.objects.queue(ahead=timedelta(seconds=61))) == [job]


def test_the_queue_brings_the_databases_clock(make_job):
    make_job(due=0)
    assert abs(Job.objects.queue().get().now - clock.now("default")) < timedelta(seconds=30)


def test_the_due_query_is_served_by_its_index(make_job):
    far = make_job(schedule="0 0 29 2 *").next_run
    Job.objects.bulk_create(
        [Job(name=f"j{n}", function="app.jobs.ok", schedule="0 0 29 2 *", next_run=far) for n in range(1000)]
    )
    if connection.vendor == "postgresql":
        # A table that was never analysed: PostgreSQL then guesses that a third of it is due, and reads it all.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = str(Job.objects.queue().explain())
    assert "cronkite_job_due" in plan, plan


# Editing.


def test_an_edit_never_writes_what_a_tick_wrote_meanwhile(make_job):
    job = make_job(due=0)
    held = Job.objects.get(pk=job.pk)
    read = due(job)
    decision = Decision(read.next_run, 0, None, read.next_run + timedelta(minutes=1))
    claim = locks.claim(read, decision, "node")
    held.description = "edited from a form that was opened before the claim"
    held.save()
    job.refresh_from_db()
    assert job.description.startswith("edited")
    assert (job.lock, job.fence, job.last_slot) == (claim.token, 1, decision.slot)
    assert job.next_run == held.next_run == decision.next_run


def test_an_edit_of_the_schedule_plans_anew_and_never_retroactively(make_job):
    job = make_job(schedule="0 0 29 2 *")
    job.schedule = "* * * * *"
    job.save()
    assert job.next_run > clock.now("default") - timedelta(seconds=1)
    assert job.next_run == Job.objects.get(pk=job.pk).next_run
    assert not missed_logs(job)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [({"schedule": "0 3 * * *"}, "the schedule was changed"), ({"enabled": False}, "the job was disabled")],
)
def test_what_was_due_before_an_edit_is_recorded_as_missed(make_job, edit, reason):
    job = make_job(schedule="*/10 * * * *", due=3600)
    for column, value in edit.items():
        setattr(job, column, value)
    job.save()
    (log,) = missed_logs(job)
    assert log.missed + 1 in (6, 7)
    assert log.reason == reason
    job.refresh_from_db()
    assert job.last_slot == log.slot


def test_a_job_that_is_enabled_again_starts_from_now():
    job = new_job(schedule="* * * * *", enabled=False)
    job.enabled = True
    job.save()
    assert job.next_run >= clock.now("default") - timedelta(seconds=1)


def test_enabling_in_bulk_plans_as_a_save_does():
    job = new_job(enabled=False)
    assert Job.objects.update(enabled=True) == 1
    job.refresh_from_db()
    assert job.next_run is not None


def test_a_bulk_update_that_could_not_plan_is_refused():
    job = new_job()
    job.schedule = "0 4 * * *"
    with pytest.raises(TypeError, match="schedule can't be set"):
        Job.objects.bulk_update([job], ["schedule"])


def test_a_job_is_updated_or_created():
    columns = {"function": "app.jobs.ok", "schedule": "0 3 * * *"}
    made, is_new = Job.objects.update_or_create(name="bill", defaults={"description": "x"}, create_defaults=columns)
    assert is_new
    again, is_new = Job.objects.update_or_create(
        name="bill", defaults={"schedule": lambda: "0 4 * * *", "description": "y"}
    )
    assert (again, is_new) == (made, False)
    again.refresh_from_db()
    assert (again.schedule, again.description, again.revision) == ("0 4 * * *", "y", 1)
    assert again.next_run == again.get_schedule().next_after(clock.now("default"))
    with pytest.raises(ScheduleError):
        Job.objects.update_or_create(name="bill", defaults={"schedule": "61 * * * *"})


def test_other_columns_are_updated_in_bulk_by_one_statement(django_assert_num_queries):
    new_job()
    with django_assert_num_queries(1):
        Job.objects.update(description="x")


def test_a_change_of_zone_plans_anew():
    job = new_job(timezone="Asia/Tokyo")
    before = job.next_run
    job.timezone = "America/New_York"
    job.save(update_fields=["timezone"])
    job.refresh_from_db()
    assert job.next_run != before


def test_an_edit_of_something_else_keeps_the_plan(make_job):
    job = make_job(due=600)
    planned = job.next_run
    job.description = "x"
    job.save()
    job.refresh_from_db()
    assert (job.next_run, job.revision) == (planned, 1)


def test_the_schedule_of_the_row_decides_and_not_that_of_a_stale_copy(make_job):
    job = make_job(schedule="0 3 * * *")
    stale = Job.objects.get(pk=job.pk)
    Job.objects.get(pk=job.pk).save()
    other = Job.objects.get(pk=job.pk)
    other.schedule = "0 4 * * *"
    other.save()
    stale.description = "only this"
    stale.save(update_fields=["description"])
    job.refresh_from_db()
    assert (job.schedule, job.next_run) == ("0 4 * * *", other.next_run)


def test_what_the_nodes_keep_cannot_be_saved():
    job = new_job()
    with pytest.raises(ValueError, match="next_run"):
        job.save(update_fields=["next_run"])


def test_a_function_is_checked_when_it_changes():
    job = new_job()
    job.function = "os.system"
    with pytest.raises(FunctionNotAllowed):
        job.save()


def test_a_job_whose_function_this_node_lacks_can_be_disabled(make_job):
    job = make_job("app.jobs.not_here")
    job.enabled = False
    job.save()
    assert not Job.objects.get(pk=job.pk).enabled


def test_a_broken_schedule_can_be_mended(make_job):
    job = make_job(due=0)
    Job.objects.filter(pk=job.pk).write(schedule="broken")
    job.schedule = "0 3 * * *"
    job.save()
    assert due(job) is None


def test_saving_a_job_that_is_gone_says_so():
    job = new_job()
    Job.objects.filter(pk=job.pk).delete()
    with pytest.raises(DatabaseError, match="gone"):
        job.save()


def test_an_edit_starts_anew_when_a_tick_comes_first(make_job, monkeypatch):
    from cronkite.models import edits

    job = make_job(due=600, schedule="* * * * *")
    committed, calls = edits._committed, []

    def read_then_tick(rows, using):
        before = committed(rows, using)
        if not calls:
            calls.append(1)
            Job.objects.filter(pk=job.pk).write(next_run=before.next_run + timedelta(minutes=1))
        return before

    monkeypatch.setattr(edits, "_committed", read_then_tick)
    job.schedule = "0 3 * * *"
    job.save()
    assert missed_logs(job)[0].slot is not None
    monkeypatch.setattr(edits, "_conditional", lambda rows, before: rows.none())
    job.schedule = "0 4 * * *"
    with pytest.raises(DatabaseError, match="Try again"):
        job.save()
    with pytest.raises(DatabaseError, match="Try again"):
        job.delete()


# Deleting.


def test_what_a_deleted_job_owed_is_recorded_as_missed(make_job):
    job = make_job(schedule="*/10 * * * *", due=3600)
    job.delete()
    log = Log.objects.get()
    assert (log.job, log.status, log.reason) == (None, Status.MISSED, "the job was deleted")
    assert log.missed + 1 in (6, 7)


def test_deleting_in_bulk_records_the_same(make_job):
    make_job(due=60)
    make_job(name="other", due=60)
    Job.objects.all().delete()
    assert Log.objects.filter(job=None, status=Status.MISSED).count() == 2


def test_a_job_that_owed_nothing_leaves_nothing(make_job):
    make_due(make_job(), 0)
    Job.objects.update(enabled=False)
    Log.objects.all().delete()
    Job.objects.all().delete()
    assert not Log.objects.exists()


def test_a_job_with_a_broken_schedule_can_be_disabled(make_job):
    job = make_job(due=0)
    Job.objects.filter(pk=job.pk).write(schedule="broken")
    job.refresh_from_db()
    job.enabled = False
    job.save()
    assert Job.objects.get(pk=job.pk).next_run is None
