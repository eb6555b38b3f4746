"""How is a run ended that has no process of its own?

``manage.py cron run`` calls the function in its main thread, and so does a node without workers. A signal interrupts
that thread, wherever it is, so that ``RunEnded`` is raised in the function, and nowhere outside of it: what we do
before and after must be done. What does not heed that for ``KILL_AFTER`` is ended with the process, if that is ours.
Either way, what the run has started ends with it.
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
from cronkite.database import quirks
from cronkite.exceptions import RunEnded
from cronkite.models import Log
from cronkite.processes import forks, kin, owner
from cronkite.processes.wakes import Wake
from cronkite.runs import farewell, interrupts
from cronkite.runs.messages import KILL_AFTER

logger = logging.getLogger("cronkite")

#: The signal that interrupts the main thread. By default it does nothing, and hardly anybody uses it; Go's runtime
#: chose it for the same reasons.
WORD = signal.SIGURG
#: How long (seconds) a process that is to end has for its last words, and for the record of its run: whatever these
#: wait for may never come.
LAST_WORDS = 2.0
#: The signals of which a second one ends all patience. A terminal that is closed may say SIGHUP twice.
HURRYING = (signal.SIGTERM, signal.SIGINT)
#: How often (seconds) it is looked whether a run has been told to end.
LOOK_EVERY = 0.25
#: The exit code of a process that is ended because its run did not end: that of a run that failed.
FAILED = 1


class Guard:
    """Stands between the function in the main thread and whoever wants its run to end; one for each run.

    As a context manager, it marks the time in which the function may be interrupted. ``why`` is what the log is to say
    of a run that a signal has told to end.
    """

    def __init__(self, why: str = "it was told to end, by {signal}") -> None:
        self._why = why
        self._is_within = False
        self._is_past = False
        self._word: RunEnded | None = None
        self._times_told = 0
        self._told_late = False
        self._listens = False
        self._wake: Wake | None = None
        self._wake_before = -1
        self._handlers: dict[int, Any] = {}
        self._bystanders: set[int] = set()

    def __enter__(self) -> None:
        self._is_within = True
        self._interrupt(is_at_the_door=True)

    def __exit__(self, *exc_info: object) -> None:
        self._is_within, self._is_past = False, True

    @contextmanager
    def listening(self, *numbers: int, handled: bool = False) -> Iterator[None]:
        """Heed these signals, which tell the run to end: else the process would die, and the job stay locked.

        Somebody else may have ``handled`` them, who calls :meth:`interrupt`. Only in the main thread, the only one that
        Python lets have signals. Elsewhere nothing can end the run.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._bystanders = set(kin.descendants(os.getpid()))
        ours = (WORD,) if handled else (WORD, *numbers)
        before: dict[int, Any] = {number: signal.signal(number, self._heed) for number in ours}
        self._handlers = {number: signal.getsignal(number) for number in numbers}
        wake = self._wake = Wake()
        self._wake_before = signal.set_wakeup_fd(wake.writer, warn_on_full_buffer=False)
        self._listens = True
        try:
            # Or a pool of processes that the function makes would not end when it is terminated.
            with forks.keeping(before, close=wake.close):
                yield
        finally:
            self._listens = False
            signal.set_wakeup_fd(self._wake_before)
            self._look()
            self._wake = None
            wake.close()
            for number, handler in before.items():
                # None: whatever is not Python's has set it.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @property
    def is_hurried(self) -> bool:
        """Whether the process was told to end, so that what is to be done when the function has ended takes no time."""
        return self._told_late or (self._word is not None and self._word.status == Log.Status.INTERRUPTED)

    @contextmanager
    def attended(self, said: str) -> Iterator[None]:
        """See that the block ends, which comes before the function, once this process is told to end.

        It may wait for a database that does not answer, deep in a driver, and hears of nothing there. ``said`` is told
        if the process, which is ours, has to be ended.
        """
        over = threading.Event()
        thread = threading.Thread(target=self._attend, args=(said, over), daemon=True)
        # Where no thread is to be had, there will be none for the run either, which tells of that.
        with suppress(RuntimeError):
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.ident is not None:
                thread.join()

    def _attend(self, said: str, over: threading.Event) -> None:
        while not over.wait(LOOK_EVERY):
            if self.is_told():
                if not self._heeds(over) and owner.is_ours():
                    _try_for(LAST_WORDS, _say_last_words, said)
                    os._exit(FAILED)
                return

    def is_told(self) -> bool:
        """Tell whether the function has been told to end while it had not ended."""
        self._look()
        return self._word is not None

    def _look(self) -> None:
        """See which signals have come: their handlers wait for the main thread, which may be deep in a C library."""
        wake = self._wake
        if wake is None:
            return
        came = wake.read()
        if self._wake_before >= 0 and came:
            # Whoever waits for signals when the run has ended is to know.
            with suppress(OSError):
                os.write(self._wake_before, came)
        for number in came:
            # A function that has a handler of its own is left to it.
            if not self._is_past and number in self._handlers and signal.getsignal(number) == self._handlers[number]:
                self._times_told += number in HURRYING
                self._word = self._word or self._word_of(number)

    def _word_of(self, number: int) -> RunEnded:
        return RunEnded(Log.Status.INTERRUPTED, self._why.format(signal=signal.Signals(number).name))

    def interrupt(self, word: RunEnded) -> None:
        """Raise ``word`` in the function, now or when it begins; in the main thread only. The first word counts."""
        if self._is_past:
            self._told_late = True
        else:
            self._word = self._word or word
            self._interrupt()

    def stop(self) -> None:
        """Tell the function to end by the signal that was ``handled``; in the main thread only."""
        self.interrupt(self._word_of(signal.SIGTERM))

    def lost(self, claim: Claim) -> None:
        """Tell the function of ``claim`` to end, as its lock is gone. Called in another thread than the main one."""
        if not self._listens:
            logger.warning("%s: its lock is lost while it runs. It can't be ended from here.", claim)
            return
        if self._is_past:
            return
        logger.warning("%s: its lock is lost, so it is ended.", claim)
        self._word = self._word or RunEnded(Log.Status.LOST, "its lock was lost")
        signal.pthread_kill(threading.main_thread().ident or 0, WORD)

    def see_to_end(self, claim: Claim, over: threading.Event, output: Callable[[], str]) -> None:
        """Have the run of ``claim``, which was told to end, do so; return when ``over`` says that it has.

        Called in another thread than the main one. ``output`` returns what the function has written. If the run does
        not end, neither this process nor what the run has started in it goes on, if the process is ours. One that is
        told by a second signal has no more time to end.
        """
        assert self._word is not None
        heeded = self._heeds(over)
        if not owner.is_ours():
            if not heeded:
                logger.error("%s: does not end. Its process is not ours to end.", claim)
            return
        self._end_started(kin.PATIENCE if heeded else 0.0)
        if not heeded:
            # Its lock, if it has that still, is free as soon as the end is recorded: so that comes last.
            said = f"{claim}: {self._word.reason}, and it does not end, so its process is ended."
            _try_for(LAST_WORDS, _say_last_words, said)
            _try_for(LAST_WORDS, _record, claim, self._word, output)
            os._exit(FAILED)

    def _heeds(self, over: threading.Event) -> bool:
        deadline = time.monotonic() + KILL_AFTER
        while not over.wait(LOOK_EVERY):
            self._look()
            if time.monotonic() > deadline or self._times_told > 1:
                return over.is_set()
        return True

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
            self.interrupt(self._word_of(number))

    def _interrupt(self, *, is_at_the_door: bool = False) -> None:
        if self._is_within and self._word is not None and not interrupts.puts_off(self._interrupt):
            # Once: while it cleans up, it is let alone. And who is not let in is not left, either.
            self._is_within, self._is_past = False, self._is_past or is_at_the_door
            raise self._word


def _try_for(seconds: float, function: Callable[..., None], *args: Any) -> None:
    """Call ``function`` in a thread of its own, and return when it does, or after so many seconds."""
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    thread.join(seconds)


def _say_last_words(said: str) -> None:
    """Tell that the process is ended, whoever listens."""
    # Not the present stderr: what goes there is the function's output.
    if sys.__stderr__ is not None:
        with suppress(OSError, ValueError):
            print(said, file=sys.__stderr__, flush=True)
    logger.error("%s", said)
    farewell.flush()


def _record(claim: Claim, word: RunEnded, output: Callable[[], str]) -> None:
    """Write that the run was ended, and keep what the function has written; if that can be done, end the process."""
    outcome = Outcome(word.status, output=output(), reason=f"{word.reason}, and it did not end")
    while True:
        try:
            holding.finish(claim, outcome)
            # At once, as the next run may begin now.
            os._exit(FAILED)
        except DatabaseError as error:
            if not quirks.is_conflict(error):
                logger.exception("%s: %s, which could not be written.", claim, word.status)
                return
        time.sleep(kin.PAUSE)
