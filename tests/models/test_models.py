"""What the tables hold, and what an edit does to a job's plan."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import due, make_due
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, DataError, IntegrityError, connection, transaction
from django.db.models import F, Value
from django.forms import modelform_factory

from cronkite import requests
from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.exceptions import FunctionNotAllowed, FunctionNotFound, ScheduleError
from cronkite.models import Job, Log
from cronkite.models.logs import Status
from cronkite.schedules.catch_up import Decision

pytestmark = pytest.mark.django_db


def new_job(**columns):
    return Job.objects.create(**{"name": "job", "function": "app.jobs.ok", "schedule": "0 3 * * *", **columns})


def missed_logs(job):
    return list(Log.objects.filter(job=job, status=Status.MISSED).order_by("id"))


def assert_all_are_told(log, first, before):
    """Have the log tell of all slots, ten minutes apart, from the first on until now; ``before`` is a while ago."""
    step = timedelta(minutes=10)
    assert before - step < log.slot <= clock.now("default")
    assert log.slot - log.missed * step == first


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
    job, hour = make_job(), timedelta(hours=1)
    Job.objects.filter(pk=job.pk).write(next_run=clock.now("default") + hour)
    assert not Job.objects.queue()
    assert not Job.objects.queue(ahead=hour / 2)
    assert list(Job.objects.queue(ahead=hour)) == [job]


def test_the_queue_brings_the_databases_clock(make_job):
    make_job(due=0)
    before = clock.now("default")
    assert before <= Job.objects.queue().get().now <= clock.now("default")


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
    claim = claiming.claim(read, decision, "node")
    held.description = "edited from a form that was opened before the claim"
    held.save()
    job.refresh_from_db()
    assert job.description.startswith("edited")
    assert (job.lock, job.fence, job.last_slot) == (claim.token, 1, decision.slot)
    assert job.next_run == held.next_run == decision.next_run


def test_an_edit_of_the_schedule_plans_anew_and_never_retroactively(make_job):
    job = make_job(schedule="0 0 29 2 *")
    job.schedule = "* * * * *"
    before = clock.now("default")
    job.save()
    assert job.next_run > before
    assert job.next_run == Job.objects.get(pk=job.pk).next_run
    assert not missed_logs(job)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [({"schedule": "0 3 * * *"}, "the schedule was changed"), ({"enabled": False}, "the job was disabled")],
)
def test_what_was_due_before_an_edit_is_recorded_as_missed(make_job, edit, reason):
    job = make_job(schedule="*/10 * * * *", due=3600)
    first, before = job.next_run, clock.now("default")
    for column, value in edit.items():
        setattr(job, column, value)
    job.save()
    (log,) = missed_logs(job)
    assert_all_are_told(log, first, before)
    assert log.reason == reason
    job.refresh_from_db()
    assert job.last_slot == log.slot


def test_a_job_that_is_enabled_again_starts_from_now():
    job = new_job(schedule="* * * * *", enabled=False)
    job.enabled = True
    before = clock.now("default")
    job.save()
    assert job.next_run > before


def test_enabling_in_bulk_plans_as_a_save_does():
    job = new_job(enabled=False)
    assert Job.objects.update(enabled=True) == 1
    job.refresh_from_db()
    assert job.next_run is not None


def test_a_bulk_update_plans_as_a_save_does(make_job):
    job, other = make_job(schedule="*/10 * * * *", due=3600), make_job(name="other")
    job.schedule = other.schedule = "0 4 * * *"
    gone = make_job(name="gone")
    Job.objects.filter(pk=gone.pk).delete()
    assert Job.objects.bulk_update([job, other, gone], ["schedule", "description"]) == 2
    for each in (job, other):
        each.refresh_from_db()
        assert each.next_run == each.get_schedule().next_after(clock.now("default"))
    assert missed_logs(job)[0].reason == "the schedule was changed"


def test_a_bulk_update_of_other_columns_is_one_statement(make_job, django_assert_num_queries):
    jobs = [make_job(), make_job(name="other")]
    for job in jobs:
        job.description = job.name
    with django_assert_num_queries(1):
        Job.objects.bulk_update(jobs, ["description"])
    assert set(Job.objects.values_list("description", flat=True)) == {"ok", "other"}


def test_an_edit_by_an_expression_says_what_to_do(make_job):
    make_job()
    with pytest.raises(TypeError, match="schedule can't be set by an expression: set a value, and save"):
        Job.objects.update(schedule=F("description"))
    with pytest.raises(TypeError, match=r"can't update a job's schedule: update_or_create\(\) it"):
        Job.objects.bulk_create(
            [Job()], update_conflicts=True, update_fields=["schedule"], unique_fields=["declared_as"]
        )


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


@pytest.mark.parametrize("times", [1, 2, 3])
def test_jobs_are_set_up_at_each_deploy(times):
    for _ in range(times):
        job, is_new = Job.objects.update_or_create(
            name="bill", defaults={"function": "app.jobs.ok", "schedule": "0 3 * * *", "args": [1]}
        )
    assert is_new == (times == 1)
    again, is_new = Job.objects.get_or_create(name="bill", defaults={"function": "os.system", "schedule": "broken"})
    assert (again, is_new) == (job, False)
    new, is_new = Job.objects.get_or_create(name="new", function="app.jobs.ok", schedule="@daily")
    assert is_new
    assert new.next_run is not None
    assert Job.objects.update_or_create(name="new") == (new, False)
    with pytest.raises(ValueError, match="next_run cannot be saved: django-cronkite keeps it by itself"):
        Job.objects.update_or_create(name="new", defaults={"next_run": None})


def test_a_save_of_nothing_writes_nothing(django_assert_num_queries):
    job = new_job()
    with django_assert_num_queries(0):
        job.save(update_fields=[])


def test_a_save_of_what_no_job_has_says_what_there_is():
    job = new_job()
    with pytest.raises(ValueError, match=r"A job has no cron\. What can be saved is alert, args, backend, "):
        job.save(update_fields=["cron"])


@pytest.mark.parametrize("column", ["schedule", "timezone", "function"])
@pytest.mark.parametrize("value", [timedelta(hours=1), None, 5, print])
def test_what_is_no_text_is_refused_with_what_to_write(column, value):
    with pytest.raises(ValueError, match=f"A job's {column} is a text, as in '"):
        Job.objects.create(**{**BY_HAND, column: value})


@pytest.mark.parametrize("column", ["enabled", "schedule", "timezone", "function"])
def test_what_decides_on_a_job_is_no_expression(make_job, column):
    job = make_job()
    setattr(job, column, F("description"))
    for save in (job.save, lambda: job.save(update_fields=[column])):
        with pytest.raises(TypeError, match=f"A job's {column} can't be set by an expression: set a value"):
            save()
    with pytest.raises(TypeError, match="by an expression"):
        Job.objects.bulk_update([job], [column]) if column != "function" else job.save()
    with pytest.raises(TypeError, match="by an expression"):
        Job.objects.update_or_create(name=job.name, defaults={column: F("description")})


def test_a_disabled_job_is_planned_by_whatever_way_it_comes(historical, tmp_path):
    """Or its dump would be taken for something that was written by hand."""
    Job.objects.bulk_create([Job(**{**BY_HAND, "name": "bulk", "enabled": False})])
    historical.objects.using("default").create(**{**BY_HAND, "name": "migration", "enabled": False})
    assert Job.objects.filter(planned_at__isnull=False, next_run__isnull=True).count() == 2
    Job.objects.all().write(function="shop.gone.away", fence=7)
    path = tmp_path / "dump.json"
    call_command("dumpdata", "cronkite.Job", output=str(path), verbosity=0)
    Job.objects.all().write(fence=3)
    call_command("loaddata", str(path), verbosity=0)
    assert set(Job.objects.values_list("fence", flat=True)) == {7}


def test_a_copy_of_a_job_that_was_never_planned_is_one_of_its_own():
    Job.objects.bulk_create([Job(**{**BY_HAND, "enabled": False})])
    Job.objects.all().write(planned_at=None)
    job = Job.objects.get()
    requests.ask(job, "kim")
    copy = Job.objects.get()
    copy.pk = None
    copy.save()
    assert (copy.asked_at, copy.asked_by) == (None, "")
    claiming.claim_by_hand(job, "web-1")
    copy = Job.objects.get(pk=job.pk)
    copy.pk = None
    copy.save()
    assert (copy.lock, copy.locked_by, copy.fence) == (None, "", 0)


@pytest.mark.parametrize("adding", [True, False])
def test_a_copy_is_a_job_of_its_own(make_job, adding):
    job = make_job(due=0, declared_as="app.jobs.ok")
    claiming.claim_by_hand(job, "web-1")
    copy = Job.objects.get(pk=job.pk)
    copy.pk, copy.name, copy.schedule = None, "copy", "0 4 * * *"
    copy._state.adding = adding
    copy.save()
    job.refresh_from_db()
    copy.refresh_from_db()
    assert copy.pk != job.pk
    assert copy.next_run == copy.get_schedule().next_after(clock.now("default"))
    assert (copy.lock, copy.locked_by, copy.locked_at, copy.fence, copy.declared_as) == (None, "", None, 0, None)
    assert (job.fence, job.locked_by, job.declared_as) == (1, "web-1", "app.jobs.ok")


def test_a_new_object_with_the_key_of_a_job_is_an_edit_of_that(make_job):
    job = make_job(schedule="*/10 * * * *", due=3600, declared_as="app.jobs.ok")
    claim = claiming.claim_by_hand(job, "web-1")
    again = Job(pk=job.pk, **BY_HAND)
    again.save()
    job.refresh_from_db()
    assert (job.name, job.schedule, job.next_run) == ("bill", "0 3 * * *", again.next_run)
    assert (job.lock, job.fence, job.declared_as) == (claim.token, 1, "app.jobs.ok")
    assert missed_logs(job)
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.create(pk=job.pk, **BY_HAND)


def test_a_new_object_may_choose_its_key():
    job = Job(pk=2**40, **BY_HAND)
    job.save()
    assert Job.objects.get(pk=2**40).next_run == job.next_run


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"catch_up": "never"}, "A job's catch_up is latest, all, none, and not 'never'."),
        ({"args": {"a": 1}}, "A job's args must be a list, not dict."),
        ({"args": "abc"}, "A job's args must be a list, not str."),
        ({"kwargs": [1]}, "A job's kwargs must be a dict, not list."),
    ],
)
def test_what_could_never_run_is_not_saved(columns, said):
    with pytest.raises(ValueError, match=said):
        new_job(**columns)
    job = new_job()
    with pytest.raises(ValueError, match=said):
        Job.objects.update_or_create(name="job", defaults=columns)
    job.description = "x"
    job.save(update_fields=["description"])


def test_forms_of_a_project_save_what_they_show():
    form = modelform_factory(Job, fields=["name", "function", "schedule"])
    filled = form(BY_HAND)
    job = filled.save()
    assert job.next_run is not None
    assert not form({**BY_HAND, "name": "x" * 256}).is_valid()
    changed = form({**BY_HAND, "schedule": "0 4 * * *"}, instance=job)
    assert changed.save().next_run.hour == 4
    every = modelform_factory(Job, fields="__all__")
    assert "next_run" not in every.base_fields
    chosen = {"catch_up": "latest", "run_mode": "automatic", "overlap": "hand over", "enabled": "on"}
    chosen |= {"jitter": "0", "retries": "0", "retry_delay": "60", "retry_until": "next slot", "on_lost": "leave"}
    assert every({**BY_HAND, "args": "[]", "kwargs": "{}", **chosen}, instance=job).save()


def load(tmp_path, *fixtures):
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps([{"model": "cronkite.job", **fixture} for fixture in fixtures]))
    call_command("loaddata", str(path), verbosity=0)


BY_HAND = {"name": "bill", "function": "app.jobs.ok", "schedule": "0 3 * * *"}


def test_a_fixture_that_somebody_wrote_is_planned(tmp_path):
    load(tmp_path, {"fields": BY_HAND}, {"fields": {**BY_HAND, "name": "off", "enabled": False}})
    job, off = Job.objects.order_by("name")
    assert job.next_run == job.get_schedule().next_after(clock.now("default"))
    assert off.next_run is None
    with pytest.raises(ScheduleError):
        load(tmp_path, {"fields": {**BY_HAND, "schedule": "61 * * * *"}})


def test_a_fixture_that_is_loaded_again_keeps_what_nodes_know(make_job, tmp_path):
    job = make_job(schedule="*/10 * * * *", due=3600, declared_as="app.jobs.ok")
    claim = claiming.claim_by_hand(job, "web-1")
    load(tmp_path, {"pk": job.pk, "fields": {**BY_HAND, "schedule": "*/10 * * * *"}})
    planned = job.next_run
    job.refresh_from_db()
    assert (job.name, job.next_run, job.lock, job.fence) == ("bill", planned, claim.token, 1)
    load(tmp_path, {"pk": job.pk, "fields": BY_HAND})
    job.refresh_from_db()
    assert job.next_run == job.get_schedule().next_after(clock.now("default"))
    assert (job.lock, job.fence, job.last_slot) == (claim.token, 1, missed_logs(job)[0].slot)
    assert job.declared_as == "app.jobs.ok"


def test_what_was_dumped_is_loaded_as_it_was(make_job, tmp_path):
    job = make_job(due=600)
    path = tmp_path / "dump.json"
    call_command("dumpdata", "cronkite.job", output=str(path), verbosity=0)
    # A dump has milliseconds.
    before = Job.objects.values(*{field.name for field in Job._meta.fields} - {"planned_at"}).get()
    Job.objects.all().delete()
    call_command("loaddata", str(path), verbosity=0)
    assert Job.objects.values(*before).get() == before
    assert before["next_run"] == job.next_run


@pytest.fixture
def historical():
    """The model as a data migration of the project's gets it."""
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return executor.loader.project_state([executor.loader.graph.leaf_nodes("cronkite")[0]]).apps.get_model(
        "cronkite.Job"
    )


def test_a_data_migration_can_make_jobs_and_enable_them(historical):
    # A migration names its database: a router may send what it reads elsewhere.
    jobs = historical.objects.using("default")
    made = jobs.create(**BY_HAND)
    jobs.bulk_create([historical(**{**BY_HAND, "name": "bulk"})])
    jobs.create(**{**BY_HAND, "name": "off", "enabled": False})
    off = jobs.get(name="off")
    assert off.next_run is None
    off.enabled = True
    off.save()
    assert jobs.update_or_create(name="bill", defaults={"description": "x"}) == (made, False)
    for job in Job.objects.all():
        assert job.next_run == job.get_schedule().next_after(clock.now("default"))
        assert job.planned_at is not None
    off.schedule, off.next_run = "0 4 * * *", None
    off.save()
    off.refresh_from_db(using="default")
    assert off.next_run.hour == 4
    with pytest.raises(ScheduleError):
        jobs.create(**{**BY_HAND, "schedule": "61 * * * *"})


def test_what_a_data_migration_disables_owes_nothing_when_it_is_enabled_again(historical):
    jobs = historical.objects.using("default")
    job = jobs.create(**BY_HAND)
    job.enabled = False
    job.save()
    assert jobs.get(pk=job.pk).next_run is None
    job = jobs.get(pk=job.pk)
    job.enabled = True
    job.save()
    assert jobs.get(pk=job.pk).next_run > clock.now("default")


TOO_MUCH = [
    ({"name": "x" * 256}, "A job's name has at most 255 characters, not 256."),
    ({"name": "a\0b"}, "A job's name can't have a NUL character"),
    ({"description": "a\0b"}, "A job's description can't have a NUL character"),
    ({"name": "a\udc80"}, "A job's name can't have half of a surrogate pair"),
    ({"description": "a\udc80"}, "A job's description can't have half of a surrogate pair"),
    ({"grace": 2**31}, "A job's grace is a number of seconds from 0 to 2147483647, not 2147483648."),
    ({"timeout": -1}, "A job's timeout is a number of seconds from 0"),
    ({"args": [float("nan")]}, "A job's args must be JSON, without NaN"),
    ({"kwargs": {"a": "\0"}}, "A job's kwargs must be JSON, without NaN"),
]


@pytest.mark.parametrize(("columns", "said"), TOO_MUCH)
def test_what_one_database_refuses_all_refuse(columns, said):
    """However it is written, and with the same error."""
    job = new_job()
    for name, value in columns.items():
        setattr(job, name, value)
    ways = [
        lambda: new_job(**columns),
        lambda: Job.objects.bulk_create([Job(**{**BY_HAND, **columns})]),
        lambda: Job.objects.update(**columns),
        lambda: Job.objects.bulk_update([job], list(columns)),
        lambda: Job.objects.update_or_create(pk=job.pk, defaults=columns),
        job.save,
    ]
    for way in ways:
        with pytest.raises(DataError) as error, transaction.atomic():
            way()
        assert str(error.value).startswith(said)
    job.refresh_from_db()
    assert (job.name, Job.objects.count()) == ("job", 1)


def test_as_much_as_a_column_holds_is_kept():
    job = new_job(name="ü" * 255, grace=2**31 - 1, args=["\\u0000", 1.5])
    job.refresh_from_db()
    assert (job.name, job.grace, job.args) == ("ü" * 255, 2**31 - 1, ["\\u0000", 1.5])


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
    first, before = job.next_run, clock.now("default")
    job.delete()
    log = Log.objects.get()
    assert (log.job, log.status, log.reason) == (None, Status.MISSED, "the job was deleted")
    assert_all_are_told(log, first, before)


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


# What several jobs are given at once


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"args": "abc"}, "args must be a list"),
        ({"kwargs": [1]}, "kwargs must be a dict"),
        ({"function": 3}, "function is a text"),
        ({"catch_up": "newest"}, "catch_up is latest, all, none"),
        ({"schedule": None}, "schedule is a text"),
        ({"timezone": 2}, "timezone is a text"),
        ({"schedule": "0 25 * * *"}, "hour: 25 is out of range"),
        ({"grace": -1}, "number of seconds from 0"),
        ({"timeout": timedelta(milliseconds=1500)}, "timeout"),
    ],
)
def test_many_jobs_are_given_no_more_than_one_is(make_job, values, error):
    job = make_job()
    before = Job.objects.values().get(pk=job.pk)
    fine = {"name": "another", "function": "app.jobs.ok", "schedule": "@daily"}
    for give in (
        lambda: Job.objects.bulk_create([Job(**fine), Job(**{**fine, **values})]),
        lambda: Job.objects.filter(pk=job.pk).update(**values),
        lambda: Job.objects.create(**{**fine, **values}),
    ):
        with pytest.raises((ValueError, TypeError, DataError), match=error), transaction.atomic():
            give()
    assert Job.objects.values().get() == before


@pytest.mark.django_db
def test_an_update_of_what_is_run_is_an_edit(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).update(args=[1], timeout=timedelta(minutes=5))
    job.refresh_from_db()
    assert (job.args, job.timeout, job.revision) == ([1], 300, 1)
    assert Job.objects.values("name").update(enabled=False) == 1
    assert Job.objects.filter(enabled=True).values_list("pk", flat=True).update(schedule="@daily") == 0
    job.refresh_from_db()
    assert (job.enabled, job.next_run) == (False, None)
    with pytest.raises(TypeError, match="slice"):
        Job.objects.all()[:1].update(enabled=True)
    for values in ({"enabled": ~F("enabled")}, {"function": Value("os.system")}):
        with pytest.raises(TypeError, match="can't be set by an expression: set a value, and save"):
            Job.objects.update(**values)


@pytest.mark.django_db
def test_seconds_may_be_a_timedelta(make_job):
    job = make_job(timeout=timedelta(minutes=1), grace=timedelta(0))
    assert (job.timeout, job.grace) == (60, 0)
    Job.objects.bulk_create([Job(name="b", function="app.jobs.ok", schedule="@daily", timeout=timedelta(hours=1))])
    copy = Job.objects.get(name="b")
    assert copy.timeout == 3600
    copy.timeout = timedelta(hours=2)
    copy.full_clean()
    copy.save(update_fields=["timeout"])
    assert Job.objects.get(pk=copy.pk).timeout == 7200


@pytest.mark.django_db
def test_copies_that_are_made_at_once_know_nothing_of_the_original(make_job):
    job = make_job()
    claiming.claim_by_hand(job, "n")
    job.refresh_from_db()
    job.pk, job.name = None, "copy"
    (copy,) = Job.objects.bulk_create([job])
    assert (copy.lock, copy.locked_by, copy.fence, copy.last_slot) == (None, "", 0, None)
    assert copy.next_run is not None
