"""What does a run leave of its process to the next one?

What a function may change of its process, and what does not show in a module, is put back when it has returned. Where
that can't be done, the process has to end.
"""

from __future__ import annotations

import decimal
import faulthandler
import fcntl
import gc
import locale
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any, TypeVar

from django.db import reset_queries
from django.utils import timezone, translation

T = TypeVar("T")

#: How many descriptors are kept for recording a run's end: a connection, the log's, certificates, the database's files.
SPARE = 16
#: How many may be open at most where there is no limit, or hardly one.
MOST = 2048

_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


class Surroundings:
    """What a function finds of its process, as it was at first."""

    def __init__(self) -> None:
        self._directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        #: Descriptors that are kept for what has to be done when a function has left no other.
        self._spare = [os.dup(self._directory) for _ in range(SPARE)]
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        # Compared in bytes, which is cheaper, after each run.
        self._environment, self._environment_in_bytes = dict(os.environ), dict(os.environb)
        self._handlers = {number: _handler(number) for number in map(int, signal.valid_signals())}
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._fixed = _fixed()
        self._locale = locale.setlocale(locale.LC_ALL)
        self._settings = {get: get() for get in _SETTINGS}

    def put_back(self) -> bool:
        """Put back what can be; return ``False`` where something can't, so that the process must serve no other run."""
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        for number, handler in self._handlers.items():
            if handler is not None and _handler(number) is not handler:
                signal.signal(number, handler)
        # Not before: one that has come meanwhile, and was blocked, is for the handler that was there at first.
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        faulthandler.cancel_dump_traceback_later()
        for get, value in self._settings.items():
            if get() != value:
                _SETTINGS[get](value)
        timezone.deactivate()
        translation.deactivate()
        reset_queries()
        reseed()
        os.umask(self._umask)
        try:
            self._put_back_environment()
            os.fchdir(self._directory)
        except OSError:
            return False
        if _has_descriptors(self._directory):
            return _fixed() == self._fixed
        for descriptor in self._spare:
            with suppress(OSError):
                os.close(descriptor)
        return False

    def _put_back_environment(self) -> None:
        if dict(os.environb) != self._environment_in_bytes:
            os.environ.clear()
            os.environ.update(self._environment)
        # Also where the environment is the same: a function may have called it with another TZ, and put that back.
        time.tzset()
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)


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


def _fixed() -> list[Any]:
    """Return what can't be put back, or not by everybody: whose process it is, its root, its limits, its priority."""
    root = Path("/").stat()
    return [
        os.getresuid() if hasattr(os, "getresuid") else (os.getuid(), os.geteuid()),
        os.getresgid() if hasattr(os, "getresgid") else (os.getgid(), os.getegid()),
        os.getgroups(),
        (root.st_dev, root.st_ino),
        [resource.getrlimit(limit) for limit in _LIMITS],
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
    ]


#: What is asked for by a function, and set by another.
_SETTINGS: dict[Callable[[], Any], Callable[[Any], object]] = {
    socket.getdefaulttimeout: socket.setdefaulttimeout,
    sys.getrecursionlimit: sys.setrecursionlimit,
    sys.getswitchinterval: sys.setswitchinterval,
    gc.isenabled: lambda enabled: gc.enable() if enabled else gc.disable(),
}

#: ``signal.getsignal()`` without its wrapper, which makes two enums of each number: 60 are asked for after each run.
_handler: Callable[[int], Any] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
