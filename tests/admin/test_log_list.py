"""Logs tell what came of each run, can be narrowed, and stay fast however many they are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from admin_pages import JOBS, LOGS, SLOT, lock, make_log
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cronkite.admin import filters, health, paging, stretches
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db

Status = Log.Status


def found(client, **query):
    return list(client.get(LOGS, query).context["cl"].result_list)


def make_many(job, count):
    Log.objects.bulk_create(
        Log(job=job, job_name="x", function="x", node="x", fence=n, created=SLOT, status=Status.FAILED)
        for n in range(10, 10 + count)
    )


def test_lateness_and_missed_slots_are_told(admin_client, make_job):
    job = make_job()
    make_log(job, slot=SLOT, started_at=SLOT + timedelta(seconds=1.25), status=Status.SUCCEEDED, missed=3)
    make_log(job, slot=SLOT - timedelta(hours=1), fence=None, status=Status.MISSED, missed=3)
    page = admin_client.get(LOGS).content.decode()
    for text in ("1.25 s", "(3 missed)", "(4 slots)"):
        assert text in page


@pytest.mark.parametrize(
    ("status", "fence", "planned", "words"),
    [
        (
            Status.MISSED,
            None,
            SLOT - timedelta(days=2),
            "4 slots, from 2026-03-04 02:00:00 UTC to 2026-03-04 05:00:00 UTC",
        ),
        (Status.MISSED, None, SLOT, "4 slots, up to 2026-03-04 05:00:00 UTC"),
        (Status.FAILED, 1, SLOT - timedelta(days=2), "3 slots before this one, from 2026-03-04 02:00:00 UTC on"),
        (Status.FAILED, 1, SLOT, "3 slots before this one"),
    ],
)
def test_a_log_tells_since_when_slots_were_missed(admin_client, make_job, status, fence, planned, words):
    job = make_job(schedule="0 * * * *")
    Job.objects.filter(pk=job.pk).write(planned_at=planned)
    log = make_log(job, slot=SLOT.replace(minute=0, second=0), fence=fence, status=status, missed=3)
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    assert re.search(rf">\s*{words}\s*<", page)


@pytest.mark.parametrize("change", [{"schedule": "30 * * * *"}, {"schedule": "61 * * * *"}, {"schedule": "0 5 * * *"}])
def test_a_log_of_another_schedule_tells_how_many_slots_were_missed(make_job, change):
    job = make_job(schedule="0 * * * *")
    Job.objects.filter(pk=job.pk).write(planned_at=SLOT - timedelta(days=2), **change)
    log = make_log(job, slot=SLOT.replace(minute=0, second=0), fence=None, status=Status.MISSED, missed=3)
    assert stretches.describe(Log.objects.get(pk=log.pk)) == "4 slots, up to 2026-03-04 05:00:00 UTC"


def test_logs_are_narrowed_to_a_job_a_node_and_an_outcome(admin_client, make_job):
    one, two = make_job(name="one"), make_job(name="two")
    first = make_log(one, node="alpha", status=Status.FAILED)
    second = make_log(two, node="beta", status=Status.SUCCEEDED)
    assert found(admin_client, job=one.pk) == found(admin_client, node="alpha") == [first]
    assert found(admin_client, status__exact="succeeded", job=two.pk, node="beta") == [second]
    assert found(admin_client, job=two.pk, node="alpha") == found(admin_client, node="gamma") == []
    for nonsense in ("x", "9" * 30, "-1", "٣"):
        assert admin_client.get(LOGS, {"job": nonsense}, follow=True).status_code == 200


def test_filters_offer_what_there_is_and_what_was_asked_for(admin_client, make_job, monkeypatch):
    monkeypatch.setattr(filters, "JOBS", 1)
    make_job(name="first"), make_log(make_job(name="second"), node="beta")
    last = make_job(name="third")
    page = admin_client.get(LOGS, {"job": last.pk, "node": "alpha"}).content.decode()
    for text in ("first", "third", "alpha", "beta"):
        assert f">{text}</a>" in page
    assert ">second</a>" not in page


def test_no_more_logs_are_counted_than_there_are_pages_for(admin_client, make_job, monkeypatch):
    monkeypatch.setattr(paging, "MOST", 150)
    monkeypatch.setattr(health, "report", lambda *_: None)
    make_many(make_job(), 200)
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(LOGS, {"p": 2})
    assert len(page.context["cl"].result_list) == 50
    assert "the newest 150 logs" in page.content.decode()
    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]
    assert len(counting) == 1
    assert "LIMIT 150" in counting[0]


def test_no_query_of_the_list_reads_all_logs(admin_client, make_job, monkeypatch):
    """Each has a limit or names a job, for there may be millions; the strip on top has tests of its own."""
    monkeypatch.setattr(health, "report", lambda *_: None)
    job = make_job()
    lock(job)
    make_many(job, 120)
    for url in (LOGS, JOBS):
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(url)
        asked = [query["sql"] for query in queries if "cronkite_log" in query["sql"]]
        assert asked
        assert not [sql for sql in asked if "LIMIT" not in sql and "job_id" not in sql.partition("WHERE")[2]]


def test_lists_of_logs_can_not_be_sorted_otherwise(admin_client, make_job):
    logs = [make_log(make_job()) for _ in range(3)]
    assert found(admin_client, o="-1") == logs[::-1]
