"""The worker processes, as their node sees them."""

import os
import time

import pytest

from cronkite import channels
from cronkite.pool import Pool
from cronkite.runs import Ready

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(nursery):
    one = Pool(1, nursery)
    yield one
    one.close()


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
