"""Has the run in this process been interrupted, by a person or by whoever ends the run that it is part of?

Ctrl-C comes as SIGINT, for which Python raises ``KeyboardInterrupt`` wherever the main thread is: that is to be in the
function, and nowhere outside of it, as what we do before and after must be done. A job may raise it by itself, and has
failed then.

So it is with the word to end, where the function of a run calls ``job.run()``: what we do for the inner run must be
done before the outer one ends, or the inner one's job would stay locked.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from cronkite.processes import forks


@dataclass
class _Words:
    """What is to be raised in the main thread when what we do there is done."""

    are_put_off: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)


_words = _Words()


def puts_off(say: Callable[[], None]) -> bool:
    """Tell whether no run may be ended now, in the main thread; if so, ``say`` is called when it may, which raises."""
    if _words.are_put_off:
        _words.waiting.append(say)
    return _words.are_put_off


def is_awaited() -> bool:
    """Tell whether a run is to be ended as soon as what this thread does is done."""
    return _is_main() and bool(_words.waiting)


def hear() -> None:
    """Raise what was put off, if anything was, and this is the thread that it is meant for."""
    if not _is_main():
        return
    waiting, _words.waiting = _words.waiting, []
    were_put_off, _words.are_put_off = _words.are_put_off, False
    try:
        for say in waiting:
            say()
    finally:
        _words.are_put_off = were_put_off


class Person:
    """Whoever may interrupt the run. As a context manager, it marks the time in which that is done at once.

    Before, it is done when that time begins; and after it, when all is done. Who insists needs not wait. The same holds
    for words to end, where the run is ``in_main_thread``.
    """

    def __init__(self, interrupt: Callable[[int, FrameType | None], Any], *, in_main_thread: bool = False) -> None:
        self._interrupt = interrupt
        self._in_main_thread = in_main_thread
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
            if self._in_main_thread:
                _words.are_put_off = False
                hear()
        except BaseException:
            # Who raises here is not left again.
            self.__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._is_within = False
        _words.are_put_off = _words.are_put_off or self._in_main_thread


@contextmanager
def noted() -> Iterator[Person]:
    """Note whether SIGINT comes during the block, and do then, or at its end, what was done on it before.

    Only in the main thread, the only one that Python interrupts, and where SIGINT is Python's to handle. Words to end
    are put off so, too.
    """
    if not _is_main():
        yield Person(_do_nothing)
        return
    were_put_off = _words.are_put_off
    # Whatever a handler of the function's may raise meanwhile: else no later run could be told to end.
    try:
        if not were_put_off:
            _words.waiting.clear()
        _words.are_put_off = True
        with _sigint_noted() as person:
            yield person
    finally:
        _words.are_put_off = were_put_off
        if not were_put_off:
            hear()


@contextmanager
def _sigint_noted() -> Iterator[Person]:
    before = signal.getsignal(signal.SIGINT)
    if isinstance(before, (int, type(None))):
        yield Person(_do_nothing, in_main_thread=True)
        return
    person = Person(before, in_main_thread=True)
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


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Leave it to whoever has it."""


def _nothing() -> None:
    """Close nothing: there are no descriptors."""
