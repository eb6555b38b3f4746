"""How do a node, its nursery and its workers talk, without one ever waiting for another?

Each end of a socket has a :class:`Channel`. What can't be sent at once is kept until the other side reads on, and what
has arrived in part until the rest is there. So whoever is frozen, or busy, or has gone mad, holds up only itself.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import Any

from cronkite.processes.descriptors import identity

#: What stands before each message, so that what a stranger writes is not taken for one: a mark, and a length.
_MARK = b"\xc5cronkite\xc5"
_HEAD = struct.Struct(f"!{len(_MARK)}sI")
#: How much is read at a time (bytes).
CHUNK = 1 << 16
MILLISECONDS = 1000


class HungUp(Exception):
    """The other side has closed its end, or ours was closed under our hands: a function may close any descriptor."""


class Channel:
    """One end of a conversation. Messages are Python objects, which arrive whole and in order."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._identity = identity(end.fileno())
        self._received = bytearray()
        self._unsent = bytearray()
        # Messages of two threads are to arrive whole, too.
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits until the other side reads on: call :meth:`receive` when the descriptor is ready."""
        return bool(self._unsent)

    def send(self, message: object) -> None:
        """Send the message, or what can be sent of it now. Raises :class:`HungUp`."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            self._unsent += _HEAD.pack(_MARK, len(data)) + data
            self._flush()

    def flush(self) -> None:
        """Send what has been kept, as far as the other side takes it. Raises :class:`HungUp`."""
        with self._sending:
            self._flush()

    def _flush(self) -> None:
        self._require_own()
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise HungUp from error

    def receive(self) -> list[Any]:
        """Return the messages that have arrived, and send what has been kept, as far as that goes.

        Raises :class:`HungUp` if nothing has arrived, and nothing will.
        """
        if self._unsent:
            self.flush()
        self._require_own()
        try:
            data = self._socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise HungUp from error
        if not data:
            raise HungUp
        self._received += data
        return list(self._whole())

    def ask(self, message: object, patience: float) -> Any:
        """Send the message, and return the answer, or ``None`` if it has not come within ``patience`` (seconds).

        For threads that have nothing else to wait for. Raises :class:`HungUp`.
        """
        deadline = time.monotonic() + patience
        self.send(message)
        while (rest := deadline - time.monotonic()) > 0:
            wait([self], rest)
            if answers := self.receive():
                return answers[0]
        return None

    def close(self) -> None:
        """Hang up. What a stranger has under the number of a descriptor that was ours is left alone."""
        if identity(self._socket.fileno()) == self._identity:
            self._socket.close()
        else:
            self._socket.detach()

    def _whole(self) -> Iterable[Any]:
        while self._received:
            if not _MARK.startswith(self._received[: len(_MARK)]):
                # Else the length that it seems to give would be waited for, which may never come.
                raise HungUp
            if len(self._received) < _HEAD.size:
                return
            _, length = _HEAD.unpack_from(self._received)
            end = _HEAD.size + length
            if len(self._received) < end:
                return
            data = bytes(self._received[_HEAD.size : end])
            del self._received[:end]
            try:
                yield pickle.loads(data)  # noqa: S301 - from a process of our own
            except Exception as error:
                # Somebody else has written into the descriptor. Nothing that follows can be made out.
                raise HungUp from error

    def _require_own(self) -> None:
        # A function may have closed the descriptor, and opened something else, which then has its number.
        if identity(self._socket.fileno()) != self._identity:
            raise HungUp


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new conversation."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def wait(listening: Iterable[Channel | int], seconds: float | None) -> set[int]:
    """Wait for up to so many seconds, or for ever, until something can be done; return the descriptors it is at.

    ``poll()``, since it needs no descriptor of its own that a function could close.
    """
    poll = select.poll()
    for each in listening:
        events = select.POLLIN
        if isinstance(each, Channel) and each.has_unsent:
            events |= select.POLLOUT
        number = each if isinstance(each, int) else each.fileno()
        if number >= 0:
            poll.register(number, events)
    return {number for number, _ in poll.poll(None if seconds is None else max(0.0, seconds) * MILLISECONDS)}
