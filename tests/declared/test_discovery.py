"""Jobs that are declared in code become rows, whoever else does the same at the same time."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import django
import pytest
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from racers import Racer, racers

import cronkite
from app import declared, declared_badly
from cronkite.code import declarations
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.exceptions import ScheduleError
from cronkite.models import Job, Log

HERE = Path(__file__).parents[1]
#: Seconds until a wait is given up: far more than a busy machine needs.
PATIENCE = 120
RACERS = 8
#: Seconds for all that they do in a test: less than pytest gives it.
RACE = 280
#: The functions that app.declared declares, in its order.
DECLARED = ["nightly", "hourly", "send", "fetch", "deliver", "collect"]


@pytest.fixture(autouse=True)
def _nothing_waits():
    yield
    discovery._waiting.clear()


@pytest.fixture
def module(monkeypatch):
    """Return a function that makes a module ``app.NAME`` of functions."""

    def make(name, **schedules):
        made = ModuleType(f"app.{name}")
        for function_name, schedule in schedules.items():

            def function():
                pass

            function.__name__ = function.__qualname__ = function_name
            function.__module__ = made.__name__
            function.schedule = schedule
            setattr(made, function_name, function)
        monkeypatch.setitem(sys.modules, made.__name__, made)
        return made

    return make


def names():
    return sorted(Job.objects.values_list("function", flat=True))


def rows():
    return list(Job.objects.order_by("pk").values())


# What is declared.


@pytest.mark.django_db
def test_a_module_s_scheduled_functions_become_jobs():
    before = clock.now("default")
    Job.auto_discover("app.declared")
    assert list(Job.objects.order_by("id").values_list("function", flat=True)) == [
        f"app.declared.{n}" for n in DECLARED
    ]
    nightly, hourly, send, fetch, deliver, collect = Job.objects.order_by("id")
    assert (nightly.name, nightly.schedule) == ("nightly", "0 3 * * *")
    assert nightly.description == "Count the sheep.\n\nAll of them."
    assert (hourly.name, hourly.schedule, hourly.description) == ("hourly", "@hourly", "")
    assert (send.name, send.schedule, send.timezone) == ("Send mails", "*/5 * * * *", "Europe/Berlin")
    assert (send.args, send.kwargs, send.catch_up, send.grace, send.timeout) == (
        [1, [2, 3]],
        {"c": "ü"},
        "none",
        60,
        30,
    )
    assert [job.description for job in (send, fetch, deliver, collect)] == ["Send.", "Fetch.", "Deliver.", "Collect."]
    for job in Job.objects.all():
        assert (job.source, job.enabled, job.declared_as, job.revision) == ("code", True, job.function, 0)
        assert job.next_run > before


@pytest.mark.django_db
def test_only_functions_that_are_defined_in_the_module_are_its_jobs():
    Job.auto_discover(declared)
    assert not Job.objects.filter(name__in=["elsewhere", "unscheduled", "scheduled_oddly"]).exists()


@pytest.mark.django_db
def test_declared_jobs_run():
    Job.auto_discover("app.declared")
    assert Job.objects.get(function="app.declared.send").run() == [1, [2, 3], "ü"]
    for name in ("nightly", "fetch", "deliver", "collect"):
        Job.objects.get(function=f"app.declared.{name}").run()
    assert Log.objects.filter(status=Log.Status.SUCCEEDED).count() == 5


@pytest.mark.skipif(django.VERSION < (6, 0), reason="django.tasks came with Django 6.0")
@pytest.mark.django_db
def test_a_task_of_django_tasks_is_declared_as_a_function_is():
    Job.auto_discover("app.declared_tasks")
    job = Job.objects.get()
    assert (job.function, job.name, job.description) == ("app.declared_tasks.double", "double", "Double it.")
    assert job.run() == 4


@pytest.mark.django_db
def test_a_declaration_that_cannot_be_a_job_is_told_of_and_stops_no_other(caplog):
    Job.auto_discover(declared_badly)
    assert names() == ["app.declared_badly.first", "app.declared_badly.last"]
    assert "app.declared_badly.unreadable is declared as a job, but can't be one: minute: 61" in caplog.text
    assert "app.declared_badly._private is declared as a job, but can't be one" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("entered", [False, True], ids=["declared", "entered by hand"])
def test_functions_that_differ_only_by_case_are_two_jobs_or_one_and_stop_no_other(module, entered, caplog):
    """Some databases take the two names for one: the second is told of there, each time."""
    made = module("cased", first="@daily", bill="@daily", Bill="@daily", last="@daily")
    if entered:
        Job(name="mine", function="app.cased.Bill", schedule="@daily").save()
    Job.auto_discover(made)
    Job.auto_discover(made, delete_first=True)
    Job.auto_discover(made, delete_first=True)
    takes_them_for_one = Job.objects.filter(declared_as="APP.CASED.LAST").exists()
    made = set(names())
    assert made >= {"app.cased.first", "app.cased.last", "app.cased.bill"}
    assert ("app.cased.Bill" in made) is (entered or not takes_them_for_one)
    said = "app.cased.Bill is declared as a job, but can't be one: the database takes its name for app.cased.bill"
    assert (said in caplog.text) is takes_them_for_one
    assert ("app.cased.bill is declared as a job, but" in caplog.text) is False


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["\0", "\ud800", "\U0001f40d"], ids=["NUL", "half a character", "snake"])
def test_a_text_that_the_database_cannot_hold_stops_no_other(module, text, settings):
    made = module("worded", first="@daily", second="@daily", last="@daily")
    made.second.__doc__ = f"Count {text}."
    Job.auto_discover(made)
    assert {"app.worded.first", "app.worded.last"} <= set(names())
    made.first.__doc__ = f"Count {text}."
    made.last.__doc__ = "Count."
    Job.auto_discover(made, delete_first=True)
    assert Job.objects.get(name="last").description == "Count."


@pytest.mark.django_db
def test_whatever_the_database_says_of_one_declaration_stops_no_other(module, monkeypatch, caplog):
    def refuse(job, **kwargs):
        if job.name == "second":
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM nowhere")
        save(job, **kwargs)

    save = Job.save
    monkeypatch.setattr(Job, "save", refuse)
    Job.auto_discover(module("told", first="@daily", second="@daily", last="@daily"))
    assert names() == ["app.told.first", "app.told.last"]
    assert "app.told.second is declared as a job, but can't be one: " in caplog.text
    assert "nowhere" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_is_no_word_about_the_declaration(module, monkeypatch, caplog):
    def fall(job, **kwargs):
        connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(Job, "save", fall)
    with pytest.raises(OperationalError):
        Job.auto_discover(module("fallen", first="@daily"))
    assert "can't be one" not in caplog.text


@pytest.mark.django_db
def test_a_module_that_cannot_be_imported_is_the_caller_s_to_know():
    with pytest.raises(LookupError):
        Job.auto_discover("app.broken")


# What is there already.


@pytest.mark.django_db
def test_an_existing_job_is_left_as_it_is():
    Job(name="mine", function="app.declared.nightly", schedule="0 4 * * *", enabled=False).save()
    before = rows()
    Job.auto_discover("app.declared")
    Job.auto_discover("app.declared")
    assert rows()[: len(before)] == before
    assert len(names()) == len(DECLARED)


@pytest.mark.django_db
def test_a_declared_job_that_somebody_had_call_another_function_is_left_as_it_is():
    Job.auto_discover("app.declared")
    Job.objects.filter(name="nightly").update(function="app.jobs.ok")
    Job.auto_discover("app.declared")
    assert names() == sorted(["app.jobs.ok", *(f"app.declared.{name}" for name in DECLARED[1:])])


@pytest.mark.django_db
def test_with_delete_first_the_rows_are_what_the_module_says():
    Job.auto_discover("app.declared")
    Job.objects.filter(name="nightly").update(
        name="mine", schedule="0 4 * * *", timezone="Asia/Kathmandu", args=[1], timeout=5, description="x"
    )
    Job.objects.filter(name="hourly").delete()
    Job.objects.filter(name="fetch").update(function="app.jobs.ok")
    # Not by save(), which would refuse a function that is gone.
    Job.objects.bulk_create([Job(name="gone", function="app.declared.gone", schedule="@daily")])
    Job(name="twice", function="app.declared.nightly", schedule="@daily").save()
    Job.auto_discover("app.declared", delete_first=True)
    assert names() == sorted(f"app.declared.{name}" for name in DECLARED)
    nightly = Job.objects.get(function="app.declared.nightly")
    assert (nightly.name, nightly.schedule, nightly.timezone) == ("nightly", "0 3 * * *", "")
    assert (nightly.args, nightly.timeout, nightly.description) == ([], None, "Count the sheep.\n\nAll of them.")
    assert nightly.next_run == nightly.get_schedule().next_after(clock.now("default"))


@pytest.mark.django_db
def test_with_delete_first_a_job_that_was_entered_by_hand_is_taken_over():
    Job(name="mine", function="app.declared.nightly", schedule="0 4 * * *").save()
    mine = Job.objects.get()
    Job.auto_discover("app.declared", delete_first=True)
    mine.refresh_from_db()
    assert (mine.name, mine.schedule, mine.source) == ("nightly", "0 3 * * *", "code")
    assert len(names()) == len(DECLARED)


@pytest.mark.django_db
def test_with_delete_first_a_job_that_stays_keeps_its_state_and_its_logs(make_job):
    Job.auto_discover("app.declared")
    job = Job.objects.get(name="hourly")
    job.run()
    slot = datetime(2020, 1, 1, tzinfo=timezone.utc)
    state = {
        "next_run": slot,
        "last_slot": slot,
        "fence": 7,
        "lock": uuid4(),
        "locked_by": "alpha",
        "locked_at": slot,
        "enabled": True,
    }
    Job.objects.filter(pk=job.pk).write(**state, description="outdated")
    Job.objects.filter(name="nightly").update(enabled=False)
    Job.auto_discover("app.declared", delete_first=True)
    job.refresh_from_db()
    assert job.description == ""
    assert {column: getattr(job, column) for column in state} == state
    assert job.logs.get().status == Log.Status.SUCCEEDED
    assert not Job.objects.get(name="nightly").enabled


@pytest.mark.django_db
def test_with_delete_first_nothing_is_written_where_nothing_changed():
    Job.auto_discover("app.declared", delete_first=True)
    before = rows()
    with CaptureQueriesContext(connection) as few:
        Job.auto_discover("app.declared", delete_first=True)
    assert rows() == before
    assert all(query["sql"].upper().startswith(("SELECT", "PRAGMA", "SHOW", "\n")) for query in few), list(few)
    assert sum(f"FROM {connection.ops.quote_name('cronkite_job')} WHERE" in query["sql"] for query in few) == 1


@pytest.mark.django_db
def test_the_number_of_queries_does_not_depend_on_the_number_of_declared_jobs(module):
    counts = []
    for number in (1, 30):
        made = module(f"many_{number}", **{f"function_{i}": "@daily" for i in range(number)})
        # They must be found by name, too, or save() refuses them.
        Job.auto_discover(made, delete_first=True)
        with CaptureQueriesContext(connection) as few:
            Job.auto_discover(made, delete_first=True)
        counts.append(len(few))
    assert Job.objects.count() == 31
    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_with_delete_first_only_the_rows_of_the_module_are_deleted(module):
    Job.auto_discover("app.declared_extra")
    Job(name="by hand", function="app.jobs.ok", schedule="@daily").save()
    module("declared", nightly="@daily")
    module("declared.below", deep="@daily")
    Job.auto_discover("app.declared.below")
    Job.auto_discover("app.declared")
    module("declared")
    Job.auto_discover("app.declared", delete_first=True)
    assert names() == ["app.declared.below.deep", "app.declared_extra.elsewhere", "app.jobs.ok"]


@pytest.mark.django_db
def test_the_logs_of_a_job_that_is_declared_no_more_are_kept(module):
    Job.auto_discover(module("shrinking", stays="@daily", goes="@daily"))
    Job.objects.get(name="goes").run()
    Job.auto_discover(module("shrinking", stays="@daily"), delete_first=True)
    assert names() == ["app.shrinking.stays"]
    log = Log.objects.get(job_name="goes", slot=None)
    assert (log.job, log.function) == (None, "app.shrinking.goes")


@pytest.mark.django_db
def test_a_slip_in_a_schedule_costs_no_job(module, caplog):
    Job.auto_discover(module("slipping", nightly="@daily"))
    before = rows()
    Job.auto_discover(module("slipping", nightly="@dayly"), delete_first=True)
    assert rows() == before
    assert "app.slipping.nightly is declared as a job, but can't be one" in caplog.text


# The tables are not there.


@pytest.mark.django_db(transaction=True)
def test_without_tables_it_waits_for_migrate():
    call_command("migrate", "cronkite", "zero", verbosity=0)
    try:
        Job.auto_discover("app.declared", delete_first=True)
        Job.auto_discover("app.declared_extra")
        discovery.discover_apps()
        assert [name for name, _ in discovery._waiting] == ["app.declared", "app.declared_extra"]
    finally:
        call_command("migrate", verbosity=0)
    assert len(names()) == len(DECLARED) + 1
    assert discovery._waiting == []


@pytest.mark.django_db(transaction=True)
def test_with_the_tables_of_an_older_version_it_waits_for_migrate():
    execute("ALTER TABLE cronkite_job RENAME COLUMN description TO later")
    try:
        Job.auto_discover("app.declared")
        assert discovery._waiting == [("app.declared", False)]
    finally:
        execute("ALTER TABLE cronkite_job RENAME COLUMN later TO description")
    call_command("migrate", verbosity=0)
    assert len(names()) == len(DECLARED)


def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    "first",
    [
        "cronkite",
        "django.contrib.admin",
    ],
)
def test_the_first_migrate_of_a_project_makes_the_jobs_that_its_admin_asks_for(first, tmp_path):
    def manage(*arguments):
        completed = subprocess.run(
            [sys.executable, "-W", "error", str(HERE / "manage.py"), *arguments],
            cwd=HERE,
            env={
                **os.environ,
                "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
                "DJANGO_SETTINGS_MODULE": "found.settings",
                "CRONKITE_TEST_FIRST": first,
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    listed = (
        "from cronkite.models import Job;"
        "print('jobs', *Job.objects.order_by('function').values_list('function', 'revision'))"
    )
    found = "jobs ('found.crontab.count_clouds', 0) ('found.crontab.count_stars', 0) ('found.jobs.count_sheep', 0)"
    manage("migrate", "--verbosity", "0")
    assert found in manage("shell", "-c", listed)


# Apps are loading.


@pytest.mark.django_db
def test_an_outage_keeps_no_node_from_starting(monkeypatch, caplog):
    def fail(*arguments):
        raise OperationalError("the server is away")

    monkeypatch.setattr(discovery, "_has_tables", fail)
    with pytest.raises(OperationalError):
        Job.auto_discover("app.declared")
    monkeypatch.setattr(discovery.apps, "ready", False)
    Job.auto_discover("app.declared")
    assert "app.declared are not looked at until the next start: the server is away" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_start_leaves_no_connection_that_forked_processes_would_share(monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(discovery.apps, "ready", False)
        Job.auto_discover("app.declared")
    assert connection.connection is None
    connection.ensure_connection()
    with monkeypatch.context() as patch:
        patch.setattr(discovery.apps, "ready", False)
        Job.auto_discover("app.declared")
    assert connection.connection is not None


# Modules that are found by themselves.


@pytest.mark.django_db
def test_crontab_modules_of_installed_apps_are_found_by_migrate(settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "found"]
    call_command("migrate", verbosity=0)
    assert {"found.crontab.count_clouds", "found.crontab.count_stars"} <= set(names())
    stars = Job.objects.get(function="found.crontab.count_stars")
    assert (stars.name, stars.description, stars.source) == ("Count the stars", "Look up.", "code")
    before = rows()
    call_command("migrate", verbosity=0)
    assert rows() == before


# Declarations.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "61 * * * *"}, "minute: 61 is out of range"),
        ({"schedule": "@reboot"}, "names no times"),
        ({"timezone": "Europe/Berln"}, "is not a time zone"),
        ({"catch_up": "sometimes"}, "catch_up must be one of 'latest', 'all', 'none', not 'sometimes'"),
        ({"timeout": timedelta(0)}, "timeout must be"),
        ({"grace": timedelta(seconds=1.5)}, "or such a timedelta"),
        ({"grace": -1}, "grace must be None or a whole number of seconds from 0 up"),
        ({"grace": True}, "grace must be"),
        ({"grace": 2**40}, "grace must be"),
        ({"timeout": 0}, "timeout must be None or a whole number of seconds from 1 up"),
        ({"timeout": "5"}, "timeout must be"),
        ({"args": "abc"}, "args must be a list"),
        ({"args": [object()]}, "args must be a list of what JSON can hold"),
        ({"args": [float("nan")]}, "args must be a list of what JSON can hold"),
        ({"kwargs": [1]}, "kwargs must be a dict"),
        ({"args": [1, 2]}, "The arguments do not fit the function: too many positional arguments"),
        ({"kwargs": {"b": 1}}, "The arguments do not fit the function: got an unexpected keyword argument 'b'"),
        ({"name": "x" * 256}, "more than 255 characters"),
    ],
)
def test_options_that_make_no_sense_are_refused_where_they_are_written(options, message):
    def function(a=1):
        pass

    function.__qualname__ = function.__name__
    options = {"schedule": "@daily", **options}
    with pytest.raises(ValueError, match=message):
        cronkite.cron(options.pop("schedule"), **options)(function)
    assert declarations.of(function) is None


def test_schedules_are_refused_as_schedules():
    with pytest.raises(ScheduleError):
        cronkite.cron("every now and then")


@pytest.mark.parametrize("target", [5, "app.jobs.ok", Job, declared])
def test_only_functions_and_tasks_can_be_declared(target):
    with pytest.raises(TypeError, match="neither a function nor a task"):
        cronkite.cron("@daily")(target)
    assert declarations.of(target) is None


def test_an_object_that_cannot_be_looked_into_is_no_declaration():
    assert declarations.of(declared.moody) is None


def test_a_function_that_no_dotted_name_leads_to_cannot_be_declared():
    def nested():
        pass

    for target in (nested, lambda: None, Racer.hear):
        with pytest.raises(ValueError, match="no dotted name leads to it"):
            cronkite.cron("@daily")(target)


def test_a_partial_is_not_taken_for_the_function_in_it():
    from functools import partial

    weekly = partial(declared.send, 1, 2)
    with pytest.raises(TypeError, match="neither a function nor a task"):
        cronkite.cron("@weekly")(weekly)
    assert declarations.of(weekly) is None


def test_a_declared_function_is_returned_as_it_is():
    assert declared.send(1, 2) == [1, 2, ""]
    assert isinstance(declared.deliver, declared.CeleryTask)


def test_a_function_is_declared_once():
    with pytest.raises(ValueError, match=r"app\.declared\.send is declared twice"):
        cronkite.cron("*/5 * * * *", args=[1, 2])(declared.send)
    # Reading the module again says nothing new.
    again = {"timezone": "Europe/Berlin", "name": "Send mails", "args": [1, [2, 3]], "kwargs": {"c": "ü"}}
    cronkite.cron("*/5 * * * *", **again, catch_up="none", grace=60, timeout=30)(declared.send)


# Many nodes at once.


def declarers(*arguments):
    """Start processes that declare the jobs of app.declared whenever they are told to."""
    return racers(RACERS, RACE, "declarer.py", *arguments)


def race(started):
    """Let them all go at once, and wait until they have done it."""
    for racer in started:
        racer.say()
    assert [racer.hear() for racer in started] == ["done"] * RACERS


@pytest.mark.django_db(transaction=True)
def test_nodes_that_start_at_once_make_one_row_of_each_function_and_keep_what_is_there():
    expected = sorted(f"app.declared.{name}" for name in DECLARED)
    slot = datetime(2020, 1, 1, tzinfo=timezone.utc)
    with declarers() as started:
        for _ in range(5):
            Job.objects.all().delete()
            race(started)
            assert names() == expected
        before = rows()
        race(started)
        assert rows() == before
        for _ in range(3):
            # Every kind of difference at once: to insert, to change, to delete.
            lock = uuid4()
            Job.objects.filter(name="hourly").delete()
            Job.objects.filter(name="nightly").write(
                next_run=slot, last_slot=slot, lock=lock, locked_by="alpha", locked_at=slot, fence=3, description="x"
            )
            Job.objects.filter(name="fetch").update(schedule="@yearly")
            Job(name="twice", function="app.declared.nightly", schedule="@daily").save()
            race(started)
            assert names() == expected
            nightly = Job.objects.get(name="nightly")
            assert (nightly.next_run, nightly.last_slot, nightly.fence) == (slot, slot, 3)
            assert (nightly.lock, nightly.locked_by, nightly.description[:5]) == (lock, "alpha", "Count")
            assert Job.objects.get(name="fetch").schedule == "30 4 * * *"


@pytest.mark.django_db(transaction=True)
def test_nodes_that_have_all_looked_before_one_of_them_writes_make_one_row_of_each_function():
    with declarers("hold") as started:
        hold_and_race(started)
    assert names() == sorted(f"app.declared.{name}" for name in DECLARED)


@pytest.mark.django_db(transaction=True)
def test_without_the_unique_column_they_would_make_many():
    with declarers("hold", "unprotected") as started:
        hold_and_race(started)
    assert Job.objects.count() == RACERS * len(DECLARED)


def hold_and_race(started):
    for racer in started:
        racer.say()
    assert [racer.hear() for racer in started] == ["looked"] * RACERS
    race(started)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_node_deletes_meanwhile_is_made_anew(monkeypatch):
    Job.auto_discover("app.declared")
    Job.objects.filter(name="hourly").update(description="outdated")
    update, rivals = discovery.overwrite, [1]

    def delete_and_update(job, *arguments):
        if job.name == "hourly" and rivals.pop() if rivals else False:
            Job.objects.filter(pk=job.pk).delete()
        update(job, *arguments)

    monkeypatch.setattr(discovery, "overwrite", delete_and_update)
    Job.auto_discover("app.declared", delete_first=True)
    assert rivals == []
    assert Job.objects.get(name="hourly").description == ""


@pytest.mark.django_db(transaction=True)
def test_an_error_that_no_rival_caused_comes_out(monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(discovery, "_synchronise", fail)
    for error in (OperationalError("the disk is full"), DatabaseError("changed 10 times meanwhile")):
        with pytest.raises(DatabaseError, match=str(error)):
            Job.auto_discover("app.declared")


@pytest.mark.django_db
def test_with_delete_first_nothing_goes_while_another_module_is_broken_that_may_declare_it(module, monkeypatch, caplog):
    """As one is for which a variable is missing on one of the machines."""
    made = module("tidied", stays="@daily", goes="@daily")
    Job.auto_discover(made)
    before = names()
    del made.goes.schedule
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.broken"])
    Job.auto_discover(made, delete_first=True)
    assert names() == before
    assert "does not declare any more is not deleted: app.broken could not be looked at" in caplog.text
    monkeypatch.setattr(discovery, "crontabs", list)
    Job.auto_discover(made, delete_first=True)
    assert names() != before


def test_it_can_be_called_with_the_module_itself_or_its_name():
    assert discovery.declarations_in(import_module("app.declared"))[0].function == "app.declared.nightly"
    assert logging.getLogger("cronkite") is discovery.logger


def test_a_broken_module_keeps_no_other_from_being_found(db, monkeypatch, caplog):
    """Nor the node from ticking, nor ``migrate`` from ending."""
    looked_at = []

    def look(module, delete_first):
        looked_at.append(module)
        if module == "app.first":
            raise ImportError("nothing there")

    monkeypatch.setattr(discovery, "_waiting", [("app.first", False), ("app.second", True)])
    monkeypatch.setattr(discovery, "auto_discover", look)
    discovery.discover_apps()
    assert looked_at == ["cronkite.crontab", "app.first", "app.second"]
    assert "app.first declares could not be looked at" in caplog.text
