"""Management commands are offered in the admin by name, and entered as at a command line."""

from __future__ import annotations

import json
import re

import pytest
from admin_pages import JOBS, LOGS, PREVIEW, act, change, entry, errors, make_log
from django.utils.html import escape

from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db
CALL = "cronkite.commands.call"


def options(page):
    listed = re.search(r'<datalist id="id_function_list">(.*?)</datalist>', page, re.DOTALL)[1]
    return re.findall(r'<option value="([^"]*)"', listed)


def stored():
    job = Job.objects.get()
    return job.function, job.args, job.kwargs


def test_commands_that_may_be_jobs_are_offered_by_name(admin_client, settings):
    offered = options(admin_client.get(f"{JOBS}add/").content.decode())
    assert {"manage.py report", "manage.py clearsessions", "manage.py send-mail"} <= {*offered}
    assert not {"manage.py migrate", "manage.py cron", CALL} & {*offered}
    settings.CRONKITE_ALLOWED_COMMANDS = ["check"]
    assert [each for each in options(admin_client.get(f"{JOBS}add/").content.decode()) if " " in each] == [
        "manage.py check"
    ]


@pytest.mark.parametrize(
    ("function", "args", "kept"),
    [
        ("manage.py clearsessions", "[]", ["clearsessions"]),
        ("manage.py report", '["north", "--days", "3"]', ["report", "north", "--days", "3"]),
        ("manage.py report --days 3", '["north"]', ["report", "--days", "3", "north"]),
        ("manage.py report north --database '>'", "", ["report", "north", "--database", ">"]),
        ("manage.py report north --database 'the other'", "", ["report", "north", "--database", "the other"]),
        ("venv/bin/python3 manage.py report north", "[]", ["report", "north"]),
        (CALL, '["report", "north"]', ["report", "north"]),
    ],
)
def test_a_command_is_entered(admin_client, function, args, kept):
    response = admin_client.post(f"{JOBS}add/", entry(function=function, args=args))
    assert response.status_code == 302, errors(response)
    assert stored() == (CALL, kept, {})


@pytest.mark.parametrize(
    ("function", "args", "culprit", "said"),
    [
        ("manage.py report", "[]", "args", "the following arguments are required: region."),
        ("manage.py report north --dayz 3", "[]", "args", "unrecognized arguments: --dayz 3."),
        ("manage.py report --help", "[]", "args", "leave out --help and --version."),
        ("manage.py migrate", "[]", "args", "The command 'migrate' is refused: it is one of Django's own."),
        ("manage.py cron", "[]", "args", "The command 'cron' is refused"),
        ("manage.py nothing", "[]", "args", "There is no management command 'nothing' on this node."),
        ("manage.py wreck", "[]", "args", "The command 'wreck' cannot be imported here: LookupError"),
        ("manage.py report north > x", "[]", "function", "leave that out, or put it in quotes if it is an argument."),
        ("manage.py report north && ls", "[]", "function", "No shell reads it, which '&' would be for"),
        ("manage.py report $REGION", "[]", "function", "No shell reads it, which '$' would be for"),
        ("manage.py 'report", "[]", "function", "It cannot be read: No closing quotation."),
        ("manage.py", "[]", "function", 'as in ["clearsessions", "--option"].'),
        ("report", "[]", "function", 'as in ["report", "--option"].'),
        ("django-admin report", "[]", "function", 'as in ["report", "--option"].'),
        (CALL, "[]", "args", "Name the command, and then its arguments"),
        (CALL, "[1]", "args", 'write "1", with quotation marks.'),
    ],
)
def test_what_a_command_does_not_take_is_refused_at_the_field(admin_client, function, args, culprit, said):
    found = errors(admin_client.post(f"{JOBS}add/", entry(function=function, args=args)))
    assert [*found] == [culprit]
    assert said in found[culprit][0]
    assert not Job.objects.exists()


def test_keyword_arguments_of_a_command_are_refused_with_what_to_write(admin_client):
    data = entry(function="manage.py report", args='["north"]', kwargs='{"days": 3}')
    (message,) = errors(admin_client.post(f"{JOBS}add/", data)).pop("kwargs")
    assert '["report", "--days", "..."]' in message


@pytest.mark.parametrize(("function", "args"), [("manage.py 'report", "[]"), ("manage.py report", "[")])
def test_what_cannot_be_read_is_shown_again_with_the_errors(admin_client, function, args):
    response = admin_client.post(f"{JOBS}add/", entry(function=function, args=args))
    assert "function" in errors(response)
    assert escape(function) in response.content.decode()


def test_another_command_takes_the_place_of_the_one_before(admin_client, make_job):
    job = make_job(CALL, args=["report", "north"], schedule="0 3 * * *")
    shown = {"initial-function": CALL, "initial-args": json.dumps(job.args), "initial-kwargs": "{}"}
    data = entry(name=job.name, function="manage.py leave", args='["report", "zero"]')
    response = admin_client.post(change(job), data | shown)
    assert response.status_code == 302, errors(response)
    assert stored() == (CALL, ["leave", "zero"], {})


def test_a_whole_line_takes_the_place_of_all_the_arguments_before(admin_client, make_job):
    job = make_job(CALL, args=["report", "north", "--days", "3"], schedule="0 3 * * *")
    shown = {"initial-function": CALL, "initial-args": json.dumps(job.args), "initial-kwargs": "{}"}
    data = entry(name=job.name, function="manage.py report south", args=json.dumps(job.args))
    response = admin_client.post(change(job), data | shown)
    assert response.status_code == 302, errors(response)
    assert stored() == (CALL, ["report", "south"], {})


def test_a_function_takes_the_place_of_a_command(admin_client, make_job):
    job = make_job(CALL, args=["report", "north"], schedule="0 3 * * *")
    data = entry(name=job.name, function="app.jobs.ok", args="[]")
    assert admin_client.post(change(job), data).status_code == 302
    assert stored() == ("app.jobs.ok", [], {})


def test_pages_say_which_command_it_is(admin_client, make_job):
    job = make_job(CALL, args=["report", "north"])
    assert "manage<wbr>" not in (page := admin_client.get(JOBS).content.decode())
    assert "manage.<wbr>py report" in page
    assert "manage.py report {north,south}" in re.sub(
        r"\[--\w+ \w+\] ", "", admin_client.get(change(job)).content.decode()
    )
    log = make_log(job, status=Log.Status.FAILED, args=job.args, kwargs={}, exc_info="CommandError: x")
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    assert "manage.py report" in page
    asked = admin_client.post(JOBS, {"action": "run", "_selected_action": [job.pk]}).content.decode()
    assert "manage.py report north" in asked


def test_a_job_is_found_by_its_command(admin_client, make_job):
    make_job(CALL, args=["report", "north"], name="Regions")
    make_job(CALL, args=["clearsessions"], name="Nightly")
    page = admin_client.get(f"{JOBS}?q=clearsess")
    assert [job.name for job in page.context["cl"].result_list] == ["Nightly"]


def test_a_log_of_another_command_says_so(admin_client, make_job):
    job = make_job(CALL, args=["report", "north"])
    log = make_log(job, status=Log.Status.FAILED, args=["leave", "three"], kwargs={})
    page = admin_client.get(f"{LOGS}{log.pk}/again/").content.decode()
    assert "That run called manage.py leave" in page


def test_a_command_that_cannot_run_here_is_found_and_told_of(admin_client, make_job):
    sound = make_job(CALL, args=["report", "north"], name="sound")
    make_job(CALL, args=["migrate"], name="refused")
    make_job(CALL, args=["nothing"], name="gone")
    page = admin_client.get(f"{JOBS}?state=missing")
    assert [job.name for job in page.context["cl"].result_list] == ["gone", "refused"]
    assert escape("it is one of Django's own") in page.content.decode()
    act(admin_client, "run", sound)
    assert Job.objects.get(name="sound").is_asked


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"function": "manage.py report", "args": "[]"}, "the following arguments are required: region"),
        ({"function": "manage.py report north", "args": "[]"}, "Report what was sold."),
        ({"function": "manage.py migrate", "args": "[]"}, "is refused"),
        ({"function": CALL, "args": '["report", "east"]'}, "invalid choice"),
        ({"function": CALL, "args": "[]"}, "Name the command"),
        ({"function": CALL, "args": '["rep'}, "This must be a JSON list"),
        ({"function": "manage.py leave zero", "args": '["report"]', "command": "report"}, "manage.py leave how"),
    ],
)
def test_the_preview_tells_what_a_command_takes(admin_client, asked, said):
    answer = admin_client.get(PREVIEW, {"kwargs": "{}", "schedule": "@daily", **asked}).json()
    assert said in answer["takes"]


def test_who_may_only_run_jobs_runs_no_other_command(login, make_job):
    job = make_job(CALL, args=["report", "north"])
    client = login("view_job", "run_job")
    once = f"{JOBS}{job.pk}/once/"
    found = client.post(once, {"args": '["leave", "zero"]', "kwargs": "{}"})
    assert "The command stays what it is, report" in found.content.decode()
    assert not Job.objects.get().is_asked
    client.post(once, {"args": '["report", "south"]', "kwargs": "{}"})
    job = Job.objects.get()
    assert (job.is_asked, job.call) == (True, (["report", "south"], {}))


def test_a_job_whose_command_is_gone_can_be_disabled(admin_client, make_job):
    job = make_job(CALL, args=["nothing"], schedule="0 3 * * *")
    shown = {"initial-function": CALL, "initial-args": '["nothing"]', "initial-kwargs": "{}", "initial-enabled": "on"}
    data = entry(name=job.name, function=CALL, args='["nothing"]') | shown
    del data["enabled"]
    assert admin_client.post(change(job), data).status_code == 302
    assert not Job.objects.get().enabled
