"""What the tests of the admin share: its pages' addresses, what people send to them, and jobs in a given state."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from uuid import uuid4

from django.contrib.auth.models import Permission

from cronkite.database import clock
from cronkite.database.clock import Now
from cronkite.models import Job, Log

JOBS = "/admin/cronkite/job/"
LOGS = "/admin/cronkite/log/"
GROUPS = "/admin/cronkite/group/"
TIMELINE = f"{JOBS}timeline/"
PREVIEW = f"{JOBS}preview/"
EVIL = "<script>alert('x')</script>"
SLOT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


def permissions(*codenames):
    """Return the permissions of these names, which the migrations made."""
    found = Permission.objects.filter(codename__in=codenames)
    assert len(found) == len(codenames)
    return found


def entry(**changes):
    """What a person types into the form."""
    return {
        "name": "Report",
        "description": "",
        "enabled": "on",
        "function": "app.jobs.ok",
        "args": "[]",
        "kwargs": "{}",
        "timeout": "",
        "schedule": "0 3 * * *",
        "timezone": "",
        "catch_up": "latest",
        "grace": "",
        **changes,
    }


def change(job):
    return f"{JOBS}{job.pk}/change/"


def errors(response):
    assert response.status_code == 200, "it was saved"
    return {field: list(messages) for field, messages in response.context["adminform"].errors.items()}


def said(response):
    return [str(message) for message in response.context["messages"]]


def act(client, action, *selected, **more):
    """Choose an action for the jobs, and confirm it where that is asked for."""
    data = {"action": action, "_selected_action": [job.pk for job in selected], "confirmed": "yes", **more}
    return client.post(JOBS, data, follow=True)


def lock(job, node="alpha", age=0):
    """Leave the job as a run on ``node`` does that was last seen alive ``age`` seconds ago."""
    job.refresh_from_db()
    fence = job.fence + 1
    locked_at = clock.now("default") - timedelta(seconds=age)
    Job.objects.filter(pk=job.pk).write(lock=uuid4(), locked_by=node, locked_at=locked_at, fence=fence)
    job.refresh_from_db()
    return make_log(job, fence=fence, node=node)


def make_log(job, **columns):
    columns = {"fence": job.logs.count() + 1, "node": "alpha", "status": Log.Status.RUNNING, **columns}
    return Log.objects.create(job=job, job_name=job.name, function=job.function, created=Now(), **columns)
