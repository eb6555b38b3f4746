"""Days that have to be looked up in their month, held against a walk over the calendar, cronsim and croniter."""

from __future__ import annotations

from calendar import monthcalendar
from datetime import date, datetime, timedelta, timezone
from itertools import islice

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from cronkite.exceptions import ScheduleError
from cronkite.schedules import Schedule
from cronkite.schedules.expressions import parse

pytestmark = pytest.mark.once

UTC = timezone.utc
NAMES = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# An opinion of its own on which day an item names: by the weeks of a wall calendar, Monday first, 0 for no day.


def is_named(item, day, *, of_week):
    weeks = monthcalendar(day.year, day.month)
    every = [number for week in weeks for number in week if number]
    if of_week:
        name, number = (item[:-1], -1) if item.endswith("L") else item.split("#")
        weekday = NAMES.index(name) if name in NAMES else int(name) % 7
        column = [week[(weekday - 1) % 7] for week in weeks if week[(weekday - 1) % 7]]
        wanted = len(column) if number == -1 else int(number)
        return len(column) >= wanted and column[wanted - 1] == day.day
    if item in {"LW", "L"} or item.startswith("L-"):
        working = [number for week in weeks for number in week[:5] if number]
        left = {"LW": working, "L": every}.get(item) or every[: -int(item[2:])]
        return bool(left) and left[-1] == day.day
    if item.endswith("W"):
        near = int(item[:-1])
        if near not in every:
            return False
        working = [number for week in weeks for number in week[:5] if number]
        return min(working, key=lambda number: (abs(number - near), number)) == day.day
    return int(item) == day.day


days = st.sampled_from(["L", "LW", "L-1", "L-3", "L-30", "1W", "15W", "30W", "31W", "1", "15", "31"])
weekdays = st.sampled_from(
    [f"{n}L" for n in range(8)] + [f"{n}#{k}" for n in (0, 3, 7) for k in range(1, 6)] + ["friL"]
)
instants = st.datetimes(datetime(2023, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))


@st.composite
def expressions(draw):
    """Return an expression, and by which items either day field restricts the days; ``None`` if it does not."""
    of_month = draw(st.one_of(st.none(), st.lists(days, min_size=1, max_size=3)))
    of_week = draw(st.lists(weekdays, min_size=1, max_size=2) if of_month is None else st.one_of(st.none(), st.lists(
        weekdays, min_size=1, max_size=2)))  # fmt: skip
    minutes, hours = draw(st.sampled_from(["0", "*/20", "5,50"])), draw(st.sampled_from(["0", "3", "*/6", "23"]))
    day, weekday = (",".join(items) if items else "*" for items in (of_month, of_week))
    return f"{minutes} {hours} {day} * {weekday}", of_month, of_week


@settings(max_examples=300)
@given(expressions(), instants)
def test_a_day_is_named_as_on_a_wall_calendar(expression, instant):
    text, of_month, of_week = expression
    says = parse(text)
    for number in range(62):
        day = instant.date() + timedelta(days=number)
        named = [any(is_named(each, day, of_week=False) for each in of_month)] if of_month else []
        named += [any(is_named(each, day, of_week=True) for each in of_week)] if of_week else []
        assert says.has_day(day) is any(named), (text, day)


@settings(max_examples=300)
@given(expressions(), instants, st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"]))
def test_next_latest_and_count_agree(expression, instant, zone):
    schedule = Schedule(expression[0], zone)
    slots = list(islice(schedule.slots_between(instant, instant + timedelta(days=4000)), 40))
    assert schedule.count_between(instant, slots[-1]) == len(slots) == 40
    for before, slot in zip([instant, *slots], slots, strict=False):
        assert schedule.next_after(before) == slot
        assert schedule.latest_at(slot) == slot
        if before is not instant:
            assert schedule.latest_at(slot - timedelta(seconds=1)) == before


@pytest.mark.parametrize(
    "fields", ["0 3 L * *", "0 3 LW * *", "*/20 4 * * 5L", "0 3 * * 5#2", "0 3 * * 0#1,3#5", "5 3 L 2 *", "0 3 * 2 0#5"]
)
def test_cronsim_agrees(fields):
    slots = Schedule(fields, "UTC").slots_between(at("2024-01-15 07:11"), at("2900-01-01"))
    assert list(islice(slots, 20)) == list(islice(CronSim(fields, at("2024-01-15 07:11")), 20))


@pytest.mark.parametrize(
    ("fields", "theirs"), [("0 3 L * *", "0 3 L * *"), ("0 3 * * 5L", "0 3 * * L5"), ("0 3 * * 5#2", "0 3 * * 5#2")]
)
def test_croniter_agrees_on_what_it_knows(fields, theirs):
    found = croniter(theirs, datetime(2024, 1, 15))
    slots = Schedule(fields, "UTC").slots_between(at("2024-01-15"), at("2060-01-01"))
    assert [slot.replace(tzinfo=None) for slot in islice(slots, 30)] == [found.get_next(datetime) for _ in range(30)]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("0 3 L * *", "2026-02-28 03:00"),
        ("0 3 L-2 * *", "2026-02-26 03:00"),
        ("0 3 LW * *", "2026-02-27 03:00"),
        ("0 3 1W * *", "2026-03-02 03:00"),  # a Sunday
        ("0 3 14W * *", "2026-03-13 03:00"),  # a Saturday
        ("0 3 15W * *", "2026-02-16 03:00"),  # a Sunday
        ("0 3 31W * *", "2026-03-31 03:00"),
        ("0 3 * * 5L", "2026-02-27 03:00"),
        ("0 3 * * FRIL", "2026-02-27 03:00"),
        ("0 3 * * 5#2", "2026-03-13 03:00"),
        ("0 3 * * fri#5", "2026-05-29 03:00"),
        ("0 3 L * fri#2", "2026-02-28 03:00"),  # either day
        ("0 3 */100,L * fri", "2026-05-01 03:00"),  # both, as a star begins it: the 1st or a last day that is a Friday
        ("0 3 * 2 0#5", "2032-02-29 03:00"),
    ],
)
def test_the_first_of_these_days_after_a_sunday_in_february(expression, first):
    assert Schedule(expression, "UTC").next_after(at("2026-02-15 12:00")) == at(first)


def test_the_calendar_s_edges_are_no_obstacle():
    last = Schedule("0 3 L * *", "UTC")
    assert last.latest_at(at("0002-01-01")) == at("0001-12-31 03:00")
    assert last.next_after(at("9998-12-30")) == at("9998-12-31 03:00")
    assert last.next_after(at("9998-12-31 04:00")) == datetime(9999, 1, 31, 3, tzinfo=UTC)
    with pytest.raises(ScheduleError):
        Schedule("0 3 * 2 0#5", "UTC").next_after(at("9990-01-01"))


@pytest.mark.parametrize("text", ["0 0 H,L * *", "H H LW H *", "0 0 * * H,5L", "0 0 31W H *"])
def test_what_is_chosen_may_stand_beside_it(text):
    if text == "0 0 31W H *":
        # In some months there is no such day, so it is refused whichever the job has.
        with pytest.raises(ScheduleError, match="write days up to 29"):
            parse(text, "bill")
    else:
        assert parse(text, "bill").looks_up_days


def test_the_last_day_is_never_the_first_of_the_next_month():
    day = date(2024, 1, 1)
    while day < date(2030, 1, 1):
        assert parse("0 0 L * *").has_day(day) is ((day + timedelta(days=1)).day == 1)
        day += timedelta(days=1)
