"""Intervals and one-offs: which instants they name, held against arithmetic on seconds and the zone's clock."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronkite.exceptions import OneOffIsOver, ScheduleError
from cronkite.schedules import Schedule, every, once
from cronkite.schedules.coming import Oddity, coming

pytestmark = pytest.mark.once

UTC = timezone.utc
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]
instants = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
lengths = st.one_of(st.integers(1, 4000), st.integers(1, every.MOST_DAYS * 86400))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- Intervals --


@given(lengths, instants, st.sampled_from(ZONES))
def test_an_interval_s_slots_are_the_multiples_of_it_since_the_epoch_in_each_zone(length, instant, zone):
    schedule = Schedule(f"@every {length}s" if length < 10**9 else str(every.Interval(length)), zone)
    slot, latest = schedule.next_after(instant), schedule.latest_at(instant)
    assert slot.timestamp() % length == latest.timestamp() % length == 0
    assert latest <= instant < slot
    assert slot - latest == timedelta(seconds=length)
    assert schedule.is_slot(slot)
    assert not schedule.is_slot(slot + timedelta(microseconds=1))


@given(st.integers(1, 4000), instants, st.integers(0, 50000))
def test_next_latest_and_count_of_an_interval_agree(length, instant, span):
    schedule, until = Schedule(f"@every {length}s", "Europe/Berlin"), instant + timedelta(seconds=span)
    slots = list(islice(schedule.slots_between(instant, until), 400))
    assert schedule.count_between(instant, slots[-1] if len(slots) == 400 else until) == len(slots)
    if slots and len(slots) < 400:
        assert schedule.latest_at(until) == slots[-1]


@given(lengths)
def test_an_interval_is_written_in_one_way_that_says_the_same(length):
    assert every.read(f"@every {every.spell(length)}") == every.Interval(length)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("1d", 86400), ("1d2h3m4s", 93784), ("0h5m", 300), ("3650d", 315360000)],
)
def test_units_are_added_up(text, seconds):
    assert every.read(f"@every {text}") == every.Interval(seconds)


def test_a_century_of_seconds_is_counted_at_once():
    schedule = Schedule("@every 1s", "Europe/Berlin")
    began = time.process_time()
    for _ in range(2000):
        assert schedule.count_between(at("1970-01-01"), at("2070-01-01")) == 3155760000
    assert time.process_time() - began < 2  # 2,000 searches of a microsecond would take years


def test_changes_of_the_clock_make_no_difference_to_an_interval():
    slots = Schedule("@every 30m", "Europe/Berlin").slots_between(at("2026-03-29 00:00"), at("2026-03-29 02:00"))
    assert [f"{slot:%H:%M}" for slot in slots] == ["00:30", "01:00", "01:30", "02:00"]
    told = list(coming(Schedule("@every 30m", "Europe/Berlin"), at("2026-03-28 23:00"), at("2026-03-29 02:00")))
    assert {each.oddity for each in told} == {None}
    told = list(coming(Schedule("@every 30m", "Europe/Berlin"), at("2026-10-24 23:00"), at("2026-10-25 02:00")))
    assert [each.oddity for each in told] == [None, *2 * [Oddity.EARLIER], *2 * [Oddity.LATER], None]


def test_an_interval_ends_with_the_calendar():
    with pytest.raises(ScheduleError):
        Schedule("@every 3650d", "UTC").next_after(datetime(9998, 12, 31, tzinfo=UTC))


# -- One-offs --


def one_off(text, zone="Europe/Berlin"):
    return Schedule(f"@at {text}", zone)


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ("2026-12-24T18:00", "2026-12-24 17:00"),
        ("2026-07-24T18:00:30", "2026-07-24 16:00:30"),
        ("2026-12-24T18:00Z", "2026-12-24 18:00"),
        ("2026-12-24T18:00-05:30", "2026-12-24 23:30"),
        ("2026-03-29T02:30", "2026-03-29 01:00"),  # skipped: the first instant after
        ("2026-10-25T02:30", "2026-10-25 00:30"),  # shown twice: the first pass
        ("2026-10-25T02:30+02:00", "2026-10-25 00:30"),
        ("2026-10-25T02:30+01:00", "2026-10-25 01:30"),
    ],
)
def test_a_one_off_has_one_slot(text, slot):
    schedule = one_off(text)
    assert list(schedule.slots_between(at("2020-01-01"), at("2030-01-01"))) == [at(slot)]
    assert schedule.is_once
    assert schedule.is_slot(at(slot))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)), st.sampled_from(ZONES), instants)
def test_next_latest_and_count_of_a_one_off_agree_with_the_zone_s_clock(wall, zone, instant):
    wall = wall.replace(microsecond=0)
    schedule = one_off(f"{wall:%Y-%m-%dT%H:%M:%S}", zone)
    named = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    (slot,) = schedule.slots_between(at("1990-01-01"), at("2050-01-01"))
    is_skipped = named.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != wall
    assert is_skipped or slot == named
    assert not is_skipped or slot <= named < slot + timedelta(hours=1, minutes=1)
    assert schedule.count_between(instant, at("2120-01-01")) == (instant < slot)
    if instant < slot:
        assert schedule.next_after(instant) == slot
        with pytest.raises(ScheduleError):
            schedule.latest_at(instant)
    else:
        assert schedule.latest_at(instant) == slot
        with pytest.raises(OneOffIsOver):
            schedule.next_after(instant)


def test_a_one_off_that_has_been_says_when_that_was():
    with pytest.raises(OneOffIsOver, match=r"'@at 2026-12-24T18:00' is over, as that was at 2026-12-24 17:00:00 UTC"):
        one_off("2026-12-24T18:00").next_after(at("2026-12-24 17:00"))


def test_what_the_clock_does_to_a_one_off_is_told():
    def told(text):
        (found,) = coming(one_off(text), at("2026-01-01"), at("2027-01-01"))
        return found.oddity

    assert told("2026-12-24T18:00") is None
    assert told("2026-03-29T02:30") is Oddity.MOVED
    assert told("2026-03-29T02:30Z") is None
    assert told("2026-10-25T02:30") is Oddity.EARLIER
    assert told("2026-10-25T02:30+01:00") is Oddity.LATER


def test_other_schedules_are_no_one_offs():
    assert not Schedule("0 18 24 12 *", "UTC").is_once
    assert not Schedule("@every 1d", "UTC").is_once
    assert once.read("@daily") is None
