"""What the rows of django-celery-beat become, in its own tables."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from cronkite.importing import beat, deeds
from cronkite.importing.planned import Given, NothingToRead
from cronkite.models import Job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("celery_app")]


@pytest.fixture
def models(installed):
    installed("django_celery_beat")
    from django_celery_beat import models

    return models


@pytest.fixture
def make(models):
    def make(name="bill", **columns):
        if not {"interval", "crontab", "clocked", "solar"} & columns.keys():
            columns["crontab"] = models.CrontabSchedule.objects.create(
                minute="0", hour="3", timezone=ZoneInfo("Europe/Berlin")
            )
        columns.setdefault("task", "app.celery_app.double")
        return models.PeriodicTask.objects.create(name=name, **columns)

    return make


def read():
    return list(beat.read(Given()))


def one():
    (planned,) = read()
    return planned


def test_without_its_tables_it_is_told_what_to_do():
    with pytest.raises(NothingToRead, match="not in INSTALLED_APPS"):
        read()


def test_a_crontab_comes_with_its_zone_arguments_and_options(make):
    make(args="[7]", queue="lane", priority=4, expire_seconds=60, description="Bills.", routing_key="x")
    planned = one()
    assert planned.columns == {
        "description": "Bills.",
        "enabled": True,
        "schedule": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "function": "app.celery_app.double",
        "args": [7],
        "kwargs": {},
        "queue": "lane",
        "priority": 4,
        "catch_up": "none",
        "grace": 60,
    }
    assert any("routing_key" in note for note in planned.notes)


@pytest.mark.parametrize(
    ("every", "period", "schedule"),
    [
        (10, "seconds", "@every 10s"),
        (90, "minutes", "@every 1h30m"),
        (7, "days", "@every 7d"),
        (5, "microseconds", None),
    ],
)
def test_an_interval_becomes_every(make, models, every, period, schedule):
    make(interval=models.IntervalSchedule.objects.create(every=every, period=period))
    planned = one()
    assert (planned.columns and planned.columns["schedule"]) == schedule
    assert planned.columns or "whole seconds" in planned.problems[0]


def test_a_clocked_task_becomes_at_and_one_that_is_past_nothing(make, models, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    at = timezone.now().replace(year=2100, month=7, day=1, hour=16, minute=30, second=0, microsecond=0)
    clocked = models.ClockedSchedule.objects.create(clocked_time=at)
    make("later", clocked=clocked, one_off=True)
    past = models.ClockedSchedule.objects.create(clocked_time=timezone.now() - timedelta(days=1))
    make("past", clocked=past, one_off=True)
    later, gone = read()
    assert [deed.state for deed in deeds.do([later, gone], enable=True)] == ["new", "nothing"]
    assert Job.objects.get().next_run == at
    assert (later.columns["schedule"], later.columns["timezone"]) == ("@at 2100-07-01T18:30", "")
    assert (gone.columns, gone.problems) == (None, ())
    assert "that is past" in gone.becomes


def test_a_time_that_the_clock_shows_twice_is_told_apart(make, models, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    at = timezone.now().replace(year=2037, month=10, day=25, hour=1, minute=30, second=5, microsecond=0)
    make(clocked=models.ClockedSchedule.objects.create(clocked_time=at), one_off=True)
    assert one().columns["schedule"] == "@at 2037-10-25T01:30:05Z"


def test_the_sun_is_refused(make, models):
    make(solar=models.SolarSchedule.objects.create(event="sunset", latitude=1, longitude=2))
    assert "by the sun" in one().problems[0]


def test_both_days_are_refused(make, models):
    make(crontab=models.CrontabSchedule.objects.create(minute="0", hour="3", day_of_month="13", day_of_week="5"))
    assert "both days must match" in one().problems[0]


def test_one_off_runs_at_the_next_time_of_its_crontab(make):
    make(one_off=True)
    planned = one()
    assert planned.columns["schedule"].startswith("@at 20")
    assert "It runs once" in planned.notes[0]


def test_one_off_that_was_sent_becomes_nothing(make):
    make(one_off=True, total_run_count=1, last_run_at=timezone.now())
    planned = one()
    assert (planned.columns, planned.problems) == (None, ())
    assert planned.becomes == "It was to run once, and it has."


def test_one_off_that_is_disabled_may_have_run_which_is_told(make):
    make(one_off=True, enabled=False)
    assert "only if it is still to run" in one().notes[1]


def test_one_off_after_an_interval_is_refused(make, models):
    make(interval=models.IntervalSchedule.objects.create(every=1, period="days"), one_off=True)
    assert "clocked schedule" in one().problems[0]


def test_when_it_begins_and_ends_is_told(make):
    soon = timezone.now() + timedelta(days=3)
    make("a", start_time=soon, expires=soon)
    make("b", expires=timezone.now() - timedelta(days=1))
    a, b = read()
    assert [note.partition(" at ")[0] for note in a.notes] == ["It ends", "It begins"]
    assert "that is past" in b.becomes


def test_arguments_that_are_no_json_are_refused(make, models):
    make()
    models.PeriodicTask.objects.update(args="(1,)")
    assert "no JSON" in one().problems[0]


def test_rows_become_jobs_once_and_those_that_are_disabled_stay_so(make, models):
    make("on")
    make("off", crontab=models.CrontabSchedule.objects.first(), enabled=False)
    assert [deed.state for deed in deeds.do(beat.read(Given()), enable=True)] == ["new", "new"]
    assert dict(Job.objects.values_list("name", "enabled")) == {"on": True, "off": False}
    assert [deed.state for deed in deeds.do(beat.read(Given()), enable=True)] == ["here", "here"]


def test_thousands_of_rows_with_long_names_come(make, models, django_assert_max_num_queries):
    first = make("0")
    rows = [
        models.PeriodicTask(name=f"{number:0200}", task=first.task, crontab=first.crontab) for number in range(1, 5000)
    ]
    models.PeriodicTask.objects.bulk_create(rows)
    with django_assert_max_num_queries(20):
        done = list(deeds.do(beat.read(Given()), write=False))
    assert {deed.state for deed in done} == {"new"}
    assert len(done) == 5000


def test_rows_are_read_where_they_are_written(make, request):
    make(args="[7]")
    request.getfixturevalue("replica")
    assert one().columns["args"] == [7]
