"""What changes of the clock do to the slots to come."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronkite.schedules import Schedule
from cronkite.schedules.coming import Oddity, coming

pytestmark = pytest.mark.once

UTC = timezone.utc
SPRING = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 3, tzinfo=UTC)


def told(expression, after, until, zone="Europe/Berlin"):
    return [
        (f"{each.local:%H:%M}", each.oddity and each.oddity.value, each.count)
        for each in coming(Schedule(expression, zone), after, until)
    ]


def test_a_fixed_time_in_the_gap_is_moved():
    assert told("30 2 * * *", *SPRING) == [("03:00", "moved", 1)]


def test_a_fixed_time_at_the_end_of_the_gap_is_as_it_is():
    assert told("0 3 * * *", *SPRING) == [("03:00", None, 1)]


def test_several_fixed_times_in_the_gap_are_one_slot():
    assert told("0,30 2 * * *", *SPRING) == [("03:00", "moved", 2)]


def test_fixed_times_in_the_gap_and_at_its_end_are_one_slot():
    assert told("0 2,3 * * *", *SPRING) == [("03:00", "merged", 1)]
    assert told("0,30 2,3 * * *", *SPRING) == [("03:00", "merged", 2), ("03:30", None, 1)]


def test_a_wildcard_in_the_gap_is_skipped():
    assert told("*/30 1-3 * * *", *SPRING) == [
        ("01:00", None, 1),
        ("01:30", None, 1),
        ("03:00", "skipped", 2),
        ("03:00", None, 1),
        ("03:30", None, 1),
    ]


def test_a_wildcard_that_names_nothing_in_the_gap_loses_nothing():
    assert told("* 4 * * *", *SPRING)[:1] == [("04:00", None, 1)]


def test_a_fixed_time_in_the_overlap_runs_at_its_first_pass():
    assert told("30 2 * * *", *AUTUMN) == [("02:30", "first pass", 1)]


def test_a_wildcard_in_the_overlap_runs_in_both():
    assert told("*/30 2 * * *", *AUTUMN) == [
        ("02:00", "first pass", 1),
        ("02:30", "first pass", 1),
        ("02:00", "second pass", 1),
        ("02:30", "second pass", 1),
    ]


@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 */2 * * *", "15 1,2 * * sun", "* * * * * 30"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
)
def test_the_slots_are_those_of_the_schedule(expression, zone, start):
    after = start.replace(tzinfo=UTC, microsecond=0)
    schedule, until = Schedule(expression, zone), after + timedelta(hours=6)
    found = [each.slot for each in coming(schedule, after, until) if each.oddity is not Oddity.SKIPPED]
    assert found == list(schedule.slots_between(after, until))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_a_clock_that_is_never_changed_does_nothing(zone):
    assert {oddity for _, oddity, _ in told("*/10 * * * *", *SPRING, zone=zone)} == {None}
