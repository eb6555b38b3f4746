"""The database's clock is the only one, and it is UTC whatever the server's zone is (promise P5)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from itertools import product
from uuid import uuid4

import pytest
from conftest import due
from django.conf import settings
from django.db import connection, connections
from django.db.utils import ConnectionHandler
from nodes import cron

from cronkite import conf, requests
from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.models.queries import is_free
from cronkite.schedules.catch_up import Decision
from databases import parse_url

#: This test process runs on the database's machine or one whose clock is right, to within this.
RIGHT = timedelta(minutes=5)


def utc_now():
    return datetime.now(timezone.utc)


@pytest.mark.django_db
def test_now_is_an_aware_instant_in_utc():
    now = clock.now("default")
    assert now.tzinfo is timezone.utc
    assert abs(now - utc_now()) < RIGHT


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("zone", ["+05:00", "-11:00"])
def test_the_zone_of_the_server_changes_nothing(zone, make_job, monkeypatch):
    """Django's own Now() is off by the whole zone here, on MySQL and MariaDB."""
    entry = {**settings.DATABASES["default"], "NAME": connection.settings_dict["NAME"]}
    if connection.vendor == "mysql":
        entry["OPTIONS"] = {
            **entry["OPTIONS"],
            **parse_url(f"mysql:///?time_zone={zone.replace('+', '%2B')}")["OPTIONS"],
        }
    elif connection.vendor == "postgresql":
        entry["OPTIONS"] = {
            **entry["OPTIONS"],
            **parse_url(f"postgresql:///?time_zone={zone.replace('+', '%2B')}")["OPTIONS"],
        }
    # All connections of a pool are alike.
    entry["OPTIONS"] = {name: value for name, value in entry["OPTIONS"].items() if name != "pool"}
    elsewhere = ConnectionHandler({"default": entry})["default"]
    monkeypatch.setattr(connections._connections, "default", elsewhere)
    try:
        assert abs(clock.now("default") - utc_now()) < RIGHT
        job = make_job(due=0)
        read = due(job)
        assert abs(read.now - utc_now()) < RIGHT
        claim = claiming.claim(read, Decision(read.next_run, 0, None, read.next_run + timedelta(minutes=1)), "node")
        assert claim is not None
        job.refresh_from_db()
        assert abs(job.locked_at - utc_now()) < RIGHT
        assert abs(Log.objects.get().created - utc_now()) < RIGHT
    finally:
        elsewhere.close()


def test_a_naive_answer_of_a_driver_is_utc():
    naive = datetime(2026, 1, 1, 12)
    assert clock.as_utc(naive) == clock.as_utc("2026-01-01 12:00:00.000") == naive.replace(tzinfo=timezone.utc)


def test_a_reading_goes_on_with_the_stopwatch():
    instant = datetime(2026, 1, 1, tzinfo=timezone.utc)
    reading = clock.Reading(instant, taken_at=time.monotonic() - 3600)
    assert timedelta(hours=1) <= reading.now() - instant < timedelta(hours=2)


@pytest.mark.django_db
def test_stored_instants_compare_with_the_clock_to_the_fraction_of_a_second(make_job):
    """SQLite compares text: three decimals of the clock against six stored ones."""
    job = make_job(due=0)
    Job.objects.filter(pk=job.pk).write(next_run=clock.Now())
    assert Job.objects.filter(pk=job.pk, next_run__lte=clock.Now()).exists()
    job.refresh_from_db()
    assert Job.objects.filter(pk=job.pk, next_run__lte=job.next_run).exists()
    assert not Job.objects.filter(pk=job.pk, next_run__lt=clock.Now() - timedelta(seconds=50)).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns"])
def test_the_projects_time_zone_is_the_schedules_default(make_job, settings, zone):
    settings.TIME_ZONE = zone
    connection.close()
    job = make_job(schedule="0 12 * * *")
    assert job.next_run.astimezone(job.get_schedule().next_after(utc_now()).tzinfo) == job.next_run
    assert Job(schedule="0 12 * * *", timezone="UTC").get_schedule().next_after(utc_now()) != job.next_run


@pytest.mark.django_db(transaction=True)
def test_a_job_runs_whatever_the_time_zone_of_the_process(make_job):
    job = make_job(due=0)
    cron(TZ="Asia/Kathmandu")
    assert Log.objects.get().slot == job.next_run


@pytest.mark.parametrize("fraction", [0, 1000, 500_000], ids="{}us".format)
def test_an_instant_is_the_same_however_it_came_into_the_database(fraction, make_job, clock_stands):
    """SQLite compares text, and a full second may be written with decimals or without."""
    instant = datetime(2026, 1, 5, 21, 30, 0, fraction, tzinfo=timezone.utc)
    lag = timedelta(seconds=5)
    millisecond = timedelta(milliseconds=1)
    rows = Job.objects.filter(pk=make_job().pk)
    clock_stands(instant - lag)
    rows.write(asked_at=clock.Now() + lag)
    clock_stands(instant)
    rows.write(next_run=clock.Now(), last_slot=instant)
    same = [clock.Now(), clock.Now() + timedelta(0), clock.Now() + lag - lag, instant]
    for column, now in product(["asked_at", "next_run", "last_slot"], same):
        for lookup in ["exact", "lte", "gte"]:
            assert rows.filter(**{f"{column}__{lookup}": now}).exists(), (column, lookup, now)
        for lookup in ["lt", "gt"]:
            assert not rows.filter(**{f"{column}__{lookup}": now}).exists(), (column, lookup, now)
    for column, sooner in product(["asked_at", "next_run", "last_slot"], [clock.Now() - millisecond, instant - lag]):
        assert rows.filter(**{f"{column}__gt": sooner}).exists(), (column, sooner)
        assert not rows.filter(**{f"{column}__lte": sooner}).exists(), (column, sooner)
    assert clock.now("default") == instant


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=12)], ids="{0.seconds}s".format)
def test_what_falls_due_at_the_full_second_is_seen_then_and_claimed(ahead, make_job, clock_stands):
    slot = datetime(2026, 1, 5, 21, 30, tzinfo=timezone.utc)
    planned, asked = make_job(schedule="* * * * *"), make_job()
    Job.objects.filter(pk=planned.pk).write(next_run=slot + ahead, last_slot=None)
    clock_stands(slot + ahead)
    requests.ask(asked, by="anna")
    clock_stands(slot)
    assert set(Job.objects.queue(ahead)) == {planned}
    assert set(Job.objects.agenda(ahead)) == {planned, asked}
    clock_stands(slot + ahead - timedelta(milliseconds=1))
    assert not Job.objects.agenda().exists()
    clock_stands(slot + ahead)
    assert set(Job.objects.agenda()) == {planned, asked}
    read = due(planned)
    assert read.now == slot + ahead
    assert claiming.claim(read, Decision(slot + ahead, 0, None, slot + timedelta(days=9)), "node") is not None


def test_a_lock_is_stale_past_its_timeout_and_not_at_it(make_job, clock_stands, lock_timeout):
    lock_timeout(60)
    seen_at = datetime(2026, 1, 5, 21, 30, tzinfo=timezone.utc)
    job = make_job()
    clock_stands(seen_at)
    Job.objects.filter(pk=job.pk).write(lock=uuid4(), locked_by="node", locked_at=clock.Now())
    clock_stands(seen_at + timedelta(seconds=60))
    assert not Job.objects.filter(is_free(conf.get().lock_timeout)).exists()
    assert not Job.objects.with_now().get().is_stale
    clock_stands(seen_at + timedelta(seconds=60, milliseconds=1))
    assert Job.objects.filter(is_free(conf.get().lock_timeout)).exists()
    assert Job.objects.with_now().get().is_stale
