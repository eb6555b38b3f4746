"""How does a signal reach a loop that waits?"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from cronkite.processes import forks, kin


class Wake:
    """A descriptor that becomes readable when a signal has arrived, or a thread has something to tell."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.reader

    def clear(self) -> None:
        """Forget the signals that have arrived: they were seen."""
        with suppress(BlockingIOError):
            os.read(self.reader, 4096)

    def up(self) -> None:
        """Make it readable; may be called by any thread, also when nobody waits any more."""
        with suppress(BlockingIOError, OSError):
            os.write(self.writer, b"\0")

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reader)
        os.close(self.writer)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[Wake]:
    """Have SIGTERM and SIGINT call ``stop`` while the block runs.

    Only in the main thread, the only one that Python lets have signals; elsewhere nothing ever wakes the block.
    """
    wake = Wake()
    try:
        if threading.current_thread() is threading.main_thread():
            with _handled(stop, wake):
                yield wake
        else:
            yield wake
    finally:
        wake.close()


@contextmanager
def _handled(stop: Callable[[], None], wake: Wake) -> Iterator[None]:
    def handle(signum: int, frame: FrameType | None) -> None:
        stop()

    previous: dict[int, Any] = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    if kin.is_init():
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    before = signal.set_wakeup_fd(wake.writer, warn_on_full_buffer=False)
    try:
        # Where there are no workers, functions fork children of this process.
        with forks.keeping(previous, wake.close):
            yield
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in previous.items():
            signal.signal(number, handler)
