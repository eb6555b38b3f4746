"""A run in the process of whoever asked for it is ended when its lock is lost, where it can be."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager

import pytest
from conftest import make_due
from django.db import InterfaceError, connections
from nodes import UNTRACED, nodes, until

from cronkite.claims import holding
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status

#: Renewals every quarter of a second, so that the loss is seen soon.
SOON = 1
LATE = "its lock was lost while it ran; it ended late, as lost"


def unlock(job):
    """Clear the job's lock, as a person does who takes its run for dead."""
    assert holding.unlock(Job.objects.get(pk=job.pk), "anna")


def around(function):
    """Return what is to be in the environment of a node that runs the function."""
    return UNTRACED if function in {"wait_in_the_system", "wait_in_a_library"} else {}


@contextmanager
def losing(make_job, begun, *arguments, function="hang", args=(), **environment):
    """Have a process of its own run the job; once the run has begun, clear its lock."""
    job = make_job(f"app.jobs.{function}", args=[str(begun), *map(str, args)], due=0)
    with nodes(("cron", *arguments), lock_timeout=SOON, **around(function), **environment) as (each,):
        until(begun.exists)
        unlock(job)
        yield each


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_run_by_hand_ends_when_a_person_unlocks_its_job(make_job, tmp_path):
    with losing(make_job, tmp_path / "begun", "run", "hang") as each:
        assert each.wait() == 1, each.output
    assert "is lost, so it is ended" in each.output
    assert "Its lock was lost while it ran, so it was ended." in each.output
    log = Log.objects.get()
    assert (log.status, log.reason.partition("unlocked by anna; ")[2]) == (Status.LOST, LATE)
    assert "in hang" in log.exc_info


def test_a_renewal_that_is_deaf_would_let_it_go_on(make_job, tmp_path):
    """The saboteur: what ends the run is that the renewal finds the lock gone."""
    path, go = tmp_path / "begun", tmp_path / "go"
    environment = {"CRONKITE_TEST_SABOTAGE": "deaf-renewal"}
    with losing(make_job, path, "run", "note", function="note_and_wait", args=[go], **environment) as each:
        go.touch()
        assert each.wait() == 1, each.output
    assert len(path.read_text().splitlines()) == 2
    assert "Its lock was lost while it ran." in each.output
    log = Log.objects.get()
    assert (log.status, log.result) == (Status.LOST, "waited")


def test_a_run_by_hand_that_heeds_no_word_ends_with_its_process(make_job, tmp_path):
    begun = tmp_path / "begun"
    with losing(make_job, begun, "run", "hang", function="hang_stubbornly") as each:
        assert each.wait() == 1, each.output
        said = "its lock was lost, and it does not end, so its process is ended"
        assert each.output.count(said) == 2  # stderr and log
    assert is_gone(int(begun.read_text()))
    log = Log.objects.get()
    assert (log.status, log.reason.partition("unlocked by anna; ")[2]) == (Status.LOST, LATE)


@pytest.mark.parametrize("function", ["wait_for_a_child", "leave_a_child", "wait_in_the_system"])
def test_what_a_run_that_lost_its_lock_has_started_ends_with_it(make_job, tmp_path, function):
    begun = tmp_path / "begun"
    with losing(make_job, begun, "run", function, function=function) as each:
        pid = int(until(begun.read_text))
        assert each.wait() == 1, each.output
    until(lambda: is_gone(pid))
    assert Log.objects.get().status == Status.LOST


def test_what_was_written_before_the_end_is_kept(make_job, tmp_path):
    with losing(make_job, tmp_path / "begun", "run", "say", function="say_and_heed_nobody") as each:
        assert each.wait() == 1
    assert Log.objects.get().output.startswith("these were its words\n")


@pytest.mark.parametrize("function", ["hang", "hang_stubbornly"])
def test_a_node_without_workers_ends_a_run_that_lost_its_lock(make_job, tmp_path, function):
    with losing(make_job, tmp_path / "begun", "--workers", "0", function=function) as each:
        assert each.wait() == int(function == "hang_stubbornly"), each.output
    log = Log.objects.get()
    assert (log.status, log.reason.partition("unlocked by anna; ")[2]) == (Status.LOST, LATE)
    assert log.slot is not None


def test_a_loop_without_workers_goes_on_after_a_run_that_lost_its_lock(make_job, tmp_path):
    other = make_job("app.jobs.ok", name="other")
    with losing(make_job, tmp_path / "begun", "loop", "--workers", "0", CRONKITE_TEST_POLL="0.2") as each:
        make_due(other)
        until(lambda: Log.objects.filter(job=other, status=Status.SUCCEEDED).exists())
        assert each.process.poll() is None


def test_a_word_that_comes_before_the_function_ends_it_at_its_beginning():
    from cronkite.exceptions import RunEnded
    from cronkite.runs.guards import Guard

    guard, word = Guard(), RunEnded(Status.LOST, "its lock was lost")
    guard.interrupt(word)
    with pytest.raises(RunEnded) as caught, guard:
        raise AssertionError("it has begun")
    assert caught.value is word
    # And nothing is interrupted after its end.
    guard.interrupt(word)


@contextmanager
def stopped(make_job, begun, *arguments, function="hang", numbers=(signal.SIGTERM,)):
    """Have a process of its own run the job; once the run has begun, send the process these signals."""
    make_job(f"app.jobs.{function}", name="job", args=[str(begun)], due=0)
    with nodes(("cron", *arguments), **around(function)) as (each,):
        until(begun.exists)
        pid = int(until(begun.read_text))
        for number in numbers:
            each.signal(number)
        yield each, pid


HERE = [("run", "job"), ("--workers", "0"), ("loop", "--workers", "0")]
# What runs the job in its own process.
each_way = pytest.mark.parametrize("arguments", HERE, ids=" ".join)


@each_way
@pytest.mark.parametrize("function", ["wait_for_a_child", "leave_a_child", "wait_in_the_system"])
def test_what_a_run_has_started_ends_with_it_when_its_process_is_told_to_end(make_job, tmp_path, arguments, function):
    with stopped(make_job, tmp_path / "begun", *arguments, function=function) as (each, pid):
        each.wait()
    until(lambda: is_gone(pid))
    log = Log.objects.get()
    assert log.status == Status.INTERRUPTED, each.output
    assert Job.objects.get().lock is None


def test_a_node_without_workers_hears_of_ctrl_c_while_its_run_is_in_a_library(make_job, tmp_path):
    how = {"function": "wait_in_a_library", "numbers": (signal.SIGINT,)}
    with stopped(make_job, tmp_path / "begun", "--workers", "0", **how) as (each, _):
        assert each.wait() == 1, each.output
    assert Log.objects.get().status == Status.INTERRUPTED, each.output
    assert Job.objects.get().lock is None


@each_way
def test_a_run_that_heeds_no_word_ends_with_its_process_when_that_is_told_to_end(make_job, tmp_path, arguments):
    with stopped(make_job, tmp_path / "begun", *arguments, function="hang_stubbornly") as (each, pid):
        assert each.wait() == 1, each.output
        said = each.output
    assert is_gone(pid)
    why = "it was told to end, by SIGTERM" if "run" in arguments else "its node was stopped"
    assert said.count(f"{why}, and it does not end, so its process is ended") == 2  # stderr and log
    log = Log.objects.get()
    assert log.status == Status.INTERRUPTED
    assert log.reason.endswith(f"{why}, and it did not end")
    assert Job.objects.get().lock is None


def test_a_run_by_hand_whose_claim_is_not_answered_ends_when_it_is_told_to(make_job, tmp_path):
    """A driver waits for a server for as long as the network does, and hears of no signal."""
    make_job(name="job")
    begun = tmp_path / "begun"
    with nodes(("cron", "run", "job"), CRONKITE_TEST_SABOTAGE=f"unanswered={begun}", **UNTRACED) as (each,):
        until(begun.exists)
        each.signal(signal.SIGTERM)
        assert each.wait() == 1, each.output
    assert "Job 'job' was not run: the database does not answer." in each.output
    assert not Log.objects.exists()


def test_what_was_written_before_a_run_is_told_to_end_is_kept(make_job, tmp_path):
    with stopped(make_job, tmp_path / "begun", "run", "job", function="say_and_heed_nobody") as (each, _):
        assert each.wait() == 1
    assert Log.objects.get().output.startswith("these were its words\n")


def test_a_run_that_is_told_twice_to_end_has_no_more_time_for_it(monkeypatch):
    from cronkite.runs.guards import Guard

    monkeypatch.setattr("cronkite.runs.guards.KILL_AFTER", 3600)
    guard, over = Guard(), threading.Event()
    with guard.listening(signal.SIGTERM):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert guard.is_told()
        assert not guard._heeds(over)


def test_a_function_that_handles_a_signal_by_itself_is_left_to_that():
    from cronkite.runs.guards import Guard

    guard, came = Guard(), []
    with guard.listening(signal.SIGTERM):
        before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
        os.kill(os.getpid(), signal.SIGTERM)
        assert not guard.is_told()
        signal.signal(signal.SIGTERM, before)
    assert came


def test_whoever_waits_for_signals_hears_of_those_that_came_during_a_run():
    from cronkite.processes.wakes import Wake
    from cronkite.runs.guards import Guard

    wake = Wake()
    before = signal.set_wakeup_fd(wake.writer)
    try:
        with Guard().listening(signal.SIGTERM):
            os.kill(os.getpid(), signal.SIGTERM)
        assert wake.read() == bytes([signal.SIGTERM])
        assert signal.set_wakeup_fd(before) == wake.writer
    finally:
        signal.set_wakeup_fd(before)
        wake.close()


def test_a_function_that_has_ended_is_not_told_to():
    from cronkite.exceptions import RunEnded
    from cronkite.runs.guards import Guard

    guard = Guard()
    with guard:
        pass
    guard.interrupt(RunEnded(Status.INTERRUPTED, "its node was stopped"))
    assert not guard.is_told()


def test_the_children_of_a_function_have_no_handlers_of_ours(make_job, tmp_path):
    """Or a pool of processes would hang at its end, when it terminates them."""
    job = make_job("app.jobs.fork_and_terminate")
    with nodes(("cron", "run", "fork")) as (each,):
        assert each.wait() == 0, each.output
    assert Log.objects.get(job=job).result == -15


def test_in_a_process_of_somebody_else_a_function_that_does_not_end_is_only_told_of(
    make_job, tmp_path, lock_timeout, monkeypatch, caplog
):
    """Here in that of the tests, for which the command is called by a program."""
    from django.core.management import call_command

    monkeypatch.setattr("cronkite.runs.guards.KILL_AFTER", 0.1)
    lock_timeout(SOON)
    begun, go = tmp_path / "begun", tmp_path / "go"
    job = make_job("app.jobs.wait_stubbornly", args=[str(begun), str(go)])

    def lose():
        until(begun.exists)
        unlock(job)
        until(lambda: "Its process is not ours to end" in caplog.text)
        go.touch()
        connections.close_all()

    thread = threading.Thread(target=lose)
    thread.start()
    with pytest.raises(SystemExit) as caught:
        call_command("cron", "run", "wait")
    thread.join(60)
    assert caught.value.code == 1
    assert Log.objects.get().status == Status.LOST


def test_a_renewal_whose_connection_was_closed_under_it_is_tried_again(
    make_job, tmp_path, lock_timeout, caplog, monkeypatch
):
    """Django has that for no ``DatabaseError``."""
    lock_timeout(SOON)
    job = make_job("app.jobs.wait_for", args=[str(tmp_path / "go")])
    renew, errors = holding.renew, [InterfaceError("connection already closed")]

    def renewing(claims):
        if errors:
            raise errors.pop()
        (tmp_path / "go").touch()
        return renew(claims)

    monkeypatch.setattr(holding, "renew", renewing)
    job.run()
    assert "can't be renewed; trying again" in caplog.text
