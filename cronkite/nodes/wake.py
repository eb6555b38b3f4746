"""How does a signal reach a loop that waits?"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from cronkite.processes import forks, kin
from cronkite.processes.wakes import Wake


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
