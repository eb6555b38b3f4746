"""Jobs whose schedules say ``H``: by what their numbers are chosen, and what an edit of that does to the plan."""

from datetime import timedelta

import pytest
from conftest import make_due
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from cronkite.database import clock
from cronkite.models import Job, Log, switches
from cronkite.models.logs import Status
from cronkite.schedules import chosen

pytestmark = pytest.mark.django_db

SPREAD = {"function": "app.jobs.ok", "schedule": "H H * * *", "timezone": "UTC"}


def new(name="bill", **columns):
    return Job.objects.create(**{**SPREAD, "name": name, **columns})


def planned(job):
    """Whether the row is planned by the numbers that its job has."""
    row = Job.objects.get(pk=job.pk)
    return row.next_run == row.get_schedule().next_after(row.planned_at)


def time_of(seed):
    minute, hour, *_ = chosen.choose(["H", "H", "*", "*", "*"], seed)
    return int(hour), int(minute)


def test_a_job_of_people_s_has_the_numbers_of_its_name():
    """As in Jenkins: many jobs may call one function, and are to be apart."""
    jobs = [new(f"customer {number}") for number in range(20)]
    assert [(job.next_run.hour, job.next_run.minute) for job in jobs] == [time_of(job.name) for job in jobs]
    assert len({job.next_run for job in jobs}) > 15


def test_a_declared_job_has_the_numbers_of_its_function_whatever_it_is_called():
    job = new("Bill the orders", declared_as="shop.crontab.bill")
    assert (job.next_run.hour, job.next_run.minute) == time_of("shop.crontab.bill")
    before = job.next_run, job.planned_at
    job.name = "Bill"
    job.save()
    job.refresh_from_db()
    assert (job.next_run, job.planned_at) == before


def test_another_name_plans_anew_and_never_retroactively():
    job = new()
    slot = make_due(job)
    job.name = "remind"
    job.save()
    job.refresh_from_db()
    assert (job.next_run.hour, job.next_run.minute) == time_of("remind")
    assert planned(job)
    (log,) = Log.objects.filter(job=job)
    assert (log.status, log.slot, log.reason) == (Status.MISSED, slot, "the schedule was changed")


def test_another_name_changes_nothing_where_nothing_is_chosen():
    job = new(schedule="0 3 * * thu")
    before = job.planned_at
    job.name = "remind"
    job.save()
    assert Job.objects.get(pk=job.pk).planned_at == before


def test_who_declares_a_job_that_people_entered_has_it_planned_anew():
    job = new()
    job.declared_as = "shop.crontab.bill"
    job.save()
    assert planned(job)
    assert Job.objects.get(pk=job.pk).get_schedule().seed == "shop.crontab.bill"


def test_edits_in_bulk_plan_as_a_save_does():
    jobs = [new(), new("remind"), new("plain", schedule="0 3 * * *")]
    plain = jobs[2].next_run
    assert Job.objects.update(name="one") == 3
    assert all(map(planned, jobs))
    jobs = list(Job.objects.order_by("pk"))
    for number, job in enumerate(jobs):
        job.name = f"job {number}"
    assert Job.objects.bulk_update(jobs, ["name"]) == 3
    assert all(map(planned, jobs))
    assert len({job.next_run for job in Job.objects.all()}) == 3
    assert Job.objects.get(name="job 2").next_run == plain


def test_names_are_given_by_one_statement_where_nothing_is_chosen(django_assert_num_queries):
    new(schedule="0 3 * * *")
    with django_assert_num_queries(2):  # the first asks
        Job.objects.update(name="one")
    Job.objects.update(name=F("function"))
    assert Job.objects.get().name == "app.jobs.ok"


def test_a_name_by_which_numbers_are_chosen_is_no_expression():
    job = new()
    with pytest.raises(TypeError, match="A job's name can't be set by an expression"):
        Job.objects.update(name=F("function"))
    job.name = F("function")
    with pytest.raises(TypeError, match="A job's name can't be set by an expression"):
        job.save()
    assert Job.objects.get().name == "bill"


def test_jobs_that_are_created_in_bulk_have_their_numbers():
    Job.objects.bulk_create([Job(name=f"customer {number}", **SPREAD) for number in range(3)])
    assert all(map(planned, Job.objects.all()))
    assert len({job.next_run for job in Job.objects.all()}) == 3
    with pytest.raises(TypeError, match="can't update a job's name"):
        Job.objects.bulk_create(
            [Job(name="x", **SPREAD)], update_conflicts=True, update_fields=["name"], unique_fields=["declared_as"]
        )


def test_hundreds_are_enabled_each_by_its_own_numbers_in_few_statements():
    Job.objects.bulk_create([Job(name=f"{number}", enabled=False, **SPREAD) for number in range(250)])
    stale = list(Job.objects.all())
    Job.objects.filter(pk=stale[7].pk).write(name="renamed")
    with CaptureQueriesContext(connection) as queries:
        switches.switch(stale, on=True, using="default")
    assert len(queries) < 20
    assert all(job.enabled and planned(job) for job in Job.objects.all())


def test_a_copy_has_the_numbers_of_its_own_name():
    job = new(declared_as="shop.crontab.bill")
    job.pk, job.name = None, "remind"
    job.save()
    assert planned(job)
    assert Job.objects.get(name="remind").get_schedule().seed == "remind"


def test_what_the_schema_of_a_migration_writes_has_its_numbers():
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    state = executor.loader.project_state([executor.loader.graph.leaf_nodes("cronkite")[0]])
    historical = state.apps.get_model("cronkite.Job").objects.using("default")
    historical.create(name="bill", **SPREAD)
    historical.create(name="bill", declared_as="shop.crontab.bill", **SPREAD)
    assert all(map(planned, Job.objects.all()))
    assert len({job.next_run for job in Job.objects.all()}) == 2


def test_a_fixture_that_somebody_wrote_is_planned_by_its_numbers(tmp_path):
    fixture = tmp_path / "jobs.json"
    fixture.write_text(
        '[{"model": "cronkite.job", "fields": {"name": "bill", "function": "app.jobs.ok", "schedule": "H H * * *",'
        ' "timezone": "UTC"}}]'
    )
    call_command("loaddata", str(fixture), verbosity=0)
    job = Job.objects.get()
    assert planned(job)
    assert (job.next_run.hour, job.next_run.minute) == time_of("bill")


def test_a_form_finds_what_stands_in_the_way_of_another_name():
    """To plan the job anew takes its zone, which this machine lacks."""
    job = new()
    Job.objects.filter(pk=job.pk).write(timezone="Mars/Olympus")
    job = Job.objects.get(pk=job.pk)
    job.clean_fields()
    job.name = "remind"
    with pytest.raises(ValidationError) as wrong:
        job.clean_fields()
    assert wrong.value.message_dict.keys() == {"timezone"}


def test_a_schedule_that_never_runs_for_some_name_is_no_one_s():
    for name in ("bill", "remind", "count"):
        job = Job(**{**SPREAD, "name": name, "schedule": "0 0 H(29-31) 2 *"})
        with pytest.raises(ValidationError) as wrong:
            job.full_clean()
        assert "schedule" in wrong.value.message_dict


def test_slots_that_were_missed_are_counted_by_the_job_s_numbers():
    job = new()
    slot = make_due(job)
    now = clock.now("default")
    count = job.get_schedule().count_between(slot - timedelta(days=10), now)
    assert count in {10, 11}
    assert job.get_schedule().latest_at(now) == slot
