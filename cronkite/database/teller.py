"""How is it told to others what has happened, without waiting for them?

By a thread, which is there only while there is something to tell. It tells one thing after another, and whoever has
something to tell never waits: where too much waits to be told, what is new is dropped, and the logger says so once. Its
connections are its own, and none outlives what it was needed for.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from django.db import connections

from cronkite.database import leftovers

logger = logging.getLogger("cronkite")

#: How much may wait to be told.
MOST = 1000
#: For how long (seconds) the thread waits for more before it ends.
LINGER = 1.0
#: After how long (seconds) it is said that a receiver takes its time.
SLOW = 30.0
#: For how long (seconds) a process that ends waits until all is told.
PATIENCE = 10.0

Telling = Callable[[], object]


#: All that there are in this process.
_all: list[Teller] = []


class Teller:
    """Calls what it is given, in a thread of its own; what is raised is logged."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.forget()
        _all.append(self)

    def forget(self) -> None:
        """Begin anew, as in a process that was forked, which has none of its parent's threads."""
        self._waiting: deque[Telling] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._began: float | None = None
        self._dropped = 0
        self._is_told_slow = False
        self._closing = False

    def put(self, telling: Telling) -> None:
        """Have it told soon; never waits."""
        with self._changed:
            if self._began is not None and not self._is_told_slow and time.monotonic() > self._began + SLOW:
                self._is_told_slow = True
                logger.warning("A receiver of a signal takes longer than %g s. Others wait to be told.", SLOW)
            if len(self._waiting) >= MOST:
                if not self._dropped:
                    logger.warning("Receivers of signals are too slow: %d wait, and what is new is not told.", MOST)
                self._dropped += 1
                return
            self._waiting.append(telling)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._tell_all, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # Of threads, or of memory, there are no more to be had.
            self._waiting.clear()
            logger.warning("Signals are not told. %s", error)
        else:
            self._thread = thread

    def wait(self, seconds: float) -> bool:
        """Wait for so long until all is told, and the thread has ended; tell whether it has."""
        with self._changed:
            thread = self._thread
            if thread is None or thread is threading.current_thread():
                return thread is None
            self._closing = True
            self._changed.notify_all()
            has_ended = self._changed.wait_for(lambda: self._thread is None, max(0.0, seconds))
            self._closing = False
            left = len(self._waiting) + (self._began is not None)
        if not has_ended:
            logger.warning("%d signals or alerts are not told, or not to all, as that takes too long.", left)
        else:
            thread.join()
        return has_ended

    def busy_for(self) -> float:
        """Return for how long (seconds) it has been telling the same; 0: it has nothing to tell."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def _tell_all(self) -> None:
        try:
            while (telling := self._next()) is not None:
                try:
                    telling()
                except BaseException:
                    logger.exception("A signal could not be told.")
                _give_back()
        finally:
            connections.close_all()

    def _next(self) -> Telling | None:
        """Return what to tell next; ``None``: the thread is to end."""
        with self._changed:
            self._began, self._is_told_slow = None, False
            if self._waiting:
                return self._take()
        # Not while others wait for us: it may take a moment.
        connections.close_all()
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closing, LINGER)
            if self._waiting:
                return self._take()
            # Within the lock: whoever puts something after this starts another one.
            self._thread = None
            self._changed.notify_all()
            return None

    def _take(self) -> Telling:
        if self._dropped and len(self._waiting) <= MOST // 2:
            logger.warning("%d signals were not told, as receivers were too slow.", self._dropped)
            self._dropped = 0
        self._began = time.monotonic()
        return self._waiting.popleft()


def _give_back() -> None:
    """Leave no transaction open that a receiver has left, and keep no connection of a pool: there are few of them."""
    leftovers.close()
    for connection in connections.all(initialized_only=True):
        leftovers.give_back(connection.alias)


_teller = Teller("cronkite teller")
_is_silent = False
_waited_in_vain = False


def put(telling: Telling) -> None:
    """Have it told soon, in a thread of this process's; never waits."""
    _teller.put(telling)


def wait(seconds: float = PATIENCE) -> bool:
    """Wait for so many seconds until all is told, and no thread is left of it; tell whether that is so."""
    global _waited_in_vain  # noqa: PLW0603 - it is about the process, of which there is one
    until = time.monotonic() + seconds
    # What was made later may have something to tell to those before.
    _waited_in_vain = not all([each.wait(until - time.monotonic()) for each in reversed(_all)])  # noqa: C419
    return not _waited_in_vain


def _wait_at_exit() -> None:
    # Once is enough: it may be that somebody kills this process if it takes longer.
    if not _waited_in_vain:
        wait()


def silence() -> None:
    """Have nothing told in this process."""
    global _is_silent  # noqa: PLW0603 - as above
    _is_silent = True


def is_silent() -> bool:
    """Tell whether nothing is told in this process: it is a worker's."""
    return _is_silent


def _forget() -> None:
    for each in _all:
        each.forget()


os.register_at_fork(after_in_child=_forget)
atexit.register(_wait_at_exit)
