"""What does a process do that tries imports?

It imports one module after another, and reports before and after each. It ends without any of the goodbyes that are its
parent's to say, since it may be a fork.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import django

from cronkite.code import declarations, modules
from cronkite.processes import kin
from cronkite.processes.descriptors import identity

#: How long (seconds) it takes a process that is set up, and one that imports, beyond its time, to end by itself: its
#: parent would have ended it.
ORPHANED = 120.0
SLACK = 5.0
#: The exit code of a process that can't report, as a module has closed its pipe.
SPEECHLESS = 86

_is_taster = False


@dataclass(frozen=True)
class Verdict:
    """What the import of a module does: nothing (both empty), raise an ``Exception``, or harm its process."""

    error: str = ""
    harm: str = ""


def is_taster() -> bool:
    """Tell whether this process is there to try imports, and for nothing else."""
    return _is_taster


def begin(argv: list[str], names: list[str], writer: int, limit: float) -> NoReturn:
    """Try the imports as a fresh interpreter, with the arguments ``argv`` of the process that asks."""
    global _is_taster  # noqa: PLW0603 - it is about the process, of which there is one
    _is_taster = True
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # In the kernel's hands, whatever becomes of the parent, and whatever Django's setup does.
    signal.setitimer(signal.ITIMER_REAL, ORPHANED)
    sys.argv[:] = argv
    django.setup()
    _serve(names, writer, limit)


def begin_as_fork(names: Sequence[str], writer: int, limit: float) -> NoReturn:
    """Try the imports as a fork, after becoming what a fresh interpreter is from the start: apart, and silent."""
    global _is_taster  # noqa: PLW0603
    _is_taster = True
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        modules.empty(descriptor, flags)
    _serve(names, writer, limit)


def _serve(names: Sequence[str], writer: int, limit: float) -> NoReturn:
    # What it logs is logged by the process that imports it in earnest.
    logging.disable()
    # What a module starts is to be found, and ended with this process.
    kin.adopt_orphans()
    own = _identities(writer)
    pid = os.getpid()
    for name in names:
        _report(writer, "begins", name)
        signal.setitimer(signal.ITIMER_REAL, limit + SLACK)
        verdict = _try(name)
        if os.getpid() != pid:
            os._exit(0)  # the module has forked, and this is its child
        if _identities(writer) != own:
            os._exit(SPEECHLESS)
        _report(writer, "ends", name, verdict.error, verdict.harm)
    os._exit(0)


def _try(name: str) -> Verdict:
    try:
        # Also looked into, as who wants to know what it declares will do: some objects connect when they are.
        for target in list(vars(importlib.import_module(name)).values()):
            declarations.of(target)
    except Exception as error:  # noqa: BLE001  # code of others
        return Verdict(error=modules.deed(error))
    except BaseException as error:  # noqa: BLE001
        return Verdict(harm=modules.deed(error))
    return Verdict()


def _identities(writer: int) -> list[tuple[int, int] | None]:
    """Return what the descriptors that are not the module's lead to."""
    return [identity(descriptor) for descriptor in (0, 1, 2, writer)]


def _report(writer: int, *words: str) -> None:
    os.write(writer, json.dumps(words).encode() + b"\n")
