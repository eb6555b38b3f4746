"""How is it seen to that what we log keeps us from nothing, whatever handlers the project has?

One of them may raise, as its server is away: that is said on stderr, as :mod:`logging` says it of its own handlers, and
who has logged goes on. One may take for ever, such as one that writes into a pipe that nobody reads: in a node's loop
that is given up.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

#: All that we have.
NAMES = ("cronkite", "cronkite.loop", "cronkite.waiting")
#: How often (seconds) a process says at most that something could not be logged.
SAID_EVERY = 60.0
#: How long (seconds) a loop lets its handlers take: a mail may need a while. What it lets them when it is told to stop,
#: or when they have taken longer before.
PATIENCE, HASTE = 10.0, 1.0
#: For how long (seconds) a loop logs nothing when that has taken too long.
PAUSE = 60.0
#: How long (seconds) a process may take to end whose handlers do so, as the rest of what they were given is in the way.
ENDING = 2.0


class Careful(logging.Logger):
    """A logger whose calls do not raise what its handlers do, nor what makes records."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - as logging has it
        """Make the record, by the project's factory if that is able to."""
        try:
            return super().makeRecord(*args, **kwargs)
        except (Exception, CancelledError):  # noqa: BLE001 - of others
            record = logging.LogRecord(*args[:7])  # all but the function's name, and what is extra
            _say(record)
            return record

    def handle(self, record: logging.LogRecord) -> None:
        """Have the handlers take the record."""
        _bound.call(self._take, record)

    def _take(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)
        except (Exception, CancelledError):  # noqa: BLE001 - of others
            _say(record)


def install() -> None:
    """Have all our loggers be careful, and what else the project has made of them."""
    for name in NAMES:
        logger = logging.getLogger(name)
        kind = type(logger)
        if not issubclass(kind, Careful):
            # Before any of it is used, and in the object that everybody has: handlers and levels stay as they are.
            logger.__class__ = Careful if kind is logging.Logger else type(kind.__name__, (Careful, kind), {})


_say_again_at = 0.0


def _say(record: logging.LogRecord) -> None:
    """Say on stderr what was raised, and which record it was about."""
    global _say_again_at  # noqa: PLW0603 - it is about the process, of which there is one
    now = time.monotonic()
    if not logging.raiseExceptions or sys.stderr is None or now < _say_again_at:
        return
    _say_again_at = now + SAID_EVERY
    # It may be closed, and what was raised may raise when it is shown.
    with suppress(Exception):
        sys.stderr.write(f"--- Logging error ---\n{traceback.format_exc()}It was to be logged: {record.getMessage()}\n")


class _Stuck(BaseException):
    """The handlers have taken too long. It is no ``Exception``, which they would deal with by writing once more."""


class _Bound:
    """Gives up what takes too long in the main thread, where a signal interrupts whatever it waits for."""

    def __init__(self) -> None:
        self.begin()
        self.let_go()

    def begin(self) -> None:
        """Hold from now on."""
        self.holds = True
        self.dropped = 0
        self._patience = PATIENCE
        self._inside = False
        self._quiet_until = 0.0

    def let_go(self) -> None:
        """Hold no more."""
        self.holds = False

    def call(self, take: Callable[[logging.LogRecord], None], record: logging.LogRecord) -> None:
        """Have ``take`` take the record, unless that takes too long, or has just done so."""
        if not self._applies():
            take(record)
        elif time.monotonic() < self._quiet_until:
            self.dropped += 1
        elif self._is_taken(take, record) and self.dropped:
            dropped, self.dropped = self.dropped, 0
            logging.getLogger("cronkite").warning("%d messages are missing, as to log them took too long.", dropped)

    def hurry(self) -> None:
        """Be less patient from now on; may be called from a signal handler."""
        self._patience = HASTE
        if self._inside:
            signal.setitimer(signal.ITIMER_REAL, HASTE, HASTE)

    def _applies(self) -> bool:
        # A timer that runs is somebody else's; one that is called while another is must not end that one's.
        return (
            self.holds
            and not self._inside
            and threading.current_thread() is threading.main_thread()
            and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        )

    def _is_taken(self, take: Callable[[logging.LogRecord], None], record: logging.LogRecord) -> bool:
        patience = min(self._patience, HASTE) if self.dropped else self._patience
        before = signal.signal(signal.SIGALRM, self._interrupt)
        try:
            try:
                self._inside = True
                # Again and again: where Python itself calls something, such as a destructor, what is raised is lost.
                signal.setitimer(signal.ITIMER_REAL, patience, patience)
                take(record)
            finally:
                self._inside = False
        except _Stuck:
            self._inside = False
            self._quiet_until = time.monotonic() + PAUSE
            self.dropped += 1
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        return True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._inside:
            raise _Stuck


_bound = _Bound()
hurry = _bound.hurry
# A worker has nobody to wait for it but its node, which does not for long.
os.register_at_fork(after_in_child=_bound.let_go)


@contextmanager
def bounded(*, ends: bool) -> Iterator[None]:
    """Have nothing of ours that the main thread logs in the block take for ever.

    It interrupts itself by SIGALRM, unless a timer of somebody else's runs. If the process ``ends`` with the block, it
    does so, though its streams can't be written.
    """
    _bound.begin()
    code = 1
    try:
        yield
        code = 0
    finally:
        _bound.let_go()
        if ends and _bound.dropped:
            signal.signal(signal.SIGALRM, lambda *_: os._exit(code))
            signal.setitimer(signal.ITIMER_REAL, ENDING, ENDING)
