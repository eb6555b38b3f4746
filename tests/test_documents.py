"""What the documents show can be done: each page's code and commands are run in a project of its own.

``COVERED`` says by kind what becomes of a block of code: where it is run, parsed or compared. A block of no kind fails.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import django
import pytest
import typed
import yaml
from deadlines import in_time
from django.core.management import get_commands
from django.db import ConnectionHandler, connection
from documents import BLOCKS, README, ROOT, TEXTS, WORDS, Block, table
from nodes import until
from prometheus_client.parser import text_string_to_metric_families

import cronkite
from cronkite import conf, health
from cronkite.cli import COMMANDS
from cronkite.management.commands import cron
from cronkite.reports import metrics, vitals
from cronkite.schedules import Schedule
from databases import ENGINES

START, DATABASES, HANDING = "docs/start.rst", "docs/guides/databases.rst", "docs/guides/engines.rst"
FILES = {
    "settings.py",
    "shop/admin.py",
    "shop/alerting.py",
    "shop/apps.py",
    "shop/crontab.py",
    "shop/listening.py",
    "shop/tasks.py",
    "shop/tests.py",
    "shop/urls.py",
    "shop/views.py",
}
NOON = datetime(2026, 3, 3, 12, tzinfo=timezone.utc)
#: What a node takes at most to end, in seconds: the grace, and what `test_readme` holds the documents to.
GRACE = conf._SETTINGS["CRONKITE_SHUTDOWN_GRACE"][0] + 5
#: Lines of a crontab, and of a Procfile.
CRON_LINE = re.compile(r"((?:\S+ ){5}) *(?:www-data  )?cd /srv/shop && venv/bin/python manage\.py (.*)")
PROCESS_LINE = re.compile(r"\w+: python manage\.py (.*)")


def _lines(block: Block) -> list[str]:
    return block.code.splitlines()


def _all_match(block: Block, *patterns: str | re.Pattern[str]) -> bool:
    return all(any(re.fullmatch(pattern, line) for pattern in patterns) for line in _lines(block))


#: What a block may be; each is taken up by tests below.
COVERED = {
    # a file of the page's project, in which everything is run
    "file": lambda block: block.language == "python" and block.title in FILES,
    # tests of that project, by pytest
    "pytest": lambda block: block.language == "python" and block.title == "shop/test_crontab.py",
    # what may stand in the place of such settings
    "settings": lambda block: block.language == "python" and block.title == "settings.py, for these alone",
    "database": lambda block: block.language == "python" and block.title.startswith("settings.py, on "),
    # what needs a theme of the admin, which `tox -e themes` has
    "themed": lambda block: block.language == "python" and block.title == "shop/admin.py, with Unfold",
    # what needs django-import-export; tests/models/test_import_export.py runs it
    "resource": lambda block: block.language == "python" and block.title == "shop/resources.py",
    "commands": lambda block: block.language in {"console", "sh"},
    "crontab": lambda block: block.language == "text" and _all_match(block, CRON_LINE, r"[A-Z_]+=\S+"),
    # what is imported from a file of the page's project
    "old crontab": lambda block: block.language == "text" and block.title.startswith("crontab.txt, "),
    "processes": lambda block: block.language == "text" and _all_match(block, PROCESS_LINE),
    "session": lambda block: block.language == "text" and block.code.startswith("$ python manage.py "),
    "unit": lambda block: block.language == "ini" and block.title.startswith("/etc/systemd/system/shop-"),
    "compose": lambda block: block.language == "yaml" and block.title == "compose.yaml",
    "manifest": lambda block: block.language == "yaml" and block.title.startswith("deployment.yaml"),
    # what Prometheus is told to read, what it reads, and what it makes of that
    "scrape": lambda block: block.language == "yaml" and block.title == "prometheus.yml",
    "rules": lambda block: block.language == "yaml" and block.title == "rules.yml",
    "numbers": lambda block: block.language == "text" and block.title.startswith("HELP cronkite_"),
    "image": lambda block: block.language == "docker",
}


def of_kind(kind: str) -> list[Block]:
    """Return the blocks of a kind; there are some."""
    found = [block for block in BLOCKS if COVERED[kind](block)]
    assert found, f"no document has a block of the kind {kind}"
    return found


def each(kind: str):
    """Have a test for each block of a kind."""
    return pytest.mark.parametrize("block", of_kind(kind), ids=str)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_of_one_kind_that_is_covered(block):
    assert len([kind for kind, covers in COVERED.items() if covers(block)]) == 1


@pytest.mark.parametrize(
    ("language", "code"),
    [("ruby", "puts 1\n"), ("python", "print(1)\n"), ("text", "some words\n"), ("ini", "[Service]\n")],
)
def test_what_no_test_covers_is_of_no_kind(language, code):
    block = Block("docs/start.rst", 1, language, code)
    assert not any(covers(block) for covers in COVERED.values())


@pytest.mark.parametrize("page", TEXTS)
def test_no_code_is_hidden_in_other_markup(page):
    found = set(re.findall(r"^ *\.\. ([\w:-]+)::", TEXTS[page], re.MULTILINE))
    plain = {"code-block", "image", "list-table", "toctree"}
    described = {"autoclass", "autofunction", "automethod", "automodule", "autoproperty", "py:method"}
    assert found <= plain | (described if page == "docs/reference/api.rst" else set())
    assert not re.search(r"^(?! *\.\. ).*::$", TEXTS[page], re.MULTILINE)
    assert TEXTS[page].count(".. code-block::") == len([block for block in BLOCKS if block.page == page])


# Its commands.


def understood(arguments: list[str]) -> bool:
    """Whether ``manage.py`` takes these arguments; an error ends the test with the parser's words."""
    name, *rest = arguments
    if name != "cron":
        return name in {*get_commands(), "collectstatic"}
    cron.Command().create_parser("manage.py", "cron").parse_args(rest)
    return True


#: The lines of all pages that call ``manage.py``, by page.
MANAGED = [
    (block.page, shlex.split(line)[2:])
    for block in of_kind("commands")
    for line in _lines(block)
    if line.startswith("python manage.py ")
]


@pytest.mark.parametrize(("page", "arguments"), MANAGED)
def test_each_command_line_is_understood(page, arguments):
    assert understood(arguments)


@pytest.mark.parametrize(
    "line", sorted({" ".join(line.split()) for line in re.findall(r"``(?:python )?manage\.py ([^`]+)``", WORDS)})
)
def test_each_command_in_a_sentence_is_understood(line):
    words = shlex.split(line.removesuffix(" --help"))
    # One that is only named.
    assert (words[:1] == ["cron"] and len(words) == 2 and words[1] in COMMANDS) or understood(words)


def _of_the_page(block: Block, kind: str) -> list[Block]:
    return [other for other in of_kind(kind) if other.page == block.page]


def _is_of_tests_run(block: Block, words: list[str]) -> bool:
    return words[0] == "tests/run" and f"python3 tests/run {words[1]}" in (ROOT / "tests" / "run").read_text()


def _is_of_tox(block: Block, words: list[str]) -> bool:
    return words[0] == "-e" and f"[testenv:{words[1]}]" in (ROOT / "tox.ini").read_text()


def _is_of_pip(block: Block, words: list[str]) -> bool:
    text = (ROOT / "pyproject.toml").read_text()
    project = re.findall(r'^name = "(.*)"$', text, re.MULTILINE)[0]
    _, _, rest = text.partition("[project.optional-dependencies]")
    extras = re.findall(r"^(\w+) = ", rest.partition("\n[")[0], re.MULTILINE)
    # What a page's code needs beside that, the tests have.
    tested = {re.split(r"\W*[><=]", each)[0] for each in re.findall(r'^    "(.*)",$', text, re.MULTILINE)}
    known = {project, *(f"{project}[{extra}]" for extra in extras)}
    options = [word for word in words[1:] if word.startswith("-")]
    return words[0] == "install" and options in ([], ["--upgrade"]) and {*words[1:]} - {*options} <= known | tested


def _is_of_systemd(block: Block, words: list[str]) -> bool:
    units = {Path(unit.title).name for unit in _of_the_page(block, "unit")}
    verbs = (["daemon-reload"], ["enable", "--now"], ["list-timers"], ["--unit", "--follow"])
    return [word for word in words if word not in units] in verbs


def _is_of_compose(block: Block, words: list[str]) -> bool:
    (compose,) = _of_the_page(block, "compose")
    (service,) = yaml.safe_load(compose.code)["services"]
    if words == ["compose", "up", "--detach", service]:
        return True
    return words[:6] == ["compose", "run", "--rm", service, "python", "manage.py"] and understood(words[6:])


def _is_of_kubernetes(block: Block, words: list[str]) -> bool:
    (manifest,) = _of_the_page(block, "manifest")
    name = yaml.safe_load(manifest.code)["metadata"]["name"]
    file = manifest.title.partition(":")[0]
    return words in (["apply", "--filename", file], ["logs", f"deployment/{name}"])


#: What other programs are called; of those that are not here, what they are called with can be told all the same.
OTHERS = {
    "python3": _is_of_tests_run,
    "tox": _is_of_tox,
    "pip": _is_of_pip,
    "systemctl": _is_of_systemd,
    "journalctl": _is_of_systemd,
    "docker": _is_of_compose,
    "kubectl": _is_of_kubernetes,
}


@each("commands")
def test_each_line_calls_what_there_is(block):
    for line in _lines(block):
        program, *words = shlex.split(line)
        if not line.startswith("python manage.py "):
            assert OTHERS[program](block, words), line


# Its projects.

SETTINGS = """
from page_settings import *

SECRET_KEY = "documents"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES["default"]["NAME"] = __file__ + ".sqlite3"
INSTALLED_APPS = ["django.contrib.staticfiles", "django.contrib.sessions", *INSTALLED_APPS]
STATIC_URL, STATIC_ROOT = "static/", __file__ + ".static"
# What is handed over stays where it is: nobody takes it.
TASKS = {"default": {"BACKEND": "%s.backends.dummy.DummyBackend"}}
"""
MANAGE = """
from django.core.management import execute_from_command_line

execute_from_command_line()
"""
#: What the pages' code takes from elsewhere.
BANK = """
import datetime


def pay(day: datetime.date, token: int) -> None:
    print(f"paid on {day} with token {token}")
"""
#: A project with Celery; its tasks are sent to a broker in its own memory.
SHOP = """
from celery import Celery

celery_app = Celery("shop", broker="memory://")
"""
TASKS = """
from celery import shared_task


@shared_task
def refresh_stock() -> None:
    print("refreshed")
"""
SCRIPT = """
import django
from django.core.management import call_command

django.setup()
call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)

import importlib, json, pathlib, sys
from django.test import RequestFactory
from cronkite.database import clock
from cronkite.models import Job, Log

jobs = {job.name: job for job in Job.objects.all()}
before = {name: job.revision for name, job in jobs.items()}
modules = {path.stem for path in pathlib.Path("shop").glob("*.py")}
for name in ("admin", "urls"):  # as each start of a node does
    if name in modules:
        importlib.import_module(f"shop.{name}")
assert before == {job.name: job.revision for job in Job.objects.all()}, "something was written though nothing changed"
for name, job in sorted(jobs.items()):
    job.run()  # by hand, as one would to try it
for job in jobs.values():
    if job.catch_up == "latest" and job.grace is None:
        Job.objects.filter(pk=job.pk).write(next_run=job.get_schedule().latest_at(clock.now("default")))
if "views" in modules:
    views = importlib.import_module("shop.views")
    said = [views.send_now(RequestFactory().get("/")).content.decode() for _ in range(2)]
    assert said == ["It will run within a minute.", "Somebody has asked already."], said
    call_command("cron", workers=0)
    assert Log.objects.filter(reason="asked for by somebody", status="succeeded").count() == 1
call_command("cron", workers=0)
told = {
    job.function.rpartition(".")[2]: [
        [log.status, log.slot is not None] for log in Log.objects.filter(job=job).order_by("pk")
    ]
    for job in jobs.values()
}
print("told", json.dumps(told))

from django.core.management import CommandError

for arguments in json.loads(pathlib.Path("commands.json").read_text()):
    code = 0
    try:
        call_command(*arguments)
    except SystemExit as end:
        code = end.code
    except CommandError as error:
        code = error.returncode
    print(f"{' '.join(arguments)} -> {code}")
if "listening" in modules:
    from cronkite import signals

    assert signals.run_finished.has_listeners(Job)
if "alerting" in modules:
    import io
    from cronkite.alerts import Notice

    alerting, sent = importlib.import_module("shop.alerting"), []
    alerting.urlopen = lambda request, timeout: sent.append(json.loads(request.data)) or io.BytesIO()
    alerting.tell([Notice("failing", False, "bill", 1, "Job 'bill' fails.", clock.now("default"), ("#ops",))])
    assert sent == [{"text": "Job 'bill' fails.", "to": ["#ops"], "ok": False}], sent
if "tests" in modules:
    call_command("test", "shop", verbosity=0)  # which exits where one fails
"""
#: The pages that have something to run, and what the others take from: the first hour's project, on SQLite.
PAGES = sorted({block.page for block in of_kind("file")} | {page for page, _ in MANAGED})
BASE = [block for block in of_kind("file") if block.page == START] + [
    next(block for block in of_kind("file") if block.page == DATABASES)
]
#: Those that do not exit with 0 in a new project with one node.
OTHER_CODES = {
    "cron log 4711": 2,
    "cron health --nodes 3 --silent 120 600": 1,
    # One of its lines can't come.
    "cron import crontab crontab.txt --dry-run": 1,
    # It has none of these.
    "cron import django-cron --dry-run": 1,
    "cron import django-crontab --dry-run": 1,
    "cron import beat --dry-run": 1,
    "cron import apscheduler --dry-run": 1,
    "cron import apscheduler sqlite:///jobs.sqlite --table apscheduler_jobs --dry-run": 1,
    "cron import django-apscheduler --dry-run": 1,
}
#: The jobs that a new project has, and that of the settings which let logs go.
USUAL = {"send_invoices"}
#: Those that an engine takes.
HANDED = {"bill", "refresh_stock"}


def commands_of(page: str) -> list[list[str]]:
    """What a reader of the page would enter, but for what stays."""
    return [words for each_page, words in MANAGED if each_page == page and "loop" not in words]


#: What has to be installed for a page's code, beside Django.
NEEDED = {
    "docs/guides/opentelemetry.rst": "opentelemetry.sdk",
    "docs/guides/sentry.rst": "sentry_sdk",
}


def demand(page: str) -> None:
    """Skip the test where what the page's code needs is not installed."""
    if (needed := NEEDED.get(page)) is not None:
        pytest.importorskip(needed, reason=f"{needed}, which {page} tells to install, is not installed")


def files_of(page: str) -> list[Block]:
    """The blocks that make the page's project: the first hour's, and its own."""
    own = [block for block in of_kind("file") if block.page == page]
    return [*(block for block in BASE if page not in (README, block.page)), *own]


def write(folder: Path, page: str) -> Path:
    """Write the page's project: its blocks as the files that their first lines name."""
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "__init__.py").write_text(SHOP)
    (folder / "shop" / "tasks.py").touch()
    blocks = files_of(page)
    if page == README:
        blocks = [block for block in BASE if block.page == DATABASES] + blocks
    if page == START:
        blocks = BASE
    for block in blocks:
        with (folder / block.title.replace("settings", "page_settings")).open("a") as file:
            file.write(block.body)
    home = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    (folder / "project_settings.py").write_text(SETTINGS % home)
    (folder / "shop" / "bank.py").write_text(BANK)
    with (folder / "shop" / "tasks.py").open("a") as file:
        file.write(TASKS)
    for block in of_kind("old crontab"):
        if block.page == page:
            (folder / "crontab.txt").write_text(block.code)
    (folder / "manage.py").write_text(MANAGE)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "commands.json").write_text(json.dumps(commands_of(page)))
    return folder


def declared(page: str) -> set[str]:
    """The jobs that the page's code declares."""
    code = "\n".join(block.body for block in files_of(page) if block.title == "shop/crontab.py")
    by_decorator = re.findall(r"^@cronkite\.cron\(.*\n(?:async )?def (\w+)", code, re.MULTILINE)
    by_call = re.findall(r"^cronkite\.cron\(.*\)\((\w+)\)$|^(\w+)\.schedule = ", code, re.MULTILINE)
    return {*by_decorator, *(name for names in by_call for name in names if name)}


def environment(folder: Path, settings: str = "project_settings") -> dict[str, str]:
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    if "CRONKITE_TEST_INSTALLED" not in os.environ:
        paths.append(str(ROOT))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "DJANGO_SETTINGS_MODULE": settings}


def call(folder: Path, *arguments: str, settings: str = "project_settings") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment(folder, settings),
        capture_output=True,
        text=True,
    )


@pytest.mark.single
@pytest.mark.parametrize("page", PAGES)
def test_a_page_makes_a_project_that_passes_the_checks_runs_its_jobs_and_takes_its_commands(page, tmp_path):
    demand(page)
    done = call(write(tmp_path / "project", page), "script.py")
    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = [json.loads(line.removeprefix("told ")) for line in done.stdout.splitlines() if line.startswith("told ")]
    assert set(told) - {"prune_logs"} == declared(page) | USUAL
    handed = declared(page) & (HANDED | {"count_stock"} if page == HANDING else HANDED)
    for name, logs in told.items():
        # By hand, and where it makes up for it, by its slot.
        assert logs[0] == ["succeeded", False]
        assert all(status == ("handed_over" if by_slot and name in handed else "succeeded") for status, by_slot in logs)
    assert [[True] for logs in told.values() if [True] in [[by_slot] for _, by_slot in logs]]
    for arguments in commands_of(page):
        line = " ".join(arguments)
        assert f"{line} -> {OTHER_CODES.get(line, 0)}" in done.stdout.splitlines(), done.stdout + done.stderr


@pytest.mark.single
@each("pytest")
def test_what_is_tested_by_pytest_passes(block, tmp_path):
    folder = write(tmp_path / "project", block.page)
    (folder / block.title).write_text(block.body)
    done = call(folder, "-m", "pytest", "-q", "-p", "pytest_cronkite", "-p", "no:cacheprovider", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{block.body.count('def test_')} passed" in done.stdout


@pytest.mark.single
@pytest.mark.parametrize("arguments", sorted({tuple(words) for _, words in MANAGED if "loop" in words}), ids=" ".join)
def test_what_stays_begins_and_ends_when_it_is_told_to(arguments, tmp_path):
    folder = write(tmp_path / "project", START)
    assert call(folder, "manage.py", "migrate").returncode == 0
    ready = tmp_path / "ready"
    with subprocess.Popen(
        [sys.executable, "manage.py", *arguments, "--ready-file", str(ready)],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    ) as loop:
        assert loop.stderr is not None
        with in_time(loop):
            first = loop.stderr.readline()
        until(ready.exists)
        loop.send_signal(signal.SIGTERM)
        loop.communicate()
    assert " ticks. It is django-cronkite " in first
    assert "1 job, 1 enabled. Next: 'send_invoices' at " in first
    assert loop.returncode == 0


@pytest.mark.single
@each("session")
def test_what_a_command_is_shown_to_write_is_what_it_writes(block, tmp_path):
    line, _, shown = block.code.partition("\n")
    folder = write(tmp_path / "project", START)
    done = call(folder, "manage.py", *shlex.split(line)[3:])
    assert said(done.stdout) == said(shown)


def said(text: str) -> list[list[str]]:
    """Return the words of each line; how long ago it was is another number each day."""
    return [re.sub(r"\d+ d ago", "N d ago", line).split() for line in text.splitlines()]


@pytest.mark.single
@each("settings")
def test_settings_that_take_the_place_of_others_pass_the_checks(block, tmp_path):
    folder = write(tmp_path / "project", block.page)
    (folder / "other_settings.py").write_text(f"from project_settings import *\n\n{block.body}")
    done = call(folder, "manage.py", "check", settings="other_settings")
    assert done.returncode == 0, done.stdout + done.stderr


@each("database")
@pytest.mark.django_db(transaction=True)
def test_what_is_said_to_a_database_is_something_that_it_takes(block):
    space: dict[str, dict[str, dict[str, object]]] = {}
    exec(compile(block.body, str(block), "exec"), space)
    (said,) = space["DATABASES"].values()
    vendor = "postgresql" if "PostgreSQL" in block.title else "mysql"
    assert said["ENGINE"] == ENGINES[vendor]
    theirs = connection.settings_dict
    if connection.vendor != vendor:
        # What Django itself knows by name, and what is handed to the driver.
        assert said.keys() <= {*theirs, "DISABLE_SERVER_SIDE_CURSORS"}
        return
    where = {name: theirs[name] for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
    options = {**theirs["OPTIONS"], **said.get("OPTIONS", {})}
    if "psycopg2" in getattr(connection.Database, "__name__", ""):
        # Django asks for psycopg 3 where there is a pool.
        options.pop("pool", None)
    told = ConnectionHandler({"default": {**said, **where, "OPTIONS": options}})["default"]
    try:
        with told.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    finally:
        told.close()
        if getattr(told, "pool", None):
            told.close_pool()


@each("themed")
def test_what_is_written_for_a_theme_is_what_is_tried_in_it(block):
    tried = (ROOT / "tests" / "browser" / "themed" / "based.py").read_text()
    assert ast.dump(ast.parse(block.body)) == ast.dump(ast.parse(tried.partition('"""\n')[2]))


@pytest.mark.single
def test_the_code_has_the_types_that_it_says(tmp_path):
    """As a project for each page, and each block by itself, as one copies it."""
    typed.demand_mypy()
    for page in sorted({block.page for block in of_kind("file")}):
        folder = tmp_path / page.replace("/", "-")
        project = write(folder / "project", page)
        alone = []
        for block in [*of_kind("file"), *of_kind("pytest")]:
            if block.page == page:
                alone.append(folder / f"block_{block.line}.py")
                alone[-1].write_text(_typed(block.code))
        for path in project.rglob("*.py"):
            path.write_text(_typed(path.read_text()))
        # What is in the blocks has no annotations.
        files = ["shop", "page_settings.py", *map(str, alone)]
        done = typed.check(project, "--check-untyped-defs", *files, cache=tmp_path / "cache")
        assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}"


def _typed(code: str) -> str:
    """Return the code without what no type checker can know: Celery, what may be missing, a function's attribute."""
    optional = r"^( *(?:from opentelemetry\S* import .*|import sentry_sdk))$"
    code = re.sub(optional, r"\1  # type: ignore[import-not-found,unused-ignore]", code, flags=re.MULTILINE)
    code = re.sub(r"^(from celery import .*)$", r"\1  # type: ignore[import-untyped]", code, flags=re.MULTILINE)
    return re.sub(r"^(\w+\.schedule = .*)$", r"\1  # type: ignore[attr-defined]", code, flags=re.MULTILINE)


# Its files for what starts a node.


@each("crontab")
def test_a_crontabs_line_ticks_each_minute(block):
    lines = [match for line in _lines(block) if (match := CRON_LINE.fullmatch(line))]
    assert lines
    for match in lines:
        assert Schedule(match[1].strip(), "UTC").expression == "* * * * *"
        command, _, reader = match[2].partition(" | ")
        assert understood(shlex.split(command))
        # Of a file that is read while it is written, half is read.
        assert not reader or re.fullmatch(r"sponge /\S+\.prom", reader)


@each("processes")
def test_a_procfile_names_what_there_is(block):
    for line in _lines(block):
        match = PROCESS_LINE.fullmatch(line)
        assert match
        assert understood(shlex.split(match[1]))


def parsed(unit: Block) -> configparser.ConfigParser:
    """Return a unit of systemd; each key is there once."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.code)
    return parser


UNITS = [(block, parsed(block)) for block in of_kind("unit")]


@pytest.mark.parametrize("block", [block for block, unit in UNITS if "Service" in unit], ids=str)
def test_a_service_starts_a_node_and_lets_it_finish(block):
    unit = parsed(block)
    service = unit["Service"]
    program, script, *arguments = shlex.split(service["ExecStart"])
    assert (program, script) == (f"{service['WorkingDirectory']}/venv/bin/python", "manage.py")
    assert understood(arguments)
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > GRACE
    # A tick ends by itself, and what stays is started again.
    assert service.get("Type") == ("oneshot" if arguments == ["cron"] else None)
    assert service.get("Restart") == (None if arguments == ["cron"] else "always")
    known = {"User", "WorkingDirectory", "ExecStart", "KillMode", "TimeoutStopSec", "Restart", "RestartSec", "Type"}
    assert set(service) <= known
    assert set(unit.sections()) <= {"Unit", "Service", "Install"}


def test_a_timer_ticks_each_minute_in_time():
    ((block, unit),) = [(block, unit) for block, unit in UNITS if block.title.endswith(".timer")]
    assert set(unit.sections()) == {"Unit", "Timer", "Install"}
    assert dict(unit["Timer"]) == {"OnCalendar": "*-*-* *:*:00", "AccuracySec": "1s"}
    assert block.title.replace(".timer", ".service") in [other.title for other, _ in UNITS]


def probed(script: str) -> str:
    """Return the file whose age a probe asks for."""
    match = re.fullmatch(r"test \$\(\(\$\(date \+%s\) - \$\(stat -c %Y (\S+)\)\)\) -lt \d+", script)
    assert match, script
    return match[1]


@each("compose")
def test_compose_starts_nodes_and_lets_them_finish(block):
    (service,) = yaml.safe_load(block.code)["services"].values()
    python, script, *arguments = service["command"]
    assert (python, script, understood(arguments)) == ("python", "manage.py", True)
    assert int(service["stop_grace_period"].removesuffix("s")) > GRACE
    kind, shell, option, script = service["healthcheck"]["test"]
    assert (kind, shell, option) == ("CMD", "sh", "-c")
    # Compose would take a single one for a variable of its own.
    assert "$" not in script.replace("$$", "")
    assert probed(script.replace("$$", "$")) in arguments


@each("manifest")
def test_a_manifest_starts_nodes_asks_for_their_files_and_lets_them_finish(block):
    manifest = yaml.safe_load(block.code)
    assert (manifest["apiVersion"], manifest["kind"]) == ("apps/v1", "Deployment")
    pod = manifest["spec"]["template"]
    assert manifest["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > GRACE
    (container,) = pod["spec"]["containers"]
    python, script, *arguments = container["command"]
    assert (python, script, understood(arguments)) == ("python", "manage.py", True)
    probes = {name: each_probe["exec"]["command"] for name, each_probe in container.items() if name.endswith("Probe")}
    assert {name: (shell, option) for name, (shell, option, _) in probes.items()} == dict.fromkeys(probes, ("sh", "-c"))
    files = {name: probed(script) for name, (_, _, script) in probes.items()}
    options = cron.Command().create_parser("manage.py", "cron").parse_args(arguments[1:])
    assert files == {
        "startupProbe": options.alive_file,
        "livenessProbe": options.alive_file,
        "readinessProbe": options.ready_file,
    }


@each("image")
def test_an_image_starts_a_node_without_a_shell(block):
    instructions = [tuple(line.split(" ", 1)) for line in _lines(block)]
    assert [name for name, _ in instructions] == ["FROM", "WORKDIR", "COPY", "RUN", "ENV", "CMD"]
    python, script, *arguments = json.loads(instructions[-1][1])
    assert (python, script, understood(arguments)) == ("python", "manage.py", True)


# Its files for what monitors.

#: What there is to be known, with a node.
KNOWN = vitals.Vitals(
    now=NOON,
    jobs=0,
    enabled=0,
    running=0,
    nodes=[vitals.NodeHealth("web-1", NOON, 0.0, 0.0, True, None)],
    silent_for=0.0,
    stuck=[],
    failing=[],
    missed=[],
    late=[],
    unserved=[],
)
METRICS = {metric.name: metric.words for metric in metrics.of(KNOWN, [], health.USUAL, {})}


def test_the_metrics_are_those_of_the_code():
    assert set(table("Metric", "What Prometheus gets")) == set(METRICS)


@each("numbers")
def test_the_numbers_that_are_shown_are_such_as_are_told(block):
    for family in text_string_to_metric_families(block.code):
        assert (family.documentation, family.type) == (METRICS[family.name], "gauge")
        labels = table("Metric", "What Prometheus gets")[family.name][0]
        for sample in family.samples:
            assert sorted(sample.labels) == re.findall(r"``(\w+)``", labels)


@each("scrape")
def test_prometheus_is_told_to_read_what_the_page_has_the_project_answer(block):
    (job,) = yaml.safe_load(block.code)["scrape_configs"]
    (urls,) = [other for other in _of_the_page(block, "file") if other.title == "shop/urls.py"]
    assert f'path("{job["metrics_path"].removeprefix("/")}", views.health' in urls.code
    assert job.keys() == {"job_name", "scrape_interval", "metrics_path", "scheme", "authorization", "static_configs"}
    # The kind is "Bearer", if nothing is said.
    assert job["authorization"].keys() == {"credentials_file"}


@each("rules")
def test_alerts_are_about_numbers_that_there_are(block):
    (group,) = yaml.safe_load(block.code)["groups"]
    for rule in group["rules"]:
        assert set(re.findall(r"cronkite_\w+", rule["expr"])) <= set(METRICS)
        assert set(re.findall(r"cronkite_\w+", rule["expr"]))


# What it quotes.


@pytest.mark.parametrize("words", ["No node has ever ticked", "no node ticked in time"])
def test_what_is_quoted_is_what_is_said(words):
    assert f"*{words}*" in WORDS
    assert any(words in path.read_text() for path in Path(cronkite.__file__).parent.rglob("*.py"))
