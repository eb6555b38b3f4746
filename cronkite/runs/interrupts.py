"""Has a person interrupted the run in this process?

Ctrl-C comes as SIGINT, for which Python raises ``KeyboardInterrupt`` wherever the main thread is: that is to be in the
function, and nowhere outside of it, as what we do before and after must be done. A job may raise it by itself, and has
failed then.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from cronkite.processes import forks


class Person:
    """Whoever may interrupt the run. As a context manager, it marks the time in which that is done at once.

    Before, it is done when that time begins; and after it, when all is done. Who insists needs not wait.
    """

    def __init__(self, interrupt: Callable[[int, FrameType | None], Any]) -> None:
        self._interrupt = interrupt
        self._is_within = False
        #: Whether SIGINT has come.
        self.came = False
        #: Whether one has come that nothing was done about.
        self.waits = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Be the handler of SIGINT."""
        self.came = True
        if self._is_within or self.waits:
            self._interrupt(number, frame)
        else:
            self.waits = True

    def heed(self) -> None:
        """Do what was put off, if anything was."""
        if self.waits:
            self.waits = False
            self._interrupt(signal.SIGINT, None)

    def __enter__(self) -> None:
        self._is_within = True
        try:
            self.heed()
        except BaseException:
            # Who raises here is not left again.
            self._is_within = False
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._is_within = False


@contextmanager
def noted() -> Iterator[Person]:
    """Note whether SIGINT comes during the block, and do then, or at its end, what was done on it before.

    Only in the main thread, the only one that Python interrupts, and where SIGINT is Python's to handle.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or isinstance(before, (int, type(None))):
        yield Person(_do_nothing)
        return
    person = Person(before)
    # One object: it is compared with what is set later.
    handler = person.note
    signal.signal(signal.SIGINT, handler)
    try:
        # What the function forks has no person before it.
        with forks.keeping({signal.SIGINT: before}, close=_nothing):
            yield person
    finally:
        # A function may have set another one, to be kept.
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, before)
        # Whatever was raised, such as by the function.
        person.heed()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Leave it to whoever has it."""


def _nothing() -> None:
    """Close nothing: there are no descriptors."""
