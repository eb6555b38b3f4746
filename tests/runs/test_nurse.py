"""The process that workers are forked from, here in that of the tests."""

import errno
import os
import socket
from contextlib import suppress

import pytest

from cronkite.runs import channels
from cronkite.runs.channels import Channel
from cronkite.runs.messages import FORK, REQUEST, Died
from cronkite.runs.nurse import Nurse

pytestmark = pytest.mark.once


@pytest.fixture
def node():
    """The node's end of the channel to the nursery ``nurse``."""
    ours, theirs = channels.pair()
    one = Channel(ours)
    one.nurse = Nurse(theirs, lambda: lambda birth: None)
    yield one
    one.close()
    theirs.close()
    for number in (one.nurse._wake, one.nurse._waker):
        os.close(number)


def open_descriptors():
    found = set()
    for number in range(256):
        with suppress(OSError):
            os.fstat(number)
            found.add(number)
    return found


@pytest.mark.parametrize("missing", ["os.fork", "cronkite.runs.channels.pair", "mmap.mmap"])
def test_a_worker_that_could_not_be_started_leaves_no_descriptor_open(node, monkeypatch, missing):
    """Or the next could not be, either, once there are processes again."""

    def fail(*args):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    asked, given = channels.pair()
    before = open_descriptors() - {given.fileno()}
    with monkeypatch.context() as context:
        context.setattr(missing, fail)
        node.nurse._fork(1, given)
    assert open_descriptors() == before
    (died,) = node.receive()
    assert (died.number, died.problem.partition(":")[0]) == (1, "no worker process could be started")
    asked.close()


def test_no_program_that_a_function_starts_has_the_channel_of_its_worker(node, monkeypatch):
    asked, given = channels.pair()
    seen = []

    def note(number, end):
        with end:
            seen.append(end.get_inheritable())

    monkeypatch.setattr(node.nurse, "_fork", note)
    socket.send_fds(node._socket, [REQUEST.pack(FORK, 1)], [given.fileno()])
    node.nurse._heed()
    assert seen == [False]
    asked.close()
    given.close()


def test_a_nursery_that_has_no_room_for_a_channel_says_so(node):
    """It gets the request, and not the descriptor."""
    node._socket.send(REQUEST.pack(FORK, 1))
    node.nurse._heed()
    (died,) = node.receive()
    assert isinstance(died, Died)
    assert "no room for another descriptor" in died.problem
