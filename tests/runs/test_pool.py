"""The worker processes, as their node sees them."""

import errno
import math
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.db import connection
from nodes import PATIENCE, until
from rivals import rival

from cronkite.claims import claiming
from cronkite.models import Job, Log
from cronkite.processes import kin
from cronkite.runs import channels, crowd
from cronkite.runs.events import Ended, Ready, Refused, Wrote
from cronkite.runs.messages import Died
from cronkite.runs.nursery import Nursery
from cronkite.runs.pool import LEAST_PATIENCE, LONG, Pool
from cronkite.runs.worker import _Clerk, serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(nursery, monkeypatch):
    """A pool whose nursery is asked whether it answers only where a test says so."""
    monkeypatch.setattr("cronkite.runs.nursery.ASK_EVERY", 3600)
    nursery.attend_at += 3600
    one = Pool(1, nursery)
    yield one
    one.close(by=None)


@pytest.fixture
def wake():
    reader, writer = os.pipe()
    yield reader
    os.close(reader)
    os.close(writer)


def events(pool, wake, patience=60):
    """Return the next events, of which there is at least one."""
    deadline = time.monotonic() + patience
    while not (seen := list(pool.wait(1, wake))):
        assert time.monotonic() < deadline, "nothing happened"
    return seen


def test_a_worker_is_asked_once_whether_it_has_a_function(make_job, pool, wake):
    job = make_job()
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    pool.release(job)
    pool.offer(job)
    assert list(pool.wait(0, wake)) == [Ready(job)]
    assert not pool.has_room()


def released(make_job, pool, wake):
    """Return a job, and the worker that was ready for it, and is not needed."""
    job = make_job()
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    pool.release(job)
    (worker,) = pool.workers
    return job, worker


def asked(pool, wake, job):
    """Return the worker that is ready for the job."""
    pool.offer(job)
    while (seen := events(pool, wake)) != [Ready(job)]:
        assert not seen
    (worker,) = (worker for worker in pool.workers if worker.job is job)
    pool.release(job)
    return worker


def test_a_worker_that_an_import_has_changed_serves_that_module_alone(make_job, pool, wake):
    pool.size = 2
    plain, arranging = make_job(), make_job(function="app.arranging.tell")
    bound = asked(pool, wake, arranging)
    other = asked(pool, wake, plain)
    assert other is not bound
    assert asked(pool, wake, make_job(function="app.arranging.tell_again")) is bound
    assert asked(pool, wake, arranging) is bound
    assert asked(pool, wake, make_job(function="app.edges.describe")) is other


def test_a_worker_that_has_served_others_leaves_an_import_that_changes_it_to_a_fresh_one(make_job, pool, wake):
    other = asked(pool, wake, make_job())
    bound = asked(pool, wake, make_job(function="app.arranging.tell"))
    assert pool.workers == [bound]
    assert asked(pool, wake, make_job()) not in (bound, other)


def test_a_worker_that_dies_while_it_is_reserved_is_replaced(make_job, pool, wake):
    """Neither is the job's function to blame, nor is a slot claimed that nobody could run."""
    job, dead = released(make_job, pool, wake)
    pool.nursery.kill(dead.number)
    assert channels.wait([pool.nursery.fileno()], 60)
    pool.offer(job)
    assert pool.offered() == {job.pk}
    assert events(pool, wake) == [Ready(job)]
    assert pool.workers != [dead]


def test_a_worker_that_dies_is_replaced_though_slow_imports_made_room_for_others(make_job, pool, wake, monkeypatch):
    """Two workers of a pool of one: while the first took its time to import, there was room for a second."""
    monkeypatch.setattr("cronkite.runs.pool.SLOW_IMPORT", 0)
    slow, other = make_job(), make_job()
    pool.offer(slow)
    assert pool.has_room()
    pool.offer(other)
    ready = []
    while len(ready) < 2:
        ready += [event.job for event in events(pool, wake)]
    (dead,) = [worker for worker in pool.workers if worker.job is slow]
    pool.nursery.kill(dead.number)
    assert events(pool, wake) == [Ready(slow)]


# More imports that take long than there may be at a time.


@pytest.fixture(params=[["h0.anything", "h1.anything", "h2.anything"]], ids=["modules"])
def crowded(request, make_job, pool, wake, monkeypatch):
    """Two hang, and the third has been broken off."""
    monkeypatch.setattr("cronkite.runs.pool.SLOW_IMPORT", 0.1)
    monkeypatch.setattr(crowd, "SHARE", 1_000_000)
    jobs = [make_job(f"app.hung.{each}", name=f"hung {number}") for number, each in enumerate(request.param)]
    deadline = time.monotonic() + PATIENCE
    for job in jobs:
        while not pool.has_room():
            assert list(pool.wait(0.1, wake)) == []
            assert time.monotonic() < deadline
        pool.offer(job)
    while len(imports_in(pool)) > 2:
        assert list(pool.wait(0.1, wake)) == []
        assert time.monotonic() < deadline
    return jobs


def imports_in(pool):
    """Return the jobs whose functions are being imported."""
    return [worker.job for worker in pool.workers if worker.is_resolving]


def test_a_job_whose_import_was_broken_off_is_under_way_and_makes_room_for_others(make_job, crowded, pool, wake):
    assert imports_in(pool) == crowded[:2]
    assert pool.offered() == {job.pk for job in crowded}
    until(lambda: list(pool.wait(0.1, wake)) == [] and pool.has_room())
    quick = make_job()
    pool.offer(quick)
    assert pool.offered() == {job.pk for job in [*crowded, quick]}


def test_an_import_that_goes_on_for_long_makes_way_for_those_that_wait(make_job, crowded, pool, wake, monkeypatch):
    """Those that hang come first for ever, and who takes a moment longer than others is no less worth than they."""
    first, second, third = crowded
    monkeypatch.setattr(crowd, "SHARE", 0.3)
    until(lambda: list(pool.wait(0.1, wake)) == [] and third in imports_in(pool))
    assert first not in imports_in(pool)
    assert pool.offered() == {job.pk for job in crowded}
    until(lambda: list(pool.wait(0.1, wake)) == [] and first in imports_in(pool))
    assert second not in imports_in(pool)
    pool.offer(late := make_job("app.slow.moment.ok", name="slow"))
    assert events(pool, wake) == [Ready(late)]


@pytest.mark.parametrize("crowded", [["h0.a", "h0.b", "h0.c"]], ids=["siblings"], indirect=True)
def test_an_import_makes_no_way_for_one_of_the_same_module(make_job, crowded, pool, wake, monkeypatch):
    """Or jobs of one module that takes its time would break off each other's imports of it, for ever."""
    first, second, third = crowded
    monkeypatch.setattr(crowd, "SHARE", 0.3)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert list(pool.wait(0.1, wake)) == []
    assert imports_in(pool) == [first, second]
    # It waits, and does not ask again and again whether it still has to.
    assert pool.next_deadline() > time.monotonic()
    other = make_job("app.hung.h1.anything", name="other")
    pool._crowd.join(other)
    until(lambda: list(pool.wait(0.1, wake)) == [] and other in imports_in(pool))
    assert third not in imports_in(pool)


def test_each_time_it_goes_on_for_twice_as_long(make_job):
    """Or one that needs its time would begin again for ever."""
    job, waiting = make_job(), crowd.Crowd()
    shares = [(waiting.had(job), waiting.share(job))]
    for had in (15, 31, 62):
        waiting.make_way(job, had)
        assert waiting.take() is job
        shares.append((waiting.had(job), waiting.share(job)))
    assert shares == [(0, 15), (15, 30), (46, 62), (108, 124)]
    waiting.forget(job)
    assert (waiting.had(job), waiting.share(job)) == (0, 15)


def test_one_that_went_on_alone_for_long_goes_on_for_twice_that(crowded, pool, monkeypatch, caplog):
    monkeypatch.setattr(crowd, "SHARE", 15)
    caplog.set_level("INFO")
    (first,) = [worker for worker in pool.workers if worker.job is crowded[0]]
    first.since -= 45
    assert pool._make_way()
    assert 90 <= pool._crowd.share(crowded[0]) < 90 + PATIENCE
    assert "has taken 45 s" in caplog.text or "has taken 46 s" in caplog.text


def test_who_has_made_way_waits_for_as_long_before_another_makes_way_for_it(make_job, monkeypatch):
    """Or all that have had their share would be begun anew when one more job comes."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    waiting, early, late = crowd.Crowd(), make_job(), make_job()
    waiting.make_way(early, 15)
    assert (waiting.insists(), waiting.insists_at()) == (False, 1015)
    waiting.join(late)
    assert waiting.insists()
    assert waiting.take() is late
    assert not waiting.insists()
    now[0] += 15
    assert waiting.insists()
    assert waiting.take() is early
    assert waiting.insists_at() == math.inf


def test_none_makes_way_where_no_other_would_have_its_worker(crowded, pool, wake, monkeypatch):
    until(lambda: list(pool.wait(0.1, wake)) == [] and pool.has_room())
    pool.size = 0
    assert not pool.has_room()
    monkeypatch.setattr(crowd, "SHARE", 0.001)
    assert pool.next_deadline() > time.monotonic()
    assert list(pool.wait(0, wake)) == []
    assert imports_in(pool) == crowded[:2]


def test_it_is_tried_again_when_one_of_the_others_has_ended(crowded, pool, wake, monkeypatch):
    monkeypatch.setattr("cronkite.runs.pool.IMPORT_PATIENCE", 0)
    first = next(worker for worker in pool.workers if worker.job is crowded[0])
    first.deadline = time.monotonic()
    (refused,) = events(pool, wake)
    assert (refused.job, refused.is_costly) == (crowded[0], True)
    until(lambda: list(pool.wait(0.1, wake)) == [] and crowded[2] in imports_in(pool))


def test_who_has_waited_for_too_long_is_left_to_other_nodes(crowded, pool, wake, monkeypatch):
    """And its module is not to blame, as it was given no time."""
    assert pool.next_deadline() <= time.monotonic() + crowd.PATIENCE
    soon = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: soon)
    refused = [event for event in events(pool, wake) if event.job is crowded[2]]
    assert [each.is_costly for each in refused] == [False]
    assert "app.hung.h2.anything could not be imported here yet" in refused[0].problem
    assert crowded[2].pk not in pool.offered()


def test_for_how_long_it_may_wait_counts_from_the_first_time(crowded, pool, wake, monkeypatch):
    """And who was given time counts as one that can't be imported here: it is the one that others waited for."""
    monkeypatch.setattr(crowd, "PATIENCE", 1_000_000)
    monkeypatch.setattr(crowd, "SHARE", 0.3)
    until(lambda: list(pool.wait(0.1, wake)) == [] and crowded[2] in imports_in(pool))
    until(lambda: list(pool.wait(0.1, wake)) == [] and crowded[2] not in imports_in(pool))
    monkeypatch.setattr(crowd, "SHARE", 1_000_000)
    soon = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: soon)
    refused = [event for event in events(pool, wake) if event.job is crowded[2]]
    assert [each.is_costly for each in refused] == [True]


def test_it_is_tried_again_when_a_worker_was_released(make_job, pool, wake):
    """Nobody would come back to it before its time is over."""
    other, waiting = make_job(), make_job()
    pool.offer(other)
    assert events(pool, wake) == [Ready(other)]
    pool._crowd.join(waiting)
    assert pool.next_deadline() > time.monotonic() + 1
    pool.release(other)
    assert pool.next_deadline() <= time.monotonic()
    assert list(pool.wait(0, wake)) == []
    assert events(pool, wake) == [Ready(waiting)]


def test_with_a_module_that_is_given_up_all_are_who_wait_for_it(make_job, crowded, pool, wake, monkeypatch):
    another = make_job("app.hung.h0.another", name="another")
    pool._crowd.join(another)
    monkeypatch.setattr("cronkite.runs.pool.IMPORT_PATIENCE", 0)
    next(worker for worker in pool.workers if worker.job is crowded[0]).deadline = time.monotonic()
    first, second = events(pool, wake)
    assert (first.job, first.is_costly) == (crowded[0], True)
    assert (second.job, second.is_costly, second.problem) == (another, False, first.problem)


def test_a_machine_that_has_no_room_for_a_worker_refuses_the_job(make_job, pool, wake, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(pool.nursery, "fork", fail)
    job = make_job()
    pool.prepare(1)
    pool.offer(job)
    assert pool.offered() == {job.pk}
    (refused,) = events(pool, wake)
    assert (refused.job, refused.is_costly) == (job, False)
    assert "no worker can be started here: " in refused.problem
    assert pool.offered() == set()


@pytest.fixture
def cramped(make_job, pool, wake, monkeypatch):
    """A job for which there is no worker to be had, beside one that is ready for another."""
    pool.size = 2
    first, second = make_job(), make_job()
    pool.offer(first)
    assert events(pool, wake) == [Ready(first)]
    pool.offer(second)
    lacking = pool.workers[-1]
    assert lacking.job is second
    monkeypatch.setattr("cronkite.runs.pool.CRAMPED", 1_000_000)
    assert list(pool._died(lacking, Died(lacking.number, problem="no worker process could be started"))) == []
    return first, second


def test_where_no_other_worker_can_be_had_a_job_waits_for_one_that_is_there(cramped, pool, wake):
    """It is not left alone for a minute, and its module is not to blame."""
    first, second = cramped
    assert (pool.offered(), pool.has_room()) == ({first.pk, second.pk}, False)
    assert pool.next_deadline() > time.monotonic() + 1
    assert list(pool.wait(0, wake)) == []
    pool.release(first)
    assert pool.next_deadline() <= time.monotonic()
    assert list(pool.wait(0, wake)) == []
    assert events(pool, wake) == [Ready(second)]


def test_that_it_waited_for_a_worker_in_vain_is_told(cramped, pool, wake, monkeypatch):
    _, second = cramped
    soon = time.monotonic() + crowd.PATIENCE
    monkeypatch.setattr(time, "monotonic", lambda: soon)
    assert events(pool, wake) == [Refused(second, "no worker process could be started")]


def test_a_while_later_another_worker_is_asked_for(cramped, pool, wake):
    _, second = cramped
    assert pool._cramped_until > time.monotonic() + 1000
    pool._cramped_until = time.monotonic() + 100
    assert pool.next_deadline() <= pool._cramped_until
    pool._cramped_until = time.monotonic()
    assert events(pool, wake) == [Ready(second)]


def test_where_no_other_worker_can_be_had_one_of_another_module_is_asked(make_job, pool, wake):
    """It says that it serves another, and goes, which makes the room."""
    pool.size = 2
    bound = asked(pool, wake, make_job(function="app.arranging.tell"))
    pool._cramped_until = time.monotonic() + 1_000_000
    asked_for = make_job()
    pool.offer(asked_for)
    assert (pool.workers, bound.job) == ([bound], asked_for)


@contextmanager
def crippled():
    """A pool of a nursery of its own, forked now: its workers are what the classes are made to be until then."""
    one = Pool(1, Nursery(lambda: serve))
    try:
        yield one
    finally:
        one.close(by=None)


def test_a_worker_that_can_have_no_thread_blames_no_function(make_job, monkeypatch, wake):
    monkeypatch.setattr(_Clerk, "start", no_thread)
    job = make_job()
    with crippled() as pool:
        pool.offer(job)
        assert events(pool, wake) == [Refused(job, "can't start new thread")]


def no_thread(_):
    raise RuntimeError("can't start new thread")


def test_a_worker_that_dies_before_it_can_be_asked_blames_no_function(make_job, pool, wake):
    """As when the machine is out of memory: that it has died is heard of only when it has been given a job."""
    _, dead = released(make_job, pool, wake)
    pool.nursery.kill(dead.number)
    assert channels.wait([pool.nursery.fileno()], 60)
    other = make_job("app.edges.describe")
    pool.offer(other)
    assert events(pool, wake) == [Ready(other)]


def test_a_worker_ends_with_the_thread_that_tells_of_its_runs(make_job, monkeypatch, wake):
    """Else the node would renew the lock of a run that has ended, for ever."""

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(_Clerk, "_pass_on", fail)
    with crippled() as pool:
        pool.offer(make_job())
        (refused,) = events(pool, wake)
        assert "its process exited with code 1" in refused.problem


def test_a_burst_of_requests_is_no_end_of_the_nursery(pool):
    """More than its socket takes at a time."""
    pool.nursery.warm_up()
    for _ in range(3000):
        pool.nursery.peek(1)
    assert not pool.nursery.is_gone


def test_a_nursery_that_reads_nothing_is_given_up(pool, monkeypatch):
    monkeypatch.setattr("cronkite.runs.nursery.PATIENCE", 0.1)
    pool.nursery.signal(signal.SIGSTOP)
    try:
        until(lambda: pool.nursery.peek(1) or pool.nursery.is_gone)
    finally:
        os.kill(pool.nursery.pid, signal.SIGCONT)


def test_room_that_a_long_run_makes_is_used_at_once(make_job, pool, wake):
    job = make_job("app.jobs.hang", args=["/dev/null"])
    claim = claiming.claim_by_hand(job, "here")
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    pool.start(job, claim)
    (worker,) = pool.workers
    assert pool.next_deadline() == worker.since + LONG
    worker.since -= LONG
    assert pool.has_room()
    assert pool.next_deadline() is None or pool.next_deadline() > time.monotonic()
    pool.end(claim, Log.Status.INTERRUPTED, "the test is over")
    (ended,) = events(pool, wake)
    assert isinstance(ended, Ended)


# A function that has returned, whose end can't be written yet.


@pytest.fixture
def over(make_job, pool, wake):
    """The claim of a run of which only the record is left, and what keeps it from being written."""
    seen = []
    job = make_job("app.jobs.nap", kwargs={"seconds": 0.1}, timeout=2)
    other = make_job()
    claim = claiming.claim_by_hand(job, "here")
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    with ExitStack() as stack:
        keep = Job.objects.filter(pk=other.pk if connection.vendor == "sqlite" else job.pk)
        held = stack.enter_context(rival(lambda: keep.update(description="held")))
        pool.start(job, claim)
        (worker,) = pool.workers
        until(lambda: seen.extend(pool.wait(0.1, wake)) or seen or worker.is_over)
        assert seen == []
        yield claim, held


def test_it_is_not_ended_any_more(over, pool, wake):
    """It has not timed out, and nobody but its own process knows what it has returned."""
    claim, held = over
    (worker,) = pool.workers
    assert worker.deadline is None
    held.roll_back()
    assert events(pool, wake) == [Ended(claim)]
    assert Log.objects.get().status == Log.Status.SUCCEEDED


def test_a_node_that_stops_leaves_it_to_itself(over, pool):
    claim, held = over
    pool.end(claim, Log.Status.INTERRUPTED, "its node was stopped")
    assert pool.claims() == [claim]
    pool.let_go()
    assert pool.claims() == []
    held.roll_back()
    until(lambda: Log.objects.get().status == Log.Status.SUCCEEDED)


@pytest.fixture
def waits(pool, monkeypatch):
    """What the pool waits for from now on: for how long, and which of those that leave were killed before."""
    seen = []
    wait = channels.wait

    def note(ready, timeout):
        seen.append((timeout, [worker.is_killed for worker in pool.leaving]))
        return wait(ready, timeout)

    monkeypatch.setattr(channels, "wait", note)
    return seen


@pytest.mark.parametrize("in_time", [None, 5.0])
def test_an_import_that_hangs_is_not_waited_for_at_the_end(make_job, pool, waits, in_time):
    pool.offer(make_job(function="app.hanging.run"))
    pool.close(by=in_time and time.monotonic() + in_time)
    assert [killed for _, killed in waits][:1] == [[True]]
    assert pool.leaving == []


def test_who_leaves_is_waited_for_until_its_node_has_to_be_gone(make_job, pool, wake, waits):
    """Else a node that has given its runs all the time that it had would wait for as long again."""
    job = make_job()
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    waits.clear()
    pool.close(by=time.monotonic() - 1)
    assert waits[0][1] == [False]
    assert waits[0][0] <= LEAST_PATIENCE


# The nursery dies.


@pytest.fixture
def running(make_job, pool, wake, tmp_path):
    """Have a worker run a function, which is given a file to touch; return the claim, and the worker's process."""

    def begin(function, *args, **columns):
        begun = tmp_path / "begun"
        job = make_job(function, args=[str(begun), *args], **columns)
        pool.offer(job)
        assert events(pool, wake) == [Ready(job)]
        claim = claiming.claim_by_hand(Job.objects.get(pk=job.pk), "node")
        pool.start(job, claim)
        until(begun.exists)
        (worker,) = pool.workers
        began.append(worker.process)
        return claim, worker.process

    began = []
    yield begin
    for process in began:
        process.kill()


def end_nursery(pool):
    os.kill(pool.nursery.pid, signal.SIGKILL)
    assert channels.wait([pool.nursery.fileno()], 60)


def next_end(pool, wake, patience=60):
    """Return how the next run ended, looking no less often than the pool wants it."""
    deadline = time.monotonic() + patience
    while True:
        assert time.monotonic() < deadline, "no run has ended"
        by = pool.next_deadline()
        pause = 60 if by is None else max(0, by - time.monotonic())
        for event in pool.wait(min(pause, deadline - time.monotonic()), wake):
            if isinstance(event, Ended):
                return event


@pytest.mark.parametrize("function", ["app.jobs.hang_stubbornly", "app.edges.close_everything", "app.edges.be_another"])
def test_a_run_is_ended_when_its_time_is_up_though_the_nursery_has_died(running, pool, wake, monkeypatch, function):
    """Whether or not its worker can still hear."""
    monkeypatch.setattr("cronkite.runs.pool.KILL_AFTER", 0.5)
    claim, process = running(function, timeout=3)
    end_nursery(pool)
    event = next_end(pool, wake)
    assert event.claim is claim
    assert event.unrecorded.status == Log.Status.TIMED_OUT
    assert event.unrecorded.reason.endswith("its process was killed by SIGKILL")
    assert pool.claims() == []
    assert not process.lives()


def test_a_run_whose_process_dies_after_the_nursery_is_lost(running, pool, wake):
    claim, process = running("app.jobs.hang")
    end_nursery(pool)
    assert list(pool.wait(0, wake)) == []
    os.kill(process.pid, signal.SIGKILL)
    event = next_end(pool, wake)
    assert (event.claim, event.unrecorded.status, event.is_doubtful) == (claim, Log.Status.LOST, False)
    assert event.unrecorded.reason == "its process has ended, and what it wrote is lost"


def test_what_a_lost_run_has_started_ends_with_it_though_the_nursery_has_died(running, pool, wake):
    running("app.jobs.leave_a_child")
    (worker,) = pool.workers
    end_nursery(pool)
    child = int(until(Path(worker.claim.args[0]).read_text))
    os.kill(worker.process.pid, signal.SIGKILL)
    next_end(pool, wake)
    until(lambda: not kin.is_alive(child))


def test_a_worker_that_was_ready_is_replaced_with_its_nursery(make_job, pool, wake):
    job = make_job()
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    (before,) = pool.workers
    end_nursery(pool)
    assert events(pool, wake) == [Ready(job)]
    assert pool.workers != [before]
    until(lambda: not before.process.lives())


def test_a_nursery_whose_death_shows_when_it_is_asked_leaves_no_workers_that_nobody_knows(make_job, pool, wake):
    job, before = released(make_job, pool, wake)
    end_nursery(pool)
    pool.nursery.peek(before.number)
    assert pool.nursery.is_gone
    assert list(pool.wait(0, wake)) == []
    assert pool.workers == []
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]


def test_an_import_under_which_the_nursery_dies_is_ended_and_not_tried_again_at_once(make_job, pool, wake):
    """It may be what has ended the nursery."""
    job = make_job(function="app.hanging.run")
    pool.offer(job)
    (worker,) = pool.workers
    until(lambda: list(pool.wait(0.01, wake)) or worker.process)
    end_nursery(pool)
    (event,) = events(pool, wake)
    assert isinstance(event, Refused)
    assert event.job is job
    until(lambda: not worker.process.lives())


# The nursery is stopped.


@pytest.fixture
def impatient(monkeypatch, caplog):
    caplog.set_level("INFO", "cronkite")
    monkeypatch.setattr("cronkite.runs.nursery.WAKE_AFTER", 0.5)
    monkeypatch.setattr("cronkite.runs.nursery.KILL_AFTER", 0.5)
    monkeypatch.setattr("cronkite.runs.pool.KILL_AFTER", 0.5)


def stop_nursery(pool):
    os.kill(pool.nursery.pid, signal.SIGSTOP)
    pool.nursery.attend_at = time.monotonic()


def test_a_nursery_that_was_stopped_is_told_to_go_on(running, pool, wake, impatient, monkeypatch, caplog):
    monkeypatch.setattr("cronkite.runs.nursery.KILL_AFTER", 60)
    claim, _ = running("app.jobs.hang")
    stop_nursery(pool)
    pool.peek(claim)
    (event,) = events(pool, wake)
    assert isinstance(event, Wrote)
    assert "It is told to go on" in caplog.text
    assert not pool.nursery.is_gone


def test_a_nursery_that_answers_is_let_be(running, pool, wake, monkeypatch, caplog):
    monkeypatch.setattr("cronkite.runs.nursery.WAKE_AFTER", 60)
    caplog.set_level("INFO", "cronkite")
    running("app.jobs.hang")
    pool.nursery.attend_at = time.monotonic()
    pool.nursery.attend()
    assert pool.nursery._is_asked
    until(lambda: list(pool.wait(0.01, wake)) or not pool.nursery._is_asked)
    assert "does not answer" not in caplog.text


def test_a_nursery_that_does_not_go_on_is_killed_and_its_runs_are_ended_all_the_same(
    running, pool, wake, impatient, monkeypatch, caplog
):
    claim, process = running("app.jobs.hang_stubbornly", timeout=3)
    send = pool.nursery.signal
    monkeypatch.setattr(pool.nursery, "signal", lambda number: number == signal.SIGCONT or send(number))
    stop_nursery(pool)
    event = next_end(pool, wake)
    assert (event.claim, event.unrecorded.status) == (claim, Log.Status.TIMED_OUT)
    assert "so it is killed" in caplog.text
    assert not process.lives()


def test_a_node_that_ends_leaves_no_nursery_that_was_stopped(make_job, pool, wake, impatient):
    _, worker = released(make_job, pool, wake)
    stop_nursery(pool)
    pool.close(by=time.monotonic())
    until(lambda: not kin.is_alive(pool.nursery.pid))
    until(lambda: not worker.process.lives())
