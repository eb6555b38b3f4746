"""What ``cron next`` says of the times that an expression means."""

from __future__ import annotations

import pytest
from nodes import manage
from terminals import Terminal, cron

pytestmark = pytest.mark.usefixtures("here")


def test_next_shows_slots_with_their_offsets_and_what_the_clock_does_to_them():
    said = cron("next", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "3", "--after", "2026-03-27 12:00")
    title, heads, *rows = said.lines
    assert title == "At 02:30, every day, in Europe/Berlin"
    assert heads.split() == ["LOCAL", "TIME", "UTC", "FROM", "NOW", "REMARK"]
    assert [row[:30] for row in rows] == [
        "Sat 2026-03-28 02:30:00 +01:00",
        "Sun 2026-03-29 03:00:00 +02:00",
        "Mon 2026-03-30 02:30:00 +02:00",
    ]
    assert rows[1].endswith("the clock skips 02:00 to 03:00, so this is the first instant after")


def test_next_points_out_overlaps_and_what_gaps_swallow():
    autumn = cron("next", "30 * * * *", "--timezone", "Europe/Berlin", "-n", "4", "--after", "2026-10-25 00:45").out
    assert "twice; this is the first pass" in autumn
    assert "twice; this is the second pass" in autumn
    spring = cron("next", "*/20 * * * *", "--timezone", "Europe/Berlin", "-n", "3", "--after", "2026-03-29 01:30").out
    assert "the clock skips 02:00 to 03:00, and with it 3 times of this schedule" in spring


@pytest.mark.parametrize(
    ("expression", "zone", "after", "remark"),
    [
        (
            "0,30 2 * * *",
            "Europe/Berlin",
            "2026-03-29",
            "times of this schedule; this one slot, the first instant after, is for all; Debian's cron fires for each",
        ),
        (
            "0 2,3 * * *",
            "Europe/Berlin",
            "2026-03-29",
            "and with it a time of this schedule; this slot is for all; Debian's cron fires for each",
        ),
        (
            "0 3 * * *",
            "Pacific/Apia",
            "2011-12-29 12:00",
            "the clock skips 2011-12-30 00:00 to 2011-12-31 00:00, so this is the first instant after",
        ),
        (
            "30 23 * * *",
            "America/Nuuk",
            "2025-03-29",
            "the clock skips 2025-03-29 23:00 to 2025-03-30 00:00, so this is the first instant after",
        ),
    ],
)
def test_next_says_what_becomes_of_times_that_the_clock_skips(expression, zone, after, remark):
    said = cron("next", expression, "--timezone", zone, "-n", "1", "--after", after, "--json").json
    assert said["slots"][0]["remark"].endswith(remark)


def test_next_knows_intervals_one_offs_and_days_that_are_looked_up():
    said = cron("next", "@every 90s", "--timezone", "Europe/Berlin", "-n", "2", "--after", "2026-03-27 12:00")
    title, caution, _, *rows = said.lines
    assert title == "Every 90 seconds, counted from 1970-01-01 00:00 UTC, in Europe/Berlin"
    assert caution.startswith("It falls between the minutes.")
    assert [row[:30] for row in rows] == ["Fri 2026-03-27 12:01:30 +01:00", "Fri 2026-03-27 12:03:00 +01:00"]
    moment = ("next", "@at 2026-03-29T02:30", "--timezone", "Europe/Berlin", "--after", "2026-03-27 12:00")
    title, _, *rows = cron(*moment).lines
    assert title == "Once, on March 29, 2026 at 02:30, in Europe/Berlin"
    assert [row[:30] for row in rows] == ["Sun 2026-03-29 03:00:00 +02:00"]
    assert rows[0].endswith("the clock skips 02:00 to 03:00, so this is the first instant after")
    (slot,) = cron("next", "0 3 * * 5L", "-n", "1", "--after", "2026-03-01", "--json").json["slots"]
    assert slot["slot"] == "2026-03-27T03:00:00Z"


@pytest.mark.parametrize(
    ("expression", "words"),
    [("0 */5 * * * *", "write */5 * * * *."), ("*/45 * * * *", "*/45 begins anew in each hour"), ("0 3 * * *", "")],
)
def test_next_warns_of_what_may_not_be_meant_so(expression, words):
    said = cron("next", expression, "-n", "1")
    assert words in said.lines[1]
    assert len(said.lines) == 3 + bool(words)
    assert len(cron("next", expression, "--json").json["warnings"]) == bool(words)


def test_next_says_at_a_terminal_what_the_clock_does_below(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ("next", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "1", "--after", "2026-03-29", "--no-color")
    _, heads, row, remark = cron(*arguments, out=Terminal()).lines
    assert "REMARK" not in heads
    assert row.startswith("Sun 2026-03-29 03:00:00 +02:00  2026-03-29 01:00:00  ")
    assert remark == "    the clock skips 02:00 to 03:00, so this is the first instant after"


def test_next_for_programs():
    said = cron("next", "0", "3", "*", "*", "*", "-n", "2", "--after", "2026-01-01", "--json").json
    assert (said["expression"], said["timezone"]) == ("0 3 * * *", "UTC")
    assert [slot["slot"] for slot in said["slots"]] == ["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]
    skipped = cron(
        "next", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "1", "--after", "2026-03-29", "--json"
    ).json["slots"][0]
    assert (skipped["local"], skipped["oddity"]) == ("2026-03-29T03:00:00+02:00", "moved")


def test_next_shows_what_was_chosen_for_a_job():
    arguments = ("next", "H 3 * * *", "--job", "shop.crontab.bill", "-n", "1", "--after", "2026-01-01")
    said = cron(*arguments)
    assert said.lines[0] == "At 03:25, every day (H 3 * * * = 25 3 * * *), in UTC"
    assert "03:25:00" in said.lines[-1]
    told = cron(*arguments, "--json").json
    assert (told["resolved"], told["words"]) == ("25 3 * * *", "At 03:25, every day (H 3 * * * = 25 3 * * *)")
    assert told["warnings"] == []


def test_next_says_that_nobody_s_numbers_are_shown():
    said = cron("next", "H 3 * * *", "-n", "1")
    assert "Say whose you mean by --job" in said.lines[1]
    assert "--job" not in cron("next", "0 3 * * thu", "-n", "1").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("61 * * * *",), "Minute: 61 is out of range"),
        (("0 0 30 2 *",), "never"),
        (("* * * *",), "field"),
        (("@every 1w",), "write '@every 7d'"),
        (("@at 2020-01-01T00:00Z",), "is over, as that was at 2020-01-01 00:00:00 UTC"),
        (("@daily", "--timezone", "Mars/Olympus"), "not a time zone"),
        (("@daily", "--after", "someday"), "is no time"),
    ],
)
def test_next_refuses_what_makes_no_sense(arguments, words):
    said = cron("next", *arguments)
    assert said.code == 2
    assert words in said.err


def test_next_needs_no_tables(tmp_path):
    empty = f"sqlite:///{tmp_path}/empty.sqlite3"
    assert manage("cron", "list", DATABASE_URL=empty).returncode == 1
    done = manage("cron", "next", "@daily", "-n", "1", DATABASE_URL=empty)
    assert done.returncode == 0, done.stderr
