"""What the entries of Celery's beat_schedule become."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone

import pytest
from celery.schedules import crontab, solar

from cronkite.importing import celery, deeds
from cronkite.importing.planned import Given
from cronkite.models import Job

# Celery looks through all models once, and so at the database.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("celery_app")]


def read(celery_app, schedule, **entry):
    entry = {"task": "app.celery_app.double", "schedule": schedule, **entry}
    celery_app.conf.beat_schedule = {"doubled": entry}
    (planned,) = celery.read(Given())
    return planned


@pytest.mark.parametrize(
    ("schedule", "expression"),
    [
        (crontab(minute=0, hour=3), "0 3 * * *"),
        (crontab(hour=3), "* 3 * * *"),
        (crontab(), "* * * * *"),
        (crontab("*/15", "8-18", day_of_week="mon-fri"), "*/15 8-18 * * mon-fri"),
        (crontab(0, 0, day_of_month="1,15"), "0 0 1,15 * *"),
        (crontab(0, 0, day_of_week="sunday"), "0 0 * * 0"),
        (crontab(0, "22-2"), "0 0-2,22,23 * * *"),
        (crontab(0, "0-23", day_of_week="0-6"), "0 * * * *"),
        (crontab({0, 30}, [1, 2, 3], month_of_year="*/3"), "0,30 1-3 * */3 *"),
        (crontab(0, 0, day_of_month="*/10", day_of_week="mon"), "0 0 */10 * mon"),
        (30, "@every 30s"),
        (90.0, "@every 1m30s"),
        (timedelta(hours=36), "@every 1d12h"),
    ],
)
@pytest.mark.django_db
def test_schedules_are_said_as_they_are_here(celery_app, schedule, expression):
    planned = read(celery_app, schedule)
    assert planned.columns["schedule"] == expression
    assert [deed.state for deed in deeds.do([planned], write=False)] == ["new"]


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (crontab(0, 3, day_of_month="13", day_of_week="fri"), "There both days must match"),
        (solar.__new__(solar), "by the sun"),
        (0.5, "no number of whole seconds"),
        (None, "a NoneType"),
    ],
)
def test_what_there_is_no_schedule_of_is_refused_with_the_reason(celery_app, schedule, problem):
    planned = read(celery_app, schedule)
    assert planned.columns is None
    assert problem in planned.problems[0]


def test_a_crontab_goes_by_the_zone_of_the_app(celery_app, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert read(celery_app, crontab(0, 3)).columns["timezone"] == "UTC"
    celery_app.conf.timezone = "Europe/Berlin"
    assert read(celery_app, crontab(0, 3)).columns["timezone"] == "Europe/Berlin"
    celery_app.conf.timezone = "Asia/Tokyo"
    assert read(celery_app, crontab(0, 3)).columns["timezone"] == ""


def test_task_arguments_and_options_come_along(celery_app):
    planned = read(
        celery_app, crontab(), args=(7,), options={"queue": "lane", "priority": 3, "expires": 60, "countdown": 5}
    )
    assert planned.columns == {
        "schedule": "* * * * *",
        "timezone": "",
        "function": "app.celery_app.double",
        "args": [7],
        "kwargs": {},
        "queue": "lane",
        "priority": 3,
        "catch_up": "none",
        "grace": 60,
    }
    assert any("Left out, as a job has none: countdown." in note for note in planned.notes)


def test_what_json_cannot_hold_is_refused(celery_app):
    planned = read(celery_app, crontab(), kwargs={"day": datetime(2026, 1, 1, tzinfo=timezone.utc)})
    assert "kwargs can't be kept as JSON: object of type datetime" in planned.problems[0]


def post():
    """Be a task of another name."""


post.__module__ = "app.celery_app"


def test_a_task_of_another_name_is_found_by_what_leads_to_it(celery_app, monkeypatch):
    module = sys.modules["app.celery_app"]
    monkeypatch.setattr(module, "send", celery_app.task(name="send-it")(post), raising=False)
    assert read(celery_app, crontab(), task="send-it").columns["function"] == "app.celery_app.send"
    monkeypatch.delattr(module, "send")
    assert "Nothing in the module app.celery_app leads" in read(celery_app, crontab(), task="send-it").problems[0]
    del celery_app.tasks["send-it"]
    assert "No task is called 'nobody' here" in read(celery_app, crontab(), task="nobody").problems[0]
    assert "Celery's own" in read(celery_app, crontab(), task="celery.backend_cleanup").problems[0]
    assert read(celery_app, crontab(), task="app.jobs.ok").columns["function"] == "app.jobs.ok"


def test_an_entry_that_makes_no_sense_keeps_no_other_from_coming(celery_app):
    celery_app.conf.beat_schedule = {
        "a": {"task": "app.celery_app.double"},
        "b": {"schedule": 1, "task": "app.jobs.ok"},
    }
    bad, good = celery.read(Given())
    assert "not as Celery has it" in bad.problems[0]
    assert good.columns["schedule"] == "@every 1s"


@pytest.mark.django_db
def test_an_entry_becomes_a_job_once(celery_app):
    read(celery_app, crontab(0, 3), options={"queue": "lane"})
    assert [deed.state for deed in deeds.do(celery.read(Given()))] == ["new"]
    assert [deed.state for deed in deeds.do(celery.read(Given()))] == ["here"]
    job = Job.objects.get()
    assert (job.name, job.engine, job.queue, job.enabled) == ("doubled", "celery", "lane", False)
