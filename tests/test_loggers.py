"""What is logged keeps nobody from anything, whatever handlers the project has."""

from __future__ import annotations

import ast
import logging
import os
import signal
import threading
from pathlib import Path

import pytest
from nodes import cron, nodes, until

import cronkite
from app import handlers
from app.handlers import Down, Stuck
from cronkite import loggers
from cronkite.models import Job, Log

Status = Log.Status
logger = logging.getLogger("cronkite")


@pytest.fixture
def handled(monkeypatch):
    """Give the logger a handler, and have it say at once what goes wrong."""
    monkeypatch.setattr(loggers, "_say_again_at", 0.0)
    added = []

    def add(handler):
        logger.addHandler(handler)
        added.append(handler)
        return handler

    yield add
    for handler in added:
        logger.removeHandler(handler)


def names_of_loggers():
    for path in Path(cronkite.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
                yield path.name, ast.unparse(node.args[0])


def test_all_loggers_are_careful():
    found = {name for path, name in names_of_loggers() if path not in {"loggers.py", "voice.py"}}
    assert found == {repr(name) for name in loggers.NAMES}
    assert all(isinstance(logging.getLogger(name), loggers.Careful) for name in loggers.NAMES)


def test_a_logger_of_the_projects_own_class_stays_one(monkeypatch):
    class Own(logging.Logger):
        def shout(self):
            return "!"

    monkeypatch.setattr(loggers, "NAMES", ("cronkite_own",))
    monkeypatch.setattr(logging.Logger.manager, "loggerClass", Own)
    loggers.install()
    loggers.install()
    own = logging.getLogger("cronkite_own")
    assert own.shout() == "!"
    assert isinstance(own, loggers.Careful)
    assert type(own).__mro__[1:3] == (loggers.Careful, Own)


def test_what_a_handler_raises_is_said_on_stderr_and_not_at_each_call(handled, capsys):
    handled(Down())
    for number in range(3):
        logger.error("this is number %d", number)
    said = capsys.readouterr().err
    assert "ConnectionError: the log server is away" in said
    assert said.endswith("It was to be logged: this is number 0\n")


def test_a_factory_of_records_that_fails_costs_none(handled, capsys, caplog):
    def fail(*args, **kwargs):
        raise LookupError("no request")

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(fail)
    try:
        logger.error("this is %s", "it")
    finally:
        logging.setLogRecordFactory(before)
    assert "LookupError: no request" in capsys.readouterr().err
    assert caplog.messages == ["this is it"]


def test_the_caller_is_named_as_ever(caplog):
    logger.error("here")
    assert caplog.records[0].funcName == "test_the_caller_is_named_as_ever"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_with_the_log_server_away_jobs_run_as_ever(make_job, workers):
    for name in ("first", "second"):
        make_job(name=name, due=0)
    make_job("app.jobs.fail", name="bad", due=0)
    printed = cron("--workers", workers, CRONKITE_TEST_LOG="down")
    found = dict(Log.objects.values_list("job_name", "status"))
    assert found == {"first": Status.SUCCEEDED, "second": Status.SUCCEEDED, "bad": Status.FAILED}
    assert not Job.objects.exclude(lock=None).exists()
    assert "ConnectionError: the log server is away" in printed


@pytest.fixture
def stuck(handled, monkeypatch):
    """Give the logger a handler that nobody reads, and of which a node thinks so at once."""
    for name in ("PATIENCE", "HASTE"):
        monkeypatch.setattr(loggers, name, 0.1)
    monkeypatch.setattr(loggers, "PAUSE", 0.0)
    handler = handled(Stuck())
    yield handler
    handlers.drain()


@pytest.fixture
def drain(monkeypatch):
    """Have the handler get through again; what is logged from then on may take as long as a busy machine needs."""

    def let_through():
        handlers.drain()
        monkeypatch.setattr(loggers._bound, "_patience", 600.0)
        monkeypatch.setattr(loggers, "HASTE", 600.0)

    return let_through


def test_what_takes_for_ever_to_log_is_given_up_and_told_later(stuck, drain, caplog):
    before = signal.getsignal(signal.SIGALRM)
    with loggers.bounded(ends=False):
        logger.error("first")
        logger.error("second")
        drain()
        logger.error("third")
    assert caplog.messages == ["third", "2 messages are missing, as to log them took too long."]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_for_a_while_nothing_else_is_tried(stuck, drain, monkeypatch, caplog):
    monkeypatch.setattr(loggers, "PAUSE", 600.0)
    with loggers.bounded(ends=False):
        logger.error("first")
        drain()
        logger.error("second")
    assert caplog.messages == []


def test_another_thread_that_holds_the_handlers_lock_is_not_waited_for(stuck, drain, caplog):
    with loggers.bounded(ends=False):
        other = threading.Thread(target=logger.error, args=["from afar"])
        stuck.acquire()
        other.start()
        stuck.release()
        logger.error("first")
        drain()
        other.join()
        logger.error("second")
    assert "second" in caplog.messages


def test_who_is_told_to_stop_waits_no_longer(stuck, monkeypatch, caplog):
    monkeypatch.setattr(loggers, "PATIENCE", 600.0)
    before = signal.signal(signal.SIGUSR1, lambda *_: loggers.hurry())
    try:
        with loggers.bounded(ends=False):
            timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
            timer.start()
            logger.error("first")
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caplog.messages == []


def test_a_timer_of_somebody_else_is_left_alone(handled, caplog):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with loggers.bounded(ends=False):
            logger.error("first")
        until(lambda: rung, what="the alarm")
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.django_db(transaction=True)
def test_a_loop_whose_log_nobody_reads_goes_on_and_heeds_sigterm(make_job, tmp_path):
    job = make_job(schedule="* * * * * *")
    with nodes(("cron", "loop", "--workers", "1"), CRONKITE_TEST_LOG="stuck", log=tmp_path / "said") as (node,):
        until(lambda: Log.objects.filter(status=Status.SUCCEEDED).count() > 1, what="two runs")
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    job.refresh_from_db()
    assert not job.is_locked
