"""How is a module imported that may do anything?

To import a module is to run it. Whatever it raises then is an error of that module, and no end of this process; and
what it may have changed of the process is put back. What ends or holds the process itself can't be met here:
:mod:`cronkite.code.trials` finds that out first.
"""

from __future__ import annotations

import importlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, ModuleType
from typing import Any

from cronkite.database import texts
from cronkite.exceptions import HarmfulModule, RunEnded
from cronkite.processes import forks
from cronkite.processes.traits import Traits

#: How much of what an error says is passed on, in characters.
LONGEST = 500


def load(name: str) -> ModuleType:
    """Return the module. Raises the ``Exception`` that its import raises, and for worse :class:`HarmfulModule`.

    Ctrl-C is let through.
    """
    if name in sys.modules:
        return importlib.import_module(name)
    pressed: list[int] = []
    try:
        with _process_kept(pressed):
            # If the module forks, its child knows nothing better than to be a second node.
            return forks.only_here(importlib.import_module, name)
    except (Exception, RunEnded):  # a RunEnded is for the function around us, if there is one
        raise
    except BaseException as error:
        if pressed and isinstance(error, KeyboardInterrupt):
            raise
        raise HarmfulModule(name, deed(error)) from error


def deed(error: BaseException) -> str:
    """Return what a module did that raised ``error``, as what follows its name.

    >>> deed(SystemExit(3)), deed(LookupError("no such city"))
    ('it called sys.exit(3)', 'it raised LookupError: no such city')
    """
    if isinstance(error, SystemExit):
        return f"it called sys.exit({text(error.code, repr) if error.code is not None else ''})"
    return f"it raised {said(error)}"


def exited(error: SystemExit) -> str:
    """Return the code with which the process would have ended, as Python has it: what is no number is what is said.

    >>> exited(SystemExit(3)), exited(SystemExit("no disk"))
    ('it exited with code 3', 'it exited with code 1: no disk')
    """
    return f"it exited with code {error.code if isinstance(error.code, int) else f'1: {text(error.code)}'}"


def said(error: BaseException) -> str:
    """Return the error in one short piece; its ``str`` may fail.

    >>> said(LookupError("no such city")), said(KeyboardInterrupt())
    ('LookupError: no such city', 'KeyboardInterrupt')
    """
    return f"{type(error).__name__}: {text(error)}".removesuffix(": ")[:LONGEST]


def text(value: object, how: Callable[[object], str] = str) -> str:
    """Return a text for the value, in one short piece that can be written, whatever it raises when it is shown."""
    try:
        # What it returns may be of a class of its own, which may do anything as well.
        return texts.storable(str.__str__(how(value))[:LONGEST])
    except BaseException:  # noqa: BLE001  # code of others, which is asked for words and for nothing else
        return "(its message cannot be shown)"


@contextmanager
def _process_kept(pressed: list[int]) -> Iterator[None]:
    """Put back what an import may change of the process; note in ``pressed`` that a person has pressed Ctrl-C."""
    with ExitStack() as stack:
        stack.enter_context(_directory_kept())
        stack.enter_context(_without_input())
        # Only there does Python let anybody have signals.
        if threading.current_thread() is threading.main_thread():
            stack.enter_context(_signals_kept(pressed))
            # The last, to be the first that is put back: with a low recursion limit, hardly anything else can be done.
            stack.enter_context(_traits_kept_unless_imported())
        yield


@contextmanager
def _traits_kept_unless_imported() -> Iterator[None]:
    """Put back what a module has set for its process and those it serves, if it can't be imported and serves nobody."""
    traits = Traits()
    try:
        yield
    except BaseException:
        traits.put_back()
        raise


@contextmanager
def _directory_kept() -> Iterator[None]:
    before = open_directory()
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.fchdir(before)
            os.close(before)


def open_directory() -> int | None:
    """Return a descriptor of the working directory, to come back to it; ``None`` where its permissions forbid that.

    A process may be in a directory that its user has no right to, as by ``sudo -u``.
    """
    with suppress(OSError):
        # To read it is not necessary.
        return os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    return None


@contextmanager
def _without_input() -> Iterator[None]:
    """Have who reads stdin find its end, instead of waiting for a person, or for a pipe that nobody writes to."""
    try:
        waits = os.isatty(0) or stat.S_ISFIFO(os.fstat(0).st_mode)
        before = os.dup(0) if waits else None
    except OSError:
        before = None
    if before is None:
        yield
        return
    try:
        empty(0, os.O_RDONLY)
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def empty(descriptor: int, flags: int) -> None:
    """Have a descriptor lead nowhere."""
    nothing = os.open(os.devnull, flags)
    if nothing == descriptor:  # it was closed
        os.set_inheritable(descriptor, True)
        return
    os.dup2(nothing, descriptor)
    os.close(nothing)


@contextmanager
def _signals_kept(pressed: list[int]) -> Iterator[None]:
    before = {int(number): signal.getsignal(number) for number in signal.valid_signals()}
    timer = signal.getitimer(signal.ITIMER_REAL)
    interrupt: Any = before[signal.SIGINT]

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        interrupt(number, frame)

    if callable(interrupt):
        with suppress(ValueError):  # the main thread, but of an interpreter within another one
            signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if timer == (0.0, 0.0):
            signal.setitimer(signal.ITIMER_REAL, 0)
