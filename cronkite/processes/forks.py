"""What of ours do the processes not get that a function forks?

Whoever forks copies everything: handlers of signals, and descriptors. A child that had them would not end when it is
told to, would keep a pipe open that somebody waits to see closed, or would come back from the function and go on as if
it were its parent. So what is ours is put aside in the child, and a child that comes back ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Ours:
    """Handlers of ours, each with the one that was there before, and what closes our descriptors."""

    handlers: dict[int, tuple[Any, Any]]
    close: Callable[[], object]


_kept: list[_Ours] = []


@contextmanager
def keeping(before: Mapping[int, Any], close: Callable[[], object]) -> Iterator[None]:
    """Keep our handlers of signals, and what ``close`` closes, from child processes that the block forks.

    A child has the handlers of ``before`` instead, unless the function has set others.
    """
    ours = _Ours({number: (signal.getsignal(number), handler) for number, handler in before.items()}, close)
    _kept.append(ours)
    try:
        yield
    finally:
        # In the child of a fork, it is gone already.
        with suppress(ValueError):
            _kept.remove(ours)


@contextmanager
def signals_held(numbers: Iterable[int]) -> Iterator[Callable[[], object]]:
    """Hold these signals back during the block, or, as a child does, until what is yielded is called."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def release() -> object:
        return signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield release
    finally:
        release()


def _hold_signals() -> None:
    # One that came to the child while it still has our handlers would be swallowed: a pool of processes that ends its
    # workers as soon as it has made them would wait for them for ever.
    numbers = [number for ours in _kept for number in ours.handlers]
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)


def _put_aside() -> None:
    while _kept:
        ours = _kept.pop()
        signal.set_wakeup_fd(-1)
        for number, (handler, before) in ours.handlers.items():
            if signal.getsignal(number) is handler and before is not None:
                signal.signal(number, before)
        ours.close()
    _release_signals()


#: Which signals the thread that forks had blocked before.
_held = threading.local()

os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_put_aside)


def only_here(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return what the function returns, or raise what it raises, in this process only: a child that it forks ends."""
    pid = os.getpid()
    try:
        value = function(*args, **kwargs)
    except BaseException as error:
        if os.getpid() != pid:
            _end(error)
        raise
    if os.getpid() != pid:
        _end(None)
    return value


def _end(error: BaseException | None) -> NoReturn:
    """End this process as a script would have ended."""
    code = 0 if error is None else 1
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # noqa: BLE001, S110 - it has closed its streams; it ends all the same
        pass
    finally:
        os._exit(code & 0xFF)
