"""What a function does to its process breaks no promise: in real nodes, with real processes."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from django.db import connection
from nodes import cron, nodes, until

import families
from cronkite.code.outcomes import OUTPUT_LIMIT
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status
LOOP = ("cron", "loop", "--workers", "2")
#: Nobody waits for runs that would never end.
AT_ONCE = {"CRONKITE_TEST_SHUTDOWN_GRACE": "0"}


@pytest.fixture
def note(tmp_path):
    """A file for the id of a process that the test ends."""
    path = tmp_path / "pid"
    yield path
    if path.exists() and path.read_text():
        with suppress(ProcessLookupError):
            os.kill(int(path.read_text()), signal.SIGKILL)


@pytest.fixture
def sentry():
    """What plays Sentry's part: a server that keeps what it is sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SimpleNamespace(
            dsn=f"http://key@127.0.0.1:{server.server_port}/1", received=lambda: b"".join(bodies).decode()
        )
        server.shutdown()
        thread.join()


def pid_in(note):
    return int(until(lambda: note.exists() and note.read_text(), what="the function has written an id"))


def run(make_job, function, *args, workers=1, environment=None, **columns):
    """Have a node run the function once; return the log."""
    job = make_job(f"app.edges.{function}", due=0, args=list(args), **columns)
    printed = cron("--workers", str(workers), **(environment or {}))
    log = Log.objects.get(job=job)
    log.printed = printed
    assert not Job.objects.get(pk=job.pk).is_locked, "the lock was not freed"
    return log


def run_before_another(make_job, function):
    """Have a worker run the function, and then one that says something, which is to be kept; return both logs."""
    make_job(f"app.edges.{function}", name="1", due=3600)
    make_job("app.jobs.say", name="2", due=0, args=["hello"])
    cron("--workers", "1")
    first, second = (Log.objects.get(job_name=name) for name in "12")
    assert (first.status, second.status, second.output) == (Status.SUCCEEDED, Status.SUCCEEDED, "hello\n")
    return first, second


def stop(node):
    node.signal(signal.SIGTERM)
    assert node.wait() == 0, node.output


# A node is never held by one process.


def test_a_function_that_closes_everything_holds_nobody_up(make_job, evidence, tmp_path):
    """Other jobs run each second, their locks are renewed, its timeout is kept, and the node heeds SIGTERM."""
    begun = tmp_path / "begun"
    closing = make_job("app.edges.close_everything", due=0, args=[str(begun)], timeout=10)
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(LOOP, lock_timeout=2) as (node,):
        until(begun.exists)
        until(lambda: Log.objects.get(job=closing).status == Status.TIMED_OUT)
        ended = Log.objects.get(job=closing)
        meanwhile = Log.objects.filter(started_at__gt=ended.started_at, finished_at__lt=ended.finished_at)
        assert meanwhile.filter(status=Status.SUCCEEDED).count() >= 2
        assert not Job.objects.get(pk=closing.pk).is_locked
        stop(node)
    assert not Log.objects.filter(status=Status.LOST).exists()


def test_a_function_that_closes_everything_and_returns_has_succeeded(make_job, tmp_path):
    log = run(make_job, "close_everything", str(tmp_path / "begun"), 0)
    assert (log.status, log.result) == (Status.SUCCEEDED, "closed")
    assert "lost" not in log.printed


def test_a_node_stops_beside_a_function_that_has_closed_everything(make_job, tmp_path):
    begun = tmp_path / "begun"
    make_job("app.edges.close_everything", due=0, args=[str(begun)])
    with nodes(LOOP, **AT_ONCE) as (node,):
        until(begun.exists)
        stop(node)
    assert Log.objects.get().status == Status.INTERRUPTED


def test_a_function_that_writes_rubbish_into_every_socket_holds_nobody_up(make_job):
    run_before_another(make_job, "write_rubbish")


def test_a_thread_that_holds_a_lock_of_the_log_holds_nobody_up(make_job, evidence):
    first = make_job("app.edges.leave_thread_with_handlers_lock", due=3600)
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(("cron", "loop", "--workers", "1")) as (node,):
        until(lambda: Log.objects.filter(job=first, status=Status.SUCCEEDED).exists())
        seen = len(evidence.starts())
        until(lambda: len(evidence.starts()) >= seen + 2)
        stop(node)


# Death that nobody sees.


@pytest.mark.parametrize(
    ("how", "words"),
    [("exit", "exited with code 3"), ("kill", "was killed by SIGKILL"), ("real-time", "was killed by signal 40")],
)
def test_a_death_is_seen_while_a_child_of_the_functions_lives(make_job, note, how, words):
    log = run(make_job, "die_with_child", str(note), how)
    assert (log.status, log.reason) == (Status.LOST, f"its process {words}")
    until(lambda: not families.is_alive(pid_in(note)), what="the child has ended with it")


def test_a_pool_of_processes_that_hangs_is_ended_with_its_run(make_job, note):
    log = run(make_job, "hang_in_a_pool_of_processes", str(note), timeout=5)
    assert log.status == Status.TIMED_OUT
    until(lambda: not families.is_alive(pid_in(note)))


@pytest.mark.parametrize(
    "function", ["start_child_and_hang", "start_daemon_and_hang", "start_stubborn_child_and_hang_stubbornly"]
)
def test_what_a_run_has_started_ends_with_it_when_its_time_is_up(make_job, note, function):
    log = run(make_job, function, str(note), timeout=8)
    assert log.status == Status.TIMED_OUT
    until(lambda: not families.is_alive(pid_in(note)))


def test_what_a_run_has_started_ends_with_it_when_its_node_stops(make_job, note):
    make_job("app.edges.start_child_and_hang", due=0, args=[str(note)])
    with nodes(LOOP, **AT_ONCE) as (node,):
        child = pid_in(note)
        stop(node)
    assert Log.objects.get().status == Status.INTERRUPTED
    until(lambda: not families.is_alive(child))


@pytest.mark.parametrize("function", ["start_child", "start_daemon", "leave_child", "leave_writer"])
def test_what_a_run_leaves_behind_lives_and_holds_nobody_up(make_job, note, function):
    make_job(f"app.edges.{function}", due=0, args=[str(note)])
    with nodes(("cron", "--workers", "1")) as (node,):
        assert node.wait() == 0
        assert Log.objects.get().status == Status.SUCCEEDED
        assert families.is_alive(pid_in(note))


def test_what_a_run_leaves_behind_is_not_taken_for_the_next_runs(make_job, note):
    make_job("app.edges.start_child", name="1", due=3600, args=[str(note)])
    make_job("app.jobs.hang", name="2", due=0, timeout=1)
    cron("--workers", "1")
    assert Log.objects.get(job_name="2").status == Status.TIMED_OUT
    assert families.is_alive(pid_in(note))


def nursery_of(node):
    (nursery,) = (pid for pid in families.group(node.pid) if pid != node.pid)
    return nursery


def test_a_nursery_that_dies_is_replaced(make_job, evidence):
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(LOOP) as (node,):
        until(evidence.starts)
        os.kill(nursery_of(node), signal.SIGKILL)
        seen = len(evidence.starts())
        until(lambda: len(evidence.starts()) >= seen + 3)
        stop(node)
    assert "another takes its place" in node.output


def test_a_run_goes_on_without_its_nursery_and_is_recorded(make_job, evidence, tmp_path):
    go = tmp_path / "go"
    make_job("app.jobs.note_and_wait", due=0, args=[str(evidence), str(go)])
    with nodes(("cron", "--workers", "1")) as (node,):
        until(evidence.texts)
        os.kill(nursery_of(node), signal.SIGKILL)
        go.touch()
        assert node.wait() == 0, node.output
    assert Log.objects.get().status == Status.SUCCEEDED


def test_a_run_may_write_though_its_nursery_has_died(make_job, tmp_path):
    """More than a pipe holds; and so may what it has started."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    make_job("app.edges.write_much", due=0, args=[str(begun), str(go)])
    with nodes(("cron", "--workers", "1")) as (node,):
        until(begun.exists)
        os.kill(nursery_of(node), signal.SIGKILL)
        go.touch()
        assert node.wait() == 0, node.output
    log = Log.objects.get()
    assert (log.status, log.result) == (Status.SUCCEEDED, 0), log.exc_info
    first, *_, last = log.output.splitlines()
    # What the nursery has read is lost with it.
    assert first in {"these were its first words", "[its output is lost]"}
    assert last == "these were its last words"
    assert "written by a child" in log.output


@pytest.mark.parametrize("function", ["app.jobs.hang_stubbornly", "app.edges.be_another"])
def test_a_node_stops_though_the_nursery_of_a_run_that_heeds_nobody_has_died(make_job, tmp_path, function):
    begun = tmp_path / "begun"
    make_job(function, due=0, args=[str(begun)])
    with nodes(LOOP, **AT_ONCE) as (node,):
        until(begun.exists)
        (worker,) = families.workers(node.pid)
        os.kill(nursery_of(node), signal.SIGKILL)
        try:
            stop(node)
            until(lambda: not families.is_alive(worker))
        finally:
            families.end(worker)
    log = Log.objects.get()
    assert (log.status, log.reason) == (Status.INTERRUPTED, "its node was stopped; its process was killed by SIGKILL")


# What children inherit.


@pytest.mark.parametrize(("how", "code"), [("return", 0), ("raise", 1), ("exit", 7)])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_child_that_comes_back_ends_there(make_job, how, code, workers):
    log = run(make_job, "come_back", how, workers=workers)
    assert (log.status, log.result) == (Status.SUCCEEDED, code)
    if workers:
        assert ("ValueError: the child" in log.output) == (how == "raise")


@pytest.mark.parametrize("workers", [0, 1])
def test_multiprocessing_works_in_a_job(make_job, workers):
    for number in range(5):
        make_job("app.edges.use_multiprocessing_pool", name=str(number), due=0, timeout=30)
    cron("--workers", str(workers))
    assert [log.result for log in Log.objects.all()] == [[1, 2, 3]] * 5


@pytest.mark.parametrize("workers", [0, 1])
def test_children_heed_signals_as_anybody_does(make_job, workers):
    assert run(make_job, "handlers_of_children", workers=workers).result == ["True", "True", "1"]


def test_a_signal_to_the_group_of_a_run_stays_within_it(make_job, evidence):
    make_job("app.edges.signal_group", due=3600)
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(LOOP) as (node,):
        until(lambda: Log.objects.filter(job_name="signal_group").exclude(status=Status.RUNNING).exists())
        seen = len(evidence.starts())
        until(lambda: len(evidence.starts()) >= seen + 2)
        stop(node)
    assert Log.objects.get(job_name="signal_group").result == "survived"


def test_a_signal_to_the_group_of_a_node_leaves_runs_their_grace(make_job, evidence, tmp_path):
    """As Ctrl-C does it, and ``docker stop`` with a shell before the node."""
    go = tmp_path / "go"
    make_job("app.jobs.note_and_wait", due=0, args=[str(evidence), str(go)])
    with nodes(LOOP) as (node,):
        until(evidence.texts)
        os.killpg(node.pid, signal.SIGINT)
        go.touch()
        assert node.wait() == 0
    assert Log.objects.get().status == Status.SUCCEEDED


# What one run leaves to the next.


@pytest.mark.parametrize(
    "what",
    [
        *("cpu", "files", "blocked", "uid", "tenant", "precision", "timeout", "recursion", "nice", "timer"),
        *("environment", "children", "scheduler", "killable", "network", "rights", "profile", "collected", "digits"),
        "stack",
    ],
)
def test_what_a_run_changes_of_its_process_is_gone_for_the_next(make_job, what):
    if what in ("uid", "network") and os.geteuid():
        pytest.skip("only root can become somebody else, and have a network of its own")
    for name, function, args in (("1", "describe", []), ("2", "change", [what]), ("3", "describe", [])):
        make_job(f"app.edges.{function}", name=name, due=0, args=args)
    cron("--workers", "1")
    first, second, third = (Log.objects.get(job_name=name).result for name in "123")
    assert second[what] != first[what]
    assert third[what] == first[what]
    assert {**third, "pid": 0} == {**first, "pid": 0}


@pytest.mark.parametrize("how", ["uid", "root", "file size", "files", "soft"])
@pytest.mark.parametrize("said", ["bound", "b" * (1 << 17)])
def test_a_run_that_binds_its_process_is_recorded_as_it_ended(make_job, how, said):
    """By the node, where its process may not be able to; and the next one has another process."""
    if how != "soft" and os.geteuid():
        pytest.skip("only root can become somebody else")
    make_job("app.edges.bind", name="1", due=3600, args=[how, said], timeout=60)
    make_job("app.edges.describe", name="2", due=0)
    printed = cron("--workers", "1")
    first, second = (Log.objects.get(job_name=name) for name in "12")
    assert (first.status, first.output, second.status) == (Status.SUCCEEDED, "about to be bound\n", Status.SUCCEEDED)
    assert str(first.result).strip("'")[:5] == said[:5]
    assert not Job.objects.filter(locked_by__gt="").exists()
    assert "can't be written" not in printed


def test_signals_write_into_no_file_of_the_next_run(make_job, tmp_path):
    make_job("app.edges.leave_wakeup_descriptor", name="1", due=3600)
    make_job("app.edges.write_under_signals", name="2", due=0, args=[str(tmp_path / "file")])
    cron("--workers", "1")
    assert Log.objects.get(job_name="2").result == "mine"


@pytest.mark.parametrize("how", ["descriptor", "stream"])
def test_stdin_is_as_empty_after_a_run_that_has_closed_it(make_job, how):
    make_job("app.edges.close_stdin", name="1", due=3600, args=[how])
    make_job("app.edges.read_stdin", name="2", due=0)
    cron("--workers", "1")
    assert Log.objects.get(job_name="2").result == ["", "", True]


def test_what_is_printed_through_a_wrapper_is_output(make_job):
    assert run(make_job, "wrap_stdout", "hello").output == "hello\n"


def test_a_signal_that_a_run_puts_off_ends_no_process(make_job):
    make_job("app.edges.put_signal_off", name="1", due=3600)
    make_job("app.jobs.ok", name="2", due=0)
    cron("--workers", "1")
    assert {log.status for log in Log.objects.all()} == {Status.SUCCEEDED}


def test_a_run_that_leaves_all_descriptors_open_takes_none_from_the_next(make_job):
    first, second = run_before_another(make_job, "leak_descriptors")
    assert first.result != second.result


def test_no_run_draws_what_another_has_drawn(make_job):
    for number in range(6):
        make_job("app.edges.draw", name=str(number), due=0)
    cron("--workers", "2")
    drawn = [log.result for log in Log.objects.all()]
    assert len(set(drawn)) == 6, drawn


def test_output_is_bounded_while_it_is_written(make_job, monkeypatch):
    """It goes to no file, and the processes that keep it do not grow with it."""
    log = run(make_job, "print_megabytes", 200)
    assert log.status == Status.SUCCEEDED
    assert log.output.startswith("the beginning\n")
    assert log.output.endswith("yyy\nthe end\n") or log.output.endswith("ythe end\n")
    assert len(log.output) < OUTPUT_LIMIT + 200


@pytest.mark.parametrize("how", ["return", "hang"])
def test_buffered_records_are_out_before_a_run_counts_as_ended(make_job, tmp_path, how):
    path = tmp_path / "records"
    run(make_job, "buffer_record", str(path), how, timeout=5)
    assert path.read_text() == "told by a run\n"


@pytest.mark.parametrize("mode", [(), ("loop",)])
def test_the_errors_of_runs_have_reached_sentry_before_they_count_as_ended(make_job, sentry, mode):
    for number in range(3):
        make_job("app.jobs.fail", name=str(number), due=0, args=[f"failure {number}"])
    with nodes(("cron", *mode, "--workers", "2"), CRONKITE_TEST_SENTRY=sentry.dsn) as (node,):
        until(lambda: Log.objects.filter(status=Status.FAILED).count() == 3)
        if mode:
            node.signal(signal.SIGTERM)
        assert node.wait() == 0
    assert all(f"failure {number}" in sentry.received() for number in range(3))


def test_what_a_run_registers_for_the_end_of_its_process_is_done(make_job, tmp_path):
    path = tmp_path / "goodbye"
    run(make_job, "register_at_exit", str(path))
    assert path.read_text() == "said goodbye"


@pytest.mark.parametrize("what", ["executor_of_threads", "file", "to_client"])
def test_what_a_run_leaves_to_be_done_at_the_end_of_its_process_is_done(make_job, tmp_path, what):
    path = tmp_path / "left"
    run(make_job, f"leave_{what}", str(path), environment={"CRONKITE_TEST_CLIENT": "yes"})
    assert path.read_text() == "left"


def test_the_processes_of_an_executor_end_with_the_worker(make_job, note):
    run(make_job, "leave_executor_of_processes", str(note))
    until(lambda: not families.is_alive(pid_in(note)))


def test_the_threads_of_a_pool_do_not_make_a_worker_go(make_job):
    for number in range(3):
        make_job("app.edges.leave_service_thread", name=str(number), due=0)
    cron("--workers", "1")
    assert len({log.result for log in Log.objects.all()}) == 1


def test_threads_that_are_alive_when_workers_are_prepared_are_told_of(make_job):
    make_job(due=0)
    printed = cron("--workers", "1", CRONKITE_TEST_THREAD="reporter")
    assert "Threads are alive while workers are prepared: reporter." in printed
    assert "Threads are alive" not in cron("--workers", "1")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no sessions, as it has no server")
@pytest.mark.parametrize("how", ["query", "discover"])
def test_a_connection_that_some_pool_has_from_the_start_is_no_workers(make_job, evidence, how):
    for number in range(3):
        make_job("app.sessions.note_mine", name=str(number), due=0, args=[str(evidence)])
    # Who has such a pool has none of Django's.
    pools = {"CRONKITE_TEST_KEEPING": "1", "CRONKITE_TEST_POOL": ""}
    printed = cron("--workers", "3", "--skip-checks", CRONKITE_TEST_SESSION=how, **pools)
    assert {log.status for log in Log.objects.all()} == {Log.Status.SUCCEEDED}
    sessions = evidence.texts()
    assert len(set(sessions)) == 3
    assert printed.split("session ", 1)[1].split()[0] not in sessions


def test_the_first_process_of_a_container_reaps_what_is_left_to_it(make_job, tmp_path):
    """What is left to it has ended, and is no zombie, while it still ticks."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("only who may make namespaces can be the first process of one")
    seen = tmp_path / "seen"
    make_job("app.edges.leave_orphans", schedule="* * * * * *", args=[str(seen)])
    with nodes(("cron", "loop", "--workers", "1"), wrapper=unshare) as (node,):
        until(lambda: seen.exists() and len(seen.read_text().splitlines()) >= 5)
        (init,) = families.children(node.pid)
        os.kill(init, signal.SIGTERM)
        assert node.wait() == 0
    assert max(map(int, seen.read_text().splitlines())) == 0, "the dead stay in the table"


def test_the_threads_of_a_module_do_not_make_a_worker_go(make_job):
    for number in range(3):
        make_job("app.threaded.tell_process", name=str(number), due=0)
    cron("--workers", "1")
    assert len({log.result for log in Log.objects.all()}) == 1


def test_a_node_needs_no_temporary_directory(make_job):
    job = make_job("app.jobs.say", due=0, args=["hello"])
    cron("--workers", "1", TMPDIR="/nowhere", TEMP="/nowhere", TMP="/nowhere")
    assert Log.objects.get(job=job).output == "hello\n"
