"""Migrations keep what is there, there and back, on each database."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection

from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def migrate():
    """Migrate to a state of the app; at the end, to the newest."""

    def migrate(*to):
        call_command("migrate", "cronkite", *to, verbosity=0, interactive=False)

    yield migrate
    call_command("migrate", "cronkite", verbosity=0, interactive=False)


@pytest.mark.parametrize("back", ["0004", "0001"])
def test_jobs_and_logs_live_through_all_migrations(make_job, migrate, back):
    job = make_job(due=0)
    Log.objects.create(job=job, job_name="ok", function="app.jobs.ok", slot=job.next_run, fence=1, created=job.next_run)
    migrate(back)
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM cronkite_job")
        assert cursor.fetchone() == (1,)
    migrate()
    fresh = Job.objects.get()
    assert (fresh.next_run, fresh.due_at, fresh.run_mode) == (job.next_run, job.next_run, "automatic")
    assert Log.objects.get().slot == job.next_run
    assert [each.pk for each in Job.objects.queue()] == [job.pk]


@pytest.mark.parametrize("column", ["asked_at", "follow_at", "next_run", "retry_at"])
def test_a_job_is_due_at_the_earliest_of_what_there_is(make_job, column):
    job = make_job(due=60)
    rows = Job.objects.filter(pk=job.pk)
    rows.write(**{column: job.next_run.replace(year=2000)})
    assert rows.get().due_at.year == 2000
    rows.write(enabled=False, next_run=None, asked_at=None, follow_at=None, retry_at=None)
    assert rows.get().due_at is None
