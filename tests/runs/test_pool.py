"""The worker processes, as their node sees them."""

import os
import time

import pytest

from cronkite.runs import channels
from cronkite.runs.events import Ready
from cronkite.runs.pool import LEAST_PATIENCE, Pool

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(nursery):
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
    job = make_job()
    pool.offer(job)
    assert events(pool, wake) == [Ready(job)]
    pool.release(job)
    (dead,) = pool.workers
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
