"""What the settings of django-cron and django-crontab become."""

from __future__ import annotations

import sys
import types

import pytest

from cronkite.exceptions import FunctionError
from cronkite.importing import classes, deeds, django_cron, django_crontab
from cronkite.importing.planned import Given, NothingToRead
from cronkite.models import Job


@pytest.fixture
def make_class(monkeypatch, settings):
    """Make a class of django-cron's in a module of the app, by the real package."""
    package = pytest.importorskip("django_cron", reason="django-cron is in the group `tests`")
    module = types.ModuleType("app.crons")
    monkeypatch.setitem(sys.modules, "app.crons", module)
    settings.CRON_CLASSES = []

    def make(name="Bill", base=package.CronJobBase, **schedule):
        columns = {"__module__": "app.crons", "code": "bill", "do": lambda self: "billed"}
        columns["schedule"] = package.Schedule(**schedule)
        setattr(module, name, type(name, (base,), columns))
        settings.CRON_CLASSES = [*settings.CRON_CLASSES, f"app.crons.{name}"]

    return make


def read():
    return list(django_cron.read(Given()))


@pytest.mark.parametrize(
    ("schedule", "expressions"),
    [
        ({"run_every_mins": 5}, ["@every 5m"]),
        ({"run_every_mins": 1440}, ["@every 1d"]),
        ({"run_every_mins": 15, "run_on_days": [0, 4]}, ["*/15 * * * mon,fri"]),
        ({"run_every_mins": 120, "run_monthly_on_days": [1, 10]}, ["0 */2 1,10 * *"]),
        ({"run_at_times": ["11:30"]}, ["30 11 * * *"]),
        ({"run_at_times": ["6:30", "18:30", "12:00"]}, ["0 12 * * *", "30 6,18 * * *"]),
        ({"run_at_times": ["03:00"], "run_on_days": [6]}, ["0 3 * * sun"]),
        ({"run_every_mins": 60, "run_at_times": ["03:10"]}, ["@every 1h", "10 3 * * *"]),
    ],
)
def test_schedules_of_django_cron_are_said_as_they_are_here(make_class, schedule, expressions):
    make_class(**schedule)
    found = read()
    assert [planned.columns["schedule"] for planned in found] == expressions
    assert len({planned.key for planned in found}) == len(found)
    assert {planned.columns["function"] for planned in found} == {"cronkite.importing.classes.do"}


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ({"run_every_mins": 7, "run_on_days": [1]}, "no schedule here"),
        ({"run_monthly_on_days": [1], "run_on_days": [1], "run_at_times": ["3:00"]}, "both days must match"),
        ({"run_at_times": ["25:00"]}, "no time of the day"),
        ({"run_on_days": [], "run_every_mins": 5}, "no day at all"),
        ({}, "names no times"),
    ],
)
def test_what_there_is_no_schedule_of_is_refused(make_class, schedule, problem):
    make_class(**schedule)
    (planned,) = read()
    assert problem in planned.problems[0]


@pytest.mark.django_db
def test_a_class_of_django_cron_becomes_a_job_once_and_its_do_is_called(make_class):
    make_class(run_every_mins=5, retry_after_failure_mins=2)
    (planned,) = read()
    assert "tried again 2 min later" in planned.notes[0]
    assert [deed.state for deed in deeds.do(read())] == ["new"]
    assert [deed.state for deed in deeds.do(read())] == ["here"]
    assert Job.objects.get(name="Bill").run() == "billed"


@pytest.mark.parametrize("dotted", ["os.system", "app.jobs.ok", "app.jobs.none", "app.crons.Plain", "x"])
def test_only_classes_of_django_cron_in_apps_are_called(make_class, dotted):
    make_class("Plain", base=object, run_every_mins=5)
    with pytest.raises(FunctionError):
        classes.do(dotted)


def test_a_class_that_is_not_there_is_told(settings):
    settings.CRON_CLASSES = ["app.nowhere.Bill", "Bill"]
    assert all(planned.problems for planned in read())
    del settings.CRON_CLASSES
    with pytest.raises(NothingToRead, match="no CRON_CLASSES"):
        read()


CALL = "django.core.management.call_command"


@pytest.mark.parametrize(
    ("entry", "function", "args", "kwargs"),
    [
        (("*/5 * * * *", "app.jobs.ok"), "app.jobs.ok", [], {}),
        (["*/5 * * * *", "app.jobs.ok", ">> /tmp/x 2>&1"], "app.jobs.ok", [], {}),
        (("*/5 * * * *", "app.jobs.ok", [1, "a"]), "app.jobs.ok", [1, "a"], {}),
        (("*/5 * * * *", "app.jobs.ok", (1,), {"b": 2}), "app.jobs.ok", [1], {"b": 2}),
        (("*/5 * * * *", "app.jobs.ok", [1], {}, ">> /tmp/x"), "app.jobs.ok", [1], {}),
        (("0 4 * * *", CALL, ["clearsessions"]), "cronkite.commands.call", ["clearsessions"], {}),
        (
            ("0 4 * * *", CALL, ["bill", 3], {"dry_run": True, "verbosity": 0, "loud": False}),
            "cronkite.commands.call",
            ["bill", "3", "--dry-run", "--verbosity=0"],
            {},
        ),
    ],
)
def test_an_entry_of_django_crontab_becomes_a_call(settings, entry, function, args, kwargs):
    settings.CRONJOBS = [entry]
    (planned,) = django_crontab.read(Given(timezone="Europe/Berlin"))
    columns = planned.columns
    assert (columns["function"], columns["args"], columns["kwargs"]) == (function, args, kwargs)
    assert (columns["schedule"], columns["timezone"]) == (entry[0], "Europe/Berlin")
    assert bool(planned.notes) == (">>" in str(entry))


def test_entries_are_those_that_django_crontab_itself_writes_lines_of(settings, monkeypatch):
    crontab = pytest.importorskip("django_crontab.crontab", reason="django-crontab is in the group `tests`")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "settings")
    settings.CRONTAB_DJANGO_MANAGE_PATH = "/dev/null"
    settings.CRONJOBS = [
        ("*/5 * * * *", "app.jobs.ok", ">> /tmp/x"),
        ("0 4 * * *", "app.jobs.ok", [1], {"b": 2}, "> y"),
    ]
    theirs = crontab.Crontab(verbosity=0, readonly=True)
    theirs.add_jobs()
    found = list(django_crontab.read(Given()))
    assert len(found) == len(theirs.crontab_lines)
    for planned, line in zip(found, theirs.crontab_lines, strict=True):
        assert line.startswith(planned.columns["schedule"])


@pytest.mark.parametrize("entry", [(), ("* * * * *",), ("* * * * *", 7), None, ("* * * * *", "app.jobs.ok", 7)])
def test_an_entry_that_is_none_is_told(settings, entry):
    settings.CRONJOBS = [entry, ("* * * * *", "app.jobs.ok")]
    bad, good = django_crontab.read(Given())
    assert "no entry that django-crontab takes" in bad.problems[0]
    assert good.columns


def test_without_the_setting_it_is_told(settings):
    with pytest.raises(NothingToRead, match="no CRONJOBS"):
        list(django_crontab.read(Given()))


@pytest.mark.django_db
def test_entries_of_the_same_function_are_jobs_of_their_own_once(settings):
    settings.CRONJOBS = [("0 3 * * *", "app.jobs.ok"), ("0 4 * * *", "app.jobs.ok"), ("0 3 * * *", "app.jobs.ok")]
    assert [deed.state for deed in deeds.do(django_crontab.read(Given()))] == ["new", "new", "here"]
    assert [deed.state for deed in deeds.do(django_crontab.read(Given()))] == ["here", "here", "here"]
