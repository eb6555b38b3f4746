"""Crontab expressions: what is read, what is refused, and in which words."""

import json
import pickle
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronkite.exceptions import ScheduleError
from cronkite.schedules.expressions import MAX_LENGTH, NICKNAMES, parse

pytestmark = pytest.mark.once

VERDICTS = json.loads((Path(__file__).parents[1] / "data" / "debian_cron.json").read_text())["syntax"]

#: Cron takes these and never fires them. Somebody who writes one means something else, and must hear of it.
NEVER_FIRED = {"0 0 30 2 *"}

#: What cron refuses and we read.
EXTENSIONS = ["0 0 L * *", "H * * * *"]


def refusal_of(text):
    try:
        parse(text)
    except ScheduleError as refusal:
        return refusal
    return None


def test_debians_cron_and_we_accept_the_same_280_expressions_but_for_extensions():
    assert len(VERDICTS) == 280
    assert [
        verdict
        for verdict in VERDICTS
        if (refusal_of(verdict["expression"]) is None)
        != (verdict["accepted"] and verdict["expression"] not in NEVER_FIRED)
    ] == [{"expression": each, "accepted": False} for each in EXTENSIONS]


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        ("*", range(60)),
        ("5-5", [5]),
        ("05", [5]),
        ("*/61", [0]),
        ("50-59/5,3,1-2", [1, 2, 3, 50, 55]),
        ("1,1,0-2", [0, 1, 2]),
        ("30-59/" + "9" * 200, [30]),
    ],
)
def test_a_field_says_which_numbers_it_names(field, numbers):
    assert parse(f"{field} * * * *").minutes == tuple(numbers)


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        ("7", [0]),
        ("0,7", [0]),
        ("5-7", [0, 5, 6]),
        ("sun-SAT", range(7)),
        ("Mon-5/2", [1, 3, 5]),
        ("*/5", [0, 5]),
        ("*/7", [0]),
        ("1-7/3", [0, 1, 4]),
    ],
)
def test_sunday_is_both_0_and_7(field, numbers):
    assert parse(f"* * * * {field}").weekdays == tuple(numbers)


def test_months_and_weekdays_have_names_in_any_case():
    says = parse("0 0 * Jan,MAR-may,12 fri")
    assert (says.months, says.weekdays) == ((1, 3, 4, 5, 12), (5,))


def test_blanks_around_and_tabs_between_the_fields_mean_nothing():
    assert parse("  0\t3   * * 1 ") == parse("0 3 * * 1")


@pytest.mark.parametrize(("nickname", "expression"), NICKNAMES.items())
def test_a_nickname_stands_for_five_fields(nickname, expression):
    assert parse(nickname) == parse(expression)


def test_a_sixth_field_names_the_seconds():
    says = parse("0 3 * * * */20")
    assert (says.minutes, says.hours, says.seconds) == ((0,), (3,), (0, 20, 40))
    assert parse("0 3 * * * 0") == parse("0 3 * * *")


@pytest.mark.parametrize(
    ("expression", "day_or"),
    [
        ("0 0 1 * 1", True),
        ("0 0 25,* * 1", True),
        ("0 0 1-31 * 1", True),
        ("0 0 * * 1", False),
        ("0 0 */10 * 1", False),
        ("0 0 1 * */2", False),
        ("0 0 *,25 * 1", False),
    ],
)
def test_the_day_fields_combine_by_or_unless_one_begins_with_a_star(expression, day_or):
    assert parse(expression).day_or is day_or


@pytest.mark.parametrize(
    ("expression", "is_wildcard"),
    [
        ("30 2 * * *", False),
        ("0-59 0-23 * * *", False),
        ("5,*/10 3 * * *", False),
        ("*/10 3 * * *", True),
        ("30 */2 * * *", True),
        ("@hourly", True),
        ("@daily", False),
        ("0 0 * * * *", False),
    ],
)
def test_only_a_star_at_the_start_of_minute_or_hour_makes_a_wildcard(expression, is_wildcard):
    assert parse(expression).is_wildcard is is_wildcard


@pytest.mark.parametrize(
    ("expression", "field", "advice"),
    [
        ("60 * * * *", "minute", "0 to 59"),
        ("* 24 * * *", "hour", "0 to 23"),
        ("* * 0 * *", "day of month", "1 to 31"),
        ("* * * 13 *", "month", "1 to 12, or jan"),
        ("* * * foo *", "month", "1 to 12, or jan"),
        ("* * * * 8", "day of week", "0 to 7, or sun"),
        ("* * * * * 60", "second", "0 to 59"),
        ("mon * * * *", "minute", "0 to 59"),
        ("* 22-2 * * *", "hour", "22-23,0-2"),
        ("* * * * fri-mon", "day of week", "fri-sat,sun-mon"),
        ("59/15 * * * *", "minute", "'59 * * * *'"),
        ("5/15 * * * *", "minute", "5-59/15"),
        ("*/0 * * * *", "minute", "from 1 up"),
        ("*/ * * * *", "minute", "from 1 up"),
        ("*/-1 * * * *", "minute", "from 1 up"),
        ("1/2/3 * * * *", "minute", "from 1 up"),
        ("*-5 * * * *", "minute", "0 to 59"),
        ("1--2 * * * *", "minute", "0 to 59"),
        ("-1 * * * *", "minute", "0 to 59"),
        ("1,,2 * * * *", "minute", "1,2,3"),
        (", * * * *", "minute", "1,2,3"),
        ("0x10 * * * *", "minute", "0 to 59"),
        ("R * * * *", "minute", " * * * *'"),
        ("R(0-5) * * * *", "minute", "'H(0-5) * * * *'"),
        ("0 0 l * *", "day of month", "'0 0 L * *'"),
        ("0 0 32W * *", "day of month", "1 to 31"),
        ("0 0 L-31 * *", "day of month", "L to L-30"),
        ("0 0 L-29 2 *", "day of month", "one of the months has"),
        ("0 0 31W 4 *", "day of month", "one of the months has"),
        ("0 L * * *", "hour", "0 to 23"),
        ("0 0 ? * *", "day of month", "'0 0 * * *'"),
        ("0 0 * * 1#6", "day of week", "1#1 to 1#5"),
        ("0 0 * * 8L", "day of week", "0 to 7"),
        ("0 0 * * L", "day of week", "'0 0 * * sat'"),
        ("² * * * *", "minute", "0 to 59"),
        ("\ud800 * * * *", "minute", "0 to 59"),
        ("0 0 30 2 *", "day of month", "one of the months has"),
        ("0 0 31 2,4,6 *", "day of month", "one of the months has"),
        ("0 0 30,31 feb */2", "day of month", "one of the months has"),
    ],
)
def test_a_refusal_names_the_field_and_says_what_to_write(expression, field, advice):
    with pytest.raises(ScheduleError) as refusal:
        parse(expression)
    assert refusal.value.field == field
    message = str(refusal.value)
    assert message.startswith(f"{field}: ")
    assert advice in message.partition("write")[2] or advice in message.partition("must be")[2]
    assert message.encode()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "0 fields; write five"),
        ("   ", "0 fields; write five"),
        ("* * * *", "4 fields; write five"),
        ("*", "1 field; write five"),
        ("* * * * * * * *", "8 fields; write five"),
        ("*\xa0* * * *", "write '* * * * *'"),
        ("@reboot", "write one of @hourly"),
        ("@Daily", "write '@daily'"),
        ("@daily 3", "write one of @hourly"),
        ("@", "write one of @hourly"),
        ("* * * * *\n", "write '* * * * *'"),
        ("\x00 * * * *", "control character '\\x00'"),
        ("* * * * \x7f", "control character '\\x7f'"),
        ("\x1b[2J * * * *", "control character '\\x1b'"),
        pytest.param("*" * 10_000, "10000 characters; write at most 255", id="stars"),
        pytest.param("0," * 200_000 + "0 * * * *", "characters; write at most 255", id="list"),
    ],
)
def test_a_refusal_of_the_whole_names_no_field(expression, words):
    with pytest.raises(ScheduleError) as refusal:
        parse(expression)
    assert refusal.value.field is None
    assert words in str(refusal.value)


def test_a_rare_expression_is_accepted():
    assert parse("0 0 29 2 *").days == (29,)
    assert parse("0 0 29 2 */8").weekdays == (0,)


def test_an_impossible_day_of_month_leaves_the_weekdays():
    says = parse("0 0 30 2 1")
    assert says.has_day(date(2026, 2, 2))
    assert not says.has_day(date(2026, 2, 3))
    assert says.canonical == "0 0 * 2 1"


@pytest.mark.parametrize(
    ("expression", "canonical"),
    [
        ("*/30 0-23 * 1-12 0-6", "0,30 * * * *"),
        ("0 0 1-31 * 1", "0 0 * * *"),
        ("0 0 */10 * 1", "0 0 1,11,21,31 * 1"),
        ("0 0 29-31 feb 5-7", "0 0 29 2 0,5,6"),
        ("5-5 1 * * * 0,30", "5 1 * * * 0,30"),
        ("0 0 1 * 0-6 *", "0 0 * * * *"),
    ],
)
def test_the_canonical_form_has_only_lists_and_lone_stars(expression, canonical):
    assert parse(expression).canonical == canonical


def test_an_expression_can_be_hashed_and_pickled():
    says = parse("*/5 3 * * 1")
    assert {says: 1}[pickle.loads(pickle.dumps(says))] == 1


@pytest.mark.parametrize(
    "expression", ["* * * * *", "*/7 3,5-9 */3 * 1", "59 23 31 12 *", "0 0 1 * 1 10,20", "* * * * * */7"]
)
def test_counting_agrees_with_looking_at_each_second(expression):
    says = parse(expression)
    first = datetime(2026, 12, 31, 22, 58, 30)
    walls = [first + timedelta(seconds=n) for n in range(7200)]
    named = [
        says.has_day(wall) and wall.hour in says.hours and wall.minute in says.minutes and wall.second in says.seconds
        for wall in walls
    ]
    for begin, end in [(0, 7200), (0, 1), (17, 18), (60, 3600), (89, 91), (5399, 5401), (7000, 7000), (50, 40)]:
        assert says.count(walls[begin], first + timedelta(seconds=end)) == sum(named[begin:end])


NUMBERS = {"minute": (0, 59), "hour": (0, 23), "day of month": (1, 31), "month": (1, 12), "day of week": (0, 7)}


@st.composite
def fields(draw, low, high):
    items = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, 70))
        items.append(draw(st.sampled_from(["*", f"*/{step}", f"{first}", f"{first}-{last}", f"{first}-{last}/{step}"])))
    return ",".join(items)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.tuples(*(fields(*bounds) for bounds in NUMBERS.values())))
def test_whatever_keeps_to_the_grammar_is_accepted_or_never_fires(words):
    text = " ".join(words)
    if refusal := refusal_of(text):
        assert refusal.field == "day of month"
        assert "never runs" in str(refusal)
    else:
        says = parse(text)
        assert any(says.has_day(date(2000, 1, 1) + timedelta(days=n)) for n in range(28 * 366))
        # What the first reading said, a second one of its canonical form says too, but for how the days combine.
        again = parse(says.canonical)
        assert (again.minutes, again.hours, again.months) == (says.minutes, says.hours, says.months)


@settings(derandomize=True, deadline=None, database=None, max_examples=300)
@given(st.one_of(st.text(max_size=300), st.text("0123456789*/-,@ \tHLRW#?monjan\x00٣", max_size=60)))
def test_any_text_is_read_or_refused_with_a_message(text):
    refusal = refusal_of(text)
    assert refusal is None or str(refusal).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "," * MAX_LENGTH,
        "*," * 120 + "* * * * *",
        "0-59/1," * 35 + "0 * * * *",
        "* " * 127,
        "1/" * 127,
        "1-" * 127,
        "9" * 246 + " * * * *",
        "*/" + "9" * 240 + " * * * *",
        "0," * 5_000 + "0 * * * *",
        "@" * 10_000,
        " " * 1_000_000,
    ],
    ids=lambda text: f"{text[:10]}-{len(text)}",
)
def test_no_text_is_dear_to_read(text):
    times = []
    for _ in range(3):
        begin = time.process_time()
        refusal_of(text)
        times.append(time.process_time() - begin)
    assert min(times) < 0.1
