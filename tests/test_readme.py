"""What the documents say is so: their tables and numbers are those of the code. Their code: ``test_documents``."""

from __future__ import annotations

import ast
import inspect
import io
import re
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from django.core.management.base import BaseCommand, CommandError
from django.db.models import NOT_PROVIDED
from documents import README, ROOT, TABLES, TEXTS, WORDS, blocks, table

import cronkite
from cronkite import conf, health, signals
from cronkite.checks import declared_checks, job_checks, setting_checks
from cronkite.cli import COMMANDS, loop, parsers
from cronkite.code import outcomes
from cronkite.database import teller
from cronkite.management.commands import cron
from cronkite.models import Group, Job, Log
from cronkite.monitors import checkins, pings
from cronkite.nodes import agenda, outages
from cronkite.processes import kin
from cronkite.runs import crowd, farewell, pool, runner, worker
from cronkite.schedules import Schedule, catch_up, expressions
from proof import results
from proof import table as proof_table

PACKAGE = Path(cronkite.__file__).parent


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


# Its commands.


def test_the_first_two_commands_are_those_of_tests_run():
    script = (ROOT / "tests" / "run").read_text()
    first = [block.code.strip() for block in blocks("console", README)[:2]]
    assert first == ["python3 tests/run example", "python3 tests/run all"]
    assert "python3 tests/run example" in script
    assert "python3 tests/run all" in script


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


def test_the_signals_are_those_of_the_code():
    assert {*table("Signal", "What is told"), "Run"} == {*signals.__all__}


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


def test_how_a_command_ends_is_what_its_log_says():
    reasons = [
        reason
        for (cell,) in table("The command", "How a command ends").values()
        for reason in re.findall(r"the reason is \*(.*?)\*", cell)
    ]
    assert reasons == [
        runner._why(SystemExit(3)),
        runner._why(CommandError("no disk", returncode=3)),
        f"its process {kin.fate(3)}",
    ]


def test_the_calls_exist():
    for call in table("Call"):
        owner, name = re.fullmatch(r"(\S+)\.(\w+)\(.*\)", call).groups()
        assert callable(getattr({"job": Job, "Job": Job, "Job.objects": Job.objects}[owner], name))


def test_the_exit_codes_of_commands_are_those_of_their_help():
    stated = {
        name: {code.strip("`") for code, cell in zip(exit_codes_of_commands().head[1:], cells, strict=True) if cell}
        for name, cells in exit_codes_of_commands().by_first.items()
    }
    told = {name: set(re.findall(r"^  (\d) ", parsers.of(name).__doc__ or "", re.MULTILINE)) for name in COMMANDS}
    assert stated == {name: codes for name, codes in told.items() if codes}


def exit_codes_of_commands():
    (only,) = [each for each in TABLES if each.title == "Of the commands"]
    return only


def test_the_files_for_probes_are_those_of_the_command():
    assert set(table("Option of ``loop``")) == set(re.findall(r'"(--\w+-file)"', inspect.getsource(loop)))


def test_the_permissions_are_those_of_the_models():
    stated = {name for cell in _first_cells("Permission") for name in re.findall(r"``cronkite\.(\w+)``", cell)}
    of_jobs = {f"{verb}_job" for verb in Job._meta.default_permissions} | {name for name, _ in Job._meta.permissions}
    of_groups = {f"{verb}_group" for verb in Group._meta.default_permissions}
    assert stated == of_jobs | of_groups | {"view_log"}


def _first_cells(head: str, title: str = "") -> list[str]:
    (only,) = [each for each in TABLES if (each.head[0], each.title) == (head, title)]
    return [row[0] for row in only.rows]


def test_a_report_has_what_it_says():
    stated = table("Attribute", "What it has")
    assert list(stated) == [field.name for field in fields(health.Health)]
    for name, kind in typing.get_type_hints(health.Health).items():
        (each,) = typing.get_args(kind) if typing.get_origin(kind) is list else (None,)
        if is_dataclass(each) and name != "findings":
            named = [word for word in re.findall(r"``(\w+)``", stated[name][0]) if word != "None"]
            assert named == [field.name for field in fields(each)]


def test_the_readme_compares_by_what_was_measured():
    ours, measured = (
        [each for each in TABLES if (each.page, "Keeps a record" in each.head) == (page, True)]
        for page in (README, "docs/how/speed.rst")
    )
    assert [(each.head, each.rows) for each in ours] == [(each.head, each.rows) for each in measured] != []


def test_the_readme_says_of_the_proof_what_its_table_says():
    tables = [each.by_first for each in TABLES if "Slots raced" in each.by_first]
    raced = [sum(int(cell.replace(",", "")) for cell in each["Slots raced"]) for each in tables]
    first, more = (f"{number:,}" for number in raced)
    said = f"raced {first} slots on all four, and {more} more under kills at random moments: none was run twice"
    assert said in " ".join(TEXTS[README].split())
    assert {cell for each in tables for cell in (*each["Duplicates"], *each["Unaccounted"])} == {"0"}


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "proof").iterdir()), ids=lambda path: path.name)
def test_the_tables_of_a_proof_in_parts_are_made_from_its_sums(path):
    report = results.load(path)
    assert not any(result.failed for result in report.results)
    assert f"\n\n{proof_table.rst(report)}\n\n" in TEXTS["docs/how/proof.rst"]
    assert f"\n\n{proof_table.parts(report)}\n\n" in TEXTS["docs/how/proof.rst"]


def test_what_opentelemetry_is_told_is_what_the_code_tells():
    # By its text: the package that it imports need not be there.
    source = (PACKAGE / "monitors" / "opentelemetry.py").read_text()
    assert list(table("Metric")) == re.findall(r'create_\w+\(\s*"([\w.]+)"', source)
    stated = {name for cell in _first_cells("Attribute", "What a span says") for name in re.findall(r"``(.+?)``", cell)}
    assert stated == set(re.findall(r'"((?:code|cronkite|error|exception)\.[\w.]+)"[:,\]]', source)) - set(
        table("Metric")
    )
    assert f"up to {_constant(source, 'MOST_DUE'):,}" in WORDS
    assert f"the first {_constant(source, 'NAMED')} by name" in WORDS


def _constant(source: str, name: str) -> int:
    return int(re.search(rf"^{name} = (\d+)$", source, re.MULTILINE)[1])


def test_what_a_ping_takes_is_what_the_code_says():
    words = WORDS
    assert f"the last {pings.TAIL:,} bytes" in words
    assert f"An answer is waited for {pings.TIMEOUT:g} seconds" in words
    assert f"A host that has cost {pings.PATIENCE:g} seconds so within a minute" in words
    assert (pings.WINDOW, pings.PAUSE, pings.ATTEMPTS) == (60, 0.5, 2)
    assert f"for {teller.PATIENCE:g} seconds, before it ends" in words
    told = {cells[0].strip("`") for cells in table("When", "What is told").values()}
    assert told == {f"URL{end}" for end in (pings.START, pings.SUCCESS, pings.FAIL)}


def test_what_sentry_makes_of_schedules_is_what_it_is_told():
    for text, (said,) in table("Schedule, as written", "What Sentry makes of schedules").items():
        try:
            sent = checkins.schedule(text)
            told = f"an interval of {sent['value']} {sent['unit']}s" if "unit" in sent else f"``{sent['value']}``"
        except checkins.Unreadable as why:
            told = f"no: {why}"
        assert said == told


#: The tables that are compared with the code, or with each other, and those that tell of others.
COMPARED = {
    ("Attribute", "What a span says"),
    ("Attribute", "What it has"),
    ("Call", ""),
    ("Catch-up", ""),
    ("Check", ""),
    ("Command", ""),
    ("Command", "Of the commands"),
    ("Exit code", ""),
    ("Field", ""),
    ("Field", "What a job is"),
    ("Field", "What the nodes keep of a job"),
    ("For", ""),
    ("Option", ""),
    ("Option of ``loop``", ""),
    ("Part", ""),
    ("Metric", ""),
    ("Metric", "What Prometheus gets"),
    ("Permission", ""),
    ("Schedule, as written", "What Sentry makes of schedules"),
    ("Setting", ""),
    ("Signal", "What is told"),
    ("Status", ""),
    ("The command", "How a command ends"),
    ("When", "What is told"),
}
#: What people choose from, in words.
CHOSEN = {
    "docs/guides/alerts.rst",
    "docs/guides/engines.rst",
    "docs/guides/moving.rst",
    "docs/guides/sentry.rst",
}
MEASURED = {README, "docs/how/proof.rst", "docs/how/speed.rst"}
OF_OTHERS = {"docs/guides/coming-from.rst"}


def test_no_table_is_left_out():
    rest = {(each.page, each.head[0], each.title) for each in TABLES if (each.head[0], each.title) not in COMPARED}
    assert {page for page, *_ in rest} == MEASURED | OF_OTHERS | CHOSEN
    assert {head for page, head, _ in rest if page in MEASURED} == {""}


@pytest.mark.parametrize("cell", [row[1] for each in TABLES if each.page in OF_OTHERS for row in each.rows])
def test_what_takes_the_place_of_others_can_be_written(cell):
    for code in re.findall(r"``([^`]+)``", cell):
        if re.fullmatch(r"\w+=\S.*", code):
            cronkite.cron("@daily", **ast.literal_eval("{" + re.sub(r"(\w+)=", r"'\1': ", code) + "}"))
        elif code.startswith('"'):
            assert Schedule(ast.literal_eval(code), "UTC")


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
    assert (pool.SLOW_IMPORT, "Imports that take longer than a second don't count either" in WORDS) == (1, True)
    assert (pool.IMPORT_PATIENCE, "one whose import takes a minute at a stretch" in WORDS) == (60, True)
    assert (pool.SLOW_IMPORTS, "as long as there are no more of them than workers (or than two)" in WORDS) == (2, True)
    assert (crowd.SHARE, "an import makes way after 15 seconds" in WORDS) == (15, True)
    assert (crowd.PATIENCE, "A job that still waits a minute after it first had to" in WORDS) == (60, True)
    assert (agenda.LONGEST_REFUSAL, "for half an hour at most" in WORDS) == (1800, True)
    assert (kin.PATIENCE, "SIGTERM comes, and a second later SIGKILL" in WORDS) == (1, True)
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


@pytest.mark.parametrize(
    ("page", "address"),
    [(page, each) for page, text in TEXTS.items() for each in re.findall(r"^ *\.\. image:: (.*)$", text, re.MULTILINE)],
)
def test_a_picture_is_there(page, address):
    if page == README:
        assert (ROOT / "docs" / address.rpartition("/")[2]).is_file()
        assert address.startswith("https://" if HAS_HOME else "docs/")
    else:
        folder = ROOT / "docs" if address.startswith("/") else (ROOT / page).parent
        assert (folder / address.lstrip("/")).is_file()


# PyPI shows the README, and no relative address. As long as the package says of no home, there is no other one.
HAS_HOME = "[project.urls]" in (ROOT / "pyproject.toml").read_text()
TARGETS = re.findall(r"^\.\. _([^:]+): (.*)$", TEXTS[README], re.MULTILINE)


@pytest.mark.parametrize(("name", "address"), TARGETS)
def test_a_link_of_the_readme_leads_to_what_it_names(name, address):
    assert address.startswith("https://") is HAS_HOME
    path, _, place = address.partition("#")
    assert HAS_HOME or (ROOT / path).exists()
    # Where the link is dead, as in a package that has no home, its words still say what to look for.
    assert place or address.endswith(name)
    titles = re.findall(r"^(.*)\n-+$", TEXTS.get(path, ""), re.MULTILINE)
    assert not place or place in [title.lower().replace(",", "").replace(" ", "-") for title in titles]


def test_the_readme_is_short_and_is_for_pypi_too():
    assert len(TEXTS[README].splitlines()) <= 250
    assert not re.search(r":(?:doc|ref|py:\w+):`|^\.\. (?:toctree|auto\w+|_[\w-]+:$)", TEXTS[README], re.MULTILINE)


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(r"^   ([a-z/-]+)$", TEXTS["docs/index.rst"], re.MULTILINE)
    assert sorted(f"docs/{name}.rst" for name in ["index", *listed]) == sorted(set(TEXTS) - {README})
