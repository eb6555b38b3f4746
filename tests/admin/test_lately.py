"""A job's page tells how its runs have gone; the list can begin with what needs attention, or with what ran last."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from admin_pages import JOBS, SLOT, change, lock
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cronkite.database import clock
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db

Status = Log.Status


def runs(job, *ends):
    """Make logs of runs: (status, seconds), the oldest first."""
    begun = clock.now("default") - timedelta(days=1)
    logs = [
        Log(
            job=job,
            job_name=job.name,
            function=job.function,
            slot=SLOT + timedelta(minutes=number),
            fence=number,
            node="alpha",
            status=status,
            created=begun,
            started_at=begun,
            finished_at=None if seconds is None else begun + timedelta(seconds=seconds),
        )
        for number, (status, seconds) in enumerate(ends, start=1)
    ]
    Log.objects.bulk_create(logs)
    Job.objects.filter(pk=job.pk).write(fence=len(logs))


def text(client, job):
    """Return what the page says of the last runs."""
    page = client.get(change(job)).content.decode()
    (found,) = re.findall(r'<div class="cronkite-lately">(.*?)</div>', page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<title>.*?</title>|<[^>]*>", " ", found))


def test_the_page_tells_failures_durations_and_their_trend(admin_client, make_job):
    job = make_job()
    runs(
        job,
        *[(Status.SUCCEEDED, seconds) for seconds in range(1, 21)],
        (Status.FAILED, 900),
        (Status.INTERRUPTED, 800),
        (Status.LOST, None),
        (Status.RUNNING, None),
    )
    told = text(admin_client, job)
    assert "Failed: 2 of the last 22 runs (9.1 %)." in told
    assert "Duration of 20 runs that succeeded: median 10.50 s, 95th percentile 19.00 s." in told
    assert "Trend: the newer half took 182 % longer than the older one." in told
    assert "The last 20 outcomes" in told


def test_a_slight_change_is_no_trend_and_few_runs_have_none(admin_client, make_job):
    job, few = make_job(), make_job(name="few")
    runs(job, *[(Status.SUCCEEDED, 100 + number % 2) for number in range(10)])
    runs(few, (Status.SUCCEEDED, 1), (Status.SUCCEEDED, 9))
    assert "Trend: the newer half took as long as the older one." in text(admin_client, job)
    assert "Trend" not in text(admin_client, few)


def test_a_job_that_never_ran_says_so(admin_client, make_job):
    assert "It has not run yet." in text(admin_client, make_job())


def test_however_long_the_log_is_no_more_queries_and_rows_are_read(admin_client, make_job):
    short, long = make_job(name="short"), make_job(name="long")
    runs(short, (Status.SUCCEEDED, 1))
    runs(long, *[(Status.SUCCEEDED, 1)] * 150)
    counts = []
    for job in (short, long):
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(change(job))
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert "Failed: 0 of the last 100 runs" in text(admin_client, long)


def test_who_may_not_view_logs_is_not_told_how_runs_went(login, make_job):
    client, job = login("view_job"), make_job()
    runs(job, (Status.FAILED, 1))
    assert "cronkite-lately" not in client.get(change(job)).content.decode()


# The order of the list.


@pytest.fixture
def fleet(make_job):
    """Jobs in each state that matters, by names that say nothing of it."""
    jobs = {name: make_job(name=name) for name in ("a well", "b off", "c late", "d gone", "e failing", "f stuck")}
    for number, name in enumerate(("a well", "e failing"), start=1):
        runs(jobs[name], (Status.FAILED if "failing" in name else Status.SUCCEEDED, 1))
        Log.objects.filter(job=jobs[name]).update(started_at=SLOT + timedelta(days=number))
    Job.objects.filter(name="b off").update(enabled=False)
    Job.objects.filter(name="c late").write(next_run=clock.now("default") - timedelta(hours=1))
    Job.objects.filter(name="d gone").write(function="app.jobs.gone")
    lock(jobs["f stuck"], age=10**6)
    Log.objects.filter(job=jobs["f stuck"]).update(started_at=SLOT)
    return jobs


def order(client, **query):
    return [job.name[0] for job in client.get(JOBS, query).context["cl"].result_list]


def test_what_needs_attention_comes_first(admin_client, fleet, settings):
    settings.CRONKITE_LOCK_TIMEOUT = None
    assert "".join(order(admin_client)) == "abcdef"
    assert "".join(order(admin_client, order="attention")) == "fedcab"
    assert "".join(order(admin_client, o="3")) == "fedcab"
    assert "".join(order(admin_client, o="-3", order="last")) == "bacdef"


def test_a_run_that_shows_no_life_any_more_has_failed_for_all_that_is_known(admin_client, fleet, settings):
    settings.CRONKITE_LOCK_TIMEOUT = 300
    assert "".join(order(admin_client, order="attention")) == "efdcab"


def test_what_ran_last_comes_first(admin_client, fleet):
    assert "".join(order(admin_client, order="last")) == "eafbcd"
    assert "".join(order(admin_client, o="-5"))[:3] == "eaf"
    assert "".join(order(admin_client, o="5"))[3:] == "fae"


def test_who_may_not_view_logs_learns_nothing_from_the_order(login, fleet, settings):
    settings.CRONKITE_LOCK_TIMEOUT = None
    client = login("view_job")
    assert "".join(order(client, order="attention")) == "fdcaeb"
    assert "".join(order(client, order="last")) == "".join(order(client, order="x")) == "abcdef"
    assert "".join(order(client, o="-5"))[0] in "af"
    assert "last run first" not in client.get(JOBS).content.decode()


def test_the_orders_are_offered(admin_client, fleet):
    page = admin_client.get(JOBS, {"o": "1", "q": ""}).content.decode()
    for name in ("attention", "last", "next"):
        assert f"?order={name}" in page
    assert "needs attention first" in page
