"""Schedules: which instants an expression names in a zone, held against Debian's cron, cronsim and a slow walk."""

import json
import re
import signal
import time
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import islice, pairwise
from pathlib import Path

import pytest
from cronsim import CronSim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cronkite import schedules
from cronkite.exceptions import ScheduleError
from cronkite.schedules import Schedule, walls, zones
from cronkite.schedules.expressions import parse

pytestmark = pytest.mark.once

UTC = timezone.utc
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))
DATA = Path(__file__).parents[1] / "data"
WINDOWS = json.loads((DATA / "debian_cron.json").read_text())["slots"]

ZONES = [
    "UTC",
    "Africa/Cairo",  # changes at midnight
    "Africa/Casablanca",  # goes back for Ramadan
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",  # changed at 00:01, at half past the hour of UTC
    "Antarctica/Troll",  # changes by two hours
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # changes by half an hour
    "Europe/Berlin",
    "Europe/Dublin",  # its winter is the exception, with a negative saving
    "Pacific/Apia",  # left out 30 December 2011
]


def properties(examples):
    """The same examples each time: a property that fails on one run in a hundred would be a flaky test."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


def at(text, tz=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=tz)


def seconds(instants):
    return [int(instant.timestamp()) for instant in instants]


def show(instants):
    return [f"{instant:%m-%d %H:%M}" for instant in instants]


# -- Debian's cron ------------------------------------------------------------------------------------------------


@pytest.fixture
def rules_of_2025b():
    """The zones as tzdata 2025b had them, when the windows were made: later rules move the windows of the 2030s."""
    zoneinfo.reset_tzpath([DATA / "zoneinfo"])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.once
@pytest.mark.usefixtures("rules_of_2025b")
def test_debians_cron_fires_at_the_same_instants_in_all_700_windows():
    """The windows are ``start <= instant < end``: 46 fires lie on a start, and none on an end."""
    assert len(WINDOWS) == 700
    wrong = []
    for window in WINDOWS:
        schedule = Schedule(window["expression"], window["zone"])
        after = datetime.fromtimestamp(window["start"] - 1, UTC)
        until = datetime.fromtimestamp(window["end"] - 1, UTC)
        slots = seconds(schedule.slots_between(after, until))
        if slots != window["fires"] or schedule.count_between(after, until) != len(slots):
            wrong.append((window["zone"], window["expression"], window["start"]))
    assert wrong == []


@pytest.mark.usefixtures("rules_of_2025b")
def test_the_windows_tell_a_schedule_that_is_wrong_near_changes():
    """Else the agreement above would say nothing: one that takes every expression for a wildcard is caught."""
    caught = 0
    for window in WINDOWS:
        schedule = Schedule(window["expression"], window["zone"])
        schedule._instants.says = replace(schedule._instants.says, is_wildcard=True)
        slots = schedule.slots_between(
            datetime.fromtimestamp(window["start"] - 1, UTC), datetime.fromtimestamp(window["end"] - 1, UTC)
        )
        caught += seconds(slots) != window["fires"]
    assert caught > 20


# -- Examples with dates ------------------------------------------------------------------------------------------

# Berlin goes forward at 2026-03-29 01:00 UTC (02:00 to 03:00), and back at 2026-10-25 01:00 UTC (03:00 to 02:00).
SPRING = at("2026-03-28 12:00"), at("2026-03-29 12:00")
AUTUMN = at("2026-10-24 12:00"), at("2026-10-25 12:00")


@pytest.mark.parametrize(
    ("expression", "slots"),
    [
        ("30 2 * * *", ["03-29 01:00"]),
        ("0,30 2,3 * * *", ["03-29 01:00", "03-29 01:30"]),
        ("0,20,40 2 * * *", ["03-29 01:00"]),
        ("0 3 * * *", ["03-29 01:00"]),
        ("59 1 * * *", ["03-29 00:59"]),
        ("*/15 2 * * *", []),
        ("30 */8 * * *", ["03-28 15:30", "03-28 23:30", "03-29 06:30"]),
        ("30 */2 29 * *", ["03-28 23:30", "03-29 02:30", "03-29 04:30", "03-29 06:30", "03-29 08:30", "03-29 10:30"]),
        ("30 2 * * * */10", ["03-29 01:00"]),
    ],
)
def test_in_spring_a_fixed_time_runs_once_after_the_gap_and_a_wildcard_does_not(expression, slots):
    assert show(Schedule(expression, "Europe/Berlin").slots_between(*SPRING)) == slots


@pytest.mark.parametrize(
    ("expression", "slots"),
    [
        ("30 2 * * *", ["10-25 00:30"]),
        ("0 3 * * *", ["10-25 02:00"]),
        ("0 2,3 * * *", ["10-25 00:00", "10-25 02:00"]),
        ("*/30 2 * * *", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("30 2-2 * * *", ["10-25 00:30"]),
        ("30 */24 * * *", ["10-24 22:30"]),
    ],
)
def test_in_autumn_a_fixed_time_runs_in_the_first_pass_and_a_wildcard_in_both(expression, slots):
    assert show(Schedule(expression, "Europe/Berlin").slots_between(*AUTUMN)) == slots


def test_a_quarter_of_an_hour_stays_one_in_the_overlap():
    slots = list(Schedule("*/15 * * * *", "Europe/Berlin").slots_between(*AUTUMN))
    assert len(slots) == 24 * 4
    assert {later - slot for slot, later in pairwise(slots)} == {15 * MINUTE}


def test_each_pass_of_an_overlap_is_told_apart():
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    first, second = at("2026-10-25 02:30", berlin), at("2026-10-25 02:30", berlin).replace(fold=1)
    schedule = Schedule("*/30 2 * * *", "Europe/Berlin")
    assert schedule.next_after(first) == at("2026-10-25 01:00")
    assert schedule.next_after(second) == at("2026-10-26 01:00")
    assert schedule.latest_at(first) == at("2026-10-25 00:30")
    assert schedule.latest_at(second) == at("2026-10-25 01:30")
    fixed = Schedule("30 2 * * *", "Europe/Berlin")
    assert (fixed.is_slot(first), fixed.is_slot(second)) == (True, False)


def test_the_instant_of_the_change_belongs_to_the_second_pass():
    change, later = at("2026-10-25 01:00"), at("2026-10-25 12:00")
    wildcard, fixed = Schedule("*/30 2 * * *", "Europe/Berlin"), Schedule("0,30 2 * * *", "Europe/Berlin")
    assert (wildcard.latest_at(change), wildcard.next_after(change)) == (change, at("2026-10-25 01:30"))
    assert (fixed.latest_at(change), fixed.next_after(change)) == (at("2026-10-25 00:30"), at("2026-10-26 01:00"))
    assert (wildcard.count_between(change, later), fixed.count_between(change, later)) == (1, 0)


def test_a_change_that_was_taken_back_within_a_week_is_not_overlooked():
    """Recife went forward at the start of 8 October 2000, and back at the end of the 14th."""
    schedule = Schedule("*/30 23 * * *", "America/Recife")
    month = at("2000-10-01 12:00"), at("2000-10-31 12:00")
    assert schedule.count_between(*month) == len(list(schedule.slots_between(*month))) == 62


def test_lord_howe_changes_by_half_an_hour():
    fixed = Schedule("45 1 * * *", "Australia/Lord_Howe")
    assert list(fixed.slots_between(at("2026-04-04 00:00"), at("2026-04-05 00:00"))) == [at("2026-04-04 14:45")]
    wildcard = Schedule("45 */1 * * *", "Australia/Lord_Howe")
    assert show(wildcard.slots_between(at("2026-04-04 14:00"), at("2026-04-04 16:30"))) == [
        "04-04 14:45",
        "04-04 15:15",
        "04-04 16:15",
    ]


def test_the_day_that_apia_left_out_gives_a_fixed_time_one_run_and_a_wildcard_none():
    fixed = Schedule("0,30 12-15 30 12 *", "Pacific/Apia")
    assert list(fixed.slots_between(at("2011-12-01 00:00"), at("2012-02-01 00:00"))) == [at("2011-12-30 10:00")]
    wildcard = Schedule("* * 30 12 *", "Pacific/Apia")
    assert list(wildcard.slots_between(at("2011-12-01 00:00"), at("2012-02-01 00:00"))) == []
    assert wildcard.latest_at(at("2012-02-01 00:00")) == at("2010-12-31 09:59")


@pytest.mark.parametrize(
    ("expression", "after", "slot"),
    [
        ("0 0 */10 * 1", "2026-01-01 00:00", "2026-05-11 00:00"),  # both: a Monday that is the 1st, 11th, 21st or 31st
        ("0 0 *,25 * 1", "2026-01-01 00:00", "2026-01-05 00:00"),  # both: every Monday
        ("0 0 25,* * 1", "2026-01-01 00:00", "2026-01-02 00:00"),  # either: every day
        ("0 0 11 * 1", "2026-01-05 00:00", "2026-01-11 00:00"),  # either: the 11th, a Sunday
        ("0 0 30 2 1", "2026-02-03 00:00", "2026-02-09 00:00"),
        ("5-5 * * * *", "2026-01-01 00:05", "2026-01-01 01:05"),
        ("*/61 * * * *", "2026-01-01 00:05", "2026-01-01 01:00"),
        ("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00"),
        ("0 0 29 2 */8", "2088-03-01 00:00", "2128-02-29 00:00"),  # a Sunday: 40 years, the longest wait of all
        ("@yearly", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("0 12 * * * 30", "2026-01-01 12:00", "2026-01-01 12:00:30"),
        ("* * * * * */7", "2026-01-01 12:00:56.500", "2026-01-01 12:01:00"),
    ],
)
def test_the_next_slot_of_an_expression_that_others_read_otherwise(expression, after, slot):
    schedule = Schedule(expression, "UTC")
    assert schedule.next_after(at(after)) == at(slot)
    assert schedule.latest_at(at(slot)) == at(slot)
    assert schedule.latest_at(at(slot) - SECOND) <= at(after)


# -- What is handed in, and what comes out ------------------------------------------------------------------------


def test_slots_are_aware_utc_whatever_zone_the_instant_was_in():
    schedule = Schedule("0 3 * * *", "Europe/Berlin")
    instant = at("2026-07-01 00:30:00.250")
    for zone in ZONES:
        slot = schedule.next_after(instant.astimezone(zoneinfo.ZoneInfo(zone)))
        assert slot == at("2026-07-01 01:00")
        assert slot.tzinfo is UTC


def test_a_slot_is_exact_to_the_microsecond():
    schedule = Schedule("0 3 * * *", "UTC")
    slot = at("2026-07-01 03:00")
    assert schedule.is_slot(slot)
    assert not schedule.is_slot(slot + timedelta(microseconds=1))
    assert schedule.next_after(slot) == slot + DAY
    assert schedule.next_after(slot - timedelta(microseconds=1)) == slot
    assert schedule.latest_at(slot - timedelta(microseconds=1)) == slot - DAY
    assert schedule.count_between(slot - timedelta(microseconds=1), slot) == 1
    assert schedule.count_between(slot, slot + timedelta(microseconds=1)) == 0


def test_a_slot_is_told_in_any_zone_right_after_a_gap():
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert Schedule("0 3 * * *", "Europe/Berlin").is_slot(at("2026-03-29 03:00", berlin))


@pytest.mark.parametrize("method", ["next_after", "latest_at", "is_slot"])
def test_a_naive_instant_is_an_error(method):
    with pytest.raises(ValueError, match="naive"):
        getattr(Schedule("* * * * *", "UTC"), method)(datetime(2026, 1, 1))


@pytest.mark.parametrize("instant", [datetime.min, datetime.max, datetime(9999, 1, 1), datetime(1, 12, 31)])
@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_an_instant_at_the_ends_of_the_calendar_is_a_schedule_error(instant, hours):
    schedule = Schedule("* * * * *", "Pacific/Apia")
    aware = instant.replace(tzinfo=timezone(timedelta(hours=hours)))
    for ask in (schedule.next_after, schedule.latest_at, schedule.is_slot):
        with pytest.raises(ScheduleError, match="outside the years 2 to 9998"):
            ask(aware)


def test_nothing_before_the_end_of_the_calendar_is_a_schedule_error():
    with pytest.raises(ScheduleError, match="no slot within 50 years after 9998"):
        Schedule("0 0 29 2 *", "UTC").next_after(at("9998-01-01 00:00"))
    with pytest.raises(ScheduleError, match="no slot within 50 years up to 0002"):
        Schedule("0 0 29 2 *", "UTC").latest_at(at("0002-01-01 00:00"))
    assert list(Schedule("0 0 29 2 *", "UTC").slots_between(at("9995-01-01 00:00"), at("9998-12-31 00:00"))) == [
        at("9996-02-29 00:00")
    ]


def test_an_empty_stretch_has_no_slots():
    schedule = Schedule("* * * * *", "UTC")
    for after, until in [("2026-01-01 00:00", "2026-01-01 00:00"), ("2026-01-02 00:00", "2026-01-01 00:00")]:
        assert list(schedule.slots_between(at(after), at(until))) == []
        assert schedule.count_between(at(after), at(until)) == 0


ONLY_IN_GAPS = "* 2 25-31 3 */8"  # the last Sunday of March, where Berlin has no such hour


def test_a_wildcard_that_names_only_gaps_has_no_next_slot():
    schedule = Schedule(ONLY_IN_GAPS, "Europe/Berlin")
    with pytest.raises(ScheduleError, match=r"'\* 2 25-31 3 \*/8' in Europe/Berlin has no slot within 50 years after"):
        schedule.next_after(at("2026-01-01 00:00"))
    assert list(schedule.slots_between(*SPRING)) == []
    assert Schedule(ONLY_IN_GAPS, "UTC").next_after(at("2026-01-01 00:00")) == at("2026-03-29 02:00")


# -- Zones --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Nowhere",
        "europe berlin",
        "",
        "Europe",
        "Europe/",
        "../../etc/passwd",
        "Europe/../../etc/passwd",
        "/etc/passwd",
        "/usr/share/zoneinfo/UTC",
        "UTC\x00",
        "UTC\n",
        "\x00",
        "zone.tab",
        "tzdata.zi",
        "leapseconds",
        "localtime",
        "posixrules",
        "right/Europe/Berlin",
        "posix/UTC",
        "Europe\\Berlin",
        "Európe/Berlin",
        "\ud800",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        pytest.param("A" * 10_000, id="long"),
        pytest.param("A/" * 5_000, id="deep"),
    ],
)
def test_a_name_that_is_no_zone_is_refused(name):
    with pytest.raises(ScheduleError, match="write an IANA name") as refusal:
        Schedule("* * * * *", name)
    assert refusal.value.field == "timezone"
    assert len(str(refusal.value).encode()) < 300


def test_every_zone_of_the_machine_is_accepted():
    # What is no place: the machine's own zone, and the clock that nobody has set.
    names = zoneinfo.available_timezones() - {"localtime", "Factory"}
    assert len(names) > 400
    for name in names:
        zones.WallClock(name)


def test_a_machine_without_zone_data_says_what_to_install(monkeypatch):
    def find_nothing(name):
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zones, "ZoneInfo", find_nothing)
    with pytest.raises(ScheduleError, match="install the tzdata package") as refusal:
        Schedule("* * * * *", "Europe/Berlin")
    assert refusal.value.field == "timezone"
    assert Schedule("* * * * *", "UTC")


# -- The cache, and sharing ---------------------------------------------------------------------------------------


def test_a_schedule_is_read_once():
    assert schedules.get("7 3 * * *", "Europe/Berlin") is schedules.get("7 3 * * *", "Europe/Berlin")
    assert schedules.get("7 3 * * *", "UTC") == Schedule("7 3 * * *", "UTC")
    assert len({Schedule("7 3 * * *", "UTC"), Schedule("7 3 * * *", "UTC"), Schedule("7 3 * * *", "Asia/Gaza")}) == 2
    with pytest.raises(ScheduleError):
        schedules.get("7 3 * * *", "Nowhere")


def test_a_schedule_prints_as_a_person_would_say_it():
    assert str(Schedule("7 3 * * *", "UTC")) == "'7 3 * * *' in UTC"
    assert repr(Schedule("7 3 * * *", "UTC")) == "Schedule(expression='7 3 * * *', timezone='UTC', seed='')"


def test_searches_do_not_disturb_each_other():
    schedule = Schedule("*/5 * 1 * 1", "Europe/Berlin")
    alone = list(islice(schedule.slots_between(at("2026-01-01 00:00"), at("2027-01-01 00:00")), 300))
    one, other = (schedule.slots_between(at("2026-01-01 00:00"), at("2027-01-01 00:00")) for _ in range(2))
    template = vars(schedule._instants._walls._template).copy()
    mixed = []
    for _ in range(300):
        mixed.append(next(one))
        next(other)
        schedule.latest_at(at("2030-01-01 00:00"))
    assert mixed == alone
    assert vars(schedule._instants._walls._template) == template
    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda slot: schedule.next_after(slot - SECOND), alone * 4))
    assert asked == alone * 4


# -- Properties ---------------------------------------------------------------------------------------------------


@cache
def changes_of(zone):
    return list(zones.WallClock(zone).changes_between(datetime(2000, 1, 1), datetime(2035, 1, 1)))


@st.composite
def moments(draw, zone):
    """An instant: half of them within a day and a half of a change of the zone's offset."""
    changes = changes_of(zone)
    if changes and draw(st.booleans()):
        change = draw(st.sampled_from(changes)).at.replace(tzinfo=UTC)
        return change + draw(st.integers(-129_600, 129_600)) * SECOND
    return draw(st.datetimes(datetime(1890, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC)))


@st.composite
def fields(draw, low, high):
    kind = draw(st.sampled_from(["*", "*", "*/n", "list", "list"]))
    if kind == "*/n":
        return f"*/{draw(st.integers(1, high))}"
    if kind == "*":
        return "*"
    items = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        items.append(
            draw(st.sampled_from([f"{first}", f"{first}-{last}", f"{first}-{last}/{draw(st.integers(1, 9))}"]))
        )
    return ",".join(items)


@st.composite
def expressions(draw, seconds=False):
    # The small hours, where clocks are changed, are drawn more often than the others.
    hours = draw(st.one_of(fields(0, 23), fields(0, 3)))
    words = [draw(fields(0, 59)), hours, draw(fields(1, 31)), draw(fields(1, 12)), draw(fields(0, 7))]
    if draw(st.booleans()):
        words[2:] = "*", "*", "*"
    if seconds and draw(st.booleans()):
        words.append(draw(st.one_of(fields(0, 59), st.just("0,30"))))
    text = " ".join(words)
    try:
        parse(text)
    except ScheduleError:
        assume(False)
    return text


zone_names = st.sampled_from(ZONES)


@properties(400)
@given(st.data(), zone_names, expressions(seconds=True))
def test_the_next_slot_is_later_and_is_the_newest_when_it_has_come(data, zone, expression):
    schedule = Schedule(expression, zone)
    instant = data.draw(moments(zone))
    slot = schedule.next_after(instant)
    assert slot > instant
    assert schedule.latest_at(slot) == slot
    assert schedule.is_slot(slot)
    assert schedule.count_between(instant, slot) == 1
    later = schedule.next_after(slot)
    assert later > slot
    assert schedule.latest_at(later - SECOND) == slot
    assert schedule.count_between(instant, later) == 2


@properties(400)
@given(st.data(), zone_names, expressions(seconds=True))
def test_the_newest_slot_is_not_later_and_nothing_lies_between(data, zone, expression):
    schedule = Schedule(expression, zone)
    instant = data.draw(moments(zone))
    slot = schedule.latest_at(instant)
    assert slot <= instant
    assert schedule.is_slot(slot)
    assert schedule.count_between(slot, instant) == 0
    assert schedule.next_after(slot) > instant
    assert schedule.next_after(slot - SECOND) == slot


@properties(200)
@given(st.data(), zone_names, expressions(seconds=True), st.integers(0, 200_000))
def test_the_slots_between_two_instants_agree_with_every_other_way_to_find_them(data, zone, expression, length):
    schedule = Schedule(expression, zone)
    after = data.draw(moments(zone))
    until = after + length * SECOND
    slots = list(islice(schedule.slots_between(after, until), 500))
    if len(slots) == 500:
        until = slots[-1]
    assert slots == sorted(set(slots))
    assert schedule.count_between(after, until) == len(slots)
    backwards, instant = [], until
    while len(backwards) < len(slots):
        backwards.append(schedule.latest_at(instant))
        instant = backwards[-1] - SECOND
    assert backwards[::-1] == slots
    middle = after + (until - after) / 3
    assert schedule.count_between(after, middle) + schedule.count_between(middle, until) == len(slots)


def walk(expression, zone, after, until):
    """The slots by looking at the wall clock once in each minute, as cron does; after 2000 clocks change on one."""
    says, tz = parse(expression), zoneinfo.ZoneInfo(zone)

    def is_named(wall):
        return says.has_day(wall) and wall.hour in says.hours and wall.minute in says.minutes

    shown = (after - MINUTE).astimezone(tz)
    minute = after
    while minute <= until:
        previous, shown = shown, minute.astimezone(tz)
        wall, skipped = shown.replace(tzinfo=None, fold=0), previous.replace(tzinfo=None, fold=0) + MINUTE
        if says.is_wildcard:
            fires = is_named(wall)
        else:
            fires = is_named(wall) and not shown.fold
            while skipped < wall:
                fires = fires or is_named(skipped)
                skipped += MINUTE
        if fires and minute > after:
            yield minute
        minute += MINUTE


@properties(150)
@given(st.data(), st.sampled_from([zone for zone in ZONES if changes_of(zone)]), expressions())
def test_a_slow_walk_along_the_wall_clock_meets_the_same_slots(data, zone, expression):
    change = data.draw(st.sampled_from(changes_of(zone))).at.replace(tzinfo=UTC)
    after = change - data.draw(st.integers(0, 400)) * MINUTE
    until = change + data.draw(st.integers(0, 400)) * MINUTE
    schedule = Schedule(expression, zone)
    slots = list(walk(expression, zone, after, until))
    assert list(schedule.slots_between(after, until)) == slots
    assert schedule.count_between(after, until) == len(slots)


@contextmanager
def time_limit(limit):
    """cronsim was seen to search for minutes; a second opinion must not hold up the suite."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@properties(200)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), expressions())
def test_cronsim_agrees_on_ordinary_days(start, expression):
    assume(not re.search(r"\b(\d+)-\1/", expression))  # cronsim takes 5-5/2 for 5/2, which cron refuses
    start = start.replace(microsecond=0, fold=0)
    try:
        with time_limit(10):
            slots = list(islice(CronSim(expression, start), 20))
    except TimeoutError:
        assume(False)
    schedule, instant = Schedule(expression, "UTC"), start.replace(tzinfo=UTC)
    for expected in slots:
        instant = schedule.next_after(instant)
        assert instant.replace(tzinfo=None) == expected


# -- What it costs ------------------------------------------------------------------------------------------------

DEAR = [
    (ONLY_IN_GAPS, "Europe/Berlin"),
    (ONLY_IN_GAPS + " *", "Europe/Berlin"),
    ("* 2 31 3 */8", "Europe/Berlin"),
    ("* 2 8-14 3 */8", "America/New_York"),
    (f"*,{','.join(map(str, range(60)))} 2 25,26,27,28,29,30,31 3 */8", "Europe/Berlin"),
    ("0 0 29 2 */8", "UTC"),
    ("0 0 29 2 1", "UTC"),
    ("0 0 30 2 1", "Europe/Berlin"),
    ("59 23 29 2 */8 59", "Pacific/Apia"),
    ("* * 30 12 *", "Pacific/Apia"),
    ("* * 30 12 * *", "Pacific/Apia"),
    ("0 0 31 12 */7", "Asia/Kathmandu"),
    ("* * * * * *", "America/St_Johns"),
    ("0-59/59 0-23/23 1-31/30 1-12/11 0-7/7 0-59/59", "Africa/Casablanca"),
]
TIMES = [at(text) for text in ("0002-02-01 00:00", "1900-03-01 00:00", "2011-12-30 10:00", "2026-03-29 00:59:59")]
TIMES += [at(text) for text in ("2088-03-01 00:00", "9950-01-01 00:00", "9998-12-31 23:59:59")]


@pytest.mark.parametrize(("expression", "zone"), DEAR)
def test_no_question_is_dear(expression, zone, monkeypatch):
    """A bound on the searches can't be flaky; that on the time, 15 times what was measured, sees a search gone slow."""
    searches = 0
    search = walls._ByCroniter._search

    def count_search(*args):
        nonlocal searches
        searches += 1
        return search(*args)

    monkeypatch.setattr(walls._ByCroniter, "_search", count_search)
    for instant in TIMES:
        for method in ("next_after", "latest_at"):
            times = []
            for _ in range(3):
                searches, begin = 0, time.process_time()
                with suppress(ScheduleError):
                    getattr(Schedule(expression, zone), method)(instant)
                times.append(time.process_time() - begin)
                assert searches <= 55
            assert min(times) < 0.1


def test_counting_a_year_of_seconds_makes_no_search(monkeypatch):
    schedule = Schedule("* * * * * *", "Europe/Berlin")
    monkeypatch.setattr(walls._ByCroniter, "_search", None)
    times = []
    for _ in range(3):
        begin = time.process_time()
        assert schedule.count_between(at("2026-01-01 00:00"), at("2027-01-01 00:00")) == 365 * 86400
        times.append(time.process_time() - begin)
    assert min(times) < 0.05


def test_counting_a_decade_agrees_with_adding_up_its_months():
    schedule = Schedule("*/7 1-3 * * 0-5", "Europe/Dublin")
    edges = [datetime(2020 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(121)]
    parts = [schedule.count_between(a, b) for a, b in pairwise(edges)]
    assert schedule.count_between(edges[0], edges[-1]) == sum(parts)
    assert parts[:3] == [len(list(schedule.slots_between(a, b))) for a, b in pairwise(edges[:4])]
