"""What each command says and does."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest
from conftest import make_due
from django.db import connection
from django.test.utils import CaptureQueriesContext
from nodes import HERE, PATIENCE, manage, nodes, until
from nodes import cron as run_cron
from prometheus_client.parser import text_string_to_metric_families
from terminals import Terminal, cron

from cronkite import pruning, requests
from cronkite.claims import claiming, holding, verdicts
from cronkite.cli import prune
from cronkite.cli.instants import absolute
from cronkite.code import declarations
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.declared.discovery import auto_discover
from cronkite.models import Group, Job, Log, Node, primary
from cronkite.nodes import ticks

Status = Log.Status


@pytest.fixture(autouse=True)
def here(settings):
    settings.CRONKITE_NODE = "here"
    # Or the next minute might begin while a tick looks ahead.
    settings.CRONKITE_LOOKAHEAD = 0


def hold(job, ago, node="web-9"):
    claiming.claim_by_hand(job, node)
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(seconds=ago))


# list


@pytest.mark.django_db
def test_list_shows_what_comes_next_and_how_it_ended_last(make_job):
    job = make_job(name="nightly", schedule="0 3 * * *", timezone="Europe/Berlin")
    job.run()
    make_job("app.jobs.fail", name="failing")
    holding.finish(claiming.claim_by_hand(Job.objects.get(name="failing"), "x"), Outcome(Status.TIMED_OUT))
    said = cron("list")
    heads, failing, nightly = said.lines
    assert heads.split() == ["ID", "NAME", "SCHEDULE", "NEXT", "LAST", "STATE"]
    assert nightly.startswith(f"{job.pk}")
    assert "At 03:00, every day (Europe/Berlin)" in nightly
    assert " 03:00 (in " in nightly
    assert "succeeded" in nightly
    assert nightly.endswith("enabled")
    assert "timed out" in failing
    # Each column begins where its head does.
    assert heads.index("STATE") == nightly.index("enabled")


@pytest.mark.django_db
def test_list_tells_the_states(make_job):
    hold(make_job(name="a"), 1000)
    hold(make_job(name="b"), 1, node="web-1")
    make_job("app.jobs.gone", name="c")
    requests.ask(make_job(name="d"), "anna")
    Job.objects.filter(pk=make_job(name="e").pk).update(enabled=False)
    states = [line.partition("  ")[2] for line in cron("list").lines[1:]]
    assert "stuck: locked by web-9, last seen alive 16 min ago" in states[0]
    assert "running: on web-1, last seen alive" in states[1]
    assert "cannot run on this machine: 'app.jobs.gone' was not found" in states[2]
    assert "asked for: by anna" in states[3]
    assert states[4].endswith("disabled")


@pytest.mark.django_db
def test_list_fits_a_terminal_and_says_the_rest_below(make_job, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    hold(make_job(name="a job with quite a long name"), 1000)
    make_job("app.jobs.gone", name="c")
    lines = cron("list", "--no-color", out=Terminal()).lines
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith("stuck")
    assert lines[2] == "    locked by web-9, last seen alive 16 min ago"
    assert lines[3].endswith("cannot run")
    problem = "on this machine: 'app.jobs.gone' was not found: on this node the module 'app.jobs' has no 'gone'."
    assert " ".join(" ".join(lines[4:]).split()) == problem


@pytest.mark.django_db
def test_list_shows_a_part(make_job):
    make_job(name="one")
    make_job("app.jobs.say", name="two")
    assert len(cron("list", "jobs.say").lines) == 2
    assert "No job has 'three' in it." in cron("list", "three").err


@pytest.mark.django_db
def test_list_without_jobs_says_how_to_have_some():
    said = cron("list")
    assert (said.out, said.code) == ("", 0)
    assert "cron sync" in said.err


@pytest.mark.django_db
def test_list_for_programs(make_job):
    make_job(name="nightly", args=[1]).run()
    (job,) = cron("list", "--json").json
    assert (job["name"], job["args"], job["state"], job["problem"]) == ("nightly", [1], "enabled", None)
    assert job["last"]["status"] == "succeeded"


@pytest.mark.django_db
def test_list_takes_a_constant_number_of_queries(make_job):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            cron("list")
        return len(captured)

    make_job().run()
    few = queries()
    for _ in range(5):
        make_job().run()
    assert queries() == few


# run


@pytest.mark.django_db
def test_run_shows_the_output_and_keeps_it(make_job, capsys):
    job = make_job("app.jobs.say", name="hello", args=["hello there"])
    said = cron("run", "hello")
    assert said.code == 0
    assert capsys.readouterr().out == "hello there\n"
    assert "hello: succeeded after " in said.err
    log = Log.objects.get(job=job)
    assert (log.status, log.output, log.slot) == (Status.SUCCEEDED, "hello there\n", None)
    assert "at the command line of here" in log.reason


@pytest.mark.django_db
def test_run_of_a_job_that_fails_exits_with_1(make_job):
    make_job("app.jobs.fail")
    said = cron("run", "fail")
    assert said.code == 1
    assert "fail: failed after" in said.err
    assert said.err.strip().endswith("ValueError: it went wrong")


@pytest.mark.django_db
def test_run_of_a_job_that_is_locked_exits_with_3(make_job):
    job = make_job(name="busy")
    hold(job, 1000)
    said = cron("run", "busy")
    assert said.code == 3
    assert "running on web-9" in said.err
    assert f"last seen alive 16 min ago; if it is gone, say `manage.py cron unlock {job.pk}`" in said.err


@pytest.mark.django_db
def test_run_of_what_may_not_run_exits_with_1(make_job):
    make_job("os.system", name="evil", args=["true"])
    said = cron("run", "evil")
    assert said.code == 1
    assert "cannot be run here. 'os.system' is refused" in said.err
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_run_that_cannot_get_its_lock_for_conflicts(make_job, monkeypatch):
    def conflict(*_):
        raise verdicts.Contention

    monkeypatch.setattr("cronkite.runs.runner.claim_by_hand", conflict)
    make_job(name="wanted")
    assert (cron("run", "wanted").code, cron("run", "wanted").err) == (1, "Others keep changing the job. Try again.")


@pytest.mark.django_db
def test_run_for_programs_leaves_stdout_to_the_json(make_job, capsys):
    make_job("app.jobs.say", name="hello", args=["hello there"])
    said = cron("run", "hello", "--json")
    assert (said.json["status"], said.json["output"]) == ("succeeded", "hello there\n")
    assert capsys.readouterr() == ("", "hello there\n")


@pytest.mark.django_db
def test_run_that_is_asked_for_is_left_to_a_node(make_job):
    make_job(name="later")
    assert "The next node that looks runs it." in cron("run", "later", "--ask").out
    assert "It waits already, asked for by" in cron("run", "later", "--ask").out
    assert cron("run", "later", "--ask", "--json").json["asked"] is False
    assert not Log.objects.exists()
    ticks.tick(workers=0)
    assert Log.objects.get().reason.startswith("asked for by ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_run_that_is_told_to_end_leaves_no_lock(make_job, tmp_path, number):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang", args=[str(begun)])
    with nodes(("cron", "run", "hang")) as (each,):
        until(begun.exists)
        each.signal(number)
        assert each.wait() == 1, each.output
    assert Log.objects.get().status == Status.INTERRUPTED
    assert Job.objects.get(pk=job.pk).lock is None


@pytest.mark.django_db(transaction=True)
def test_run_shows_the_output_as_it_comes(make_job, tmp_path):
    go = tmp_path / "go"
    make_job("app.jobs.say_and_wait", args=["first", str(go)])
    with nodes(("cron", "run", "say_and_wait")) as (each,):
        assert each.process.stdout.readline() == "first\n"
        go.touch()
        assert each.wait() == 0
    assert "succeeded" in each.output


# next


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


def test_why_of_a_one_off_tells_of_its_only_slot(make_job):
    job = make_job(schedule="@at 9000-01-01T00:00Z")
    said = cron("why", str(job.pk), "2026-03-01 03:00")
    assert "2026-03-01 03:00:00 +00:00: no slot of the job's schedule. The only one is 9000-01-01 00:00:00" in said.out
    said = cron("why", str(job.pk))
    assert "has had no slot yet. Ask for a time" in said.out + said.err


def test_enable_refuses_a_one_off_that_is_done(make_job):
    job = make_job(schedule="@at 9000-01-01T00:00Z")
    past = "@at 2020-01-01T00:00Z"
    Job.objects.filter(pk=job.pk).write(schedule=past, enabled=False, next_run=None)
    said = cron("enable", str(job.pk))
    assert said.code == 1
    assert "cannot be enabled: '@at 2020-01-01T00:00Z' is over" in said.err


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


@pytest.mark.django_db
def test_list_and_why_show_what_was_chosen_for_a_job(make_job):
    job = make_job(name="bill", schedule="H 3 * * *", declared_as="shop.crontab.bill")
    words = "At 03:25, every day (H 3 * * * = 25 3 * * *)"
    assert words in cron("list").out
    assert words in cron("why", str(job.pk)).lines[0]
    (told,) = cron("list", "--json").json
    assert (told["schedule"], told["words"]) == ("H 3 * * *", words)


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


# why


def time_of(slot):
    return slot.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.django_db
def test_why_tells_which_node_took_a_slot(make_job):
    job = make_job("app.jobs.fail", name="nightly", due=0)
    slot = job.next_run
    ticks.tick(workers=0)
    said = cron("why", "nightly", time_of(slot))
    assert said.lines[0] == "nightly (app.jobs.fail): At 00:00, every year on January 1, in UTC"
    assert said.lines[1].endswith("+00:00: failed")
    assert "Node here took it, " in said.out
    assert "ValueError: it went wrong" in said.out


@pytest.mark.django_db
def test_why_tells_of_a_run_that_goes_on(make_job):
    job = make_job(due=0)
    from conftest import due

    from cronkite.schedules.catch_up import CatchUp, decide

    read = due(job)
    claiming.claim(read, decide(job.get_schedule(), CatchUp.LATEST, None, read.pending, read.now), "web-1")
    said = cron("why", "ok", time_of(job.next_run))
    assert said.lines[1].endswith(": running")
    assert "It runs since" in said.out


@pytest.mark.django_db
def test_why_tells_of_missed_slots_also_within_a_stretch(make_job):
    job = make_job(schedule="0 * * * *", due=5 * 3600, catch_up="none", grace=0)
    first = job.next_run
    ticks.tick(workers=0)
    log = Log.objects.get()
    assert log.slot > first + timedelta(hours=3)
    for slot in (first, first + timedelta(hours=2), log.slot):
        said = cron("why", "ok", time_of(slot))
        assert said.lines[1].endswith(": missed"), said.out
        assert "older than the grace of 0 s" in said.out
        assert f"one of {log.missed + 1} missed slots, log {log.pk}" in said.out
    before = cron("why", "ok", time_of(first - timedelta(hours=1)))
    assert "missed" not in before.lines[1]


@pytest.mark.django_db
def test_why_tells_of_slots_that_were_missed_before_one_that_ran(make_job):
    job = make_job(schedule="0 * * * *", due=5 * 3600)
    first = job.next_run
    ticks.tick(workers=0)
    said = cron("why", "ok", time_of(first))
    assert said.lines[1].endswith(": missed")
    assert "only the newest is run" in said.out


@pytest.mark.django_db
def test_why_tells_that_a_slot_is_still_to_come(make_job):
    job = make_job()
    said = cron("why", "ok", time_of(job.next_run))
    assert said.lines[1].endswith(": not due")
    assert "It falls due in " in said.out


@pytest.mark.django_db
def test_why_tells_what_keeps_nodes_from_a_slot(make_job, lock_timeout):
    job = make_job(due=0)
    slot = time_of(job.next_run)
    said = cron("why", "ok", slot).out
    assert ": waiting" in said
    assert "No node has ever ticked." in said
    at = job.next_run - timedelta(hours=1)
    Node.objects.create(name="web-1", ticked_at=at, started_at=at)
    assert "No node has ticked since: the last was web-1" in cron("why", "ok", slot).out
    Node.objects.update(ticked_at=clock.Now())
    hold(job, 1000)
    said = cron("why", "ok", slot).out
    assert "locked by web-9, whose run was last seen alive 16 min ago" in said
    assert f"It is stuck. If the run is gone, say `manage.py cron unlock {job.pk}`" in said
    assert "No node has ticked" not in said
    lock_timeout(60)
    assert "The lock is stale: the next tick takes it over." in cron("why", "ok", slot).out
    Job.objects.filter(pk=job.pk).write(function="app.jobs.gone")
    assert "Its function cannot be run here. 'app.jobs.gone' was not found" in cron("why", "ok", slot).out


@pytest.mark.django_db
def test_why_tells_that_a_job_is_disabled(make_job):
    job = make_job(schedule="* * * * *")
    Job.objects.filter(pk=job.pk).update(enabled=False)
    Job.objects.filter(pk=job.pk).write(planned_at=clock.Now() - timedelta(hours=1))
    slot = clock.now("default") - timedelta(minutes=30)
    said = cron("why", "ok", time_of(slot)[:-4] + "Z")
    assert said.lines[1].endswith(": disabled")
    assert "The job is disabled since " in said.out
    assert cron("why", "ok", "tomorrow 12:00").lines[1].endswith(": disabled")


@pytest.mark.django_db
def test_why_tells_that_the_job_was_not_planned_then(make_job, admin_user):
    from django.contrib.admin.models import CHANGE, LogEntry

    job = make_job(schedule="0 0 * * *")
    said = cron("why", "ok", "2020-01-01 00:00")
    assert said.lines[1].endswith(": not planned")
    assert "it did not exist then, was disabled, or had another schedule" in said.out
    job.run()
    Log.objects.update(created="2019-01-01T00:00Z")
    LogEntry.objects.log_actions(admin_user.pk, [job], CHANGE, change_message=[{"changed": {"fields": ["Enabled"]}}])
    said = cron("why", "ok", "2020-01-01 00:00").out
    assert "The job was disabled then, or had another schedule." in said
    assert "by admin: Changed Enabled." in said


@pytest.mark.django_db
def test_why_tells_that_the_record_is_gone(make_job):
    job = make_job(schedule="* * * * *")
    hour = timedelta(hours=1)
    slot = clock.now("default").replace(second=0, microsecond=0) - hour
    Job.objects.filter(pk=job.pk).write(planned_at=slot - hour, last_slot=slot + hour)
    said = cron("why", "ok", time_of(slot))
    assert said.lines[1].endswith(": no record")
    assert "Its log was deleted" in said.out
    Job.objects.filter(pk=job.pk).write(planned_at=None)
    assert "There is no record of it." in cron("why", "ok", time_of(slot)).out


@pytest.mark.django_db
def test_why_tells_that_a_time_is_no_slot_and_which_are_near(make_job):
    make_job(schedule="0 3 * * *", timezone="Europe/Berlin").run()
    said = cron("why", "ok", "2026-07-01 04:00")
    assert said.lines[1:] == [
        "2026-07-01 04:00:00 +02:00: no slot of the job's schedule.",
        "  The slot before is 2026-07-01 03:00:00 +02:00.",
        "  The one after is 2026-07-02 03:00:00 +02:00.",
    ]


@pytest.mark.django_db
def test_why_tells_of_runs_by_hand(make_job):
    make_job().run()
    began = Log.objects.get().started_at
    assert "A run by hand began then on node here: succeeded" in cron("why", "ok", time_of(began)[:-4] + "Z").out


@pytest.mark.django_db
def test_why_says_that_a_time_was_skipped_or_shown_twice(make_job):
    make_job(name="night", schedule="30 2 * * *", timezone="Europe/Berlin")
    spring = cron("why", "night", "2026-03-29", "02:30")
    assert "the clock skipped that time (02:00 to 03:00)" in spring.lines[1]
    assert spring.lines[2].startswith("2026-03-29 03:00:00 +02:00: not planned")
    autumn = cron("why", "night", "2026-10-25 02:30")
    assert "showed 02:00 to 03:00 twice" in autumn.lines[1]
    assert "2026-10-25 02:30:00 +02:00: not planned" in autumn.out
    assert "2026-10-25 02:30:00 +01:00: no slot" in autumn.out


@pytest.mark.django_db
def test_why_takes_a_minute_for_all_its_slots(make_job):
    make_job(schedule="* * * * * */20")
    said = cron("why", "ok", "tomorrow 12:00")
    assert [line.split()[1] for line in said.lines if "not due" in line] == ["12:00:00", "12:00:20", "12:00:40"]
    assert len([line for line in cron("why", "ok", "tomorrow 12:00:20").lines if "not due" in line]) == 1


@pytest.mark.django_db
def test_why_for_programs(make_job):
    job = make_job(due=0)
    slot = job.next_run
    ticks.tick(workers=0)
    said = cron("why", "ok", time_of(slot), "--json").json
    (time,) = said["times"]
    assert (said["job"], time["slots"][0]["verdict"], time["slots"][0]["log"]["status"]) == (job.pk, "ran", "succeeded")


@pytest.mark.django_db
def test_why_of_a_schedule_that_is_broken_says_so(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).write(schedule="nonsense")
    said = cron("why", "ok", "03:00")
    assert said.code == 0
    assert "whether that was a slot cannot be told here: " in said.out


@pytest.mark.django_db
def test_why_refuses_what_is_no_time(make_job):
    make_job()
    said = cron("why", "ok", "soon")
    assert (said.code, "'soon' is no time." in said.err) == (2, True)


@pytest.mark.django_db
def test_why_without_a_time_is_about_the_last_slot(make_job):
    job = make_job(due=0)
    slot = job.next_run
    assert cron("why", "ok").lines[1] == f"{absolute(slot, 'UTC')}: waiting"
    ticks.tick(workers=0)
    said = cron("why", "ok")
    assert said.lines[1] == f"{absolute(slot, 'UTC')}: succeeded"
    # Its schedule is another one since then, whose last slot came earlier.
    Job.objects.filter(pk=job.pk).write(schedule="0 0 1 1 *", last_slot=slot + timedelta(seconds=1))
    assert absolute(slot + timedelta(seconds=1), "UTC") in cron("why", "ok").lines[1]


@pytest.mark.django_db
def test_why_now_is_about_the_slot_that_waits_and_how_the_job_stands(make_job):
    job = make_job(due=0)
    slot = job.next_run
    hold(job, 1000)
    said = cron("why", "ok", "now")
    assert "A run of node web-9 holds its lock, last seen alive 16 min ago." in said.out
    assert f"cron unlock {job.pk}" in said.out
    assert f"{absolute(slot, 'UTC')}: waiting" in said.lines


@pytest.mark.django_db
def test_why_now_of_a_job_that_is_not_due_tells_when_it_is(make_job):
    job = make_job(name="x\x1b[2Jy", schedule="0 0 1 1 *")
    said = cron("why", "ok", "now")
    assert f"Its next slot is {absolute(job.next_run, 'UTC')}, in " in said.out
    assert "no slot of the job's schedule" in said.out
    Job.objects.update(enabled=False)
    requests.ask(job, "anna")
    said = cron("why", "ok", "now")
    assert f"It is disabled. `manage.py cron enable {job.pk}`" in said.out
    assert "A run was asked for by anna, " in said.out
    assert cron("why", "ok", "now", "--json").json["remarks"]


@pytest.mark.django_db
def test_why_without_a_time_of_a_job_that_had_no_slot_says_so(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).write(schedule="nonsense")
    said = cron("why", "ok")
    assert said.code == 2
    assert "no slot yet. Whether it should have had one cannot be told here: the expression has 1 field;" in said.err


# log


@pytest.mark.django_db
def test_log_shows_how_a_run_ended_what_it_wrote_and_its_traceback(make_job):
    job = make_job("app.jobs.fail", due=0)
    slot = job.next_run
    ticks.tick(workers=0)
    log = Log.objects.get()
    Log.objects.update(output="one\ttwo\r\n\x1b[31mred\n", missed=1)
    said = cron("log", str(log.pk))
    assert said.lines[:4] == [
        "fail (app.jobs.fail): failed",
        f"  slot      {absolute(slot, 'UTC')}",
        "  missed    1 slot just before",
        "  node      here",
    ]
    assert said.lines[said.lines.index("Output:") :][:3] == ["Output:", "one     two", "\\x1b[31mred"]
    assert said.lines[said.lines.index("Traceback:") + 1] == "Traceback (most recent call last):"
    assert "it went wrong" in said.lines[-1]
    assert cron("log", str(log.pk), "--json").json["output"] == "one\ttwo\r\n\x1b[31mred\n"


@pytest.mark.django_db
def test_log_shows_what_a_run_by_hand_returned(make_job):
    make_job(args=[1]).run()
    said = cron("log", str(Log.objects.get().pk))
    assert "  slot      none: it was run by hand" in said.lines
    assert "  returned  {'args': [1], 'kwargs': {}}" in said.lines


@pytest.mark.django_db
@pytest.mark.parametrize("words", ["0", "9" * 30, "-1", "ok", "1.5", "²"])
def test_log_that_there_is_none_of_says_where_to_look(words):
    said = cron("log", "--", words)
    assert said.code == 2
    assert f"no log {words}" in said.err or f"'{words}' is no log's number" in said.err


# enable, disable


@pytest.mark.django_db
def test_a_job_is_disabled_and_enabled(make_job):
    job = make_job(name="nightly", due=0)
    assert cron("disable", "nightly").out == "nightly is disabled.\n"
    assert (Job.objects.get().enabled, Log.objects.get().reason) == (False, "the job was disabled")
    assert cron("disable", "nightly").out == "nightly is disabled already.\n"
    said = cron("enable", "nightly")
    job = Job.objects.get()
    assert said.out.startswith(f"nightly is enabled. Its next slot is {absolute(job.next_run, 'UTC')}, in ")
    assert said.err == ""
    assert cron("enable", "nightly").out.startswith("nightly is enabled already. Its next slot is ")
    assert cron("disable", "nightly", "--json").json == {
        "job": job.pk,
        "name": "nightly",
        "enabled": False,
        "was": True,
        "next_run": None,
    }


@pytest.mark.django_db
def test_disabling_tells_that_a_run_goes_on_or_is_asked_for(make_job):
    hold(make_job(name="running"), 1)
    assert cron("disable", "running").out == "running is disabled. Its run on node web-9 goes on.\n"
    requests.ask(make_job(name="wanted"), "anna")
    assert "It still runs when somebody asks for it." in cron("disable", "wanted").out


@pytest.mark.django_db
def test_a_job_that_is_broken_can_be_disabled_and_says_why_it_cannot_be_enabled(make_job):
    broken = make_job(name="broken")
    Job.objects.filter(pk=broken.pk).write(schedule="nonsense")
    assert cron("disable", "broken").code == 0
    said = cron("enable", "broken")
    assert (said.code, said.err.startswith("Job 'broken' cannot be enabled: ")) == (1, True)
    Job.objects.filter(pk=make_job("app.jobs.gone", name="gone").pk).update(enabled=False)
    assert "It cannot be run here, but perhaps on other nodes." in cron("enable", "gone").err


# health


@pytest.mark.django_db(transaction=True)
def test_health_is_one_line_first_and_an_exit_code(make_job):
    said = cron("health")
    assert said.code == 2
    assert said.lines[0].startswith("CRON CRITICAL - No node has ever ticked.")
    ticks.tick(workers=0)
    make_job()
    said = cron("health")
    assert said.code == 0
    assert said.lines[0].startswith("CRON OK - 1 job, 1 enabled, 0 running. The last tick was ")
    assert " | silent=" in said.lines[0]
    assert said.lines[1].split() == ["NODE", "TICKED", "CLOCK", "KIND"]
    assert said.lines[2].startswith("here ")


@pytest.mark.django_db(transaction=True)
def test_health_takes_limits(make_job):
    ticks.tick(workers=0)
    job = make_job("app.jobs.fail", name="a | b")
    holding.finish(claiming.claim_by_hand(job, "x"), Outcome(Status.FAILED))
    said = cron("health")
    assert (said.code, said.lines[1]) == (1, "WARNING: 1 job fails: a / b (at its last run).")
    assert said.lines[0].count("|") == 1
    assert cron("health", "--failing", "1", "1").code == 2
    assert cron("health", "--failing", "never", "never").code == 0
    assert cron("health", "--failing", "2", "3", "--nodes", "2").lines[1] == "WARNING: Only 1 of 2 nodes tick."
    assert cron("health", "--silent", "x", "2").code == 1  # an error of the arguments, as call_command() has it
    for nonsense in ("x", "-1", "nan", "90000"):
        assert "a number of seconds from 0 to 86400" in cron("health", "--brief", nonsense).err


@pytest.mark.django_db(transaction=True)
def test_health_of_this_node_has_nothing_to_do_with_jobs_nor_with_other_nodes(make_job):
    now = clock.now("default")
    Node.objects.create(name="other", ticked_at=now, started_at=now)
    said = cron("health", "--here")
    assert (said.code, said.lines) == (2, ["CRON CRITICAL - Node here has not ticked yet."])
    ticks.tick(workers=0)
    job = make_job("app.jobs.fail", schedule="* * * * *", due=9000)
    for _ in range(3):
        holding.finish(claiming.claim_by_hand(job, "x"), Outcome(Status.FAILED))
    assert cron("health").code == 2
    said = cron("health", "--here")
    assert said.code == 0
    assert said.lines[0].startswith("CRON OK - Node here ticked ")
    assert (cron("health", "--here", "--json").json["level"], len(said.lines)) == ("OK", 1)
    # It hangs, say, while the other ticks.
    for ago, code in ((200, 1), (400, 2)):
        Node.objects.filter(name="here").update(ticked_at=clock.Now() - timedelta(seconds=ago))
        assert cron("health", "--here").code == code
        assert cron("health", "--here", "--silent", "500", "500").code == 0
    Node.objects.filter(name="here").update(ticked_at=clock.Now(), stopped_at=clock.Now())
    assert "Node here was stopped" in cron("health", "--here").lines[0]
    assert cron("health", "--here").code == 2


@pytest.mark.django_db(transaction=True)
def test_health_shows_few_of_many_nodes():
    now = clock.now("default")
    Node.objects.create(name="a", ticked_at=now, started_at=now, stopped_at=now)
    Node.objects.bulk_create(Node(name=f"node {number}", ticked_at=now, started_at=now) for number in range(40))
    said = cron("health")
    assert said.lines[-1] == "and 21 more nodes"
    assert "then stopped" in said.lines[2]
    assert len(said.lines) == 1 + 1 + 20 + 1


@pytest.mark.django_db(transaction=True)
def test_health_for_programs():
    ticks.tick(workers=0)
    said = cron("health", "--json").json
    assert (said["level"], said["findings"], said["nodes"][0]["name"]) == ("OK", [], "here")


@pytest.mark.django_db(transaction=True)
def test_health_for_prometheus(make_job):
    ticks.tick(workers=0)
    job = make_job("app.jobs.fail", name='the "worst"\n\x1bone')
    for code, level in ((1, 1), (1, 1), (2, 2)):
        holding.finish(claiming.claim_by_hand(job, "x"), Outcome(Status.FAILED))
        said = cron("health", "--format", "prometheus")
        families = {family.name: family for family in text_string_to_metric_families(said.out)}
        assert (said.code, families["cronkite_health_level"].samples[0].value) == (code, level)
    (sample,) = families["cronkite_job_failures"].samples
    assert (sample.labels["job_name"], sample.value) == ('the "worst"\n\\x1bone', 3)
    assert cron("health", "--format", "prometheus", "--failing", "never", "never").code == 0
    assert cron("health", "--format", "json").json["level"] == cron("health", "--json").json["level"] == "CRITICAL"
    assert cron("health", "--format", "text").out.startswith("CRON CRITICAL")


@pytest.mark.django_db(transaction=True)
def test_health_for_prometheus_is_of_all_nodes_or_says_why_not():
    said = cron("health", "--here", "--format", "prometheus")
    assert (said.code, said.out) == (3, "")
    assert "--here in text and json" in said.err


def test_health_of_a_database_that_does_not_answer_is_unknown(tmp_path):
    done = manage("cron", "health", "--format", "prometheus", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    (family,) = text_string_to_metric_families(done.stdout)
    assert (done.returncode, family.name, family.samples[0].value) == (3, "cronkite_health_level", 3)
    assert "The database says: " in done.stderr
    done = manage("cron", "health", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert done.returncode == 3
    assert done.stdout.startswith("CRON UNKNOWN - The database says: ")
    done = manage("cron", "health", "--json", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert (done.returncode, json.loads(done.stdout)["level"]) == (3, "UNKNOWN")


# sync


@pytest.fixture
def declared(db, monkeypatch):
    """One app's crontab module, that declares several jobs."""
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.declared"])
    return "app.declared"


def test_sync_makes_rows_of_what_is_declared(declared):
    said = cron("sync", "--check")
    assert said.code == 1
    assert "+ nightly (app.declared.nightly): to be added, 0 3 * * *" in said.lines
    assert not Job.objects.exists()
    said = cron("sync")
    assert said.code == 0
    assert "+ nightly (app.declared.nightly): added, 0 3 * * *" in said.lines
    assert Job.objects.filter(declared_as="app.declared.nightly").exists()
    said = cron("sync", "--check")
    assert (said.code, said.out) == (0, "The jobs are what the code declares.\n")


def test_sync_keeps_what_people_have_edited_unless_told_otherwise(declared):
    cron("sync")
    job = Job.objects.get(function="app.declared.nightly")
    job.schedule = "0 4 * * *"
    job.save()
    said = cron("sync")
    assert "~ nightly (app.declared.nightly): edited here, and kept" in said.lines
    assert "    schedule: '0 4 * * *' here, '0 3 * * *' in the code" in said.lines
    assert cron("sync", "--check").code == 0
    assert cron("sync", "--check", "--overwrite").code == 1
    assert "overwritten" in cron("sync", "--overwrite").out
    job.refresh_from_db()
    assert job.schedule == "0 3 * * *"
    assert job.next_run.hour == 3


def test_sync_makes_groups_and_keeps_their_numbers_unless_told_otherwise(declared, monkeypatch):
    nightly = declarations.of(import_module("app.declared").nightly)
    monkeypatch.setitem(declarations._declared, nightly.function, replace(nightly, group="reports", max_running=2))
    assert "+ group reports: to be added, 2 jobs run at a time" in cron("sync", "--check").lines
    assert "+ group reports: added, 2 jobs run at a time" in cron("sync").lines
    Group.objects.filter(name="reports", max_running=2).update(max_running=1)
    said = cron("sync")
    assert said.lines == ["~ group reports: 1 job runs at a time here, 2 in the code; edited here, and kept"]
    assert (cron("sync", "--check").code, cron("sync", "--check", "--overwrite").code) == (0, 1)
    assert cron("sync", "--json").json["groups"] == {"reports": {"here": 1, "code": 2}}
    assert "overwritten" in cron("sync", "--overwrite").out
    assert Group.objects.get().max_running == 2


def test_sync_tells_of_a_ping_that_differs_and_not_what_it_is(declared, monkeypatch):
    nightly = declarations.of(import_module("app.declared").nightly)
    pinging = replace(nightly, ping="https://hc-ping.com/s3cret")
    monkeypatch.setitem(declarations._declared, nightly.function, pinging)
    said = [cron("sync", "--check", "--json"), cron("sync")]
    Job.objects.filter(ping=pinging.ping).update(ping="https://other.example/s3cret")
    said += [cron("sync"), cron("sync", "--json"), cron("sync", "--overwrite")]
    assert "    ping: 'https://other.example/…' here, 'https://hc-ping.com/…' in the code" in said[2].lines
    assert Job.objects.filter(ping=pinging.ping).count() == 1
    assert not [each.out for each in said if "s3cret" in each.out + each.err]


@pytest.mark.parametrize("gone", ["app.declared.dropped", "app.no_such_module.job", "no_such_app.crontab.job"])
def test_sync_prunes_what_is_declared_no_more(declared, make_job, gone):
    job = make_job(name="dropped", declared_as=gone)
    by_hand = make_job("app.jobs.say")
    cron("sync")
    said = cron("sync", "--check")
    assert said.code == 1
    assert said.lines == [f"- dropped ({gone}): its declaration is gone, kept; --prune deletes it"]
    assert "deleted" in cron("sync", "--prune").out
    assert not Job.objects.filter(pk=job.pk).exists()
    assert Job.objects.filter(pk=by_hand.pk).exists()


def test_sync_leaves_the_jobs_of_a_broken_module_alone(declared, make_job):
    job = make_job(declared_as="app.broken.job")
    said = cron("sync", "--prune")
    assert said.code == 1
    assert "! app.broken can't be imported, so its jobs are left alone." in said.out
    assert Job.objects.filter(pk=job.pk).exists()


def test_sync_tells_of_what_is_declared_and_cannot_be_a_job(declared, monkeypatch):
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.declared_badly"])
    said = cron("sync")
    assert said.code == 1
    assert "+ last (app.declared_badly.last): added, 0 3 * * *" in said.lines
    assert "! app.declared_badly.unreadable is declared, but can't be a job; the log says why." in said.lines
    assert cron("sync").lines == [line for line in said.lines if line.startswith("!")]
    assert [each["name"] for each in cron("sync", "--json").json["refused"]] == ["unreadable", "_private"]


def test_sync_warns_of_seconds_that_seem_to_come_first(declared, monkeypatch):
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.declared_foreign"])
    for _ in range(2):
        said = cron("sync")
        assert said.code == 0
        (warning,) = [line for line in said.lines if line.startswith("!")]
        assert warning.startswith("! app.declared_foreign.often: The last of six fields names the seconds")
        assert warning.endswith("write */5 * * * *.")
    assert list(cron("sync", "--json").json["warnings"]) == ["app.declared_foreign.often"]


def test_sync_knows_modules_that_are_looked_at_by_a_call(declared):
    auto_discover("app.declared_extra")
    cron("sync")
    said = cron("sync", "--check", "--prune")
    assert (said.code, said.out) == (0, "The jobs are what the code declares.\n")


def test_sync_leaves_a_job_that_was_entered_before_it_was_declared(declared, make_job):
    make_job("app.declared.nightly")
    cron("sync")
    assert Job.objects.filter(function="app.declared.nightly").count() == 1


def test_sync_for_programs(declared, make_job):
    make_job(name="dropped", declared_as="app.declared.dropped")
    said = cron("sync", "--json", "--check").json
    assert "app.declared.nightly" in {new["function"] for new in said["new"]}
    assert [gone["name"] for gone in said["gone"]] == ["dropped"]


# unlock


@pytest.mark.django_db
def test_unlock_asks_first(make_job, monkeypatch):
    job = make_job(name="stuck")
    hold(job, 1000)
    for answer, code in [("n\n", 1), ("\n", 1), ("", 1), ("y\n", 0)]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert Job.objects.get().lock is not None
        said = cron("unlock", "stuck")
        assert said.code == code
        assert "stuck is locked by web-9, last seen alive 16 min ago." in said.err
    assert Job.objects.get().lock is None
    log = Log.objects.get()
    assert log.status == Status.LOST
    assert log.reason.startswith("unlocked by ")
    assert "at the command line of here" in log.reason


@pytest.mark.django_db
def test_unlock_warns_if_the_run_seems_alive(make_job, monkeypatch):
    hold(make_job(), 1)
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    assert "so recent that its run most likely goes on" in cron("unlock", "ok").err


@pytest.mark.django_db
def test_unlock_without_a_question(make_job):
    hold(make_job(name="stuck"), 1000)
    assert "It is unlocked" in cron("unlock", "stuck", "--yes").out
    assert cron("unlock", "stuck", "--yes").out == "stuck is not locked.\n"
    assert cron("unlock", "stuck", "--yes", "--json").json["unlocked"] is False


@pytest.mark.django_db
def test_unlock_spares_a_lock_that_is_newer(make_job, monkeypatch):
    hold(make_job(), 1000)
    monkeypatch.setattr(holding, "unlock", lambda job, by: False)
    said = cron("unlock", "ok", "--yes")
    assert said.code == 1
    assert "Another run has got the lock meanwhile" in said.err


# prune


@pytest.fixture
def old_logs(make_job):
    """Of one job, a log of now and five that are 10 to 50 days old."""
    job, now = make_job(), clock.now("default")
    for number in range(6):
        created = now - timedelta(days=10 * number)
        job.logs.create(fence=number + 1, status=Status.FAILED, created=created, node="here")
    return job


@pytest.mark.django_db
def test_prune_deletes_by_age_and_by_number(old_logs):
    assert cron("prune", "--days", "35").out == "2 logs deleted.\n"
    assert cron("prune", "--days", "35", "--keep", "3").out == "1 log deleted.\n"
    assert cron("prune", "--keep", "1", "--json").json == {"deleted": 2}
    assert old_logs.logs.count() == 1


@pytest.mark.django_db
def test_prune_does_what_the_settings_say_unless_it_is_told_otherwise(old_logs, settings):
    settings.CRONKITE_LOG_MAX_PER_JOB = 4
    assert cron("prune", "--days", "45").out == "1 log deleted.\n"
    assert cron("prune").out == "1 log deleted.\n"
    assert cron("prune").out == "0 logs deleted.\n"


@pytest.mark.django_db
@pytest.mark.django_db
def test_prune_ends_logs_that_say_running_of_runs_that_hold_no_lock(make_job, settings):
    settings.CRONKITE_LOG_MAX_DAYS = 1
    for name in ("one", "other"):
        holding.finish(claiming.claim_by_hand(make_job(name=name), "node"), Outcome(Status.SUCCEEDED))
    Log.objects.filter(job_name="one").update(status=Status.RUNNING)
    assert cron("prune", "--lost").out == "1 run marked as lost.\n"
    assert cron("prune", "--lost", "--json").json == {"lost": 0}
    assert sorted(Log.objects.values_list("status", flat=True)) == [Status.LOST, Status.SUCCEEDED]


def test_prune_tells_how_far_it_is(old_logs, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 1)
    monkeypatch.setattr(prune, "BATCHES", 2)
    said = cron("prune", "--keep", "1")
    assert said.err == "2 logs deleted so far …\n4 logs deleted so far …\n"
    assert said.out == "5 logs deleted.\n"


@pytest.mark.django_db
def test_prune_wants_to_know_what_is_to_go(old_logs):
    said = cron("prune")
    assert said.code == 1
    assert "Add --days or --keep" in said.err
    for wrong in ("-1", "1.5", "many"):
        assert "it must be a whole number" in cron("prune", "--days", wrong).err
    assert old_logs.logs.count() == 6


# All of them


@pytest.mark.django_db
def test_nothing_that_a_job_is_called_moves_the_cursor(make_job):
    job = make_job("app.jobs.fail", name="evil\x1b[2J\nname", due=0)
    ticks.tick(workers=0)
    for command in (("list",), ("why", str(job.pk), "03:00"), ("unlock", str(job.pk)), ("health",)):
        said = cron(*command)
        assert "\x1b" not in said.out + said.err
        assert "evil" not in said.out or "evil\\x1b[2J\\nname" in said.out


@pytest.mark.django_db
def test_at_a_terminal_there_are_colours(make_job, monkeypatch):
    make_job().run()
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in cron("list", out=Terminal()).out
    assert "\x1b[" not in cron("list", "--no-color", out=Terminal()).out


@pytest.mark.django_db(transaction=True)
def test_the_commands_work_as_real_processes(make_job):
    job = make_job(name="nightly", due=0)
    assert run_cron("--workers", "1") == ""
    assert "nightly" in run_cron("list")
    assert "succeeded" in run_cron("why", "nightly", time_of(Log.objects.get().slot))
    assert run_cron("health").startswith("CRON OK")
    make_due(job)
    run_cron("run", "nightly")
    assert Log.objects.count() == 2


# Where output goes


def ended(command, stdout, shell=()):
    """Give a command in a process of its own that has this stdout; return its code and what it wrote to stderr."""
    done = subprocess.run(
        [*shell, sys.executable, "manage.py", "cron", *command],
        cwd=HERE,
        env={**os.environ, "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"])},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stderr


#: Commands that tell in few words or in many, with their exit codes: as it is, and if that can't be told.
TELLING = pytest.mark.parametrize(
    ("command", "code", "untold"),
    [(["next", "@daily"], 0, 1), (["next", "* * * * *", "-n", "1000"], 0, 1), (["list"], 0, 1), (["health"], 2, 3)],
)


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@TELLING
def test_where_nobody_reads_any_more_nothing_is_said(command, code, untold, make_job):
    make_job()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(command, writing) == (code, "")
    finally:
        os.close(writing)


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@TELLING
def test_a_disk_that_is_full_is_told_of(command, code, untold, make_job):
    make_job()
    with open("/dev/full", "wb") as full:
        told = "CommandError: The output cannot be written: No space left on device.\n"
        assert ended(command, full) == (untold, told)


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@TELLING
def test_without_a_stdout_the_exit_code_is_all_there_is(command, code, untold, make_job):
    make_job()
    assert ended(command, None, ["sh", "-c", 'exec "$0" "$@" >&-']) == (code, "")


@pytest.mark.django_db
def test_nothing_that_is_said_moves_the_cursor(make_job):
    job = make_job(name="odd")
    log = Log.objects.create(
        job=job,
        job_name="odd",
        function=job.function,
        fence=1,
        created=clock.now(primary.alias()),
        status="strange\x1b[1m",
    )
    columns = {"function": "a\x1b[2Jb.c", "schedule": "0 3\x1b[0m * *", "timezone": "Mars\x07/X"}
    Job.objects.filter(pk=job.pk).write(**columns)
    for command in (["list"], ["why", str(job.pk)], ["why", str(job.pk), "now"], ["log", str(log.pk)], ["health"]):
        said = cron(*command)
        assert said.code in {0, 1, 2}, said.err
        text = (said.out + said.err).replace("\n", "")
        assert text.isprintable(), (command, text)
