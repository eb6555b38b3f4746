"""What counts as a declaration: what a module defines, names or decorates; and how it is written."""

from __future__ import annotations

import sys
from datetime import timedelta, timezone
from importlib import import_module
from zoneinfo import ZoneInfo

import pytest

import app
import cronkite
from app import jobs
from cronkite.code import declarations
from cronkite.declared import differences, discovery
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.schedules import chosen
from cronkite.schedules.catch_up import CatchUp


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes modules of the app, and returns the last; of their declarations nothing is left."""
    monkeypatch.setattr(app, "__path__", [*app.__path__, str(tmp_path)])
    monkeypatch.setattr(declarations, "_declared", dict(declarations._declared))

    def make(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(f"import cronkite\n{source}")
        return [import_module(f"app.{name}") for name in sources][-1]

    yield make
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"app.{path.stem}", None)
        vars(app).pop(path.stem, None)


REPORTS = "def build():\n    'Build it.'\n    return 7\n"
TASKS = "@cronkite.cron('0 3 * * *')\ndef send():\n    return 8\n\n@cronkite.cron('0 4 * * *')\ndef stay(): ...\n"
HIDING = "def hide(function):\n    def wrapper(*args):\n        return function(*args)\n    return wrapper\n"


def functions_in(module):
    return [declaration.function for declaration in discovery.declarations_in(module)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("names", "function", "result"),
    [
        ("from app.reports import build\ncronkite.cron('0 3 * * *')(build)\n", "app.reports.build", 7),
        ("from app.reports import build as make\nmake = cronkite.cron('@daily')(make)\n", "app.reports.build", 7),
        ("from app.errands import send\n", "app.errands.send", 8),
    ],
)
def test_what_another_module_defines_and_this_one_names_is_declared(write, names, function, result):
    nightly = write(reports=REPORTS, errands=TASKS, nightly=names)
    assert functions_in(nightly) == [function]
    Job.auto_discover("app.nightly", delete_first=True)
    Job.auto_discover("app.nightly")
    Job.objects.update(description="edited")
    Job.auto_discover("app.nightly")
    job = Job.objects.get()
    assert (job.function, job.declared_as, job.description) == (function, function, "edited")
    assert job.run() == result
    Job.auto_discover("app.nightly", delete_first=True)
    assert Job.objects.get().description != "edited"
    assert Job.objects.get().pk == job.pk


def test_what_is_declared_by_an_attribute_belongs_to_the_module_that_defines_it(write):
    errands = "def send(): ...\nsend.schedule = '@daily'\n"
    nightly = write(errands=errands, nightly="from app.errands import send\n")
    assert functions_in(nightly) == []
    assert functions_in(import_module("app.errands")) == ["app.errands.send"]


def test_what_a_crontab_module_declares_is_no_job_of_the_module_that_imports_it(write):
    """Somebody else's delete_first=True would have the last word."""
    importer = write(crontab=TASKS, nightly="from app.crontab import send\n")
    assert functions_in(importer) == []
    assert functions_in(import_module("app.crontab")) == ["app.crontab.send", "app.crontab.stay"]


@pytest.mark.django_db
def test_with_delete_first_a_module_leaves_what_another_one_declares_of_it(write):
    names = "from app.reports import build\ncronkite.cron('@daily')(build)\n"
    write(reports=REPORTS, crontab=names)
    Job.auto_discover("app.crontab")
    declarations._declared.pop("app.reports.build")  # as in a process that has not seen the other module
    sys.modules.pop("app.crontab")
    Job.auto_discover("app.reports", delete_first=True)
    assert Job.objects.get().function == "app.reports.build"


@pytest.mark.django_db
def test_sync_makes_jobs_of_what_is_named_and_of_nothing_else_there(write):
    write(errands=TASKS, crontab="from app.errands import send\n")
    found = differences.find()
    assert [declaration.function for declaration in found.new] == ["app.errands.send"]
    differences.create(found)
    assert Job.objects.get().function == "app.errands.send"
    found = differences.find()
    assert (found.new, found.changed, found.gone, found.broken) == ([], [], [], {})


@pytest.mark.django_db
def test_a_job_that_a_broken_module_may_name_is_not_gone(write):
    write(reports=REPORTS, crontab="from app.reports import build\ncronkite.cron('@daily')(build)\n")
    Job.auto_discover("app.crontab")
    declarations._declared.pop("app.reports.build")
    sys.modules.pop("app.crontab")
    with pytest.raises(LookupError):
        write(crontab="raise LookupError('no key')\n")
    found = differences.find()
    assert list(found.broken) == ["app.crontab"]
    assert found.gone == []


@pytest.mark.django_db
@pytest.mark.parametrize("decorator", ["", "@functools.wraps(function)\n    "])
def test_a_declaration_under_a_decorator_is_a_job(write, decorator):
    hiding = "import functools\n" + HIDING.replace("def wrapper", f"{decorator}def wrapper")
    nightly = write(hiding=hiding, nightly=f"from app.hiding import hide\n@hide\n{TASKS}")
    assert functions_in(nightly) == ["app.nightly.send", "app.nightly.stay"]
    Job.auto_discover("app.nightly")
    job = Job.objects.get(name="send")
    assert job.run() == 8
    assert declarations.named(job.declared_as, nightly.send).schedule == "0 3 * * *"


def test_above_a_decorator_that_hides_the_function_it_says_what_to_write(write):
    with pytest.raises(ValueError, match=r"have it use functools.wraps, or write @cronkite.cron beneath it"):
        write(hiding=HIDING, nightly="from app.hiding import hide\n@cronkite.cron('@daily')\n@hide\ndef send(): ...\n")


def test_without_parentheses_it_says_what_to_write():
    def send(): ...

    for schedule in (send, 5, None, ["@daily"]):
        with pytest.raises(TypeError, match=r'Write the schedule, as in @cronkite.cron\("0 3 \* \* \*"\)'):
            cronkite.cron(schedule)


def test_durations_may_be_timedeltas_and_the_catch_up_a_member(write):
    write(nightly="")
    module = sys.modules["app.nightly"]
    exec("def send(): ...", vars(module))
    cronkite.cron("@daily", grace=timedelta(hours=2), timeout=timedelta(minutes=1), catch_up=CatchUp.NONE)(module.send)
    (declaration,) = discovery.declarations_in(module)
    assert (declaration.grace, declaration.timeout, declaration.catch_up) == (7200, 60, "none")


@pytest.mark.django_db
def test_a_job_may_begin_disabled_and_is_then_people_s_to_enable(write):
    write(nightly="@cronkite.cron('@daily', enabled=False)\ndef send(): ...\n")
    Job.auto_discover("app.nightly")
    job = Job.objects.get()
    assert (job.enabled, job.next_run) == (False, None)
    job.enabled = True
    job.save()
    Job.auto_discover("app.nightly", delete_first=True)
    assert Job.objects.get().enabled
    assert discovery.declarations_in(sys.modules["app.nightly"])[0].differences(job) == {}
    with pytest.raises(TypeError, match="enabled must be True or False"):
        cronkite.cron("@daily", enabled=None)


def test_a_task_of_each_queue_is_declared(write):
    kinds = {"Actor": ("fn", "send_with_options"), "Huey": ("func", "call_local"), "Procrastinate": ("func", "defer")}
    source = ""
    for kind, (attribute, method) in kinds.items():
        source += f"class {kind}:\n    def __init__(self, function):\n        self.{attribute} = function\n"
        source += f"    def __call__(self): ...\n    def {method}(self): ...\n"
        source += f"@cronkite.cron('@daily')\n@{kind}\ndef of_{kind}(): ...\n"
    assert functions_in(write(nightly=source)) == [f"app.nightly.of_{kind}" for kind in kinds]


@pytest.mark.parametrize(
    ("zone", "name"), [(ZoneInfo("Europe/Berlin"), "Europe/Berlin"), (timezone.utc, "UTC"), ("", ""), ("UTC", "UTC")]
)
def test_a_zone_is_given_by_its_name_or_as_itself(zone, name, monkeypatch):
    monkeypatch.setattr(declarations, "_declared", {})
    cronkite.cron("@daily", timezone=zone)(jobs.ok)
    assert declarations.of(jobs.ok).timezone == name


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=2)), 3, object()])
def test_what_is_no_zone_is_refused(zone):
    with pytest.raises((TypeError, ValueError), match=r"timezone must be a name|is not a time zone"):
        cronkite.cron("@daily", timezone=zone)


@pytest.mark.django_db
def test_a_declared_job_has_numbers_by_its_function_and_says_so(write, caplog):
    caplog.set_level("INFO", "cronkite")
    module = write(nightly="@cronkite.cron('H 3 * * *', name='Bill')\ndef send(): ...\n")
    (declaration,) = discovery.declarations_in(module)
    assert declaration.spelled == f"H 3 * * * = {chosen.resolve('H 3 * * *', 'app.nightly.send')}"
    Job.auto_discover("app.nightly")
    assert declaration.spelled in caplog.text
    job = Job.objects.get()
    assert (job.schedule, job.get_schedule().seed) == ("H 3 * * *", "app.nightly.send")
    assert declaration.differences(job) == {}
    with pytest.raises(ScheduleError, match=r"^minute: the range in 'H\(30-10\)' runs backwards"):
        cronkite.cron("H(30-10) * * * *")


def test_a_ping_is_declared_without_the_blanks_around_it(write, db):
    module = write(pinged="@cronkite.cron('0 3 * * *', ping=' https://hc-ping.com/s3cret ')\ndef send(): ...\n")
    discovery.auto_discover(module)
    job = Job.objects.get(function="app.pinged.send")
    assert job.ping == "https://hc-ping.com/s3cret"
    with pytest.raises(ValueError, match="This is no URL to ping"):
        cronkite.cron("0 3 * * *", ping="hc-ping.com/s3cret")
