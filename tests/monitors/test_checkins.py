"""What Sentry's monitors are told of a job: a slug that they take, and a schedule that they read as we do.

Sentry reads schedules by cronsim, so that is the second opinion here. No database.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from cronsim import CronSim
from django.utils.text import slugify
from hypothesis import given
from hypothesis import strategies as st

from cronkite.monitors import checkins
from cronkite.monitors.checkins import Unreadable
from cronkite.schedules import Schedule
from cronkite.signals import Run

pytestmark = pytest.mark.once
#: As Sentry's own code has it.
SLUG = re.compile(r"(?![0-9]+$)[a-z0-9_\-]+")
NOON = datetime(2026, 3, 3, 12, tzinfo=timezone.utc)


def run(**values):
    return Run(
        **{
            "job_id": 7,
            "job_name": "bill",
            "function": "shop.crontab.bill",
            "slot": NOON,
            "due_at": NOON,
            "attempt": 1,
            "fence": 41,
            "log_id": 99,
            "node": "blue",
            "started_at": NOON,
            "schedule": "0 12 * * *",
            "timezone": "",
            "grace": None,
            "timeout": None,
            **values,
        }
    )


@pytest.mark.parametrize("name", ["send_invoices", "a", "bill-2", "a" * 50])
def test_a_name_that_is_a_slug_is_the_slug(name):
    assert checkins.slug(name) == name


NAMES = [
    "Send invoices",
    "send-invoices",
    "send invoices",
    "送账单",
    "Rechnungen für Ärzte",
    "123",
    "_a_",
    "a--b",
    "é" * 200,
]


@pytest.mark.parametrize("name", [*NAMES, "x" * 200, "x" * 201, "送" * 200, "", "-", "😀"])
def test_any_other_name_has_a_slug_that_sentry_takes_as_it_is(name):
    slug = checkins.slug(name)
    assert SLUG.fullmatch(slug)
    assert len(slug) <= 50
    # What Sentry makes of each slug that it is sent.
    assert slugify(slug)[:50].strip("-") == slug
    assert checkins.slug(name) == slug


@given(st.lists(st.text(max_size=200), min_size=2, max_size=2, unique=True))
def test_two_jobs_never_share_a_slug(names):
    assert len({checkins.slug(name) for name in names}) == 2
    assert all(SLUG.fullmatch(checkins.slug(name)) and len(checkins.slug(name)) <= 50 for name in names)


def test_names_that_look_alike_have_slugs_of_their_own():
    assert len({checkins.slug(name) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0 3 * * *", "0 3 * * *"),
        ("  */10   8-18/2 1,15 JAN-jun mon-fri ", "*/10 8-18/2 1,15 jan-jun mon-fri"),
        ("@midnight", "0 0 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("0 0 l * *", "0 0 l * *"),
        ("0 0 lw * *", "0 0 lw * *"),
        ("0 0 * * 5l", "0 0 * * 5l"),
        ("0 0 * * 5#2", "0 0 * * 5#2"),
    ],
)
def test_a_crontab_expression_is_sent_as_one(text, value):
    assert checkins.schedule(text) == {"type": "crontab", "value": value}
    assert CronSim(value, NOON)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("@every 60s", 1, "minute"),
        ("@every 90m", 90, "minute"),
        ("@every 1h30m", 90, "minute"),
        ("@every 1m60s", 2, "minute"),
        ("@every 2h", 2, "hour"),
        ("@every 1d12h", 36, "hour"),
        ("@EVERY 14d", 14, "day"),
    ],
)
def test_an_interval_is_sent_as_one(text, value, unit):
    assert checkins.schedule(text) == {"type": "interval", "value": value, "unit": unit}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * * * 30", "it has a field of seconds"),
        ("H 3 * * *", "it has H, which stands for a number that Sentry does not know"),
        ("H(0-29)/10 * * * *", "it has H, which stands for a number that Sentry does not know"),
        ("@every 90s", "its interval is not of whole minutes"),
        ("@every 1h30s", "its interval is not of whole minutes"),
        ("@every", "it is no crontab expression"),
        ("@at 2026-12-24T18:00", "it is of one moment, and Sentry watches what comes again"),
        ("0 0 15W * *", "it has '15W', which Sentry does not know"),
        ("0 22-2 * * *", "its range 22-2 passes the end of its field"),
        ("0 0 * * fri-mon", "its range FRI-MON passes the end of its field"),
        ("@reboot", "it is no crontab expression"),
        ("", "it is no crontab expression"),
    ],
)
def test_what_sentry_cannot_read_is_left_out_by_name(text, why):
    with pytest.raises(Unreadable) as caught:
        checkins.schedule(text)
    assert str(caught.value) == why


def fields(low, high):
    numbers = st.integers(low, high).map(str)
    ranges = st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True).map(
        lambda ends: f"{min(ends)}-{max(ends)}"
    )
    steps = st.tuples(st.just("*") | ranges, st.integers(1, 9)).map(lambda parts: f"{parts[0]}/{parts[1]}")
    return st.just("*") | st.lists(numbers | ranges | steps, min_size=1, max_size=3).map(",".join)


@given(st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), fields(0, 6)).map(" ".join))
def test_the_slots_that_sentry_expects_are_ours(text):
    sent = checkins.schedule(text)["value"]
    assert next(CronSim(sent, NOON)) == Schedule(text, "UTC").next_after(NOON)


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 1), (1, 1), (60, 1), (61, 2), (7200, 120), (10**9, 10080)])
def test_grace_and_timeout_are_sent_in_whole_minutes(seconds, minutes):
    config = checkins.config(run(grace=seconds, timeout=seconds))
    assert (config["checkin_margin"], config["max_runtime"]) == (minutes, minutes)


def test_without_a_timeout_a_run_may_take_as_long_as_sentry_lets_it_and_the_margin_is_sentrys(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert checkins.config(run()) == {
        "schedule": {"type": "crontab", "value": "0 12 * * *"},
        "timezone": "Asia/Tokyo",
        "max_runtime": 10080,
    }
    assert checkins.config(run(timezone="Europe/Berlin"))["timezone"] == "Europe/Berlin"


def test_each_run_has_an_id_of_its_own_which_is_the_same_everywhere():
    one = ("production", "bill", NOON, 99)
    others = [
        ("staging", "bill", NOON, 99),
        (None, "bill", NOON, 99),
        ("production", "pay", NOON, 99),
        ("production", "bill", NOON + timedelta(days=1), 99),
        ("production", "bill", NOON, 100),
        ("production", "bill", NOON),
    ]
    assert checkins.identity(*one) == checkins.identity(*one)
    assert len({checkins.identity(*each) for each in [one, *others]}) == 7
    assert re.fullmatch("[0-9a-f]{32}", checkins.identity(*one))
