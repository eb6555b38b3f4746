"""Logs tell what came of each run, can be narrowed, and stay fast however many they are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from admin_pages import JOBS, LOGS, SLOT, lock, make_log
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cronkite.admin import filters, health, paging
from cronkite.models import Log

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
    for text in ("1.25 s", "(3 missed)", "(4 missed)"):
        assert text in page


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
    monkeypatch.setattr(health, "report", lambda: None)
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
    monkeypatch.setattr(health, "report", lambda: None)
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
