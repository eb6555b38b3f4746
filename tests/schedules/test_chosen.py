"""Numbers that are chosen for a job where its expression says ``H``: always the same, and spread over jobs."""

import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronkite import schedules
from cronkite.exceptions import ScheduleError
from cronkite.schedules import Schedule, cautions, chosen, foreign, grammar
from cronkite.schedules.coming import Oddity, coming
from cronkite.schedules.expressions import parse
from cronkite.schedules.words import choice, describe

pytestmark = pytest.mark.once

UTC = timezone.utc
SEEDS = [f"shop.crontab.job_{number}" for number in range(5000)]
#: How far the share of one of 60 may be from what is expected of 5,000: four standard deviations.
FAR = 0.44


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def show(slots):
    return [f"{slot:%m-%d %H:%M}" for slot in slots]


# -- Always the same ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "seed", "numbers"),
    [
        ("H 3 * * *", "shop.crontab.bill", "25 3 * * *"),
        ("H H H H H H", "shop.crontab.bill", "25 15 19 5 5 33"),
        ("H(0-29) H(0-7) * * *", "shop.crontab.bill", "25 7 * * *"),
        ("H/15 * * * *", "shop.crontab.bill", "10-59/15 * * * *"),
        ("H(0-29),H(30-59) * * * *", "shop.crontab.bill", "25,30 * * * *"),
        ("H 3 * * *", "shop.crontab.remind", "53 3 * * *"),
        ("H 3 * * *", "", "35 3 * * *"),
        ("H 3 * * *", "Rechnungen für März", "7 3 * * *"),
        ("H 3 * * *", "half a letter \ud800", "31 3 * * *"),
    ],
)
def test_what_is_chosen_today_is_chosen_for_ever(expression, seed, numbers):
    """To change one of these is to move the slots of every job that has an H."""
    assert chosen.resolve(expression, seed) == numbers


def test_other_processes_choose_the_same():
    code = "from cronkite.schedules import chosen; print(chosen.resolve('H H H H H H', 'shop.crontab.bill'))"
    for salt in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path)},
        )
        assert found.stdout.split() == ["25", "15", "19", "5", "5", "33"]


def test_a_field_s_number_does_not_depend_on_the_other_fields():
    """Who turns a daily job into one of weekdays has it run at the same minute."""
    minutes = {parse(text, "bill").minutes for text in ("H 3 * * *", "H * * * *", "5,H * * * *", "H H H H H")}
    assert {numbers[-1] for numbers in minutes} == {parse("H * * * *", "bill").minutes[0]}


# -- Spread -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "item", "values"),
    [
        (0, "H", range(60)),
        (1, "H", range(24)),
        (2, "H", range(1, 29)),
        (3, "H", range(1, 13)),
        (4, "H", range(7)),
        (5, "H", range(60)),
        (0, "H(0-29)", range(30)),
        (1, "H(9-16)", range(9, 17)),
        (2, "H(1-31)", range(1, 32)),
        (4, "H(0-7)", range(7)),
        (4, "H(mon-7)", range(7)),
        (4, "H(mon-fri)", range(1, 6)),
        (0, "H/15", range(15)),
        (0, "H(10-59)/25", range(10, 35)),
        (1, "H/24", range(24)),
        (4, "H/3", range(3)),
    ],
)
def test_each_value_has_its_share_of_five_thousand_jobs(place, item, values):
    words = ["0", "0", "1", "1", "0", "0"]
    words[place] = item
    field = grammar.FIELDS[place]
    counts = Counter(min(chosen.read(words, seed)[field]) for seed in SEEDS)
    assert sorted(counts) == [*values]
    share = len(SEEDS) / len(values)
    far = FAR * (60 / len(values)) ** -0.5
    assert {value: count for value, count in counts.items() if abs(count - share) > far * share} == {}


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 5), (1, 2), (2, 4), (3, 4)])
def test_the_fields_of_an_expression_are_spread_apart_from_each_other(one, other):
    words = ["H"] * 6
    numbers = [chosen.choose(words, seed) for seed in SEEDS]
    pairs = Counter((int(each[one]) % 6, int(each[other]) % 6) for each in numbers)
    apart = product(*(Counter(int(each[place]) % 6 for each in numbers).items() for place in (one, other)))
    for (value, count), (other_value, other_count) in apart:
        expected = count * other_count / len(SEEDS)
        assert abs(pairs[value, other_value] - expected) < 4.5 * expected**0.5


def test_two_choices_in_a_list_are_spread_apart_from_each_other():
    lists = [chosen.choose(["H,H"], seed)[0].split(",") for seed in SEEDS]
    assert 40 < sum(first == second for first, second in lists) < 140  # a sixtieth


def test_names_that_are_alike_are_spread_as_well():
    """As they are given to hundreds of customers."""
    counts = Counter(parse("H 3 * * *", f"Import for customer {number}").minutes[0] for number in range(600))
    assert len(counts) == 60
    assert max(counts.values()) < 25


# -- What is read -------------------------------------------------------------------------------------------------

ITEMS = st.sampled_from(["H", "H/2", "H/5", "H(3-6)", "H(2-7)/3", "H(1-5)", "*", "*/3", "5", "2-6", "1-7/2"])
WORDS = st.lists(st.lists(ITEMS, min_size=1, max_size=3).map(",".join), min_size=5, max_size=6)
#: All that may be wrong for one job only.
DAYS = st.sampled_from(["H", "H(28-30)", "H(29-31)", "30", "31", "H(30-31),29", "H(1-31)/30", "H(20-31)/10", "*/31"])
MONTHS = st.sampled_from(["H", "2", "feb", "H(1-2)", "H(4-6)", "2,H(4-6)", "4,6", "H(1-4)/2", "*", "H/2"])


def outcome(text, seed):
    try:
        return parse(text, seed)
    except ScheduleError as refusal:
        return str(refusal)


@given(WORDS, st.text(max_size=20))
def test_what_is_chosen_is_a_plain_expression_that_says_the_same(words, seed):
    text = " ".join(words)
    plain = chosen.resolve(text, seed)
    assert not chosen.is_in(plain)
    assert parse(plain) == parse(text, seed)
    assert chosen.resolve(plain, "another") == plain


@given(DAYS, MONTHS, st.sampled_from(["*", "mon"]), st.lists(st.text(max_size=5), min_size=2, max_size=10))
def test_no_job_is_refused_what_another_one_may_have(day, month, weekday, seeds):
    text = f"0 0 {day} {month} {weekday}"
    found = [outcome(text, seed) for seed in seeds]
    assert len({each if isinstance(each, str) else "" for each in found}) == 1
    if isinstance(found[0], str):
        # And there is a job that would never run.
        assert "never runs" in found[0]


@pytest.mark.parametrize(
    ("day", "month", "is_refused"),
    [
        ("H(29-31)", "2", True),
        ("H(28-29)", "2", False),
        ("H(29-31)", "H", True),
        ("H(28-29)", "H", False),
        ("31", "H(1-2)", True),
        ("31", "H(1-2),3", False),
        ("1,H(30-31)", "2", False),
        ("H(1-31)", "*", False),
        ("H(1-31)/30", "2", True),  # from the 30th on, for some
        ("H(1-31)/29", "2", False),
        ("H", "2", False),
    ],
)
def test_what_never_runs_for_some_job_is_refused_for_all(day, month, is_refused):
    text = f"0 0 {day} {month} *"
    never = [seed for seed in SEEDS[:300] if not _has_day(chosen.choose(text.split(), seed))]
    assert bool(never) == is_refused
    refusal = outcome(text, SEEDS[0])
    assert isinstance(refusal, str) == is_refused
    if is_refused:
        assert refusal.startswith("day of month: ")
        assert "write days up to " in refusal


def _has_day(words):
    days, months = (grammar.read_field(words[place], grammar.FIELDS[place]) for place in (2, 3))
    return bool(grammar.possible_days(days, months))


@pytest.mark.parametrize(
    ("expression", "field", "advice"),
    [
        ("H(30-10) * * * *", "minute", "H(10-30)"),
        ("H(0-99) * * * *", "minute", "0 to 59"),
        ("H/0 * * * *", "minute", "from 2 to 60"),
        ("H/1 * * * *", "minute", "write H for one number, or * for each"),
        ("H/61 * * * *", "minute", "from 2 to 60"),
        ("H/x * * * *", "minute", "from 2 to 60"),
        ("H/ * * * *", "minute", "from 2 to 60"),
        ("H/2/3 * * * *", "minute", "H(0-59)/2"),
        ("H(0-9)/11 * * * *", "minute", "from 2 to 10"),
        ("H(5-5) * * * *", "minute", "write 5"),
        ("H-5 * * * *", "minute", "H(0-59)"),
        ("5-H * * * *", "minute", "0 to 59"),
        ("HH * * * *", "minute", "H(0-59)"),
        ("H() * * * *", "minute", "H(0-59)"),
        ("H(5) * * * *", "minute", "H(0-59)"),
        ("H(1-2-3) * * * *", "minute", "H(0-59)"),
        ("H(a-5) * * * *", "minute", "0 to 59"),
        ("H(1-5,8) * * * *", "minute", "H(0-59)"),
        ("0,H(9-3) * * * *", "minute", "H(3-9)"),
        ("* H(0-24) * * *", "hour", "0 to 23"),
        ("* * H(0-5) * *", "day of month", "1 to 31"),
        ("* * H/29 * *", "day of month", "from 2 to 28"),
        ("* * * H(nov-feb) *", "month", "H(feb-nov)"),
        ("* * * * H(mon-sun)", "day of week", "H(mon-7)"),
        ("* * * * H(1-8)", "day of week", "0 to 7"),
        ("* * * * H/8", "day of week", "from 2 to 7"),
        ("* * * * * H/0", "second", "from 2 to 60"),
        ("h 3 * * *", "minute", "'H 3 * * *'"),
        ("0 h(0-7)/2 * * *", "hour", "'0 H(0-7)/2 * * *'"),
        ("R * * * *", "minute", "'H * * * *'"),
        ("0~30 * * * *", "minute", "'H(0-30) * * * *'"),
        ("~/10 * * * *", "minute", "'H/10 * * * *'"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(expression, field, advice):
    with pytest.raises(ScheduleError) as refusal:
        parse(expression)
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")
    assert advice in str(refusal.value)


def test_what_never_runs_whatever_is_chosen_is_refused_as_ever():
    with pytest.raises(ScheduleError, match="day of month: no month in '2' has a day '30', so this never runs"):
        parse("H H 30 2 *")


def test_nicknames_mean_what_they_mean_to_debian():
    assert parse("@hourly", "shop.crontab.bill") == parse("0 * * * *")


def test_other_schedulers_ways_are_translated_around_it():
    with pytest.raises(ScheduleError) as refusal:
        parse("H 3 ? * MONDAY")
    assert refusal.value.suggestion == "H 3 * * mon"
    with pytest.raises(ScheduleError) as refusal:
        parse('cron: "H 3 * * *"')
    assert refusal.value.suggestion == "H 3 * * *"


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_nothing_is_suspected_for_one_job_and_not_for_another(seed):
    assert foreign.suspect("0 3 * * * H") is None
    assert cautions.of("0 3 * * * H", seed) == []
    assert foreign.suspect("0 H 3 * * *") == "H 3 * * *"


# -- Schedules ----------------------------------------------------------------------------------------------------


def test_a_schedule_is_that_of_a_seed():
    bill, remind = (schedules.get("H 3 * * *", "UTC", seed) for seed in ("shop.crontab.bill", "shop.crontab.remind"))
    assert bill != remind
    assert show([bill.next_after(at("2026-03-04")), remind.next_after(at("2026-03-04"))]) == [
        "03-04 03:25",
        "03-04 03:53",
    ]
    assert str(bill) == "'H 3 * * * = 25 3 * * *' in UTC"


def test_without_something_to_choose_all_jobs_share_a_schedule():
    """Or each of a thousand jobs would have the same expression read, and the same slot searched, for itself."""
    assert schedules.get("0 3 * * thu", "UTC", "bill") is schedules.get("0 3 * * thu", "UTC", "remind")
    assert Schedule("0 3 * * THU", "UTC", "bill") == Schedule("0 3 * * THU", "UTC")


@given(
    st.sampled_from(["H * * * *", "H/7 H(1-4) * * *", "H H(1-3) * * *", "H(0-29)/10 * H/9 * *", "* H(1-3) * * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    st.text(max_size=5),
    st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 10)).map(lambda each: each.replace(microsecond=0)),
)
def test_its_slots_are_those_of_the_plain_expression(expression, zone, seed, start):
    hashed, plain = Schedule(expression, zone, seed), Schedule(chosen.resolve(expression, seed), zone)
    start = start.replace(tzinfo=UTC)
    end = start + timedelta(days=8)
    slots = [*hashed.slots_between(start, end)]
    assert slots == [*plain.slots_between(start, end)]
    assert hashed.count_between(start, end) == len(slots)
    assert hashed.latest_at(start) == plain.latest_at(start)
    assert [*coming(hashed, start, end)] == [*coming(plain, start, end)]


@pytest.mark.parametrize("expression", ["H 2 * * *", "H(0-59) H(2-3) * * *", "30 H(2-3)/2 * * *", "H/15 2 * * *"])
def test_it_is_a_fixed_time_when_clocks_change(expression):
    """No field that is chosen begins with a star, so nothing is lost in a gap, and nothing is run twice."""
    assert not parse(expression, "bill").is_wildcard
    schedule = Schedule(expression, "Europe/Berlin", "bill")
    assert schedule.count_between(at("2026-03-28 23:00"), at("2026-03-29 12:00")) == 1
    in_overlap = [*schedule.slots_between(at("2026-10-25 00:00"), at("2026-10-25 02:00"))]
    assert all(slot < at("2026-10-25 01:00") or f"{slot:%H:%M}" >= "02:00" for slot in in_overlap)


def test_a_star_beside_it_has_the_job_follow_the_clock():
    assert parse("H * * * *", "bill").is_wildcard
    assert not parse("H/15 2 * * *", "bill").is_wildcard
    assert parse("*/15 2 * * *", "bill").is_wildcard


def test_a_chosen_time_in_a_gap_is_told():
    (told,) = coming(Schedule("H 2 * * *", "Europe/Berlin", "bill"), at("2026-03-28 12:00"), at("2026-03-29 12:00"))
    assert told.oddity is Oddity.MOVED


def test_a_chosen_day_restricts_the_days():
    says = parse("0 0 H * mon", "bill")
    assert says.day_or
    assert len(says.days) == 1


# -- What is told -------------------------------------------------------------------------------------------------


def test_words_tell_what_was_chosen():
    assert describe("H 3 * * *", "shop.crontab.bill") == "At 03:25, every day"
    assert describe(Schedule("H 3 * * *", "UTC", "shop.crontab.bill")) == "At 03:25, every day"
    assert describe("H/15 * * * *", "shop.crontab.bill") == "Every 15 minutes, from minute 10 of each hour"
    assert "25 3 * * *" in choice("H 3 * * *", "shop.crontab.bill")
    assert choice("0 3 * * thu", "shop.crontab.bill") == ""


def test_an_expression_is_spelled_with_what_was_chosen_and_as_it_is_if_that_is_nothing():
    assert chosen.spell("H 3 * * *", "shop.crontab.bill") == "H 3 * * * = 25 3 * * *"
    assert chosen.spell("@daily", "shop.crontab.bill") == "@daily"
    assert chosen.spell("H(9-3) 3 * * *", "shop.crontab.bill") == "H(9-3) 3 * * *"


def test_cautions_are_about_what_was_chosen():
    (said,) = cautions.of("H/25 * * * *", "shop.crontab.bill")
    assert said.startswith(chosen.choose(["H/25"], "shop.crontab.bill")[0])
    assert cautions.of("H/15 * * * *", "shop.crontab.bill") == []
    (said,) = cautions.of("0 3 H/7 * *", "shop.crontab.bill")
    assert "begins anew in each month" in said
    assert cautions.of("0 3 5-28/7 * *") == []


def test_the_longest_expression_may_be_longer_when_it_is_resolved():
    text = " ".join([",".join(["H/2"] * 61), "*", "*", "*", "*"])
    assert len(text) < grammar.MAX_LENGTH < len(chosen.resolve(text, "bill"))
    assert describe(text, "bill") == "Every minute"
