"""What may code change of its process that shows in no module, and that can be put back?"""

from __future__ import annotations

import csv
import decimal
import gc
import locale
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from cronkite.processes import proc

_UMASK = re.compile(r"^Umask:\s*(\d+)", re.MULTILINE)
#: As they are when this is imported: a function may bind other objects to the names.
_ENVIRON, _ENVIRONB = os.environ, os.environb


class Traits:
    """The umask, the environment, the locale and the like, as they are now."""

    def __init__(self) -> None:
        self._umask = _umask()
        # Compared in bytes, which is cheaper, after each run.
        self._environment, self._environment_in_bytes = dict(os.environ), dict(os.environb)
        self._environment_in_c = _environment()
        self._locale = locale.setlocale(locale.LC_ALL)
        self._settings = {get: get() for get in _SETTINGS}

    def are_still(self) -> bool:
        """Tell whether they are the same now."""
        return (
            _umask() == self._umask
            and os.environ is _ENVIRON
            and _environment() == self._environment_in_c
            and locale.setlocale(locale.LC_ALL) == self._locale
            and all(get() == value for get, value in self._settings.items())
        )

    def put_back(self) -> bool:
        """Have them be as they were; return ``False`` where that can't be."""
        try:
            # First: where the recursion limit is low, nothing else can be done.
            for get, value in self._settings.items():
                if get() != value:
                    _SETTINGS[get](value)
            os.umask(self._umask)
            self._put_back_environment()
            # Also where the environment is the same: a function may have called it with another TZ, and put that back.
            time.tzset()
            if locale.setlocale(locale.LC_ALL) != self._locale:
                locale.setlocale(locale.LC_ALL, self._locale)
        except (OSError, ValueError, locale.Error):
            return False
        return True

    def _put_back_environment(self) -> None:
        os.environ, os.environb = _ENVIRON, _ENVIRONB
        if dict(os.environb) != self._environment_in_bytes:
            os.environ.clear()
            os.environ.update(self._environment)
        # What os.putenv() has set is seen by children, and not by os.environ.
        now = _environment()
        if now != self._environment_in_c:
            for name in now.keys() - self._environment_in_c.keys():
                os.unsetenv(name)
            for name, value in self._environment_in_c.items():
                os.putenv(name, value)


def _umask() -> int:
    # To ask for it by os.umask() is to set it, for other threads, too.
    found = _UMASK.search(proc.told("status"))
    if found is not None:
        return int(found.group(1), 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _environment() -> dict[bytes, bytes]:
    """Return the environment that children get."""
    entries = _entries()
    if entries is None:
        return dict(_ENVIRONB)
    found: dict[bytes, bytes] = {}
    number = 0
    while entries and (entry := entries[number]) is not None:
        name, equals, value = entry.partition(b"=")
        if name and equals:
            found.setdefault(name, value)
        number += 1
    return found


@cache
def _entries() -> Any:
    """Return the environment as C has it, or ``None`` where it has another name."""
    import ctypes

    try:
        return ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    except (ValueError, OSError):
        return None


def _decimals() -> tuple[Any, ...]:
    context = decimal.getcontext()
    traps = tuple(sorted(each.__name__ for each, traps in context.traps.items() if traps))
    return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp, traps


def _set_decimals(values: tuple[Any, ...]) -> None:
    context = decimal.getcontext()
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    for name, value in zip(names, values, strict=False):
        setattr(context, name, value)
    for each in context.traps:
        context.traps[each] = each.__name__ in values[-1]


#: What is asked for by a function, and set by another.
_SETTINGS: dict[Callable[[], Any], Callable[[Any], object]] = {
    sys.getrecursionlimit: sys.setrecursionlimit,
    # What watches each call would watch what follows.
    sys.getprofile: sys.setprofile,
    sys.gettrace: sys.settrace,
    socket.getdefaulttimeout: socket.setdefaulttimeout,
    sys.getswitchinterval: sys.setswitchinterval,
    gc.isenabled: lambda enabled: gc.enable() if enabled else gc.disable(),
    gc.get_threshold: lambda thresholds: gc.set_threshold(*thresholds),
    threading.stack_size: threading.stack_size,
    csv.field_size_limit: csv.field_size_limit,
    _decimals: _set_decimals,
}
if hasattr(sys, "set_int_max_str_digits"):
    _SETTINGS[sys.get_int_max_str_digits] = sys.set_int_max_str_digits
