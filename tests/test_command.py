"""``manage.py cron`` at the command line."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from nodes import cron, manage

from cronkite import requests, ticks
from cronkite.exceptions import DatabaseAway
from cronkite.models import Job, Log


def said(*arguments):
    out = StringIO()
    call_command("cron", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_a_tick_with_nothing_to_do_says_nothing_and_exits_with_0():
    """Whatever a cron job prints, cron sends by mail."""
    assert cron() == ""


@pytest.mark.django_db(transaction=True)
def test_a_failed_job_is_an_error_line_and_no_exit_code(make_job):
    make_job("app.jobs.fail", due=0)
    assert "it went wrong" in cron("--workers", "1", expect=0)


@pytest.mark.django_db
def test_a_dry_run_says_what_would_be_claimed_and_changes_nothing(make_job):
    make_job(name="nightly", due=0)
    make_job("app.jobs.note", name="often", schedule="0 * * * *", due=7 * 3600)
    make_job("app.jobs.not_there", due=0)
    make_job(name="too old", due=3600, grace=60)
    before = list(Job.objects.values())
    text = said("--dry-run")
    assert "nightly (app.jobs.ok): would run slot 20" in text
    assert "missed before it" in text
    assert "not_there (app.jobs.not_there): would not run. " in text
    assert "too old (app.jobs.ok): would not run, 1 missed before it (older than the grace of 60 s)" in text
    assert "4 due. Nothing was changed." in text
    assert list(Job.objects.values()) == before
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_a_dry_run_tells_of_requests(make_job):
    for job in (make_job(name="wanted"), make_job("app.jobs.not_there", name="lacking")):
        requests.ask(job, "anna")
    text = said("--dry-run")
    assert "wanted (app.jobs.ok): would run, asked for by anna\n" in text
    assert "lacking (app.jobs.not_there): would not run. " in text
    assert "2 asked for. Nothing was changed." in text


@pytest.mark.django_db
def test_a_dry_run_with_nothing_due_says_so():
    assert said("--dry-run") == "Nothing is due.\n"


@pytest.mark.django_db
def test_the_number_of_workers_is_the_settings_unless_given(monkeypatch, settings):
    seen = []
    monkeypatch.setattr(ticks, "tick", seen.append)
    monkeypatch.setattr(ticks, "loop", lambda workers, prepare: seen.append(workers))
    settings.CRONKITE_WORKERS = 7
    call_command("cron")
    call_command("cron", "loop")
    call_command("cron", workers=2)
    call_command("cron", workers=0)
    assert seen == [7, 7, 2, 0]


@pytest.mark.django_db
def test_a_database_that_is_out_of_reach_is_an_error_that_says_so(monkeypatch):
    def away(workers):
        raise DatabaseAway("The database is out of reach.")

    monkeypatch.setattr(ticks, "tick", away)
    with pytest.raises(CommandError, match="out of reach") as error:
        call_command("cron")
    assert error.value.returncode == 1


def test_missing_tables_are_an_error_that_says_what_to_do(tmp_path):
    done = manage("cron", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert done.returncode == 1
    assert "Has `manage.py migrate` been run?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_makes_no_sense_is_an_error(tmp_path):
    done = manage("cron", CRONKITE_TEST_LOCK_TIMEOUT="0.001", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert done.returncode == 1
    assert "CRONKITE_LOCK_TIMEOUT must be" in done.stderr


@pytest.mark.parametrize("arguments", [("--workers", "-1"), ("--workers", "many"), ("lop",), ("--nonsense",)])
def test_a_command_line_that_makes_no_sense_exits_with_2(arguments):
    done = manage("cron", *arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_help_tells_of_the_modes_and_the_exit_codes():
    done = manage("cron", "--help")
    assert done.returncode == 0
    for words in ("manage.py cron loop", "exit codes:", "--workers N", "--dry-run", "* * * * *"):
        assert words in done.stdout


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("debug", ["0", "1"])
def test_debug_changes_nothing(make_job, debug):
    make_job(due=0)
    assert cron("--workers", "1", CRONKITE_TEST_DEBUG=debug) == ""
    assert Log.objects.get().status == Log.Status.SUCCEEDED
