"""``Job.run()``: a run that a person or a program asks for, in this process."""

from __future__ import annotations

import asyncio
import io
import logging
import signal
import threading
from contextlib import nullcontext, suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from nodes import until
from terminals import cron

import cronkite
from cronkite.claims import claiming, holding, verdicts
from cronkite.code.outcomes import OUTPUT_LIMIT
from cronkite.database import clock, leftovers
from cronkite.exceptions import FunctionNotAllowed, JobIsLocked, RunEnded
from cronkite.models import Job, Log
from cronkite.nodes import ticks
from cronkite.runs import capture, interrupts, runner
from cronkite.runs.guards import Guard
from cronkite.runs.interrupts import Person

Status = Log.Status


@pytest.mark.django_db
def test_it_returns_the_functions_result(make_job):
    job = make_job(args=[1], kwargs={"two": 2})
    assert job.run() == {"args": [1], "kwargs": {"two": 2}}
    log = Log.objects.get()
    assert (log.status, log.slot, log.result) == (Status.SUCCEEDED, None, {"args": [1], "kwargs": {"two": 2}})
    job.refresh_from_db()
    assert (job.lock, job.fence, job.last_slot) == (None, 1, None)


@pytest.mark.django_db
def test_it_raises_what_the_function_raises_and_keeps_that_too(make_job):
    with pytest.raises(ValueError, match="it went wrong"):
        make_job("app.jobs.fail").run()
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert "ValueError: it went wrong" in log.exc_info


@pytest.mark.django_db
def test_a_job_that_is_running_is_not_run_a_second_time(make_job):
    job = make_job()
    claiming.claim_by_hand(job, "web-1")
    with pytest.raises(JobIsLocked, match="running on web-1"):
        job.run()
    assert Log.objects.count() == 1


@pytest.mark.django_db
def test_a_disabled_job_can_be_run_by_hand(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).update(enabled=False)
    assert job.run() is not None


@pytest.mark.django_db
def test_what_may_not_run_is_not_claimed(make_job):
    with pytest.raises(FunctionNotAllowed):
        make_job("os.system", args=["true"]).run()
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_it_moves_no_slot(make_job):
    job = make_job(due=0)
    planned = job.next_run
    job.run()
    job.refresh_from_db()
    assert job.next_run == planned
    assert list(Job.objects.queue()) == [job]


@pytest.mark.django_db
def test_output_is_shown_and_kept(make_job, capsys):
    make_job("app.jobs.say", args=["hello"]).run()
    assert capsys.readouterr().out == "hello\n"
    assert Log.objects.get().output == "hello\n"


@pytest.mark.django_db(transaction=True)
def test_output_of_other_threads_is_not_taken_for_the_runs(make_job):
    job = make_job("app.jobs.say", args=["from a thread"])

    def run():
        job.run()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    log = Log.objects.get()
    assert (log.status, log.output) == (Status.SUCCEEDED, "")


def test_there_is_no_current_run_outside_of_one():
    assert cronkite.current_run() is None


@pytest.mark.django_db(transaction=True)
def test_a_callers_transaction_stays_the_callers(make_job):
    from django.contrib.auth.models import Group

    job = make_job()
    with transaction.atomic():
        Group.objects.create(name="the caller's")
        job.run()
        assert connection.in_atomic_block
    assert Group.objects.exists()
    assert Log.objects.get().status == Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_the_lock_is_renewed_while_the_function_runs(make_job, tmp_path, lock_timeout):
    lock_timeout(1)
    job = make_job("app.jobs.wait_for", args=[str(tmp_path / "go")])

    def watch():
        first = until(lambda: Job.objects.get(pk=job.pk).locked_at)
        until(lambda: Job.objects.get(pk=job.pk).locked_at > first + timedelta(seconds=1))
        (tmp_path / "go").touch()
        connections.close_all()

    watcher = threading.Thread(target=watch)
    watcher.start()
    job.run()
    watcher.join(60)
    assert Log.objects.get().status == Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_lost_meanwhile_is_told_and_left_alone(make_job, tmp_path, lock_timeout, caplog):
    lock_timeout(1)
    job = make_job("app.jobs.wait_for", args=[str(tmp_path / "go")])
    thief = {"lock": "00000000-0000-4000-8000-000000000000", "locked_by": "thief", "locked_at": clock.Now()}

    def steal():
        until(lambda: Job.objects.filter(pk=job.pk, lock__isnull=False).write(**thief))
        until(lambda: "is lost while it runs" in caplog.text)
        (tmp_path / "go").touch()
        connections.close_all()

    steals = threading.Thread(target=steal)
    steals.start()
    job.run()
    steals.join(60)
    job.refresh_from_db()
    assert job.locked_by == "thief"


@pytest.mark.django_db(transaction=True)
def test_a_renewal_that_fails_is_tried_again(make_job, tmp_path, lock_timeout, caplog, monkeypatch):
    lock_timeout(1)
    job = make_job("app.jobs.wait_for", args=[str(tmp_path / "go")])
    renew, errors = holding.renew, [OperationalError(2013, "Lost connection")]

    def renewing(claims):
        if errors:
            raise errors.pop()
        (tmp_path / "go").touch()
        return renew(claims)

    monkeypatch.setattr(holding, "renew", renewing)
    job.run()
    assert "can't be renewed; trying again" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_conflict_over_the_lock_is_tried_again(make_job, monkeypatch):
    monkeypatch.setattr(runner, "CONFLICT_PAUSE", 0.0)
    claim, conflicts = claiming.claim_by_hand, [1, 2]

    def conflicting(*arguments):
        if conflicts:
            conflicts.pop()
            raise verdicts.Contention
        return claim(*arguments)

    monkeypatch.setattr(claiming, "claim_by_hand", conflicting)
    assert make_job().run() is not None
    conflicts.extend(range(runner.CLAIM_ATTEMPTS))
    with pytest.raises(verdicts.Contention):
        make_job(name="other").run()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [True, False])
def test_a_claim_in_doubt_is_settled_first(make_job, monkeypatch, committed):
    claim, calls = claiming.claim_by_hand, []

    def doubtful(job, *arguments):
        taken = claim(job, *arguments)
        calls.append(taken)
        if len(calls) > 1:
            return taken
        if not committed:
            Job.objects.filter(pk=job.pk).write(lock=None, locked_by="", locked_at=None)
            Log.objects.all().delete()
        raise verdicts.OutcomeUnknown([taken])

    monkeypatch.setattr(claiming, "claim_by_hand", doubtful)
    make_job().run()
    assert len(calls) == (1 if committed else 2)
    assert Log.objects.get().status == Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_an_unanswered_claim_waits_for_the_database_to_be_back(make_job, monkeypatch):
    """As when the server is restarted: the claim may be there, and nobody else knows its token."""
    claim, settle, refused = claiming.claim_by_hand, claiming.settle, []

    def unanswered(*arguments):
        raise verdicts.OutcomeUnknown([claim(*arguments)])

    def refuse_at_first(taken):
        if not refused:
            refused.append(taken)
            raise OperationalError("the connection was refused")
        return settle(taken)

    monkeypatch.setattr(claiming, "claim_by_hand", unanswered)
    monkeypatch.setattr(claiming, "settle", refuse_at_first)
    monkeypatch.setattr(runner, "RECORD_PAUSE", 0.01)
    make_job().run()
    assert refused
    assert Log.objects.get().status == Status.SUCCEEDED
    assert not Job.objects.get().is_locked


@pytest.mark.django_db
def test_an_unanswered_claim_is_not_waited_for_for_ever(make_job, monkeypatch):
    def unknown(job, *_):
        raise verdicts.OutcomeUnknown([job])

    def refuse(_):
        raise OperationalError("the connection was refused")

    monkeypatch.setattr(claiming, "claim_by_hand", unknown)
    monkeypatch.setattr(claiming, "settle", refuse)
    monkeypatch.setattr(runner, "DOUBT_PATIENCE", 0.1)
    monkeypatch.setattr(runner, "RECORD_PAUSE", 0.01)
    monkeypatch.setattr(connection, "close", lambda: None)
    with pytest.raises(verdicts.OutcomeUnknown):
        make_job().run()


@pytest.mark.django_db(transaction=True)
def test_a_run_for_which_there_is_no_thread_leaves_no_lock(make_job, monkeypatch):
    monkeypatch.setattr(runner.quirks, "is_in_memory", lambda _: False)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        make_job().run()
    log = Log.objects.get()
    assert (log.status, log.reason) == (Status.FAILED, "it could not begin: can't start new thread")
    assert not Job.objects.get().is_locked


def no_thread(_):
    raise RuntimeError("can't start new thread")


@pytest.mark.django_db(transaction=True)
def test_an_error_at_the_end_within_a_callers_transaction_is_the_callers(make_job, monkeypatch):
    job = make_job()
    monkeypatch.setattr(holding, "finish", lambda *_: (_ for _ in ()).throw(OperationalError("gone")))
    with pytest.raises(OperationalError, match="gone"), transaction.atomic():
        job.run()


@pytest.mark.django_db
@pytest.mark.parametrize("function", ["interrupted", "interrupted_while_it_awaits"])
def test_a_function_that_a_person_interrupts_is_an_interrupted_run(make_job, monkeypatch, function):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("app.jobs.fail", globals()[function])
    with pytest.raises(KeyboardInterrupt):
        make_job("app.jobs.fail").run()
    log = Log.objects.get()
    assert (log.status, log.reason) == (Status.INTERRUPTED, "interrupted by a person")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["run", "cron"])
@pytest.mark.parametrize(("where", "status"), [("claim_by_hand", Status.INTERRUPTED), ("finish", Status.SUCCEEDED)])
def test_who_is_interrupted_before_or_after_the_function_leaves_no_lock(make_job, monkeypatch, way, where, status):
    """When it has been claimed, and before its end is written: that is done all the same."""
    home = claiming if where == "claim_by_hand" else holding
    original = getattr(home, where)

    def interrupted_around_it(*arguments):
        if where == "finish":
            signal.raise_signal(signal.SIGINT)
        result = original(*arguments)
        if where == "claim_by_hand":
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(home, where, interrupted_around_it)
    job = make_job()
    with pytest.raises(KeyboardInterrupt) if (way, where) != ("cron", "claim_by_hand") else nullcontext():
        job.run() if way == "run" else cron("run", str(job.pk))
    assert Log.objects.get().status == status
    assert not Job.objects.get().is_locked


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("before", None),
        ("claim_by_hand", Status.INTERRUPTED),
        ("within", Status.INTERRUPTED),
        ("finish", Status.SUCCEEDED),
        ("never", Status.SUCCEEDED),
    ],
)
def test_where_the_run_around_it_is_told_to_end_a_run_leaves_no_lock(make_job, monkeypatch, where, status):
    """A job may run another one by hand, and be told to end meanwhile: what we do for the inner one is done first."""
    claim, finish, tries = claiming.claim_by_hand, holding.finish, []

    def claiming_(*arguments):
        if where == "before" and not tries:
            tries.append(None)
            signal.raise_signal(signal.SIGTERM)
            raise verdicts.Contention
        claimed = claim(*arguments)
        if where == "claim_by_hand":
            signal.raise_signal(signal.SIGTERM)
        return claimed

    def finishing(*arguments):
        if where == "finish" and not tries:
            tries.append(None)
            signal.raise_signal(signal.SIGTERM)
            raise DatabaseError("the row is locked")
        return finish(*arguments)

    monkeypatch.setattr(claiming, "claim_by_hand", claiming_)
    monkeypatch.setattr(holding, "finish", finishing)
    monkeypatch.setattr(runner.quirks, "is_conflict", lambda _: True)
    guard = Guard()
    job = make_job("app.jobs.die", args=[int(signal.SIGTERM)]) if where == "within" else make_job("app.jobs.ok")
    with guard.listening(signal.SIGTERM), pytest.raises(RunEnded) if where != "never" else nullcontext(), guard:
        job.run()
        assert where == "never"
    assert [log.status for log in Log.objects.all()] == [status] * (status is not None)
    assert not Job.objects.get().is_locked
    # And nothing of it is left for a run that comes after it.
    with guard.listening(signal.SIGTERM):
        job.function, job.args = "app.jobs.ok", []
        job.save()
        job.run()


def test_a_word_that_was_put_off_is_for_the_main_thread_alone():
    """A function may run other jobs by hand from threads of its own."""
    said = []

    def hear():
        assert not interrupts.is_awaited()
        interrupts.hear()

    with interrupts.noted():
        assert interrupts.puts_off(lambda: said.append("end"))
        thread = threading.Thread(target=hear)
        thread.start()
        thread.join(60)
        assert interrupts.is_awaited()
        assert said == []
    assert said == ["end"]
    assert not interrupts.puts_off(said.clear)


def test_what_a_handler_raises_while_words_are_put_off_leaves_them_as_they_were(monkeypatch):
    """An alarm of the function's, say, which comes as it calls ``job.run()``."""

    class Alarming(list):
        def clear(self):
            raise TimeoutError

    monkeypatch.setattr(interrupts._words, "waiting", Alarming())
    with pytest.raises(TimeoutError), interrupts.noted():
        raise AssertionError("it has begun")
    assert not interrupts.puts_off(list)


@pytest.mark.django_db
def test_an_interruption_is_heeded_though_the_function_has_failed(make_job, monkeypatch):
    original = holding.finish

    def interrupted_before_it(*arguments):
        signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(holding, "finish", interrupted_before_it)
    with pytest.raises(KeyboardInterrupt):
        make_job("app.jobs.fail").run()
    assert Log.objects.get().status == Status.FAILED


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_who_has_interrupted_a_run_once_interrupts_nothing_that_comes_after_it(when):
    came = []

    def interrupt(*_):
        came.append(None)
        raise KeyboardInterrupt

    person = Person(interrupt)
    if when == "before":
        person.note(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt) if when != "after" else nullcontext(), person:
        if when == "within":
            person.note(signal.SIGINT, None)
    assert len(came) == (when != "after")
    person.note(signal.SIGINT, None)
    assert (len(came), person.waits) == (when != "after", True)


@pytest.mark.parametrize("when", ["before", "within", "after", "never", "lost"])
def test_a_guard_knows_that_its_process_is_to_end(when):
    guard = Guard()
    if when == "before":
        guard.stop()
    with suppress(RunEnded), guard:
        if when == "within":
            guard.stop()
        if when == "lost":
            guard.interrupt(RunEnded(Status.LOST, "its lock was lost"))
    if when == "after":
        guard.stop()
    assert guard.is_hurried is (when not in {"never", "lost"})


@pytest.mark.django_db
@pytest.mark.parametrize("by", ["guard", "person"])
def test_what_is_to_end_claims_nothing(make_job, monkeypatch, by):
    """Such as by ``timeout 10``, while others keep coming first."""

    def come_first(*arguments):
        signal.raise_signal(signal.SIGTERM if by == "guard" else signal.SIGINT)
        raise verdicts.Contention

    monkeypatch.setattr(claiming, "claim_by_hand", come_first)
    monkeypatch.setattr(runner, "_in_transaction", lambda: False)
    make_job()
    with nullcontext() if by == "guard" else pytest.raises(KeyboardInterrupt):
        result = cron("run", "ok")
        assert (result.code, "told to end before it could be claimed" in result.err) == (1, True)
    assert not Log.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["signal", "guard"])
def test_an_end_that_cannot_be_written_keeps_no_process_that_is_told_to_end(make_job, monkeypatch, caplog, how):
    """A debugger's node, say, in whose job's row somebody has edited something and not committed."""
    guard = Guard()

    def locked(*_):
        if how == "signal":
            # Who insists needs not wait at all.
            if len(tries) == 3:
                signal.raise_signal(signal.SIGINT)
        else:
            guard.stop()
        tries.append(None)
        raise DatabaseError("the row is locked")

    tries = []
    monkeypatch.setattr(runner, "HURRY", 0.2)
    monkeypatch.setattr(runner.quirks, "is_conflict", lambda _: True)
    monkeypatch.setattr(holding, "finish", locked)
    taken = claiming.claim_by_hand(make_job(), "web-1")
    with pytest.raises(KeyboardInterrupt) if how == "signal" else nullcontext():
        runner.run_here(taken, guard)
    assert "succeeded, which could not be written" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("way", ["run", "tick"])
def test_a_function_that_raises_what_a_person_or_python_may_has_failed(make_job, monkeypatch, error, way):
    def raises(*args):
        raise error

    raises.__module__ = "app.jobs"
    monkeypatch.setattr("app.jobs.fail", raises)
    make_job("app.jobs.fail", due=5)
    if way == "run":
        assert cron("run", "fail").code == 1
    else:
        ticks.tick(workers=0)
    log = Log.objects.get()
    assert log.status == Status.FAILED
    assert "interrupted" not in log.reason
    assert error.__name__ in log.exc_info


@pytest.mark.django_db
def test_a_handler_of_sigint_that_a_function_sets_is_left_to_it(make_job, monkeypatch):
    def sets(*args):
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    sets.__module__ = "app.jobs"
    monkeypatch.setattr("app.jobs.ok", sets)
    before = signal.getsignal(signal.SIGINT)
    try:
        make_job().run()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def interrupted(*args):
    signal.raise_signal(signal.SIGINT)


async def interrupted_while_it_awaits(*args):
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
    await asyncio.Event().wait()


interrupted.__module__ = interrupted_while_it_awaits.__module__ = "app.jobs"


def test_a_word_to_end_is_found_within_a_task_group():
    ended = RunEnded("timed_out", "too long")

    class Group(BaseException):
        exceptions = (ValueError(), type("Inner", (BaseException,), {"exceptions": (ended,)})())

    outcome = runner._outcome_of(Group())
    assert (outcome.status, outcome.reason) == ("timed_out", "too long")


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_cannot_be_closed_is_dropped(caplog):
    class Stuck:
        alias = "stuck"
        in_atomic_block = True

        def close(self):
            raise DatabaseError("no")

    connections._connections.stuck = Stuck()
    with caplog.at_level(logging.DEBUG, logger="cronkite"):
        leftovers.close()
    assert "stuck" not in vars(connections._connections)


def test_a_tee_keeps_the_beginning_and_the_end_of_endless_output():
    stream = io.StringIO()
    tee = capture.Tee(stream)
    tee.write("the beginning\n")
    for _ in range(30_000):
        tee.write("x" * 99 + "\n")
    tee.write("the end\n")
    tee.flush()
    assert len(stream.getvalue()) > 3_000_000
    assert sum(map(len, tee.kept)) < 10 * OUTPUT_LIMIT
    assert tee.text().startswith("the beginning")
    assert tee.text().endswith("the end\n")
    assert tee.writable()
    assert not tee.isatty()
    with pytest.raises(OSError, match="fileno"):
        tee.fileno()


class Gone:
    """A stream that nobody reads any more."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


@pytest.mark.parametrize("stream", [Gone(BrokenPipeError()), Gone(OSError(28)), Gone(ValueError("closed")), None])
def test_who_reads_no_more_of_a_run_keeps_it_from_nothing(stream):
    """As `manage.py cron run JOB | head -1` does, and a disk that is full."""
    tee = capture.Tee(stream)
    assert tee.write("said") == 4
    tee.flush()
    assert tee.text() == "said"
