"""What processes say to each other arrives, and nobody waits for the other."""

from __future__ import annotations

import os
import pickle
import socket
import struct

import pytest

from cronkite.runs import channels
from cronkite.runs.channels import Channel, HungUp


@pytest.fixture
def ends():
    both = [Channel(end) for end in channels.pair()]
    yield both
    for end in both:
        end.close()


def test_messages_arrive_whole_and_in_order(ends):
    here, there = ends
    for number in range(3):
        here.send({"number": number})
    assert there.receive() == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert there.receive() == []


def test_what_the_other_side_does_not_read_is_kept_and_holds_nobody_up(ends):
    here, there = ends
    text = "x" * (4 << 20)
    here.send(text)
    here.send("and more")
    assert here.has_unsent
    received = []
    while len(received) < 2:
        assert channels.wait([there], 60) == {there.fileno()}
        received += there.receive()
        here.flush()
    assert received == [text, "and more"]
    assert not here.has_unsent


def test_one_can_wait_until_the_other_side_reads_on(ends):
    here, there = ends
    here.send("x" * (4 << 20))
    assert channels.wait([here], 0) == set()
    while channels.wait([there], 0):
        assert there.receive() == []
    assert channels.wait([here], 60) == {here.fileno()}


def test_whoever_hangs_up_is_heard_after_what_was_said(ends):
    here, there = ends
    here.send("last words")
    here.close()
    assert there.receive() == ["last words"]
    with pytest.raises(HungUp):
        there.receive()
    with pytest.raises(HungUp):
        there.send("hello?")


def test_an_answer_is_waited_for_but_not_for_ever(ends):
    here, there = ends
    there.send("an answer")
    assert here.ask("a question", 60) == "an answer"
    assert here.ask("another", 0.01) is None


def test_a_stranger_with_the_same_number_is_not_taken_for_the_other_side(ends):
    """A function has closed the descriptor, and opened another that got its number."""
    here, _ = ends
    number = here.fileno()
    os.close(number)
    reader, writer = os.pipe()
    os.dup2(reader, number)
    os.write(writer, b"not for us")
    for use in (here.receive, here.flush, lambda: here.send("not for them")):
        with pytest.raises(HungUp):
            use()
    here.close()
    assert os.read(number, 100) == b"not for us", "the stranger has been left alone"
    for descriptor in {number, reader, writer}:
        os.close(descriptor)


@pytest.mark.parametrize(
    "noise",
    [
        b"x",
        struct.pack("!I", 1 << 30),
        channels._HEAD.pack(channels._MARK, 4) + b"none",
        channels._HEAD.pack(channels._MARK, 2) + pickle.dumps(1)[:2],
    ],
)
def test_noise_is_as_good_as_silence(noise):
    raw, end = channels.pair()
    with raw:
        there = Channel(end)
        raw.setblocking(True)
        raw.send(noise)
        with pytest.raises(HungUp):
            there.receive()
        there.close()


def test_what_comes_in_pieces_is_no_noise(ends):
    here, there = ends
    data = channels._HEAD.pack(channels._MARK, len(pickle.dumps(1))) + pickle.dumps(1)
    for byte in data[:-1]:
        here._socket.send(bytes([byte]))
        assert there.receive() == []
    here._socket.send(data[-1:])
    assert there.receive() == [1]


def test_what_is_closed_is_not_waited_for():
    end, other = socket.socketpair()
    channel = Channel(end)
    channel.close()
    channel.close()
    assert channels.wait([channel], 0) == set()
    other.close()
