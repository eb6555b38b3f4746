"""What the tests share: jobs that are due, and a place for evidence."""

from __future__ import annotations

import signal
import sqlite3
import sys
import zoneinfo
from contextlib import closing
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import override_settings
from hypothesis import settings as hypothesis_settings

from cronkite import schedules
from cronkite.claims import claiming
from cronkite.database import clock, quirks
from cronkite.models import Job, Log

# A busy machine is slow, not wrong; and the examples are the same in each run, so that a failure is found again.
hypothesis_settings.register_profile("cronkite", deadline=None, derandomize=True)
hypothesis_settings.load_profile("cronkite")

# What takes each process of the tests its first ten seconds is kept for the next one. What tests write and then import
# is not: two modules of the same second may be taken for one.
_KEEPS_NO_BYTECODE = sys.dont_write_bytecode
sys.dont_write_bytecode = False

# Whatever a shell starts in the background ignores SIGINT, and so would the nodes that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    sys.dont_write_bytecode = _KEEPS_NO_BYTECODE


@pytest.fixture(autouse=True)
def signals_are_left_as_they_were():
    """A test that left SIGINT ignored would have all nodes that later ones start ignore it."""
    before = _signals()
    yield
    assert _signals() == before


def _signals():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.fixture
def make_job(db):
    """Make a job; with ``due`` (seconds), its next slot is the newest that is at least so old.

    Unless the schedule says otherwise there is one slot a year, not near, so that none falls due while a test looks on.
    """

    made = []

    def make(function="app.jobs.ok", *, due=None, schedule=None, **columns):
        made.append(function)
        again = f" {len(made)}" if function in made[:-1] else ""
        columns.setdefault("name", function.rpartition(".")[2] + again)
        job = Job(function=function, schedule=yearly() if schedule is None else schedule, **columns)
        job.planned_at = clock.now("default")
        job.next_run = job.get_schedule().next_after(job.planned_at)
        # Not by save(): it would refuse a function that does not exist, and some tests are about those.
        Job.objects.bulk_create([job])
        # By its name: MySQL does not say which key it gave.
        job = Job.objects.get(name=job.name)
        if due is not None:
            make_due(job, due)
        return job

    return make


@pytest.fixture
def nursery():
    """Where a pool of this process has its workers from."""
    from cronkite.runs.nursery import Nursery

    one = Nursery(lambda: import_module("cronkite.runs.worker").serve)
    yield one
    one.close()


def yearly():
    """An expression of one slot a year, five to seven months from now at any time of the year."""
    return f"0 0 1 {(datetime.now(timezone.utc).month + 5) % 12 + 1} *"


def hourly():
    """An expression of one slot an hour, half an hour from now at any minute."""
    return f"{(datetime.now(timezone.utc).minute + 30) % 60} * * * *"


def make_due(job, seconds=0):
    """Put the job's next slot where it is at least ``seconds`` old by the database's clock, or the newest one due."""
    now = clock.now("default") - timedelta(seconds=seconds)
    slot = job.get_schedule().latest_at(now)
    Job.objects.filter(pk=job.pk).write(next_run=slot, last_slot=None)
    job.refresh_from_db()
    return slot


def hold(job, ago, node="web-9"):
    """Have a run hold the job's lock that showed life so many seconds ago."""
    claiming.claim_by_hand(job, node)
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(seconds=ago))


def put_in_place_of(job, **columns):
    """Delete the job, and put another one at its key, as a fixture would; return that."""
    plan = {"schedule": job.schedule, "planned_at": clock.now("default"), "next_run": job.next_run}
    Job.objects.filter(pk=job.pk).delete()
    Job.objects.bulk_create([Job(pk=job.pk, name="new", **plan, **columns)])
    return Job.objects.get(pk=job.pk)


def due(job):
    """Return the job as a tick would read it, or ``None`` if no tick would."""
    return Job.objects.queue().filter(pk=job.pk).first()


@pytest.fixture
def evidence(tmp_path):
    """A file that runs append to: what happened, whatever cronkite's tables say."""
    return Evidence(tmp_path / "evidence")


class Evidence:
    """The runs that a file tells of, one line each: job, slot, fencing token, process, text."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)

    def __str__(self):
        return str(self.path)

    def lines(self):
        return [line.split() for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def starts(self):
        """Return (job, slot) of each start, in the order of the starts."""
        return [(int(line[0]), line[1]) for line in self.lines() if line[4:5] != ["end"]]

    def texts(self):
        return [" ".join(line[4:]) for line in self.lines()]


@pytest.fixture
def clock_stands(transactional_db):
    """Have the database's clock stand at an instant, as far as this connection can see: in whole milliseconds.

    What is replaced is the database's own, so that what ``cronkite.database.clock`` makes of it is tested.
    """

    def stand(instant):
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            text = f"{instant:%Y-%m-%d %H:%M:%S.%f}"

            def strftime(form, *when):
                with closing(sqlite3.connect(":memory:")) as real:
                    return real.execute("SELECT strftime(?, ?)", (form, text)).fetchone()[0]

            connection.connection.create_function("strftime", -1, strftime)
            return
        with connection.cursor() as cursor:
            if connection.vendor == "mysql":
                cursor.execute("SET timestamp = %s", [instant.timestamp()])
                return
            cursor.execute(
                "CREATE OR REPLACE FUNCTION public.statement_timestamp() RETURNS timestamptz LANGUAGE sql "
                f"AS $$ SELECT '{instant.isoformat()}'::timestamptz $$"
            )
            # What is asked for is looked up in the server's own schema first, unless that is named.
            cursor.execute("SET search_path = public, pg_catalog")

    yield stand
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION IF EXISTS public.statement_timestamp()")
            # A pool would keep it.
            cursor.execute("RESET search_path")
    # The next one goes by the right time.
    connection.close()


@pytest.fixture
def in_steps(monkeypatch):
    """Have a claim and an end go step by step in a transaction, also where the database can join the steps."""
    monkeypatch.setattr(quirks, "can_join_writes", lambda connection: False)


@pytest.fixture
def lock_timeout():
    """Set ``CRONKITE_LOCK_TIMEOUT`` in this process."""
    from django.test import override_settings

    contexts = []

    def set_timeout(seconds):
        contexts.append(override_settings(CRONKITE_LOCK_TIMEOUT=seconds))
        contexts[-1].enable()

    yield set_timeout
    for context in reversed(contexts):
        context.disable()


#: The data of a few zones, as tzdata 2025b had them; UTC and Berlin are among them.
ZONE_DATA = Path(__file__).parent / "data" / "zoneinfo"


@pytest.fixture
def tzpath(monkeypatch):
    """Have time zone data from a folder alone, whatever the system and Python's package tzdata have."""

    def read(folder):
        # zoneinfo asks the package where the folder has no such file.
        for module in [name for name in sys.modules if name.partition(".")[0] == "tzdata"]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, "tzdata", None)
        zoneinfo.reset_tzpath([folder])
        _forget_zones()

    yield read
    monkeypatch.undo()
    zoneinfo.reset_tzpath()
    _forget_zones()


def _forget_zones():
    zoneinfo.ZoneInfo.clear_cache()
    schedules.schedule._read.cache_clear()


@pytest.fixture
def replica(monkeypatch):
    """Have a router that splits reads from writes, here and in all nodes; the replica refuses to be asked."""
    monkeypatch.setitem(connections.settings, "replica", {**connections.settings["default"], "ENGINE": "refusing"})
    monkeypatch.setenv("CRONKITE_TEST_ROUTER", "wide")
    with override_settings(DATABASE_ROUTERS=["splitting.WideRouter"]):
        yield


@pytest.fixture
def sparse_zones(tzpath):
    """A machine that has data of a few zones."""
    tzpath(ZONE_DATA)


@pytest.fixture
def no_zones(tzpath, tmp_path):
    """A machine that has no time zone data at all."""
    tzpath(tmp_path)


@pytest.fixture
def without_constraints(db):
    """Drop the constraints that P1 rests on, and put them back."""
    every = list(Log._meta.constraints)
    dropped = [constraint for constraint in every if constraint.name.startswith("cronkite_log_one_per")]
    assert len(dropped) == 2
    for constraint in dropped:
        # The model has to forget it first: SQLite makes the table anew from the model.
        Log._meta.constraints.remove(constraint)
        with connection.schema_editor() as editor:
            editor.remove_constraint(Log, constraint)
    yield
    Log.objects.all().delete()
    for constraint in dropped:
        Log._meta.constraints.append(constraint)
        with connection.schema_editor() as editor:
            editor.add_constraint(Log, constraint)
    Log._meta.constraints[:] = every


@pytest.fixture
def without_unique_seats(db):
    """Drop the constraint that holds the number, and put it back."""
    (unique,) = [each for each in Job._meta.constraints if each.name == "cronkite_job_one_per_seat"]
    every = list(Job._meta.constraints)
    # The model has to forget it first: SQLite makes the table anew from the model.
    Job._meta.constraints.remove(unique)
    with connection.schema_editor() as editor:
        editor.remove_constraint(Job, unique)
    yield
    Log.objects.all().delete()
    Job.objects.all().delete()
    Job._meta.constraints[:] = every
    with connection.schema_editor() as editor:
        editor.add_constraint(Job, unique)


@pytest.fixture
def admin_client(client, db):
    """A client whose user may do everything. Without a password, as hashing one takes longer than all else here."""
    from django.contrib.auth.models import User

    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def login(client):
    """Return a function that logs a user in who has these permissions for the two models, and no others."""

    from admin_pages import permissions
    from django.contrib.auth.models import User

    def log_in(*codenames):
        user = User.objects.create_user("kim", is_staff=True)
        user.user_permissions.set(permissions(*codenames))
        client.force_login(user)
        return client

    return log_in


def pytest_report_header():
    database = settings.DATABASES["default"]
    return f"database: {database['ENGINE'].rpartition('.')[2]} at {database.get('HOST') or database['NAME']}"
