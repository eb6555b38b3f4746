"""Which management commands may be jobs. No database."""

from __future__ import annotations

import sys

import pytest
from django.core import management
from django.test import override_settings

from cronkite.code import commands, functions
from cronkite.exceptions import FunctionNotAllowed, FunctionNotFound

pytestmark = pytest.mark.once


def test_commands_of_installed_apps_may_be_jobs_and_of_djangos_own_only_the_one_for_sessions():
    assert set(commands.names()) == {
        *[
            "bare",
            "fickle",
            "leave",
            "race_alerts",
            "report",
            "send-mail",
            "slow",
            "wreck",
        ],  # of the test project's app
        *["db_worker", "prune_db_task_results"],  # of django-tasks-db
        "clearsessions",
    }
    for name in commands.names():
        commands.demand(name)


def test_to_offer_commands_imports_none_of_them(monkeypatch):
    every = [f"app.management.commands.{name}" for name in commands.names()]
    for module in every:
        monkeypatch.delitem(sys.modules, module, raising=False)
    management.get_commands.cache_clear()
    assert "wreck" in commands.names()
    assert not [module for module in every if module in sys.modules]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("migrate", "The command 'migrate' is refused: it is one of Django's own. If it may be run as a job, allow it"),
        ("shell", "it is one of Django's own"),
        ("createsuperuser", "it is one of Django's own"),
        ("sendtestemail", "it is one of Django's own"),
        ("cron", "The command 'cron' is refused: it is what runs the jobs, and can't be one of them."),
    ],
)
def test_others_are_refused_with_the_reason(name, reason):
    with pytest.raises(FunctionNotAllowed) as caught:
        commands.demand(name)
    assert reason in str(caught.value)
    assert commands.refusal(name) == str(caught.value)


def test_a_command_that_takes_the_place_of_one_of_djangos_is_taken_for_that():
    assert management.get_commands()["sendtestemail"] == "app"
    assert "sendtestemail" not in commands.names()
    with override_settings(CRONKITE_ALLOWED_COMMANDS=["INSTALLED_APPS", "sendtestemail"]):
        commands.demand("sendtestemail")


def test_a_command_that_is_not_there_is_not_found_and_the_nearest_is_named():
    with pytest.raises(FunctionNotFound) as caught:
        commands.demand("clearsession")
    assert str(caught.value) == (
        "There is no management command 'clearsession' on this node. Did you mean 'clearsessions'?"
    )
    with pytest.raises(FunctionNotFound, match=r"'xxxxx*' on this node\.$"):
        commands.demand("x" * 500)


@pytest.mark.parametrize("name", ["check", "migrate", "sendtestemail"])
def test_who_does_what_a_refusal_says_allows_that_command_and_loses_no_other(name):
    for before in (None, ["INSTALLED_APPS"], ["INSTALLED_APPS", "dump*"]):
        with override_settings(CRONKITE_ALLOWED_COMMANDS=before):
            line = commands.refusal(name).rpartition("too: ")[2].removesuffix(".")
        written = {}
        exec(line, written)
        with override_settings(CRONKITE_ALLOWED_COMMANDS=written["CRONKITE_ALLOWED_COMMANDS"]):
            assert not commands.refusal(name)
            assert not commands.refusal("report")
            assert commands.refusal("flush")


def test_a_list_alone_narrows_what_may_run():
    with override_settings(CRONKITE_ALLOWED_COMMANDS=["rep*"]):
        assert commands.names() == ["report"]
        assert commands.refusal("leave") == (
            "The command 'leave' is refused: nothing in CRONKITE_ALLOWED_COMMANDS matches it. Add the name there if it "
            'may be run as a job. To allow those of installed apps beside it, add "INSTALLED_APPS".'
        )
        assert commands.refusal("migrate").endswith("if it may be run as a job.")
    with override_settings(CRONKITE_ALLOWED_COMMANDS=[]):
        assert commands.names() == []


@override_settings(CRONKITE_ALLOWED_COMMANDS=["*"])
def test_no_list_makes_a_tick_a_job():
    assert "migrate" in commands.names()
    assert "cron" not in commands.names()
    assert "can't be one of them" in commands.refusal("cron")


def test_the_function_is_found_by_the_commands_name_beside_its_own():
    from cronkite.commands import call

    assert functions.resolve(commands.CALL) is call
    assert functions.resolve(f"{commands.CALL} report") is call
    assert functions.look_up(f"{commands.CALL} wreck") is call, "it was imported"
    with pytest.raises(FunctionNotFound, match="The command 'wreck' cannot be imported here: LookupError"):
        functions.resolve(f"{commands.CALL} wreck")
    with pytest.raises(FunctionNotAllowed, match="Django's own"):
        functions.resolve(f"{commands.CALL} migrate")
    with pytest.raises(FunctionNotFound, match="no management command 'nothing'"):
        functions.look_up(f"{commands.CALL} nothing")
    with pytest.raises(FunctionNotAllowed, match="no dotted name"):
        functions.resolve("app.targets.add report")


@override_settings(CRONKITE_ALLOWED_FUNCTIONS=["app.targets.*"])
def test_what_functions_may_be_run_says_nothing_of_commands():
    assert functions.resolve(f"{commands.CALL} report")


def test_a_command_line_in_the_place_of_a_function_is_refused_with_what_to_write():
    with pytest.raises(FunctionNotAllowed) as caught:
        functions.resolve("manage.py report --days 3")
    assert "'cronkite.commands.call'" in str(caught.value)
    assert '["report", "--option"]' in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        (["report"], {}, ""),
        ([], {}, 'Name the command, and then its arguments, as in ["clearsessions"].'),
        ([""], {}, "The name of the command is empty."),
        (["report", 3], {}, 'write "3", with quotation marks.'),
        ([["report"]], {}, "A command takes texts"),
        (["report"], {"dry_run": True}, 'as on the command line: ["report", "--dry-run", "..."].'),
    ],
)
def test_what_is_no_command_with_arguments_is_told_whichever_commands_there_are(args, kwargs, problem):
    said = commands.shape_problem(args, kwargs)
    assert problem in said
    assert bool(problem) is bool(said)
