"""The command line as a whole: its help, its errors, its tables, and whom a name means."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import make_style
from nodes import HERE, manage
from terminals import Terminal, cron

from cronkite.cli import COMMANDS, instants, parsers, people, terminal
from cronkite.models import Log

# Help.


def test_help_lists_every_command():
    done = manage("cron", "--help")
    assert done.returncode == 0
    for name, words in COMMANDS.items():
        assert f"\n    {name} " in done.stdout
        assert words.split()[0] in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_teaches_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as end:
        cron_parser().parse_args([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text
    assert f"  manage.py cron {name}" in text
    assert name == "loop" or "--json" in text
    assert max(map(len, text.splitlines())) < 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_is_understood(name):
    import shlex

    lines = [line.strip() for line in parsers.of(name).__doc__.splitlines()]
    examples = [line for line in lines if line.startswith("manage.py cron ")]
    assert examples
    for example in examples:
        assert cron_parser().parse_args(shlex.split(example.partition("   ")[0])[2:]).subcommand == name


@pytest.mark.parametrize(
    ("words", "option", "value"),
    [
        (["--skip-checks"], "skip_checks", True),
        (["--no-color"], "no_color", True),
        (["--traceback"], "traceback", True),
        (["--settings", "tests"], "settings", "tests"),
        (["-v", "2"], "verbosity", 2),
    ],
)
def test_what_every_command_of_django_s_takes_may_stand_on_either_side(words, option, value):
    for line in ([*words, "loop"], ["loop", *words]):
        assert getattr(cron_parser().parse_args(line), option) == value


def cron_parser():
    from cronkite.management.commands.cron import Command

    return Command().create_parser("manage.py", "cron")


def test_a_tick_loads_no_command():
    code = (
        "import sys, django; django.setup(); from django.core.management import load_command_class;"
        "load_command_class('cronkite', 'cron').create_parser('manage.py', 'cron').parse_args([]);"
        "print(sorted(name for name in sys.modules if name.startswith('cronkite.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "['cronkite.cli.loop', 'cronkite.cli.parsers']", done.stderr


@pytest.mark.parametrize("arguments", [("lsit",), ("list", "--nonsense"), ("run",), ("next", "* * * * *", "-n", "0")])
def test_what_makes_no_sense_exits_with_2(arguments):
    done = manage("cron", *arguments)
    assert done.returncode == 2
    assert "usage: manage.py cron" in done.stderr


def test_djangos_options_may_stand_behind_a_command():
    done = manage("cron", "next", "@daily", "-n", "1", "--settings", "settings", "--no-color", "-v", "2", "--traceback")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_stands_before_the_command_holds_behind_it():
    options = cron_parser().parse_args(["--workers", "3", "-v", "2", "loop"])
    assert (options.workers, options.verbosity) == (3, 2)
    assert cron_parser().parse_args(["--workers", "3", "loop", "--workers", "5"]).workers == 5


@pytest.mark.parametrize("command", [("list",), ("run", "x"), ("why", "x", "03:00"), ("sync",), ("unlock", "x")])
def test_missing_tables_are_an_error_that_says_what_to_do(tmp_path, command):
    done = manage("cron", *command, DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert done.returncode == 1
    assert "Has `manage.py migrate` been run?" in done.stderr
    assert "Traceback" not in done.stderr


# Whom a name means.


@pytest.mark.django_db
def test_a_job_is_meant_by_id_function_name_or_part(make_job):
    invoices = make_job(name="send invoices")
    make_job("app.jobs.say", name="say")
    make_job("app.jobs.say_more", name="say more")
    for words, name in [
        (str(invoices.pk), "send invoices"),
        ("app.jobs.ok", "send invoices"),
        ("send invoices", "send invoices"),
        ("INVOI", "send invoices"),
        ("app.jobs.say", "say"),
        ("say", "say"),
        ("say_mo", "say more"),
    ]:
        assert cron("unlock", words).out == f"{name} is not locked.\n"


@pytest.mark.django_db
def test_an_ambiguous_name_lists_the_candidates(make_job):
    first, second = make_job(name="send invoices"), make_job("app.jobs.say", name="send\x1b[31m mails")
    said = cron("unlock", "send")
    assert said.code == 2
    assert f"  {first.pk}  send invoices  (app.jobs.ok)" in said.err
    assert f"  {second.pk}  send\\x1b[31m mails  (app.jobs.say)" in said.err


@pytest.mark.django_db
def test_a_name_that_many_have_is_no_endless_list(make_job):
    for number in range(12):
        make_job(name=f"job {number}")
    said = cron("unlock", "job")
    assert said.err.endswith("  …")
    assert len(said.err.splitlines()) == 12


@pytest.mark.django_db
def test_a_name_that_no_job_has_says_where_to_look(make_job):
    said = cron("unlock", "nonsense")
    assert (said.code, said.err) == (2, "There is no job 'nonsense'. `manage.py cron list` shows the jobs.")
    job = make_job(name="old")
    job.run()
    job.delete()
    assert Log.objects.get().job_name == "old"
    assert "There was one, which was deleted" in cron("unlock", "old").err
    assert cron("unlock", "9" * 40).code == 2


# Tables and colours.


def show(rows, out, **options):
    wrapper = OutputWrapper(out)
    terminal.Terminal(wrapper, wrapper, make_style("dark"), **options).table(["ID", "NAME"], rows)
    return out.getvalue()


def test_columns_are_aligned_and_no_line_ends_in_blanks():
    from io import StringIO

    text = show([["1", "short"], ["12345", ""], ["2", "日本"]], StringIO())
    assert text == "ID     NAME\n1      short\n12345  -\n2      日本\n"


def test_at_a_terminal_a_table_fits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    text = show([["1", "x" * 100]], Terminal())
    assert "…" in text
    assert "\x1b[" in text
    import re

    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines())) == 30


def test_colours_are_for_terminals_unless_forced():
    from io import StringIO

    assert "\x1b" not in show([["1", terminal.Cell("x", "ERROR")]], StringIO())
    assert "\x1b" in show([["1", terminal.Cell("x", "ERROR")]], StringIO(), force_color=True)


# Times.

NOON = datetime(2026, 3, 28, 11, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "starts", "seconds"),
    [
        ("03:00", ["2026-03-28T02:00"], 60),
        ("3:00:15", ["2026-03-28T02:00:15"], 1),
        ("today 03:00", ["2026-03-28T02:00"], 60),
        ("yesterday 23:30", ["2026-03-27T22:30"], 60),
        ("tomorrow 12:00", ["2026-03-29T10:00"], 60),
        ("2026-07-01 12:00", ["2026-07-01T10:00"], 60),
        ("2026-07-01T12:00Z", ["2026-07-01T12:00"], 60),
        ("2026-07-01T12:00:05 UTC", ["2026-07-01T12:00:05"], 1),
        ("2026-07-01 12:00+05:30", ["2026-07-01T06:30"], 60),
        ("2026-07-01 12:00 -0400", ["2026-07-01T16:00"], 60),
        # A gap, and an overlap.
        ("2026-03-29 02:30", ["2026-03-29T01:00"], 60),
        ("2026-10-25 02:30", ["2026-10-25T00:30", "2026-10-25T01:30"], 60),
        ("2026-10-25 02:30+01:00", ["2026-10-25T01:30"], 60),
    ],
)
def test_a_time_is_understood(text, starts, seconds):
    asked = instants.asked(text, "Europe/Berlin", NOON)
    wanted = [datetime.fromisoformat(start).replace(tzinfo=timezone.utc) for start in starts]
    assert (asked.starts, asked.length) == (wanted, timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "text", ["", "noon", "25:00", "2026-02-30 03:00", "2026-07-01", "03:00 Mars", "0001-01-01 00:00"]
)
def test_what_is_no_time_says_how_to_write_one(text):
    with pytest.raises(instants.NotATime, match="is no time"):
        instants.asked(text, "Europe/Berlin", NOON)


def test_somebody_without_a_name_is_somebody(monkeypatch, settings):
    settings.CRONKITE_NODE = "web-1"

    def nameless():
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert people.name() == "somebody, at the command line of web-1"
