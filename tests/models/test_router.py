"""Where routers send reads to a replica, whatever rests on a write is read where it is written, and runs once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import yearly
from django.db import DatabaseError, router
from django_tasks_db.models import DBTaskResult
from nodes import cron as tick
from nodes import turn_of_tasks
from terminals import cron

from cronkite import health, requests
from cronkite.database import clock
from cronkite.exceptions import FunctionError
from cronkite.models import Job, Log, Node, Task
from cronkite.models.primary import PrimaryQuerySet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("replica")]

#: Once a year, so that no slot falls due while a test looks on.
JOB = {"function": "app.jobs.ok", "schedule": yearly()}


@pytest.fixture
def job():
    Job.objects.create(name="job", **JOB)
    return Job.objects.get()


def refused():
    """Expect a refusal: of the replica or, before that, of Django, which lets a test have no database unasked."""
    return pytest.raises((DatabaseError, AssertionError), match="replica")


def owed(job, count):
    """Have so many of the job's slots be due, none of which was taken; return the newest."""
    newest = slot = job.get_schedule().latest_at(clock.now("default"))
    for _ in range(count - 1):
        slot = job.get_schedule().latest_at(slot - timedelta(seconds=1))
    Job.objects.filter(pk=job.pk).write(next_run=slot)
    return newest


@pytest.mark.parametrize("model", [Job, Log, Node])
def test_without_our_doing_reads_would_go_to_the_replica(model, monkeypatch):
    assert router.db_for_read(model) == "replica"
    monkeypatch.delattr(PrimaryQuerySet, "db")
    with refused():
        model.objects.count()


def test_edits_in_bulk_are_made_where_the_rows_are(job):
    owed(job, 3)
    assert Job.objects.filter(name="job").update(description="edited") == 1
    assert Job.objects.filter(name="job").update(enabled=False) == 1
    assert Log.objects.get().missed == 2
    assert not Job.objects.get().enabled
    job.refresh_from_db()
    job.description = "again"
    assert Job.objects.bulk_update([job], ["description"]) == 1
    assert Job.objects.update_or_create(name="job", defaults={"enabled": True})[0].next_run is not None
    assert Job.objects.get_or_create(name="job", defaults=JOB)[1] is False
    assert Job.objects.filter(name="job").delete()[0] == 1


def test_jobs_are_made_in_bulk_by_the_clock_of_where_they_are_made():
    before = clock.now("default")
    Job.objects.bulk_create([Job(name="first", **JOB), Job(name="last", **JOB)])
    assert Job.objects.filter(planned_at__gte=before, next_run__gt=before).count() == 2


def test_an_edit_rests_on_what_is(job):
    newest = owed(job, 3)
    job.schedule = "0 0 2 2 *"
    job.save()
    assert (Log.objects.get().slot, Log.objects.get().missed) == (newest, 2)
    job.refresh_from_db()
    assert job.revision == 1
    job.function = "app.jobs.missing"
    with pytest.raises(FunctionError):
        job.save()


def test_what_belongs_to_a_row_is_looked_up_where_that_is(job):
    job.run()
    log = job.logs.get()
    assert log.job == job
    log.refresh_from_db()
    assert Log.objects.select_related("job").get().job.locked_by == ""
    assert Job.objects.prefetch_related("logs").get().logs.all()[0] == log


def test_a_database_that_is_named_is_asked():
    with refused():
        Job.objects.using("replica").count()


def test_slots_and_requests_are_run_once(job):
    owed(job, 1)
    assert requests.ask(job, by="anna")
    tick()
    tick()
    by_slot, by_hand = sorted(Log.objects.all(), key=lambda log: log.slot is None)
    assert by_slot.status == by_hand.status == Log.Status.SUCCEEDED
    assert by_hand.reason == "asked for by anna"
    assert Node.objects.get().ticked_at


def test_a_task_is_asked_about_where_it_was_handed_over():
    Job.objects.create(name="job", function="app.handed.bill", schedule=yearly())
    job = Job.objects.get()
    assert requests.ask(job, by="anna")
    tick()
    assert Log.objects.get().status == Log.Status.HANDED_OVER
    turn_of_tasks()
    tick()
    log = Log.objects.get()
    assert (log.status, log.reason) == (Log.Status.HANDED_OVER, "asked for by anna")
    assert Task.objects.exists()
    DBTaskResult.objects.update(status="SUCCESSFUL", return_value=7)
    turn_of_tasks()
    tick()
    log.refresh_from_db()
    assert (log.status, log.result, log.reason) == (Log.Status.SUCCEEDED, 7, "asked for by anna")


def test_what_people_are_told_is_what_is(job, admin_client):
    assert cron("list", "--json").json[0]["name"] == "job"
    assert cron("run", "job").code == 0
    assert cron("why", "job", "03:00").code == 0
    assert health.report().jobs == 1
    for page in ["job/", f"job/{job.pk}/change/", "job/timeline/", "log/", f"log/{Log.objects.get().pk}/change/"]:
        assert admin_client.get(f"/admin/cronkite/{page}").status_code == 200, page
    chosen = {"action": "disable", "_selected_action": [job.pk]}
    assert admin_client.post("/admin/cronkite/job/", chosen).status_code == 302
    assert not Job.objects.get().enabled
    assert admin_client.post(f"/admin/cronkite/job/{job.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Job.objects.exists()
    assert Log.objects.get().job is None
