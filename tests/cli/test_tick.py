"""``manage.py cron`` at the command line."""

from __future__ import annotations

import logging
import re
import sys
from datetime import timedelta
from io import StringIO

import pytest
from conftest import hourly
from django.core.management import CommandError, call_command
from django.db import OperationalError
from nodes import cron, manage

from cronkite import requests
from cronkite.cli import loop
from cronkite.code.declarations import Declaration
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.exceptions import DatabaseAway
from cronkite.models import Job, Log
from cronkite.nodes import agenda, greeting, ticks


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
    make_job("app.jobs.note", name="often", schedule=hourly(), due=7 * 3600)
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
    monkeypatch.setattr(ticks, "loop", lambda workers, *_: seen.append(workers))
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


# What it says.


def test_the_help_of_a_loop_says_how_often_it_looks():
    assert f"every {agenda.POLL:.0f} seconds" in " ".join(loop.__doc__.split())


def complaining(settings):
    """Have a system check of the project's own fail, and another one warn."""
    settings.ROOT_URLCONF = "no_such_urls"
    settings.CRONKITE_LOCK_TIMEOUT = 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("arguments", [(), ("list",), ("health",), ("--dry-run",)])
def test_only_our_own_checks_are_run_and_their_warnings_are_not_printed(settings, make_job, arguments):
    make_job(due=0)
    ticks.tick(workers=0)
    complaining(settings)
    err = StringIO()
    call_command("cron", *arguments, workers=0, skip_checks=False, stdout=StringIO(), stderr=err)
    assert err.getvalue() == ""


@pytest.mark.django_db
def test_an_error_of_our_own_checks_stops_a_tick(settings, monkeypatch):
    monkeypatch.setattr(ticks, "tick", lambda workers: pytest.fail("It ticked."))
    settings.CRONKITE_WORKRES = 3
    with pytest.raises(CommandError, match=r"(?s)There is no setting CRONKITE_WORKRES.*HINT: Write CRONKITE_WORKERS"):
        call_command("cron", skip_checks=False)


@pytest.mark.django_db(transaction=True)
def test_a_loop_warns_and_says_who_it_is_once_and_what_comes_next(settings, monkeypatch, make_job):
    complaining(settings)
    settings.CRONKITE_NODE = "web-1"
    monkeypatch.setattr(ticks, "_work", lambda *_: None)
    job = make_job(name="nightly", schedule="0 3 * * *")
    said = spoken("loop", skip_checks=False, workers=0)
    assert said.count("(cronkite.W001)") == 1
    assert "HINT: Write CRONKITE_LOCK_TIMEOUT" in said
    assert "Node web-1 ticks. It is django-cronkite" in said
    assert f"1 job, 1 enabled. Next: 'nightly' at {job.next_run:%Y-%m-%d %H:%M:%S} UTC, in " in said
    assert "Node" not in spoken("loop", workers=0, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_a_loop_warns_of_what_is_declared_once_it_has_looked_at_that(settings, monkeypatch):
    declared = [
        Declaration("app.jobs.ok", "ok", "", "0 */5 * * * *"),
        Declaration("app.jobs.fail", "fail", "", "@daily", timezone="Mars/Olympus"),
        Declaration("shop.crontab.send", "send", "", "@daily"),
        *(Declaration(f"app.jobs.{name}", name, "", "@daily") for name in ("bill", "Bill")),
    ]
    monkeypatch.setattr(discovery, "declared_by_apps", lambda: declared)
    monkeypatch.setattr(ticks, "_work", lambda *_: None)
    said = spoken("loop", workers=0)
    assert re.findall(r"\(cronkite\.(W\d+)\)", said) == ["W003", "W007", "W008", "W009"]
    settings.SILENCED_SYSTEM_CHECKS = ["cronkite.W007"]
    assert "W007" not in spoken("loop", workers=0)


@pytest.mark.django_db(transaction=True)
def test_a_loop_tells_of_no_jobs_and_of_one_that_somebody_asked_for(monkeypatch, make_job):
    monkeypatch.setattr(ticks, "_work", lambda *_: None)
    assert "There are no jobs yet" in spoken("loop", workers=0)
    job = make_job(name="off")
    Job.objects.update(enabled=False)
    assert "1 job, 0 enabled. Nothing is to come." in spoken("loop", workers=0)
    job.refresh_from_db()
    requests.ask(job, "anna")
    assert "Next: 'off', asked for by anna." in spoken("loop", workers=0)


@pytest.mark.django_db(transaction=True)
def test_a_loop_starts_although_the_database_tells_nothing_of_jobs(monkeypatch):
    def away(*arguments, **keywords):
        raise OperationalError("it is away")

    worked = []
    monkeypatch.setattr(greeting, "_jobs", away)
    monkeypatch.setattr(ticks, "_work", lambda *arguments: worked.append(1))
    assert "The database does not tell of jobs: it is away" in spoken("loop", workers=0)
    assert worked


def spoken(*arguments, **options):
    err = StringIO()
    call_command("cron", *arguments, stderr=err, **options)
    return err.getvalue()


@pytest.mark.django_db(transaction=True)
def test_verbosity_tells_what_is_claimed_run_and_waited_for(make_job):
    job = make_job(name="nightly", due=0)
    said = spoken(workers=0, verbosity=2)
    assert f"job 'nightly' (app.jobs.ok), slot {job.next_run:%Y-%m-%d %H:%M:%S} UTC: claimed by node" in said
    assert "succeeded." in said
    assert spoken(workers=0, verbosity=2) == "Nothing is due.\n"
    assert spoken(workers=0) == ""
    assert re.match(r"\d{4}-\d\d-\d\d .* \[\d+\] Nothing is due\.$", spoken(workers=0, verbosity=3))


@pytest.mark.django_db(transaction=True)
def test_verbosity_tells_of_a_slot_that_is_waited_for(make_job, settings):
    settings.CRONKITE_LOOKAHEAD = 10
    # The tick looks before it comes, also on a busy machine.
    soon = f"{clock.now('default') + timedelta(seconds=6):%Y-%m-%dT%H:%M:%S}"
    make_job(name="soon", schedule=f"@at {soon}Z")
    said = spoken(workers=0, verbosity=2)
    assert f"Waits for job 'soon', whose slot is {soon.replace('T', ' ')} UTC" in said


@pytest.mark.django_db(transaction=True)
def test_verbosity_reaches_the_workers(make_job):
    make_job(name="nightly", due=0)
    said = cron("--workers", "1", "-v", "2")
    assert said.count("claimed by node") == said.count("succeeded.") == 1
    assert "Waits for the end of job 'nightly'" in said


@pytest.fixture
def project_handler(monkeypatch):
    """A handler of the project's at the terminal, for INFO, and one that mails all that it gets."""
    logger, terminal, mailed = logging.getLogger("cronkite"), StringIO(), []
    console, mail = logging.StreamHandler(terminal), logging.Handler()
    mail.emit = mailed.append
    monkeypatch.setattr(logger, "handlers", [console, mail])
    level = logger.level
    yield logger, terminal, mailed
    logger.setLevel(level)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_verbosity_says_nothing_twice_and_mails_nothing_that_was_not_mailed(
    make_job, project_handler, level, monkeypatch
):
    logger, terminal, mailed = project_handler
    logger.setLevel(level)
    make_job(name="nightly", due=0)
    monkeypatch.setattr(sys, "stderr", terminal)
    said = spoken(workers=0, verbosity=2)
    assert (said + terminal.getvalue()).count("claimed by node") == 1
    assert ("claimed by node" in said) == (level == logging.WARNING)
    assert {record.levelno for record in mailed} <= {logging.INFO, logging.WARNING}
    assert bool(mailed) == (level == logging.INFO)
    assert (logger.level, len(logger.handlers), [handler.filters for handler in logger.handlers]) == (
        level,
        2,
        [[], []],
    )


# A database that fails.


@pytest.mark.parametrize("arguments", [("list",), ("why", "x", "03:00"), ("health",), ("sync",)])
def test_a_refused_connection_is_not_answered_with_migrate(tmp_path, arguments):
    done = manage("cron", *arguments, DATABASE_URL=f"sqlite:///{tmp_path}/no/such/folder/db.sqlite3")
    said = done.stdout + done.stderr
    assert done.returncode == (3 if arguments == ("health",) else 1)
    assert "migrate" not in said
    assert "DATABASES['default'] in the settings says how to reach it" in said
    assert "Traceback" not in said
