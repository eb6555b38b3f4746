"""No text stops a node, or keeps a slot from being recorded, whatever characters it has."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest
from conftest import hourly
from deciding import claim
from django.core.management import call_command
from django.db import OperationalError, connection

from app import engines
from cronkite import requests
from cronkite.claims import claiming, concluding, handing, holding
from cronkite.claims.concluding import Answers, Ended
from cronkite.claims.handing import Handed
from cronkite.claims.verdicts import Receipt
from cronkite.code.outcomes import Outcome
from cronkite.engines import django_tasks
from cronkite.models import Job, Log, Node, Task
from cronkite.nodes import heartbeat
from cronkite.runs import onlookers

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status

#: As in ``app.ill_spoken``.
TEXT = "nul \0, half \udcfc, far \U0001f600"
#: What columns are made narrow, of MySQL and MariaDB.
COLUMNS = {
    "cronkite_log": {"reason": "longtext", "exc_info": "longtext", "output": "longtext", "node": "varchar(255)"},
    "cronkite_job": {"locked_by": "varchar(255)", "asked_by": "varchar(255)"},
    "cronkite_node": {"name": "varchar(255)"},
}


def convert(charset):
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            for column, kind in columns.items():
                cursor.execute(f"ALTER TABLE {table} MODIFY {column} {kind} CHARACTER SET {charset} NOT NULL")


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """What is logged can be passed on by processes that share the tests, which do so in UTF-8."""

    def escape(record):
        record.msg, record.args, record.exc_info = ascii(record.getMessage()), (), None
        return True

    monkeypatch.setattr(logging.getLogger("cronkite"), "filters", [escape])


@contextmanager
def narrow():
    """Have columns that lack the characters beyond the first 65,536: real ones, where the database has such."""
    if connection.vendor == "mysql":
        convert("utf8mb3")
        try:
            yield
        finally:
            convert("utf8mb4")
        return

    with refused(OperationalError(1366, "Incorrect string value")):
        yield


def refused(error):
    """Have ``error`` raised where a parameter has characters beyond the first 65,536."""

    def refuse(execute, sql, params, many, context):
        if any(isinstance(each, str) and max(each, default="") > "\uffff" for each in params or ()):
            raise error
        return execute(sql, params, many, context)

    return connection.execute_wrapper(refuse)


@pytest.fixture(params=["wide", "narrow", "narrow connection"])
def kept(request):
    """Return what becomes of the text, in columns that have all characters, and in others."""
    far = "\U0001f600"
    if request.param == "wide":
        yield f"nul \ufffd, half \ufffd, far {far}"
        return
    # As by MySQL's option "charset", which the driver then encodes texts for.
    by_driver = refused(UnicodeEncodeError("cp1252", far, 0, 1, "character maps to <undefined>"))
    with by_driver if request.param == "narrow connection" else narrow():
        yield "nul \ufffd, half \ufffd, far \\U0001f600"


@pytest.fixture
def taken(make_job, kept):
    """A job's slot that was claimed."""
    return claim(make_job(due=0))


def tick():
    """Do in this process what a tick does."""
    call_command("cron", workers=0)


def test_why_a_module_can_not_be_imported_is_recorded_and_other_jobs_run(make_job, kept, caplog):
    bad = make_job("app.ill_spoken.never", due=7200, schedule=hourly(), catch_up="none", grace=1)
    good = make_job(due=0)
    tick()
    log = Log.objects.get(job=bad)
    assert log.status == Status.MISSED
    assert kept in log.reason
    assert Log.objects.get(job=good).status == Status.SUCCEEDED
    assert "does not answer as it should" not in caplog.text


@pytest.mark.parametrize("joins", [False, True])
def test_why_an_engine_refuses_a_task_is_recorded_and_other_jobs_run(make_job, monkeypatch, kept, joins, caplog):
    def enqueue(self, task, args, kwargs):
        raise ValueError(TEXT)

    monkeypatch.setattr(engines.BrokenBackend, "enqueue", enqueue)
    monkeypatch.setattr(django_tasks, "joins", lambda order, using: joins)
    bad, good = make_job("app.handed.broken", due=0), make_job(due=0)
    Job.objects.filter(pk=bad.pk).write(engine="django.tasks")
    tick()
    log = Log.objects.get(job=bad)
    assert log.status == Status.FAILED
    assert log.reason == f"could not be handed over: ValueError: {kept}"
    assert Job.objects.get(pk=bad.pk).lock is None
    assert Log.objects.get(job=good).status == Status.SUCCEEDED
    assert "does not answer as it should" not in caplog.text


def test_an_end_is_recorded(taken, kept):
    assert holding.finish(taken, Outcome(Status.FAILED, output=TEXT, exc_info=TEXT, reason=TEXT))
    log = Log.objects.get()
    assert (log.output, log.exc_info, log.reason) == (kept, kept, kept)


def test_an_end_that_was_recorded_is_not_said_to_come_late(taken, kept):
    for _ in range(2):
        assert holding.finish(taken, Outcome(Status.LOST, reason=TEXT))
    assert Log.objects.get().reason == kept


def test_what_a_run_has_written_is_shown(taken, kept):
    onlookers.show(taken, TEXT)
    assert Log.objects.get().output == kept


def test_who_asks_and_who_unlocks_is_recorded(make_job):
    job = make_job()
    assert requests.ask(job, TEXT)
    assert claiming.claim_asked(Job.objects.agenda().get(), "node")
    assert holding.unlock(Job.objects.get(), TEXT)
    said = TEXT.replace("\0", "\ufffd").replace("\udcfc", "\ufffd")
    assert Log.objects.get().reason == f"asked for by {said}; unlocked by {said}"


def test_a_task_is_followed_by_what_its_engine_calls_it(taken, kept):
    receipt = Receipt("django.tasks", "id \0 \udcfc" + "x" * 300, backend="b \0", queue="q \udcfc", note=TEXT)
    handed = Handed(taken, receipt, keeps_lock=True)
    assert not handing.record([handed])
    log, task = Log.objects.get(), Task.objects.get()
    assert (log.backend, log.queue, log.reason) == ("b \ufffd", "q \ufffd", kept)
    assert log.task_id == task.task_id
    assert log.task_id.startswith("id \ufffd \ufffdx")
    outcome = Outcome(Status.FAILED, exc_info=TEXT, reason=TEXT)
    concluding.conclude(Answers([Ended(task, outcome, None, None, "w \udcfc")], [], []), [taken.job_id])
    log.refresh_from_db()
    assert (log.status, log.worker, log.exc_info) == (Status.FAILED, "w \ufffd", kept)
    assert log.reason == kept
    assert Job.objects.get().lock is None


def test_a_node_is_known_by_its_name(make_job, kept):
    name = "node \udcfc \U0001f600"
    job = make_job(due=0)
    assert claim(job, name)
    for begins in (True, False):
        heartbeat.beat(name, stays=True, begins=begins)
    far = kept.rpartition(" ")[2]
    assert Node.objects.get().name == f"node \ufffd {far}"
    assert Job.objects.get().locked_by == Log.objects.get().node == f"node \ufffd {far}"
