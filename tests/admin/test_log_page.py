"""The page of one log, and what the list of logs tells: what decides comes first, and can be found."""

from __future__ import annotations

import builtins
import re
import sys
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from admin_pages import EVIL, JOBS, LOGS, SLOT, TIMELINE, change, make_log
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone as django_timezone
from django.utils.html import escape

from cronkite.admin import ansi, paging, problems
from cronkite.code.outcomes import traceback_text
from cronkite.database import clock
from cronkite.models import Log

pytestmark = pytest.mark.django_db

Status = Log.Status
TRACEBACK = """Traceback (most recent call last):
  File "shop/crontab.py", line 3, in pay
    raise ValueError("no\\nmoney")
    ~~~~~^^^^^^^^^^^^
ValueError: no
money
"""


def page_of(client, log):
    return client.get(f"{LOGS}{log.pk}/change/").content.decode()


def found(client, **query):
    return list(client.get(LOGS, query).context["cl"].result_list)


def test_what_decides_comes_first_and_what_is_empty_is_left_out(admin_client, make_job):
    job = make_job(name="Pay")
    took = {"started_at": SLOT, "finished_at": SLOT + timedelta(seconds=2)}
    failed = make_log(job, slot=SLOT, status=Status.FAILED, exc_info=TRACEBACK, output="said", args=["a"], **took)
    fields = re.findall(r'class="form-row field-(\w+)', page_of(admin_client, failed))
    assert fields == [
        *["ended", "problem", "output_text", "traceback", "job", "function", "arguments", "slot_at", "late"],
        *["start", "end", "duration", "node", "fence", "recorded"],
    ]
    missed = make_log(job, slot=SLOT + timedelta(days=1), fence=None, status=Status.MISSED, reason="no node", missed=2)
    assert re.findall(r'class="form-row field-(\w+)', page_of(admin_client, missed)) == [
        *["ended", "why", "job", "function", "slot_at", "missed_slots", "node", "recorded"]
    ]


def test_the_exceptions_own_line_is_told_on_the_page_and_in_the_list(admin_client, make_job):
    log = make_log(make_job(), status=Status.FAILED, exc_info=TRACEBACK)
    assert '<strong class="cronkite-bad">ValueError: no</strong>' in page_of(admin_client, log)
    assert '<div class="cronkite-problem-line">ValueError: no</div>' in admin_client.get(LOGS).content.decode()


def test_a_reason_is_told_in_the_list_of_what_did_not_succeed(admin_client, make_job):
    make_log(make_job(), status=Status.LOST, reason="unlocked by <kim>")
    make_log(make_job(), status=Status.SUCCEEDED, reason="asked for by otto")
    page = admin_client.get(LOGS).content.decode()
    assert "unlocked by &lt;kim&gt;" in page
    assert "asked for by otto" not in page


def test_a_log_leads_to_its_job_its_logs_its_neighbours_and_the_timeline(admin_client, make_job):
    job = make_job()
    make_log(make_job(name="other"))
    logs = [
        make_log(job, fence=n, slot=SLOT + timedelta(hours=n), started_at=SLOT + timedelta(hours=n)) for n in (1, 2, 3)
    ]
    Log.objects.update(created=SLOT + timedelta(hours=2))
    links = dict(admin_client.get(f"{LOGS}{logs[1].pk}/change/").context["cronkite_links"])
    until = links.pop("Timeline then")
    assert links == {
        "Job": change(job),
        "Run again": f"{LOGS}{logs[1].pk}/again/",
        "Its logs": f"{LOGS}?job={job.pk}",
        "Run before": f"{LOGS}{logs[0].pk}/change/",
        "Run after": f"{LOGS}{logs[2].pk}/change/",
    }
    assert until.startswith(TIMELINE)
    assert parse_qs(urlsplit(until).query)["until"] == [(SLOT + timedelta(hours=2, minutes=30)).isoformat()]
    assert f"log/{logs[1].pk}/change" in admin_client.get(until).content.decode()


def test_missed_slots_have_neighbours_too(admin_client, make_job):
    job = make_job()
    first, second = (make_log(job, fence=None, slot=SLOT + timedelta(hours=n), status=Status.MISSED) for n in range(2))
    assert dict(admin_client.get(f"{LOGS}{first.pk}/change/").context["cronkite_links"])["Run after"].endswith(
        f"/{second.pk}/change/"
    )


def test_who_may_not_view_jobs_is_not_led_there(login, make_job):
    log = make_log(make_job())
    labels = dict(login("view_log").get(f"{LOGS}{log.pk}/change/").context["cronkite_links"])
    assert [*labels] == ["Its logs"]


def test_a_log_whose_job_is_gone_leads_nowhere(admin_client, make_job):
    job = make_job(name="gone")
    log = make_log(job)
    job.delete()
    response = admin_client.get(f"{LOGS}{log.pk}/change/")
    assert response.context["cronkite_links"] == []
    assert "field-job_name" in response.content.decode()


def test_all_times_of_a_page_are_in_one_zone(admin_client, make_job):
    reason = "the run before was going on until 2026-03-04 05:06:07 UTC (log 5)"
    log = make_log(make_job(), slot=SLOT, started_at=SLOT, status=Status.FAILED, reason=reason)
    with override_settings(TIME_ZONE="Asia/Tokyo"), django_timezone.override("Asia/Tokyo"):
        page = page_of(admin_client, log)
        title = admin_client.get(JOBS).content.decode()
    assert "UTC" not in page
    assert "going on until 2026-03-04 14:06:07 JST (log 5)" in page
    assert f"<title>{log.job_name}, 2026-03-04 14:06:07 JST" in page
    assert "14:06:07 JST: failed" in title


def test_a_long_text_has_a_way_to_its_end_and_each_a_button_that_copies(admin_client, make_job):
    short = page_of(admin_client, make_log(make_job(), output="one\ntwo"))
    long = page_of(admin_client, make_log(make_job(), output="line\n" * 1000))
    assert 'data-copies="cronkite-output"' in short
    assert "cronkite-output-end" not in short
    assert long.index('href="#cronkite-output-end"') < long.index('id="cronkite-output-end"') < long.index("</pre>")
    assert "1001 lines" in long


def test_colours_of_a_terminal_are_shown_and_what_else_steers_it_is_left_out(admin_client, make_job):
    log = make_log(make_job(), output=f"\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\x1b[2K {EVIL}")
    page = page_of(admin_client, log)
    assert f'<span class="cronkite-ansi-1 cronkite-ansi-bold">red</span> plain {escape(EVIL)}</pre>' in page
    assert "\x1b" not in page
    assert EVIL not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mb\x1b[mc", "abc"),
        ("10 %\r50 %\rdone\nnext\r\n", "done\nnext\n"),
        ("\x1b[38;5;200mpink\x1b[48;2;1;2;3mback", "pinkback"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("bell\x07 back\x08 tab\t", "bell bac tab\t"),
        ("N\bNA\bAME |\b/\b-\bdone", "NAME done"),
        ("50 %\b\b\b\b", "50 %"),
        ("50 %\b\b\b\b60\n\b\bnext", "60 %\nnext"),
        ("\b\x1b[1ma\x1b[m\bb", "b"),
        ("cut \x1b[3", "cut "),
        ("a\n\x1b]0;title\nb\x1bPq\nc", "a\n\nb\nc"),
        ("cut \x1b", "cut "),
        ("\x9b1mC1\x1b(B\x1bc", "C1"),
        ("\x1b[99999999999999999999999mmany", "many"),
    ],
)
def test_what_steers_a_terminal_is_left_out(text, shown):
    assert ansi.strip(text) == shown


@pytest.mark.parametrize(
    ("codes", "classes"),
    [
        ("31", "cronkite-ansi-1"),
        ("91", "cronkite-ansi-9"),
        ("38;5;3", "cronkite-ansi-3"),
        ("38;5;300", ""),
        ("38;2;1;31;4;32", "cronkite-ansi-2"),
        ("1;3;4;9;22;23;24;29", ""),
        ("41;107", ""),
        ("32;39", ""),
        ("48;5;1;34", "cronkite-ansi-4"),
        ("38", ""),
        ("38;5", ""),
        ("4:3", "cronkite-ansi-underlined"),
        ("4;4:0", ""),
        ("58;5;1", ""),
        ("58:2::1:2:3;31", "cronkite-ansi-1"),
        ("38:5:3;1", "cronkite-ansi-3 cronkite-ansi-bold"),
        (">4;1", ""),
        ("?1;31", ""),
        ("1;", ""),
        ("31;1234", "cronkite-ansi-1"),
    ],
)
def test_a_colour_has_a_class(codes, classes):
    assert ansi.show(f"\x1b[{codes}mx") == (f'<span class="{classes}">x</span>' if classes else "x")


@pytest.mark.parametrize(
    ("traceback", "line"),
    [
        ("", ""),
        (TRACEBACK, "ValueError: no"),
        (TRACEBACK[-90:], "ValueError: no"),
        ("KeyError: 1\n\nDuring handling of the above exception:\n\n" + TRACEBACK, "ValueError: no"),
        (
            'Traceback:\n  File "a", line 1, in f\n    x\n  [Previous line repeated 9 more times]\nRecursionError\n',
            "RecursionError",
        ),
        ('  File "<string>", line 1\n    a b\n      ^\nSyntaxError: invalid syntax\n', "SyntaxError: invalid syntax"),
        ('  File "a", line 1, in f\ndb.Error: no such table\nLINE 1: SELECT\n        ^\n', "db.Error: no such table"),
        (
            "  | ExceptionGroup: two (2 sub-exceptions)\n  +-+---- 1 ----\n    | KeyError: 7\n    +-----\n",
            "ExceptionGroup: two (2 sub-exceptions)",
        ),
        ("  +-+---- 1 ----\n    | KeyError: 7\n    +-----\n", "KeyError: 7"),
        (
            "    | KeyError: 7\n    +---- ... ----\n    | and 25 more exceptions\n    +-----\n",
            "KeyError: 7",
        ),
        ("something else\n", "something else"),
    ],
)
def test_the_line_of_a_traceback_that_names_the_exception_is_found(traceback, line):
    assert problems.exception(traceback) == line


def _raised(problem):
    """Return what is kept of an exception."""
    try:
        raise problem
    except BaseException as error:
        return traceback_text(error)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no groups of exceptions")
def test_of_a_group_the_list_and_the_page_name_what_was_raised(admin_client, make_job):
    group = builtins.ExceptionGroup
    noted = ValueError("a")
    noted.add_note("hint: see the wiki")
    inner = group("inner", [noted, KeyError(7)])
    caused = group("caused", [inner])
    caused.__cause__ = ZeroDivisionError("by zero")
    for name, raised in {
        "many (40 sub-exceptions)": group("many", [ValueError(n) for n in range(40)]),
        "inner (2 sub-exceptions)": inner,
        "caused (1 sub-exception)": caused,
    }.items():
        log = make_log(make_job(name=name), status=Status.FAILED, exc_info=_raised(raised))
        assert f'<strong class="cronkite-bad">ExceptionGroup: {name}</strong>' in page_of(admin_client, log)
        (listed,) = found(admin_client, job=log.job_id)
        assert problems.line(listed.status, listed.tail, "") == f"ExceptionGroup: {name}"


def test_of_a_long_message_the_list_shows_the_beginning(admin_client, make_job):
    log = make_log(make_job(), status=Status.FAILED, exc_info=_raised(RuntimeError("HTTP 500: " + "x" * 1500)))
    (listed,) = found(admin_client, job=log.job_id)
    assert problems.line(listed.status, listed.tail, "").startswith("RuntimeError: HTTP 500: xxx")


def test_a_line_that_is_too_long_for_a_list_is_cut():
    assert len(problems.line(Status.FAILED, "E" * 999, "")) == problems.LONGEST + 1


def test_logs_are_found_by_what_went_wrong(admin_client, make_job):
    failed = make_log(make_job(), status=Status.FAILED, exc_info=TRACEBACK)
    lost = make_log(make_job(), status=Status.LOST, reason="unlocked by kim")
    assert found(admin_client, q="valueerror: NO") == [failed]
    assert found(admin_client, q="unlocked kim") == [lost]
    page = admin_client.get(LOGS, {"q": "kim"}).content.decode()
    assert "Show all" not in page
    assert "the newest 20,000 of" in page


def test_no_more_logs_are_searched_than_the_newest_of_the_list(admin_client, make_job, monkeypatch):
    monkeypatch.setattr(paging, "SEARCHED", 2)
    one, two = make_job(name="one"), make_job(name="two")
    logs = [make_log(one), make_log(one), make_log(one), make_log(two), make_log(two)]
    assert found(admin_client, q="app.jobs") == logs[:2:-1]
    assert found(admin_client, q="app.jobs", job=one.pk) == logs[2:0:-1]
    # Of what has no index, no more are looked through: to find two of them might take all.
    Log.objects.filter(pk=logs[0].pk).update(node="beta")
    assert found(admin_client, q="app.jobs", node="beta") == []
    Log.objects.filter(pk=logs[0].pk).update(created=SLOT)
    assert found(admin_client, q="app.jobs", node="beta", created__lt="2026-03-05T00:00") == [logs[0]]
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(LOGS, {"q": "x"})
    asked = [query["sql"] for query in queries if "%X%" in query["sql"].upper() and "cronkite_log" in query["sql"]]
    assert asked
    assert all("LIMIT 1 OFFSET 1" in sql for sql in asked)


def test_the_list_reads_no_long_texts(admin_client, make_job):
    make_log(make_job(), status=Status.FAILED, exc_info="x" * 60_000, output="x" * 60_000)
    with CaptureQueriesContext(connection) as queries:
        (log,) = found(admin_client)
    assert log.get_deferred_fields() >= {"output", "exc_info", "result", "args", "kwargs", "reason"}
    assert len(log.tail) == problems.TAIL
    assert not [query for query in queries if "COUNT(" in query["sql"].upper() and "exc_info" in query["sql"]]


def test_logs_are_found_by_when_they_were_written(admin_client, make_job):
    job, now = make_job(), clock.now("default")
    # Where it is past noon: no midnight is in the last hour, and none comes while the test looks on.
    now = now.astimezone(timezone(timedelta(hours=12 - now.hour)))
    logs = [make_log(job) for _ in range(4)]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    ages = [now, now - timedelta(minutes=59), midnight - timedelta(seconds=1), now - timedelta(days=8)]
    for log, created in zip(logs, ages, strict=True):
        Log.objects.filter(pk=log.pk).update(created=created)
    with django_timezone.override(now.tzinfo):
        assert found(admin_client, when="hour") == logs[1::-1]
        assert found(admin_client, when="today") == logs[1::-1]
        assert found(admin_client, when="week") == logs[2::-1]
        assert found(admin_client, when="") == logs[::-1]
        assert found(admin_client, created__lt=f"{now - timedelta(days=3):%Y-%m-%dT%H:%M}", when="") == [logs[3]]


def test_from_and_to_are_on_the_clock_of_the_page_and_stay_in_its_form(admin_client, make_job):
    log = make_log(make_job(), node="alpha")
    Log.objects.update(created=datetime(2026, 3, 4, 5, 30, tzinfo=timezone.utc))
    asked = {"created__gte": "2026-03-04T14:00", "created__lt": "2026-03-04T15:00", "node": "alpha", "p": "1"}
    with override_settings(TIME_ZONE="Asia/Tokyo"), django_timezone.override("Asia/Tokyo"):
        response = admin_client.get(LOGS, asked)
    assert list(response.context["cl"].result_list) == [log]
    page = response.content.decode()
    for text in ('value="2026-03-04T14:00"', 'value="2026-03-04T15:00"', "Asia/Tokyo"):
        assert text in page
    form = page.partition('<form class="cronkite-when"')[2].partition("</form>")[0]
    assert re.findall('type="hidden" name="(.*?)"', form) == ["node"]
    assert found(admin_client, created__gte="2026-03-04T14:00") == []
