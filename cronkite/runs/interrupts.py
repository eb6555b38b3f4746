"""Has a person interrupted the run in this process?

Ctrl-C comes as SIGINT, for which Python raises ``KeyboardInterrupt``. A job may do so by itself, and has failed then.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cronkite.processes import forks


@contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """Note whether SIGINT comes during the block, and do what was done on it before; what is yielded tells.

    Only in the main thread, the only one that Python interrupts, and where SIGINT is Python's to handle.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or isinstance(before, (int, type(None))):
        yield lambda: False
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        # What the function forks has no person before it.
        with forks.keeping({signal.SIGINT: before}, close=_nothing):
            yield lambda: bool(came)
    finally:
        # A function may have set another one, to be kept.
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, before)


def _nothing() -> None:
    """Close nothing: there are no descriptors."""
