"""What functions do to their runs: the good ones and the bad ones, in real worker processes."""

from __future__ import annotations

import os
import re
import signal
from datetime import timedelta

import pytest
from nodes import cron, nodes, until

import families
from cronkite.code.outcomes import OUTPUT_LIMIT
from cronkite.database import clock
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


def run(make_job, function, *args, workers=1, expect=0, environment=None, **columns):
    """Have a node run the function once; return the log."""
    job = make_job(f"app.jobs.{function}", due=0, args=list(args), **columns)
    printed = cron("--workers", str(workers), expect=expect, **(environment or {}))
    log = Log.objects.get(job=job)
    log.printed = printed
    job.refresh_from_db()
    assert job.lock is None, "the lock was not freed"
    return log


def test_a_function_gets_its_arguments_and_its_result_is_kept(make_job):
    log = run(make_job, "ok", 1, "two", kwargs={"three": [3]})
    assert (log.status, log.result) == (Status.SUCCEEDED, {"args": [1, "two"], "kwargs": {"three": [3]}})
    assert log.created <= log.started_at <= log.finished_at
    assert log.printed == ""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_that_raises_is_a_failed_run_with_its_traceback(make_job, workers):
    log = run(make_job, "fail", "no such customer", workers=workers)
    assert log.status == Status.FAILED
    assert "ValueError: no such customer" in log.exc_info
    assert "in fail" in log.exc_info
    assert "job 'fail' (app.jobs.fail)" in log.printed
    assert "ValueError: no such customer" in log.printed


def test_an_exit_that_runs_no_cleanup_costs_only_this_run(make_job):
    log = run(make_job, "exit_hard", 3)
    assert (log.status, log.reason) == (Status.LOST, "its process exited with code 3")


def test_a_signal_that_kills_the_process_costs_only_this_run(make_job):
    log = run(make_job, "die")
    assert (log.status, log.reason) == (Status.LOST, "its process was killed by SIGKILL")
    assert log.output == "about to die\n"


@pytest.mark.parametrize(("code", "status"), [(0, Status.SUCCEEDED), (2, Status.FAILED)])
@pytest.mark.parametrize("workers", [0, 1])
def test_sys_exit_ends_a_job_as_it_ends_a_script(make_job, code, status, workers):
    assert run(make_job, "exit_softly", code, workers=workers).status == status


def test_a_run_that_takes_longer_than_its_timeout_is_ended(make_job):
    log = run(make_job, "hang", timeout=5)
    assert (log.status, log.reason) == (Status.TIMED_OUT, "it took longer than its timeout of 5 s")
    assert "in hang" in log.exc_info


def test_an_async_run_that_takes_longer_than_its_timeout_is_ended(make_job):
    log = run(make_job, "hang_asynchronously", timeout=1)
    assert log.status == Status.TIMED_OUT


def test_a_run_that_heeds_no_word_is_killed(make_job):
    log = run(make_job, "hang_stubbornly", timeout=5)
    assert log.status == Status.TIMED_OUT
    assert log.reason.endswith("its process was killed by SIGKILL")


def test_what_a_function_prints_is_kept_cut_to_size(make_job):
    log = run(make_job, "print_much", 10)
    assert log.status == Status.SUCCEEDED
    assert log.output.startswith("the beginning\n")
    assert log.output.endswith("an error\nfrom a child\nthe end\n")
    assert len(log.output) < OUTPUT_LIMIT + 200
    assert re.search(r"\d[\d,.]* (bytes|characters)", log.output)


def test_a_result_that_json_cannot_hold_is_kept_as_its_repr(make_job):
    assert run(make_job, "unjsonable").result == "{<class 'object'>}"


@pytest.mark.parametrize("function", ["leave_transaction_open", "leave_bare_transaction_open"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_transaction_that_is_left_open_is_rolled_back(make_job, function, workers):
    from django.contrib.auth.models import Group

    log = run(make_job, function, workers=workers)
    assert log.status == Status.SUCCEEDED
    assert not Group.objects.exists()


@pytest.mark.parametrize("function", ["close_connection", "close_connection_under_django"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_may_close_its_connection(make_job, function, workers):
    assert run(make_job, function, workers=workers).status == Status.SUCCEEDED


def test_async_functions_are_awaited(make_job):
    assert run(make_job, "asynchronous", 41).result == 42


@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_can_ask_which_run_it_is(make_job, workers):
    log = run(make_job, "current", workers=workers)
    assert log.result == [log.job_id, log.slot.isoformat(), log.fence, log.pk]


def test_what_a_function_changes_of_its_process_the_next_one_finds_as_it_was(make_job):
    jobs = {
        name: make_job(f"app.jobs.{function}", name=name, due=0)
        for name, function in [("1", "describe_process"), ("2", "change_process"), ("3", "describe_process")]
    }
    cron("--workers", "1")
    first, second, third = (Log.objects.get(job=jobs[name]).result for name in "123")
    assert first["pid"] == second["pid"] == third["pid"], "one worker made all runs"
    assert first == third != second
    assert second["zone"] != "UTC"


def test_a_thread_that_is_left_behind_dies_with_its_process(make_job):
    first = make_job("app.jobs.leave_thread", name="1", due=0)
    second = make_job("app.jobs.describe_process", name="2", due=0)
    cron("--workers", "1")
    assert Log.objects.get(job=first).status == Log.objects.get(job=second).status == Status.SUCCEEDED
    assert Log.objects.get(job=first).result != Log.objects.get(job=second).result["pid"]


def test_no_bad_job_delays_a_good_one(make_job, evidence):
    """Promise P4, with everything at once, and with a job before the others that never ends by itself."""
    for function in ("hang", "exit_hard", "die", "fail", "not_there", "leave_transaction_open"):
        make_job(f"app.jobs.{function}", due=0, timeout=3600)
    make_job("app.broken.anything", due=0)
    broken = make_job(name="broken schedule", due=0)
    Job.objects.filter(pk=broken.pk).write(schedule="not a schedule")
    for number in range(5):
        make_job("app.jobs.note", name=f"good {number}", due=0, args=[str(evidence), str(number)])
    with nodes(("cron", "--workers", "2"), CRONKITE_TEST_SHUTDOWN_GRACE="0") as (node,):
        until(lambda: sorted(evidence.texts()) == list("01234"), what="all the good jobs have run")
        assert Log.objects.get(function="app.jobs.hang").status == Status.RUNNING
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    assert Log.objects.filter(status=Status.SUCCEEDED, job_name__startswith="good").count() == 5


def test_a_run_goes_on_while_its_job_is_edited_disabled_or_deleted(make_job, evidence, tmp_path):
    go = tmp_path / "go"
    changes = {
        "edited": lambda job: setattr(job, "schedule", "0 4 * * *") or job.save(),
        "disabled": lambda job: setattr(job, "enabled", False) or job.save(),
        "deleted": lambda job: job.delete(),
    }
    for name in changes:
        make_job("app.jobs.note_and_wait", name=name, due=0, args=[str(evidence), str(go), name])
    # A short lock timeout, so that locks are renewed while the jobs are changed.
    with nodes(("cron",), lock_timeout=2) as (node,):
        until(lambda: len(evidence.texts()) == 3)
        for name, change in changes.items():
            change(Job.objects.get(name=name))
        edited = Job.objects.get(name="edited")
        seen = edited.locked_at
        until(lambda: Job.objects.get(pk=edited.pk).locked_at > seen, what="the lock of the edited job is renewed")
        go.touch()
        assert node.wait() == 0
    assert {log.job_name: log.status for log in Log.objects.filter(status=Status.SUCCEEDED)} == dict.fromkeys(
        changes, Status.SUCCEEDED
    )
    assert sorted(evidence.texts()) == sorted(f"{word} {name}" for name in changes for word in ("begin", "end"))
    assert not Job.objects.exclude(lock=None).exists()


def test_a_worker_that_loses_its_node_ends_its_run_and_records_it(make_job, evidence, tmp_path):
    """The parent is killed; the run is not lost, and nobody else takes its lock while it lasts."""
    go = tmp_path / "go"
    job = make_job("app.jobs.note_and_wait", due=0, args=[str(evidence), str(go)])
    with nodes(("cron",), lock_timeout=2) as (node,):
        until(evidence.texts)
        os.kill(node.pid, signal.SIGKILL)
        seen = Job.objects.get(pk=job.pk).locked_at
        until(lambda: Job.objects.get(pk=job.pk).locked_at > seen, what="the worker renews the lock by itself")
        go.touch()
        until(lambda: Log.objects.get().status == Status.SUCCEEDED, what="the worker has recorded the end")
        worker = int(evidence.lines()[0][3])
        until(lambda: not families.is_alive(worker), what="the worker is gone")
    assert Job.objects.get(pk=job.pk).lock is None


def test_a_run_whose_node_is_gone_still_has_its_timeout(make_job, tmp_path):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang", due=0, args=[str(begun)], timeout=5)
    with nodes(("cron",)) as (node,):
        until(begun.exists)
        os.kill(node.pid, signal.SIGKILL)
        until(lambda: Log.objects.get().status == Status.TIMED_OUT)
    assert Job.objects.get(pk=job.pk).lock is None


def test_a_stubborn_run_whose_node_is_gone_is_killed_and_holds_no_job_hostage(make_job, tmp_path):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang_stubbornly", due=0, args=[str(begun)], timeout=5)
    with nodes(("cron",), lock_timeout=2) as (node,):
        # The file is there a moment before what is written into it.
        worker = int(until(lambda: begun.exists() and begun.read_text()))
        os.kill(node.pid, signal.SIGKILL)
        until(lambda: not families.is_alive(worker), what="the run's process is killed")
        # Nobody renews the lock any more, so it becomes stale, and the next attempt clears it.
        until(lambda: Job.objects.filter(pk=job.pk, locked_at__lt=clock.Now() - timedelta(seconds=2)).exists())
        # Let the slot that was taken be an hour older than it is, so that it can fall due again.
        slot = Log.objects.get().slot
        Log.objects.update(slot=slot - timedelta(hours=1))
        Job.objects.filter(pk=job.pk).write(
            function="app.jobs.ok", args=[], next_run=slot, last_slot=slot - timedelta(hours=1)
        )
    cron(lock_timeout=2)
    assert list(Log.objects.order_by("fence").values_list("status", flat=True)) == [Status.LOST, Status.SUCCEEDED]


def test_each_run_of_a_worker_has_its_own_output(make_job):
    for number in range(3):
        make_job("app.jobs.say", name=str(number), due=0, args=[f"hello {number}"])
    cron("--workers", "1")
    logs = Log.objects.order_by("id")
    assert [log.output for log in logs] == [f"hello {log.job_name}\n" for log in logs]
    assert len({log.result for log in logs}) == 1, "one worker made all runs"


def test_a_run_that_loses_its_lock_is_ended_and_touches_nothing(make_job, tmp_path):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang", due=0, args=[str(begun)])
    with nodes(("cron",), lock_timeout=2) as (node,):
        until(begun.exists)
        Job.objects.filter(pk=job.pk).write(lock="00000000-0000-4000-8000-000000000000", locked_by="thief")
        assert node.wait() == 0
    assert "its lock is lost" in node.output
    job.refresh_from_db()
    assert job.locked_by == "thief"
    assert Log.objects.get().status == Status.LOST


def test_what_databases_refuse_to_hold_keeps_no_lock(make_job):
    log = run(make_job, "awkward")
    assert log.status == Status.SUCCEEDED
    assert "smile \U0001f600" in log.output
    assert "\x00" not in log.output
    assert "smile" in log.result
