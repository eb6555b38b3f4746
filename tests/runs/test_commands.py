"""What management commands do to their runs."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from django.test import override_settings
from nodes import cron

from cronkite import commands
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status
CALL = "cronkite.commands.call"


def run(make_job, *args, workers=1, **columns):
    """Have a node run the command once; return the log."""
    job = make_job(CALL, due=0, args=list(args), **columns)
    printed = cron("--workers", str(workers))
    log = Log.objects.get(job=job)
    log.printed = printed
    job.refresh_from_db()
    assert job.lock is None, "the lock was not freed"
    return log


@pytest.mark.parametrize("workers", [0, 1])
def test_a_command_gets_its_arguments_and_what_it_writes_and_returns_is_kept(make_job, workers):
    log = run(make_job, "report", "--days", "3", "north", "--database=other", workers=workers)
    assert (log.status, log.reason, log.exc_info) == (Status.SUCCEEDED, "", "")
    # What it returns is written, too, as Django does; system checks are skipped, as by call_command().
    assert sorted(log.output.splitlines()) == sorted(
        ["3 days of north", "a warning", "printed other True", "all is reported"]
    )
    assert log.result == "all is reported"
    assert log.what == "manage.py report"


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("none", Status.SUCCEEDED, ""),
        ("zero", Status.SUCCEEDED, ""),
        ("three", Status.FAILED, "it exited with code 3"),
        ("text", Status.FAILED, "it exited with code 1: no disk"),
        ("fail", Status.FAILED, "the bank is closed"),
        ("fail-with-code", Status.FAILED, "the bank is closed (exit code 7)"),
        ("fail-with-code-alone", Status.FAILED, "it exited with code 6"),
        ("fail-with-nothing", Status.FAILED, "it exited with code 1"),
        ("raise", Status.FAILED, ""),
        ("fork", Status.FAILED, "it exited with code 5"),
    ],
)
def test_how_a_command_exits_is_how_the_run_ended(make_job, how, status, reason):
    log = run(make_job, "leave", how)
    assert (log.status, log.reason) == (status, reason)
    assert log.output.startswith("begun\n")
    assert ("a child" in log.output) is (how == "fork")
    assert bool(log.exc_info) is (status == Status.FAILED)
    assert ("job 'call' (manage.py leave), slot" in log.printed) is (status == Status.FAILED)
    assert reason in log.printed


def test_a_command_that_ends_its_process_costs_only_this_run(make_job):
    log = run(make_job, "leave", "hard")
    assert (log.status, log.reason) == (Status.LOST, "its process exited with code 4")


def test_a_command_that_takes_the_signal_for_its_own_is_ended_by_its_timeout(make_job):
    log = run(make_job, "leave", "deaf", timeout=5)
    assert (log.status, log.output) == (Status.TIMED_OUT, "begun\n")
    assert log.reason.startswith("it took longer than its timeout of 5 s")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["migrate"], "The command 'migrate' is refused: it is one of Django's own."),
        (["cron"], "The command 'cron' is refused"),
        (["nothing"], "There is no management command 'nothing' on this node."),
        # Another node may have what it needs, or newer code.
        (["wreck"], "The command 'wreck' cannot be imported here: LookupError: this command is broken"),
    ],
)
def test_a_command_that_may_not_run_here_is_not_claimed_and_the_log_of_its_slot_says_why(make_job, args, said):
    # It was allowed, or there, when it was saved.
    job = make_job(CALL, due=600, args=args, grace=60)
    printed = cron("--workers", "1")
    assert said in printed
    log = Log.objects.get(job=job)
    assert (log.status, log.missed > 0 or log.slot is not None) == (Status.MISSED, True)
    assert said.rstrip(".") in log.reason


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["report"], "the following arguments are required: region"),
        (["report", "--help"], "only shows something"),
        (["slow"], "The command 'slow' cannot be run: its handle() is async"),
    ],
)
def test_a_command_that_cannot_be_called_so_fails_with_the_reason(make_job, args, said):
    log = run(make_job, *args)
    assert log.status == Status.FAILED
    assert said in log.reason
    assert log.output == ""


def test_a_name_with_a_hyphen_is_a_name(make_job):
    log = run(make_job, "send-mail", "one", "kim")
    assert (log.status, log.output) == (Status.SUCCEEDED, "sent to one\n")


def test_a_job_is_run_by_hand_too_and_raises_what_its_command_raises():
    job = Job.objects.create(name="Report", function=CALL, args=["report", "north"], schedule="@daily")
    assert job.run() == "all is reported"
    assert job.what == "manage.py report"
    job = Job.objects.create(name="Leave", function=CALL, args=["leave", "fail"], schedule="@daily")
    with pytest.raises(CommandError, match="the bank is closed"):
        job.run()


def test_colours_are_off_unless_they_are_asked_for(capsys, monkeypatch):
    monkeypatch.setattr("django.core.management.color.supports_color", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    commands.call("report", "north")
    assert "1 days of north\n" in capsys.readouterr().out
    commands.call("report", "north", "--force-color")
    assert "\x1b[" in capsys.readouterr().out


def test_what_may_run_is_asked_when_it_runs():
    with pytest.raises(CommandError, match="refused"):
        commands.call("flush", "--no-input")
    with override_settings(CRONKITE_ALLOWED_COMMANDS=["check"]):
        commands.call("check")
