"""Management commands that code declares as jobs."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from terminals import cron

import cronkite
from cronkite.checks import declared_checks, job_checks
from cronkite.code import declarations
from cronkite.commands import call
from cronkite.declared import discovery
from cronkite.models import Job

CALL = "cronkite.commands.call"


@pytest.fixture
def declare(monkeypatch):
    """Return a function that declares a command in the app's module ``crontab``."""
    monkeypatch.setattr(declarations, "_declared", {})
    module = ModuleType("app.crontab")
    monkeypatch.setitem(sys.modules, "app.crontab", module)

    def write(*args, **options):
        module.call = cronkite.cron("0 3 * * *", args=[*args], **options)(call)

    return write


@pytest.mark.django_db
def test_a_declared_command_is_a_job_that_goes_by_its_name(declare):
    declare("report", "north", timeout=60)
    discovery.auto_discover("app.crontab")
    job = Job.objects.get()
    assert (job.name, job.function, job.args, job.description) == ("report", CALL, ["report", "north"], "")
    assert (job.declared_as, job.timeout, job.what) == (CALL, 60, "manage.py report")


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [
        ([], {}, "cronkite.commands.call cannot be declared so. Name the command"),
        (["report", 3], {}, 'write "3", with quotation marks'),
        (["report"], {"kwargs": {"days": 3}}, '["report", "--days", "..."]'),
    ],
)
def test_what_is_no_command_line_is_refused_where_it_is_declared(declare, args, options, said):
    with pytest.raises(ValueError, match="cannot be declared so") as caught:
        declare(*args, **options)
    assert said in str(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["migrate"], "The command 'migrate' is refused: it is one of Django's own."),
        (["cron", "prune"], "The command 'cron' is refused"),
        (["nothing"], "There is no management command 'nothing' on this node."),
    ],
)
def test_a_command_that_may_not_be_a_job_is_told_of_by_check_and_sync(declare, monkeypatch, caplog, args, said):
    declare(*args)
    monkeypatch.setattr(discovery, "declared_by_apps", declarations.all_by_cron)
    (message,) = [each for each in declared_checks.messages() if each.id == "cronkite.W009"]
    assert message.msg == f"1 declared job may not be run: manage.py {args[0]}."
    assert said in message.hint
    discovery.auto_discover("app.crontab")
    assert not Job.objects.exists()
    assert f"manage.py {args[0]} is declared as a job, but can't be one: {said}" in caplog.text


@pytest.mark.django_db
def test_arguments_that_a_declared_command_does_not_take_are_told_of_by_check(declare, monkeypatch):
    declare("report", "--dayz", "3")
    monkeypatch.setattr(discovery, "declared_by_apps", declarations.all_by_cron)
    (message,) = [each for each in declared_checks.messages() if each.id == "cronkite.W009"]
    assert "The arguments do not fit the command 'report'" in message.hint


@pytest.mark.django_db
def test_check_tells_of_enabled_jobs_whose_commands_may_not_run(make_job, settings):
    make_job(CALL, args=["report", "north"], name="a")
    make_job(CALL, args=["migrate"], name="b")
    make_job(CALL, args=["nothing"], name="c")
    make_job(CALL, args=["flush"], name="d", enabled=False)
    (message,) = job_checks.check_enabled_jobs(databases=["default"])
    assert message.msg == "2 enabled jobs may not be run: manage.py migrate, manage.py nothing."
    settings.CRONKITE_ALLOWED_COMMANDS = ["report", "migrate"]
    Job.objects.filter(name="c").delete()
    assert job_checks.check_enabled_jobs(databases=["default"]) == []


@pytest.mark.django_db
def test_save_refuses_a_command_that_may_not_be_a_job_and_keeps_what_was_there(make_job):
    from cronkite.exceptions import FunctionNotAllowed

    with pytest.raises(FunctionNotAllowed, match="Django's own"):
        Job.objects.create(name="x", function=CALL, args=["migrate"], schedule="@daily")
    job = make_job(CALL, args=["migrate"])
    job.args = ["migrate", "--plan"]
    job.save()
    job.args = ["flush"]
    with pytest.raises(FunctionNotAllowed, match="'flush' is refused"):
        job.save(update_fields=["args"])
    job.args = ["report", "north"]
    job.save()
    assert Job.objects.get().args == ["report", "north"]


@pytest.mark.django_db
def test_commands_at_the_terminal_say_which_command_it_is_and_why_it_does_not_run(make_job):
    make_job(CALL, args=["report", "north"], name="Sales")
    make_job(CALL, args=["migrate"], name="Tables", due=60)
    _, sales, tables = cron("list").lines
    assert "Sales: manage.py report" in sales
    assert "cannot run on this machine: The command 'migrate' is refused" in tables
    assert cron("why", "Sales", "now").lines[0].startswith("Sales (manage.py report): ")
    said = cron("why", "Tables").out
    assert "It cannot run on this machine: The command 'migrate' is refused" in said
    assert "Its command cannot be run here. The command 'migrate' is refused" in said
    assert "would not run. The command 'migrate' is refused" in cron("--dry-run").out
    assert "The command 'migrate' is refused" in cron("run", "Tables").err
    assert "It cannot be run here, but perhaps on other nodes. The command" in cron("enable", "Tables").err
    assert [each["what"] for each in cron("list", "--json").json] == ["manage.py report", "manage.py migrate"]


@pytest.mark.django_db
def test_a_job_is_found_by_its_command(make_job):
    make_job(CALL, args=["report", "north"], name="Regions")
    make_job("app.jobs.ok", args=["report"], name="other")
    assert len(cron("list", "report").lines) == 2
    assert cron("why", "report").lines[0].startswith("Regions (manage.py report): ")


@pytest.mark.django_db
def test_a_log_says_which_command_ran(make_job):
    job = make_job(CALL, args=["leave", "three"], name="Leave")
    said = cron("run", "Leave")
    assert said.code == 1
    (log,) = job.logs.all()
    assert "it exited with code 3" in cron("log", str(log.pk)).out
    assert cron("log", str(log.pk)).lines[0] == "Leave (manage.py leave): failed"


@pytest.mark.django_db
def test_a_request_that_cannot_be_run_here_counts_as_that(make_job, settings):
    from cronkite import requests

    job = make_job(CALL, args=["migrate"], name="Tables")
    requests.ask(job, "kim")
    assert "The command 'migrate' is refused" in cron("--dry-run").out
