"""How is a run ended that has no process of its own?

``manage.py cron run`` calls the function in its main thread, and so does a node without workers. A signal interrupts
that thread, wherever it is, so that ``RunEnded`` is raised in the function, and nowhere outside of it: what we do
before and after must be done. What does not heed that for ``KILL_AFTER`` is ended with the process, if that is ours.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from django.db import DatabaseError

from cronkite.claims import holding
from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.exceptions import RunEnded
from cronkite.models import Log
from cronkite.processes import forks, kin, owner
from cronkite.runs import farewell
from cronkite.runs.messages import KILL_AFTER

logger = logging.getLogger("cronkite")

#: The signal that interrupts the main thread. By default it does nothing, and hardly anybody uses it; Go's runtime
#: chose it for the same reasons.
WORD = signal.SIGURG
#: How long (seconds) a process that is to end has for its last words: whatever they wait for may never come.
LAST_WORDS = 2.0
#: The exit code of a process that is ended because its run did not end: that of a run that failed.
FAILED = 1


class Guard:
    """Stands between the function in the main thread and whoever wants its run to end; one for each run.

    As a context manager, it marks the time in which the function may be interrupted.
    """

    def __init__(self) -> None:
        self._is_within = False
        self._word: RunEnded | None = None
        self._listens = False
        self._bystanders: set[int] = set()

    def __enter__(self) -> None:
        self._is_within = True
        self._interrupt()

    def __exit__(self, *exc_info: object) -> None:
        self._is_within = False

    @contextmanager
    def listening(self, *numbers: int) -> Iterator[None]:
        """Heed these signals, which tell the run to end: else the process would die, and the job stay locked.

        Only in the main thread, the only one that Python lets have signals. Elsewhere nothing can end the run.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._bystanders = set(kin.descendants(os.getpid()))
        before: dict[int, Any] = {number: signal.signal(number, self._heed) for number in (WORD, *numbers)}
        self._listens = True
        try:
            # Or a pool of processes that the function makes would not end when it is terminated.
            with forks.keeping(before, close=_nothing):
                yield
        finally:
            self._listens = False
            for number, handler in before.items():
                # None: whatever is not Python's has set it.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def interrupt(self, word: RunEnded) -> None:
        """Raise ``word`` in the function, now or when it begins; in the main thread only. The first word counts."""
        self._word = self._word or word
        self._interrupt()

    def lost(self, claim: Claim, over: threading.Event, output: Callable[[], str]) -> None:
        """End the run of ``claim``, whose lock is gone; return when ``over`` says that it has ended.

        Called in another thread than the main one. ``output`` returns what the function has written. If the run does
        not end, neither this process nor what the run has started in it goes on, if the process is ours.
        """
        if not self._listens:
            logger.warning("%s: its lock is lost while it runs. It can't be ended from here.", claim)
            return
        logger.warning("%s: its lock is lost, so it is ended.", claim)
        self._word = self._word or RunEnded(Log.Status.LOST, "its lock was lost")
        signal.pthread_kill(threading.main_thread().ident or 0, WORD)
        heeded = over.wait(KILL_AFTER)
        if not owner.is_ours():
            if not heeded:
                logger.error("%s: does not end. Its process is not ours to end.", claim)
            return
        self._end_started(kin.PATIENCE if heeded else 0.0)
        if not heeded:
            speaker = threading.Thread(target=_say_last_words, args=(claim, output), daemon=True)
            speaker.start()
            speaker.join(LAST_WORDS)
            os._exit(FAILED)

    def _end_started(self, patience: float) -> None:
        """End what the run has started: SIGTERM, and, where that is not heeded for so long (seconds), SIGKILL."""
        if patience:
            self._signal_started(signal.SIGTERM)
        deadline = time.monotonic() + patience
        while self._started() and time.monotonic() < deadline:
            time.sleep(kin.PAUSE)
        for _ in range(kin.ROUNDS):
            # What it starts meanwhile is seen the next time.
            self._signal_started(signal.SIGKILL)

    def _signal_started(self, number: int) -> None:
        for pid in self._started():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _started(self) -> list[int]:
        return [pid for pid in kin.descendants(os.getpid()) if pid not in self._bystanders]

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if number == WORD:
            self._interrupt()
        else:
            self.interrupt(RunEnded(Log.Status.INTERRUPTED, f"it was told to end, by {signal.Signals(number).name}"))

    def _interrupt(self) -> None:
        if self._is_within and self._word is not None:
            # Once: while it cleans up, it is let alone.
            self._is_within = False
            raise self._word


def _nothing() -> None:
    """Close nothing: a guard has no descriptors."""


def _say_last_words(claim: Claim, output: Callable[[], str]) -> None:
    """Tell that the process is ended, whoever listens, and keep what the function has written."""
    said = f"{claim}: has lost its lock and does not end, so its process is ended."
    # Not the present stderr: what goes there is the function's output.
    if sys.__stderr__ is not None:
        with suppress(OSError, ValueError):
            print(said, file=sys.__stderr__, flush=True)
    logger.error("%s", said)
    with suppress(DatabaseError):
        holding.finish(claim, Outcome(Log.Status.LOST, output=output(), reason="its lock was lost, and it did not end"))
    farewell.flush()
