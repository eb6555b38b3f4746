"""Which slots come next is told of whatever has a schedule."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from app import declared
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.schedules import Schedule
from cronkite.testing import freeze, next_slots

SATURDAY = datetime(2026, 3, 28, tzinfo=timezone.utc)
HALF_PAST_TWO = [datetime(2026, 3, 28, 1, 30), datetime(2026, 3, 29, 1, 0), datetime(2026, 3, 30, 0, 30)]
HALF_PAST_TWO = [slot.replace(tzinfo=timezone.utc) for slot in HALF_PAST_TWO]


def test_of_a_schedule():
    assert next_slots(Schedule("30 2 * * *", "Europe/Berlin"), 3, after=SATURDAY) == HALF_PAST_TWO


def test_of_a_job():
    assert next_slots(Job(schedule="30 2 * * *", timezone="Europe/Berlin"), 3, after=SATURDAY) == HALF_PAST_TWO


def test_of_an_expression_in_the_project_s_zone(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    assert next_slots("30 2 * * *", 3, after=SATURDAY) == HALF_PAST_TWO


def test_of_a_declared_function():
    assert next_slots(declared.nightly, 2, after=SATURDAY) == next_slots("0 3 * * *", 2, after=SATURDAY)


def test_of_a_declared_function_whose_numbers_are_chosen(monkeypatch):
    monkeypatch.setattr(declared.nightly, "schedule", "H H * * *")
    job = Job(schedule="H H * * *", declared_as="app.declared.nightly")
    assert next_slots(declared.nightly, 2, after=SATURDAY) == next_slots(job, 2, after=SATURDAY)


@pytest.mark.django_db
def test_after_the_clock_s_now(make):
    job = make()
    assert next_slots(job) == [job.next_run]
    with freeze(SATURDAY):
        assert next_slots(job) == [SATURDAY + timedelta(hours=3)]


def test_there_may_be_none(monkeypatch):
    def next_after(self, instant):
        raise ScheduleError("never again")

    schedule = Schedule("30 2 * * *", "UTC")
    monkeypatch.setattr(Schedule, "next_after", next_after)
    assert next_slots(schedule, 2, after=SATURDAY) == []


@pytest.mark.parametrize("count", [0, -1, True, "2", 1.0])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(ValueError, match="count must be a whole number from 1 up"):
        next_slots("@daily", count, after=SATURDAY)


def test_what_is_no_schedule_is_refused():
    with pytest.raises(ScheduleError):
        next_slots("99 * * * *", after=SATURDAY)
    with pytest.raises(TypeError, match="has no schedule: give a job"):
        next_slots(len, after=SATURDAY)
    with pytest.raises(ValueError, match="after has no time zone"):
        next_slots("@daily", after=datetime(2026, 3, 1))
