"""What the jobs of APScheduler become, in its own table and in that of django-apscheduler."""

from __future__ import annotations

import os
import pickle
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from cronkite.importing import apscheduler, deeds, django_apscheduler, pickled
from cronkite.importing.planned import Given, NothingToRead
from cronkite.importing.triggers import planned as of_state
from cronkite.models import Job

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

job_of = pytest.importorskip("apscheduler.job", reason="APScheduler is in the group `tests`")


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with a job store of its own, whose jobs are written and never run."""
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
    from apscheduler.schedulers.background import BackgroundScheduler

    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    scheduler = BackgroundScheduler(timezone=BERLIN)
    store = SQLAlchemyJobStore(url=url)
    scheduler.add_jobstore(store)
    scheduler.start(paused=True)
    scheduler.url = url
    yield scheduler
    stop(scheduler)
    store.engine.dispose()


def stop(scheduler):
    # Its thread looks at its job stores once more, and would leave a connection open.
    scheduler._jobstores.clear()
    scheduler.shutdown()


def one(scheduler, trigger, **options):
    scheduler.add_job(options.pop("func", "app.jobs:ok"), trigger, id="bill", **options)
    (planned,) = apscheduler.read(Given(scheduler.url, now=NOW))
    return planned


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"hour": 3}, "0 3 * * *"),
        ({"hour": 3, "day_of_week": 0}, "0 3 * * mon"),
        ({"day_of_week": "mon-fri", "hour": "8-18", "minute": "*/15"}, "*/15 8-18 * * mon-fri"),
        ({"day_of_week": "5,6", "hour": 0}, "0 0 * * sat,sun"),
        ({"day_of_week": "*/2", "hour": 0}, "0 0 * * mon,wed,fri,sun"),
        ({"day_of_week": "2-4", "hour": 0}, "0 0 * * wed,thu,fri"),
        ({"day_of_week": "0-6", "hour": 0}, "0 0 * * *"),
        ({"minute": "5/10"}, "5-59/10 * * * *"),
        ({"second": "*/10"}, "* * * * * */10"),
        ({"month": "jan-mar,12", "day": "1-10/3"}, "0 0 1-10/3 1-3,12 *"),
        ({"day": "last"}, "0 0 L * *"),
        ({"day": "2nd tue"}, "0 0 * * 2#2"),
        ({"day": "last fri,1st sun", "hour": 4}, "0 4 * * 5L,0#1"),
        ({"day": "15,last fri"}, "0 0 15 * 5L"),
    ],
)
@pytest.mark.django_db
def test_a_cron_trigger_becomes_an_expression(scheduler, fields, expression):
    planned = one(scheduler, "cron", **fields)
    assert [deed.state for deed in deeds.do([planned], write=False)] == ["new"]
    assert planned.columns["schedule"] == expression
    assert planned.columns["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"year": 2030}, "names years"),
        ({"week": "*/2"}, "names weeks"),
        ({"day": 13, "day_of_week": "fri"}, "both days must match"),
        ({"day": "1st mon", "day_of_week": "mon"}, "both days must match"),
        ({"timezone": timezone(timedelta(hours=1))}, "has no name"),
    ],
)
def test_what_there_is_no_expression_of_is_refused(scheduler, fields, problem):
    planned = one(scheduler, "cron", **fields)
    assert planned.columns is None
    assert problem in planned.problems[0]


def test_an_interval_becomes_every_and_a_date_at(scheduler):
    assert one(scheduler, "interval", minutes=5).columns["schedule"] == "@every 5m"
    scheduler.remove_job("bill")
    assert one(scheduler, "date", run_date=datetime(2100, 7, 1, 18, 0)).columns["schedule"] == "@at 2100-07-01T16:00"
    (gone,) = apscheduler.read(Given(scheduler.url, now=datetime(2101, 1, 1, tzinfo=timezone.utc)))
    assert "that is past" in gone.becomes


def test_triggers_that_combine_others_are_refused(scheduler):
    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger

    planned = one(scheduler, OrTrigger([CronTrigger(hour=3), CronTrigger(hour=5)]))
    assert "Its trigger is a OrTrigger" in planned.problems[0]


def test_arguments_and_options_come_along(scheduler):
    planned = one(
        scheduler,
        "cron",
        hour=3,
        args=(1, "a"),
        kwargs={"b": [2]},
        misfire_grace_time=600,
        jitter=30,
        max_instances=3,
        coalesce=False,
    )
    columns = {name: planned.columns[name] for name in ("function", "args", "kwargs", "grace", "catch_up", "jitter")}
    assert columns == {
        "function": "app.jobs.ok",
        "args": [1, "a"],
        "kwargs": {"b": [2]},
        "grace": 600,
        "catch_up": "all",
        "jitter": 30,
    }
    assert planned.columns["enabled"]
    assert any("overlap" in note for note in planned.notes)


def test_a_job_that_is_paused_there_is_disabled(scheduler):
    scheduler.add_job("app.jobs:ok", "cron", hour=3, id="bill")
    scheduler.pause_job("bill")
    (planned,) = apscheduler.read(Given(scheduler.url, now=NOW))
    assert planned.columns["enabled"] is False


class Order:
    """What no JSON can hold."""


def test_arguments_that_json_cannot_hold_are_named_and_not_made():
    state = _state(args=(Order(),))
    planned = of_state("APScheduler", "bill", state, NOW)
    assert "object of type Order is not JSON serializable" in planned.problems[0]


def _state(**changes):
    from apscheduler.triggers.cron import CronTrigger

    state = {
        "version": 1,
        "id": "bill",
        "func": "app.jobs:ok",
        "trigger": CronTrigger(hour=3, timezone=BERLIN),
        "executor": "default",
        "args": (),
        "kwargs": {},
        "name": "bill",
        "misfire_grace_time": 1,
        "coalesce": False,
        "max_instances": 1,
        "next_run_time": datetime(2026, 1, 2, tzinfo=BERLIN),
    }
    return pickle.dumps({**state, **changes})


class Evil:
    """Makes a folder, if somebody unpickles it as usual."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_that_a_pickle_names_is_run(tmp_path, protocol):
    path = str(tmp_path / "made")
    state = {**pickle.loads(_state()), "args": (Evil(path),)}
    data = pickle.dumps(state, protocol)
    planned = of_state("APScheduler", "bill", data, NOW)
    assert planned.columns is None
    assert not Path(path).exists()
    pickle.loads(data)
    assert Path(path).exists(), "the saboteur did nothing"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80\x05N.", b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.", b"cos\nsystem\n(S'true'\ntR.", b"nonsense"],
)
def test_what_is_no_job_is_refused(data):
    planned = of_state("APScheduler", "bill", data, NOW)
    assert "not pickled as APScheduler 3 does it" in planned.problems[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_each_protocol_is_read(protocol):
    data = pickle.dumps(pickle.loads(_state()), protocol)
    assert of_state("APScheduler", "bill", data, NOW).columns["schedule"] == "0 3 * * *"


def test_neither_package_nor_classes_need_to_be_there():
    state = pickled.read(_state(args=(Order(),)))
    assert type(state["trigger"]).__mro__[1] is pickled.Inert
    assert state["args"][0].path == f"{Order.__module__}.Order"


@pytest.mark.django_db
def test_a_table_in_the_projects_database_is_read():
    with pytest.raises(NothingToRead, match="no table apscheduler_jobs"):
        list(apscheduler.read(Given()))
    table = connection.ops.quote_name("jobs of the shop")
    binary = {"postgresql": "bytea", "mysql": "longblob"}.get(connection.vendor, "blob")
    # A temporary one: it is no part of the transaction everywhere, and goes by itself.
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id varchar(191), next_run_time float, job_state {binary})")
        try:
            cursor.execute(f"INSERT INTO {table} VALUES (%s, 1.5, %s)", ["bill", connection.Database.Binary(_state())])
            (planned,) = apscheduler.read(Given(table="jobs of the shop"))
        finally:
            cursor.execute(f"DROP TABLE {table}")
    assert planned.columns["function"] == "app.jobs.ok"


def test_a_url_that_leads_nowhere_is_told(tmp_path):
    with pytest.raises(NothingToRead, match="leads nowhere"):
        list(apscheduler.read(Given("nothing://x")))
    with pytest.raises(NothingToRead, match="can't be read there"):
        list(apscheduler.read(Given(f"sqlite:///{tmp_path / 'empty.sqlite'}")))


@pytest.mark.django_db
def test_rows_of_django_apscheduler_become_jobs_once(installed):
    with pytest.raises(NothingToRead, match="not in INSTALLED_APPS"):
        list(django_apscheduler.read(Given()))
    installed("django_apscheduler")
    from apscheduler.schedulers.background import BackgroundScheduler
    from django_apscheduler.jobstores import DjangoJobStore

    scheduler = BackgroundScheduler(timezone=BERLIN)
    scheduler.add_jobstore(DjangoJobStore(), "default")
    scheduler.start(paused=True)
    for number in range(3):
        scheduler.add_job("app.jobs:ok", "cron", hour=number, id=f"bill {number}")
    stop(scheduler)
    assert [deed.state for deed in deeds.do(django_apscheduler.read(Given(now=NOW)))] == ["new"] * 3
    assert [deed.state for deed in deeds.do(django_apscheduler.read(Given(now=NOW)))] == ["here"] * 3
    assert list(Job.objects.values_list("name", "schedule")) == [(f"bill {n}", f"0 {n} * * *") for n in range(3)]


@pytest.mark.django_db
def test_rows_of_django_apscheduler_are_read_where_they_are_written(installed, request):
    installed("django_apscheduler")
    # After it, as each puts back the settings that it has found.
    request.getfixturevalue("replica")
    assert list(django_apscheduler.read(Given())) == []
