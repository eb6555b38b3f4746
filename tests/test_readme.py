"""What the README says is so: its code runs, its commands exist, and its tables say what the code says."""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typed
from django.core.management.base import BaseCommand
from django.db.models import NOT_PROVIDED

import cronkite
from cronkite import conf
from cronkite.checks import declared_checks, job_checks, setting_checks
from cronkite.cli import COMMANDS
from cronkite.code import outcomes
from cronkite.management.commands import cron
from cronkite.models import Job, Log
from cronkite.nodes import agenda, outages
from cronkite.processes import kin
from cronkite.runs import farewell, pool, runner, worker
from cronkite.schedules import catch_up, expressions

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.rst").read_text()
#: Where a line ends means nothing to a reader.
WORDS = " ".join(TEXT.split())


def blocks(language: str) -> list[str]:
    """Return the code blocks in a language, without their indentation."""
    pattern = rf"^( *)\.\. code-block:: {language}\n\n((?:\1 +.*\n|\n)+)"
    return [inspect.cleandoc(match[2]) + "\n" for match in re.finditer(pattern, TEXT, re.MULTILINE)]


def table(first: str, title: str = "") -> dict[str, list[str]]:
    """Return the rows of the list-table whose first column is headed ``first``: the other cells, by the first."""
    tables = []
    for match in re.finditer(r"^\.\. list-table::(.*)\n((?: .*\n|\n)+)", TEXT, re.MULTILINE):
        rows = [
            [" ".join(cell.split()) for cell in re.split(r"^     -", row, flags=re.MULTILINE)]
            for row in re.split(r"^   \* -", match[2], flags=re.MULTILINE)[1:]
        ]
        assert len({len(row) for row in rows}) == 1, f"a row of the table {rows[0]} has too few cells"
        if rows[0][0] == first and match[1].strip() == title:
            tables.append({row[0].strip("`"): row[1:] for row in rows[1:]})
    (only,) = tables
    return only


def value(cell: str) -> object:
    """Return what a cell says that a default is."""
    return cell if cell == "required" else ast.literal_eval(cell.strip("`"))


def default(field) -> object:
    """Return what the model says."""
    if field.default is not NOT_PROVIDED:
        return field.get_default()
    return None if field.null else "" if field.blank else "required"


def columns(model) -> dict[str, object]:
    return {field.name: default(field) for field in model._meta.fields if not field.primary_key}


# Its code.

SETTINGS = """
from readme_settings import *

SECRET_KEY = "readme"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES["default"]["NAME"] = __file__ + ".sqlite3"
"""
BANK = """
import datetime


def pay(day: datetime.date, token: int) -> None:
    print(f"paid on {day} with token {token}")
"""
SCRIPT = """
import django
from django.core.management import call_command

django.setup()
call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)

import datetime
from cronkite.models import Job, Log

jobs = {job.name: job for job in Job.objects.all()}
before = {name: job.revision for name, job in jobs.items()}
import shop.admin  # as each start of a node does
import shop.urls
assert before == {job.name: job.revision for job in Job.objects.all()}, "something was written though nothing changed"
for name, job in sorted(jobs.items()):
    job.run()  # by hand, as one would to try it
pay = jobs["pay_suppliers"]
slot = datetime.datetime(2026, 3, 2, 1, tzinfo=datetime.timezone.utc)
Job.objects.filter(pk=pay.pk).write(next_run=slot)
call_command("cron", workers=0)
print("ran", *(f"{log.job_name}:{log.status}" for log in Log.objects.order_by("job_name", "pk")))

import pathlib, shlex
from django.core.management import CommandError

for line in pathlib.Path("commands").read_text().splitlines():
    code = 0
    try:
        call_command(*shlex.split(line))
    except SystemExit as end:
        code = end.code
    except CommandError as error:
        code = error.returncode
    print(f"{line} -> {code}")
call_command("test", "shop", verbosity=0)  # which exits where one fails
"""


#: What a reader would enter, but for what stays.
COMMAND_LINES = [
    line.removeprefix("python manage.py ")
    for block in blocks("console")
    for line in block.splitlines()
    if line.startswith("python manage.py cron") and " loop" not in line
]
#: Those that do not exit with 0 in a new project with one node.
OTHER_CODES = {"cron log 4711": 2, "cron health --nodes 3 --silent 120 600": 1}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The README's blocks as the files that their first lines name."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    for block in blocks("python"):
        name, code = re.fullmatch(r"# (\S+\.py)\n(.*)", block, re.DOTALL).groups()
        with (folder / name.replace("settings", "readme_settings")).open("a") as file:
            file.write(code)
    (folder / "project_settings.py").write_text(SETTINGS)
    (folder / "shop" / "bank.py").write_text(BANK)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "commands").write_text("\n".join(COMMAND_LINES))
    return folder


def test_the_code_makes_a_project_that_passes_the_checks_and_runs_its_jobs(project):
    paths = [str(project), *filter(None, [os.environ.get("PYTHONPATH")])]
    if "CRONKITE_TEST_INSTALLED" not in os.environ:
        paths.append(str(ROOT))
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "DJANGO_SETTINGS_MODULE": "project_settings"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # By hand, and by its slot.
    declared = ["ask_carriers", "pay_suppliers", "pay_suppliers", "prune_logs", "send_invoices"]
    assert f"ran {' '.join(f'{name}:succeeded' for name in declared)}" in done.stdout.splitlines()
    for line in COMMAND_LINES:
        assert f"{line} -> {OTHER_CODES.get(line, 0)}" in done.stdout.splitlines()


@pytest.mark.once
def test_the_code_has_the_types_that_it_says(project, tmp_path):
    """As a project, and each block by itself, as one copies it."""
    typed.demand_mypy()
    alone = []
    for number, block in enumerate(blocks("python")):
        alone.append(tmp_path / f"block_{number}.py")
        alone[-1].write_text(_typed(block))
    for path in project.rglob("*.py"):
        path.write_text(_typed(path.read_text()))
    # What is in the blocks has no annotations.
    files = ["shop", "readme_settings.py", *map(str, alone)]
    done = typed.check(project, "--check-untyped-defs", *files, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stdout + done.stderr


def _typed(code: str) -> str:
    """Return the code without what no type checker can know: a function that is given an attribute."""
    return re.sub(r"^(\w+\.schedule = .*)$", r"\1  # type: ignore[attr-defined]", code, flags=re.MULTILINE)


def test_every_block_of_code_names_its_file():
    assert {block.splitlines()[0] for block in blocks("python")} == {
        "# settings.py",
        "# shop/crontab.py",
        "# shop/admin.py",
        "# shop/tests.py",
        "# shop/urls.py",
    }


# Its commands.


def test_the_first_two_commands_are_those_of_tests_run():
    script = (ROOT / "tests" / "run").read_text()
    assert [block.strip() for block in blocks("console")[:2]] == ["python3 tests/run example", "python3 tests/run all"]
    assert "python3 tests/run example" in script
    assert "python3 tests/run all" in script


@pytest.mark.parametrize(
    "line", [line for block in blocks("console") for line in block.splitlines() if "manage.py cron" in line]
)
def test_each_command_line_is_understood(line):
    parser = cron.Command().create_parser("manage.py", "cron")
    assert parser.parse_args(shlex.split(line)[3:])


# Its tables.


def test_the_settings_are_those_of_the_code():
    stated = {name: value(cells[0]) for name, cells in table("Setting").items()}
    assert stated == {name: setting[0] for name, setting in conf._SETTINGS.items()}


def test_the_system_checks_are_those_of_the_code():
    source = "".join(map(inspect.getsource, (setting_checks, declared_checks, job_checks)))
    assert set(table("Check")) == set(re.findall(r'id="(cronkite\.[EW]\d+)"', source))


def test_the_options_are_those_of_the_command():
    ours, everyones = (
        {option for action in command.create_parser("manage.py", "cron")._actions for option in action.option_strings}
        for command in (cron.Command(), BaseCommand())
    )
    assert set(table("Option")) == ours - everyones


def test_the_commands_are_those_of_the_code():
    assert list(table("Command")) == list(COMMANDS)


def test_the_exit_codes_are_those_of_the_command():
    assert set(table("Exit code")) == set(re.findall(r"^  (\d) ", cron.HELP, re.MULTILINE))


def test_the_fields_of_a_job_are_those_of_the_model():
    ours, theirs = table("Field", "What a job is"), table("Field", "What the nodes keep of a job")
    assert {name: value(cells[0]) for name, cells in {**ours, **theirs}.items()} == columns(Job)
    assert {*ours, "declared_as"} == Job.DEFINITION


def test_the_fields_of_a_log_are_those_of_the_model():
    assert {name: value(cells[0]) for name, cells in table("Field").items()} == columns(Log)


def test_the_statuses_are_those_of_the_model():
    assert list(table("Status")) == Log.Status.values


def test_the_ways_to_catch_up_are_those_of_the_code():
    assert list(table("Catch-up")) == [policy.value for policy in catch_up.CatchUp]


def test_the_calls_exist():
    for call in table("Call"):
        owner, name = re.fullmatch(r"(\S+)\.(\w+)\(.*\)", call).groups()
        assert callable(getattr({"job": Job, "Job": Job, "Job.objects": Job.objects}[owner], name))


# What it says in passing.


@pytest.mark.parametrize(
    "words",
    [
        f"cut to {outcomes.OUTPUT_LIMIT // 1024} KiB each",
        f"longer than {outcomes.RESULT_LIMIT // 1024} KiB is kept as the beginning of its ``repr``",
        f"no more than the newest {catch_up.ALL_CAP}, though",
        f"``none`` takes {catch_up.NONE_GRACE.total_seconds():.0f} seconds",
        f"but {catch_up.NONE_GRACE.total_seconds():.0f} where ``catch_up`` is ``none``",
        f"new and edited jobs every {agenda.POLL:.0f} seconds",
        f"a tick gives up after {outages.OUTAGE_PATIENCE:.0f} seconds",
        f"has not ended {pool.KILL_AFTER:.0f} seconds later",
        f"than the grace and {pool.KILL_AFTER:.0f} seconds",
        f"have sent what they had, within {farewell.PATIENCE:.0f} seconds",
        f"after {worker.RUNS_PER_WORKER:,} runs of a loop",
        f"the default of {conf._SETTINGS['CRONKITE_SHUTDOWN_GRACE'][0]}",
        f"at least every {conf.LONGEST_RENEWAL_INTERVAL.total_seconds():.0f} seconds",
        f"without a timeout, every {conf.RENEWAL_INTERVAL_WITHOUT_TIMEOUT.total_seconds():.0f} seconds",
        f"renews the lock, after {conf.RENEWAL_INTERVAL_WITHOUT_TIMEOUT.total_seconds():.0f} seconds at most",
        f"From {conf.SHORTEST_LOCK_TIMEOUT.total_seconds():.0f} up",
        f"a system check warns below {conf.RISKY_LOCK_TIMEOUT.total_seconds():.0f}",
        f"is below {conf.RISKY_LOCK_TIMEOUT.total_seconds():.0f} seconds",
        f"From 0 to {conf.LONGEST_LOOKAHEAD.total_seconds():.0f}",
        f"the next {conf._SETTINGS['CRONKITE_LOOKAHEAD'][0]} seconds (``CRONKITE_LOOKAHEAD``)",
        f"runs at a time ({conf._SETTINGS['CRONKITE_WORKERS'][0]} by default)",
        f"{conf.LONGEST_NODE} characters at most",
        f"more than {expressions.MAX_LENGTH} characters",
        *(f"``{nickname}``" for nickname in expressions.NICKNAMES),
    ],
)
def test_a_number_is_that_of_the_code(words):
    assert words in WORDS


def test_times_that_it_puts_into_words_are_those_of_the_code():
    assert (pool.LONG, "a run that takes longer than a minute no longer counts" in WORDS) == (60, True)
    assert (pool.SLOW_IMPORT, "An import that takes longer than a second no longer counts" in WORDS) == (1, True)
    assert (pool.IMPORT_PATIENCE, "one that takes longer than a minute, or ends its process" in WORDS) == (60, True)
    assert (agenda.LONGEST_REFUSAL, "for half an hour at most" in WORDS) == (1800, True)
    assert (kin.PATIENCE, "SIGTERM comes first, and a second later SIGKILL" in WORDS) == (1, True)
    assert (runner.RECORD_PATIENCE, "if that is within an hour" in WORDS) == (3600, True)
    assert (conf.RENEWALS_PER_TIMEOUT, "every quarter of the timeout" in WORDS) == (4, True)


def test_the_current_run_has_what_it_says():
    said = re.search(r"tells which run the code is part of: (.*?)\. Outside", WORDS)[1]
    assert re.findall(r"``([a-z_]+)``", said) == [field.name for field in fields(cronkite.CurrentRun)]


def test_a_declaration_takes_what_it_says():
    said = re.search(r"takes the schedule and, by name, (.*?), which are", WORDS)[1]
    assert re.findall(r"``(\w+)``", said) == [*inspect.signature(cronkite.cron).parameters][1:]


@pytest.mark.parametrize("name", ["README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst"])
def test_it_is_sound_as_a_text(name):
    core = pytest.importorskip("docutils.core", reason="docutils, which reads reStructuredText, is not installed")
    warnings = io.StringIO()
    overrides = {"warning_stream": warnings, "report_level": 1, "halt_level": 5, "file_insertion_enabled": False}
    core.publish_string((ROOT / name).read_text(), writer="html5", settings_overrides=overrides)
    assert warnings.getvalue() == ""


@pytest.mark.parametrize("address", re.findall(r"^\.\. image:: (.*)$", TEXT, re.MULTILINE))
def test_a_picture_is_there_and_is_shown_where_the_package_has_its_home(address):
    assert (ROOT / "docs" / address.rpartition("/")[2]).is_file()
    # PyPI shows no relative address, and as long as the package says of no home, there is no other one.
    has_home = "[project.urls]" in (ROOT / "pyproject.toml").read_text()
    assert address.startswith("https://" if has_home else "docs/")
