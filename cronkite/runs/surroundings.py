"""What does a run leave of its process to the next one?

What a function may change of its process, and what does not show in a module, is put back when it has returned. Where
that can't be done, the process has to end.
"""

from __future__ import annotations

import decimal
import faulthandler
import fcntl
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any, TypeVar

from django.db import reset_queries
from django.utils import timezone, translation

from cronkite.code import modules
from cronkite.processes.bonds import Bonds
from cronkite.processes.traits import Traits

T = TypeVar("T")

#: How many descriptors are kept for recording a run's end: a connection, the log's, certificates, the database's files.
SPARE = 16
#: How many may be open at most where there is no limit, or hardly one.
MOST = 2048

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Surroundings:
    """What a function finds of its process, as it was at first."""

    def __init__(self) -> None:
        self._directory, self._path = modules.open_directory(), _path()
        #: Descriptors that are kept for what has to be done when a function has left no other.
        self._spare = [os.open(os.devnull, os.O_RDONLY) for _ in range(SPARE)]
        self._stdin = sys.stdin
        self._handlers = {number: _handler(number) for number in map(int, signal.valid_signals())}
        self.take_as_they_are()

    def take_as_they_are(self) -> None:
        """Have what is set now, but for handlers of signals and the directory, be what is put back from now on."""
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._traits = Traits()
        self._bonds = Bonds()

    def are_still(self) -> bool:
        """Tell whether that is set as it was."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return blocked == self._blocked and self._traits.are_still() and self._bonds.are_still()

    def put_back(self) -> bool:
        """Put back what can be; return ``False`` where something can't, so that the process must serve no other run."""
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        # Its number may be that of another file by now, which each signal would then write into.
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            if handler is not None and _handler(number) is not handler:
                signal.signal(number, handler)
        # Not before: one that has come meanwhile, and was blocked, is for the handler that was there at first.
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        faulthandler.cancel_dump_traceback_later()
        # Before all that a limit may keep from being done.
        self._bonds.loosen()
        is_whole = self._traits.put_back()
        timezone.deactivate()
        translation.deactivate()
        reset_queries()
        reseed()
        self.put_input_back()
        if not self._return():
            return False
        if _has_descriptors(self._spare[0]):
            return is_whole and self._bonds.are_still()
        for descriptor in self._spare:
            with suppress(OSError):
                os.close(descriptor)
        return False

    def _return(self) -> bool:
        """Go back to the working directory; tell whether this process is there."""
        if self._directory is None:
            return _path() == self._path
        try:
            os.fchdir(self._directory)
        except OSError:
            return False
        return True

    def put_input_back(self) -> None:
        """Have stdin be what finds nothing, as it was at first, whoever has closed it."""
        with suppress(OSError):
            if not _is_null(0):
                modules.empty(0, os.O_RDWR)
            if sys.stdin is not self._stdin or (sys.stdin is not None and sys.stdin.closed):
                sys.stdin = self._stdin = open(0, closefd=False)  # noqa: SIM115 - it stays


def apart(function: Callable[..., T], *args: Any) -> T:
    """Call the function in a context of its own: what it sets of context variables, and of decimals, ends with it."""

    def call() -> T:
        # A context's copy has the same object, which a function may change.
        decimal.setcontext(decimal.getcontext().copy())
        return function(*args)

    return copy_context().run(call)


def reseed() -> None:
    """Have random numbers that nobody can foresee: a seed that a run has set, or that a fork has copied, is gone."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def _path() -> str:
    """Return where this process is, or nothing if that is nowhere any more."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _has_descriptors(any_one: int) -> bool:
    """Whether what functions have left open leaves enough for the next: half of those that there may be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    half = MOST if soft == resource.RLIM_INFINITY else min(soft // 2, MOST)
    try:
        lowest = fcntl.fcntl(any_one, fcntl.F_DUPFD_CLOEXEC, half)
    except OSError:
        return False
    os.close(lowest)
    return lowest == half


def _is_null(descriptor: int) -> bool:
    try:
        return os.fstat(descriptor).st_rdev == Path(os.devnull).stat().st_rdev
    except OSError:
        return False


#: ``signal.getsignal()`` without its wrapper, which makes two enums of each number: 60 are asked for after each run.
_handler: Callable[[int], Any] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
