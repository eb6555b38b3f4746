"""Whether arguments fit a command is told by its own parser, which does nothing else."""

from __future__ import annotations

import io
import sys
import threading

import pytest
from django.core import management
from django.core.management.base import BaseCommand
from django.db import connection

from app.management.commands import fickle
from cronkite.code import arguments, commands
from cronkite.exceptions import FunctionNotAllowed


def problem(*args, **kwargs):
    return arguments.problem(commands.CALL, None, list(args), kwargs)


@pytest.fixture
def mood(monkeypatch):
    def be(*words):
        monkeypatch.setattr(fickle, "MOOD", [*words])

    return be


@pytest.mark.parametrize(
    "args",
    [
        ["report", "north"],
        ["report", "--days", "3", "south"],
        ["report", "south", "--days=3", "--database", "other", "-v", "2", "--traceback", "--skip-checks"],
        ["clearsessions"],
        ["send-mail", "one", "kim"],
        ["fickle"],
    ],
)
def test_arguments_that_the_parser_takes_fit(args):
    assert problem(*args) is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["report"], "The arguments do not fit the command 'report': the following arguments are required: region."),
        (["report", "east"], "argument region: invalid choice: 'east'"),
        (["report", "north", "--dayz", "3"], "unrecognized arguments: --dayz 3."),
        (["report", "north", "--days", "three"], "argument --days: invalid int value: 'three'."),
        (["report", "north", "--days"], "argument --days: expected one argument."),
        (
            ["clearsessions", "all"],
            "The arguments do not fit the command 'clearsessions': unrecognized arguments: all.",
        ),
        (["send-mail"], "The arguments do not fit the command 'send-mail': Name somebody."),
        (["send-mail", "one"], "the following arguments are required: name."),
        (["send-mail", "all", "--skip-checks"], "unrecognized arguments: --skip-checks."),
        (["report", "--help"], "the command 'report' only shows something, and does nothing: leave out --help"),
        (["report", "-h"], "only shows something"),
        (["report", "--version"], "leave out --help and --version."),
        (["send-mail", "one", "--help"], "the command 'send-mail' only shows something"),
        (["report", "north", "--settings", "x"], "Leave out --settings: it has no effect"),
        (["report", "north", "--pythonpath=/x"], "Leave out --pythonpath"),
        (["report", "north", "--no-color", "--force-color"], "Leave out --force-color or --no-color"),
        (["slow"], "The command 'slow' cannot be run: its handle() is async, and Django awaits none."),
        (["wreck"], "The command 'wreck' cannot be imported here: LookupError: this command is broken"),
        (["fickle", "--shout"], "The command 'fickle' cannot read its arguments: SystemExit: 3"),
        (["nothing"], "There is no management command 'nothing' on this node."),
        (["migrate"], "The command 'migrate' is refused"),
        (["cron"], "The command 'cron' is refused"),
        ([], "Name the command"),
    ],
)
def test_others_are_named_with_the_parsers_own_words(args, said, capsys):
    assert said in problem(*args)
    assert capsys.readouterr() == ("", "")


def test_keyword_arguments_are_refused_with_what_to_write():
    assert '["report", "--days", "..."]' in problem("report", "north", days=3)


def test_a_file_that_is_named_is_neither_opened_nor_emptied(tmp_path):
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.write_text("precious")
    for path in (kept, new):
        assert problem("report", "north", "--out", str(path)) is None
    assert kept.read_text() == "precious"
    assert not new.exists()


def test_a_parser_that_cannot_be_built_is_told_of(mood, capsys):
    mood("exit")
    assert problem("fickle") == "What the command 'fickle' takes cannot be told here: SystemExit: 9"
    assert capsys.readouterr() == ("", "")


@pytest.mark.django_db
def test_a_query_of_the_parser_that_fails_breaks_no_transaction_of_the_caller(mood):
    from django.contrib.auth.models import Group

    Group.objects.create(name="before")
    mood("query")
    assert "cannot be told here" in problem("fickle")
    assert connection.in_atomic_block
    assert Group.objects.get().name == "before"


def test_what_others_write_meanwhile_is_not_dropped(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with arguments._silence():
        print("ours")
        thread = threading.Thread(target=print, args=["theirs"])
        thread.start()
        thread.join()
        left = sys.stdout
    assert stream.getvalue() == "theirs\n"
    assert sys.stdout is stream
    # Another thread that began meanwhile may put it back.
    print("again", file=left)
    assert stream.getvalue() == "theirs\nagain\n"


@pytest.mark.parametrize(
    ("name", "line", "doc"),
    [
        ("report", "manage.py report [--days DAYS] [--database DATABASE] [--out OUT] {north,south}", "Report what"),
        ("send-mail", "manage.py send-mail {all,one} ...", ""),
        ("clearsessions", "manage.py clearsessions", "Can be run as a cronjob"),
    ],
)
def test_what_a_command_takes_is_told_without_what_all_take(name, line, doc):
    usage = arguments.usage(name)
    assert usage.line == line
    assert usage.doc.startswith(doc)
    assert "\n" not in usage.doc


class Choose(BaseCommand):
    """Takes one of two options."""

    def add_arguments(self, parser):
        either = parser.add_mutually_exclusive_group(required=True)
        either.add_argument("--all", action="store_true")
        either.add_argument("--one", metavar="NAME")


def test_of_options_of_which_one_is_needed_it_is_told_that_one_is(monkeypatch):
    monkeypatch.setitem(management.get_commands(), "choose", Choose())
    assert arguments.usage("choose").line == "manage.py choose (--all | --one NAME)"


def test_what_a_command_takes_is_not_told_of_one_that_is_refused():
    with pytest.raises(FunctionNotAllowed):
        arguments.usage("migrate")
    with pytest.raises(arguments.Unfit, match="cannot be imported here"):
        arguments.usage("wreck")


def test_arguments_of_functions_are_held_against_their_signatures():
    from app.jobs import ok
    from app.targets import add

    assert arguments.problem("app.jobs.ok", ok, [1], {"a": 2}) is None
    assert "too many positional arguments" in (arguments.problem("app.targets.add", add, [1, 2, 3], {}) or "")


def test_a_parser_is_built_once_where_many_are_judged_and_judges_each_anew(monkeypatch):
    built, create = [], BaseCommand.create_parser
    monkeypatch.setattr(
        BaseCommand, "create_parser", lambda *given, **more: built.append(given) or create(*given, **more)
    )
    with arguments.building_once():
        assert arguments.problem(commands.CALL, None, ["report", "north", "--days", "2"], {}) is None
        assert "invalid choice" in arguments.problem(commands.CALL, None, ["report", "west"], {})
        assert "only shows something" in arguments.problem(commands.CALL, None, ["report", "--help"], {})
        assert arguments.parse(["report", "south"], {}).days == 1
    assert len(built) == 1
    arguments.parse(["report", "south"], {})
    assert len(built) == 2
