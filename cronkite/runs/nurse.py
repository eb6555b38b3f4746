"""Where do worker processes come from, who sees them die, and who keeps what they write?

A nursery: a process that is forked from the node before that has opened any connection, and that opens none itself. It
forks the workers, so nothing of the database crosses a fork: no socket, no pool, no thread, no lock. It does nothing
else that takes time, and no code of the project's runs in it:

- it is the parent of the workers, and tells how each has ended, by ``waitpid``;
- it reads what their functions write, from a pipe for each, and keeps the beginning and the end;
- it kills a worker with all that this has started.

When the node has gone, it stays until the workers have, and whoever else can still write into their pipes.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import signal
import socket
import sys
import termios
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from cronkite.database import inherited
from cronkite.processes import forks, kin
from cronkite.runs import channels, farewell
from cronkite.runs.capture import Kept, Piece
from cronkite.runs.channels import Channel, HungUp
from cronkite.runs.messages import ASK, FORK, HEARS, OUTPUT, PEEK, REQUEST, WARM, Died, Written

logger = logging.getLogger("cronkite")

#: The signals that reach whole groups of processes. The node is the one to heed them.
FOR_THE_NODE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Birth:
    """What a worker is given: the end of its node's channel and of its nursery's, and where to write.

    ``reader`` is the other end of ``output``, which the nursery reads while it lives. ``written`` is memory that it
    shares with the nursery; its only byte is not 0 once the nursery has read something.
    """

    node: socket.socket
    nursery: socket.socket
    output: int
    reader: int
    written: mmap.mmap


def unread(pipe: int) -> int:
    """Return how many bytes are in a pipe, asked at either end of it."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@dataclass(eq=False)
class _Child:
    """A worker, as its nursery knows it."""

    number: int
    pid: int
    output: int
    written: mmap.mmap
    channel: Channel
    kept: Kept = field(default_factory=Kept)
    is_leaving: bool = False
    is_read: bool = False

    def read(self) -> int:
        """Keep what it has written, up to a bound, so that others have their turn; return how much that is (bytes)."""
        # Before it is read: once the pipe is empty, the worker looks here.
        self.written[0] = 1
        try:
            data = os.read(self.output, channels.CHUNK)
        except BlockingIOError:
            return 0
        self.is_read = not data
        self.kept.add(data)
        return len(data)

    def peek(self) -> Piece:
        """Return what it has written until now, since it was taken last."""
        self._read_all()
        return self.kept.peek()

    def take(self) -> Piece:
        """Return what it has written until now, and begin anew."""
        self._read_all()
        self.written[0] = 0
        return self.kept.take()

    def _read_all(self) -> None:
        # Not until nothing comes any more: what a run has left behind may write for ever.
        rest = 0 if self.is_read else unread(self.output)
        while rest > 0 and (size := self.read()):
            rest -= size


def be(control: socket.socket, load: Callable[[], Callable[[Birth], None]], release: Callable[[], object]) -> None:
    """Be the nursery, from the first line to the last."""
    code = 1
    try:
        Nurse(control, load).run(release)
        code = 0
    except BaseException:
        logger.exception("The process that workers are forked from has failed.")
    finally:
        os._exit(code)


class Nurse:
    """Who serves the node and sees to the workers."""

    def __init__(self, control: socket.socket, load: Callable[[], Callable[[Birth], None]]) -> None:
        self._control = control
        self._channel = Channel(control)
        self._load = load
        self._children: dict[int, _Child] = {}
        #: The pipes of workers that have died, which others may still write into.
        self._left: set[int] = set()
        self._node_is_gone = False
        self._wake, self._waker = os.pipe()
        self._handlers: dict[int, Any] = {}

    def run(self, release: Callable[[], object]) -> None:
        """Serve the node until it is gone, and then the workers until they are."""
        inherited.disown()
        _tidy_descriptors()
        self._listen_to_signals()
        release()
        while not self._node_is_gone or self._children or self._left:
            ready = channels.wait(self._listening(), None)
            if self._wake in ready:
                os.read(self._wake, channels.CHUNK)
                self._bury()
            for number in ready & self._left:
                self._drop(number)
            for child in list(self._children.values()):
                if child.output in ready and not child.is_read:
                    child.read()
                if child.channel.fileno() in ready:
                    self._answer(child)
            if not self._node_is_gone and self._control.fileno() in ready:
                self._heed()

    def _listening(self) -> list[Channel | int]:
        listening: list[Channel | int] = [self._wake, *self._left]
        if not self._node_is_gone:
            listening.append(self._channel)
        for child in self._children.values():
            listening.append(child.channel)
            if not child.is_read:
                listening.append(child.output)
        return listening

    def _listen_to_signals(self) -> None:
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)
        for number in (*FOR_THE_NODE, signal.SIGCHLD):
            self._handlers[number] = signal.signal(number, _do_nothing)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)

    def _heed(self) -> None:
        """Do what the node asks for."""
        try:
            if self._channel.has_unsent:
                self._channel.flush()
            message, ends, _, _ = socket.recv_fds(self._control, REQUEST.size, 1)
            for end in ends:
                # As all others, and as PEP 446 has it: programs that a function starts are not to have it.
                os.set_inheritable(end, False)
        except BlockingIOError:
            return
        except (HungUp, OSError):
            message, ends = b"", []
        if not message:
            self._lose_node()
            return
        word, number = REQUEST.unpack(message)
        self._do(word, number, ends)

    def _do(self, word: bytes, number: int, ends: list[int]) -> None:
        if word == WARM:
            self._load()
        elif word == ASK:
            self._tell(HEARS)
        elif word == FORK and not ends:
            self._refuse(number, "there is no room for another descriptor")
        elif word == FORK:
            self._fork(number, socket.socket(fileno=ends[0]))
        elif number not in self._children:
            return
        elif word == PEEK:
            self._tell(Written(number, self._children[number].peek()))
        else:
            kin.kill(self._children[number].pid)

    def _lose_node(self) -> None:
        self._node_is_gone = True
        self._channel.close()
        # Whoever started the node may wait until nobody can write into its output any more.
        null = os.open(os.devnull, os.O_RDWR)
        for number in (1, 2):
            os.dup2(null, number)
        os.close(null)

    def _tell(self, message: Died | Written | str) -> None:
        if not self._node_is_gone:
            try:
                self._channel.send(message)
            except HungUp:
                self._lose_node()

    def _fork(self, number: int, node: socket.socket) -> None:
        # What is left open at a failure would be missing for the next attempt, and for good.
        with node, ExitStack() as others, ExitStack() as own:
            try:
                serve = self._load()
                # Not after the fork: what is registered for the worker by os.register_at_fork() is its own.
                farewell.begin()
                reader, output = os.pipe()
                own.callback(os.close, reader)
                others.callback(os.close, output)
                os.set_blocking(reader, False)
                ours, theirs = channels.pair()
                own.enter_context(ours)
                others.enter_context(theirs)
                birth = Birth(node, theirs, output, reader, mmap.mmap(-1, 1))
                with forks.signals_held(FOR_THE_NODE) as release:
                    pid = os.fork()
                    if not pid:
                        self._become(birth, serve, [ours.fileno()], release)
            except Exception as error:  # noqa: BLE001 - no process, descriptor or memory is left, or the code is broken
                self._refuse(number, str(error))
                return
            own.pop_all()
        self._children[number] = _Child(number, pid, reader, birth.written, Channel(ours))

    def _refuse(self, number: int, why: str) -> None:
        self._tell(Died(number, problem=f"no worker process could be started: {why}"))

    def _become(
        self, birth: Birth, serve: Callable[[Birth], None], own: list[int], release: Callable[[], object]
    ) -> None:
        """Be a worker: let go of all that is the nursery's, and of what the other workers have."""
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number, handler in self._handlers.items():
                if handler is not None:
                    signal.signal(number, handler)
            for child in self._children.values():
                own += [child.output, child.channel.fileno()]
            for descriptor in [*own, *self._left, self._wake, self._waker, self._control.fileno()]:
                with suppress(OSError):
                    os.close(descriptor)
            release()
            serve(birth)
        except BaseException:
            logger.exception("A worker process has failed.")
        finally:
            os._exit(1)

    def _answer(self, child: _Child) -> None:
        """Tell a worker what it has written, or take note that it leaves."""
        try:
            for message in child.channel.receive():
                if message == OUTPUT:
                    child.channel.send(child.take())
                else:
                    child.is_leaving = True
        except HungUp:
            # It has closed all that it could. Its end is seen all the same.
            child.channel.close()

    def _bury(self) -> None:
        """Take leave of the workers that have died, and end what they have started, unless they left as they should."""
        by_pid = {child.pid: child for child in self._children.values()}
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                child = by_pid.get(ended.si_pid)
                if child is not None:
                    self._answer(child)
                    if not child.is_leaving:
                        # Before it is reaped: until then, its number is nobody else's.
                        kin.kill_group(child.pid)
                _, status = os.waitpid(ended.si_pid, 0)
                if child is not None:
                    self._part(child, os.waitstatus_to_exitcode(status))

    def _part(self, child: _Child, code: int) -> None:
        del self._children[child.number]
        self._tell(Died(child.number, code, child.take()))
        child.channel.close()
        if child.is_read:
            os.close(child.output)
        else:
            self._left.add(child.output)

    def _drop(self, number: int) -> None:
        """Read what somebody writes whom a worker has left behind: it must not stop because nobody does."""
        with suppress(BlockingIOError):
            if not os.read(number, channels.CHUNK):
                self._left.discard(number)
                os.close(number)


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    """Heed a signal by having been woken by it."""


def _tidy_descriptors() -> None:
    """Have nothing to read for functions, and something to write to for whoever has been started without that."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    for number in (1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(null, number)
    if null > 2:  # noqa: PLR2004 - stderr
        os.close(null)
