"""How is read what APScheduler has pickled, without running any of it?

A pickle names classes and functions, and to read it as usual is to call them. Here nothing is imported, and nothing is
called but the constructors of dates, durations, zones and sets: whatever else a pickle names is an :class:`Inert`,
which keeps what it is given. So neither APScheduler nor the project's own classes have to be there.
"""

from __future__ import annotations

import datetime as dt
import io
import pickle
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo


class Unpickled(Exception):
    """It can't be read; the message says why."""


class Inert:
    """In the place of an object: what it was made with, and its state. ``path`` is the dotted name of its class."""

    path = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args: Any = args
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        # Of classes with slots, some have a pair of both kinds of attributes.
        self.state = next((each for each in state if each), {}) if isinstance(state, tuple) else state

    def append(self, item: Any) -> None:
        """Drop what a list would keep."""

    def extend(self, items: Any) -> None:
        """Drop what a list would keep."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drop what a dict would keep."""

    def get(self, name: str) -> Any:
        """Return what the state has of that name, or ``None``."""
        return self.state.get(name) if isinstance(self.state, Mapping) else None


def read(data: bytes) -> dict[str, Any]:
    """Return the state of a job; raises :class:`Unpickled`."""
    try:
        state = _Unpickler(io.BytesIO(data)).load()
    except Exception as error:
        # What is no pickle, or one of something else, may raise anything.
        raise Unpickled(f"{type(error).__name__}: {error}") from error
    if isinstance(state, Inert):
        state = state.state
    if not isinstance(state, dict):
        raise Unpickled(f"it is a {type(state).__name__}")
    return state


class _Unpickler(pickle.Unpickler):
    """Finds what is harmless, and an :class:`Inert` for all else."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._known: dict[str, Any] = {
            "zoneinfo.ZoneInfo": ZoneInfo,
            "backports.zoneinfo.ZoneInfo": ZoneInfo,
            "builtins.set": set,
            "builtins.frozenset": frozenset,
            # As protocols below 2 have it, and zones.
            "builtins.object": object,
            "copyreg._reconstructor": _made,
            "copy_reg._reconstructor": _made,
            "builtins.getattr": _attribute,
            "_codecs.encode": _bytes,
            "pytz._p": _pytz_zone,
            "pytz._UTC": _utc,
        }
        self._known |= {f"datetime.{each.__name__}": each for each in _DATES}

    def find_class(self, module: str, name: str) -> Any:
        path = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if path not in self._known:
            self._known[path] = type(name.rpartition(".")[2] or "Inert", (Inert,), {"path": path})
        return self._known[path]


_DATES = (dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone)


def _made(kind: Any, base: Any, state: Any) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, Inert)):
        raise Unpickled("it makes an object that is none of its own")
    return kind()


def _attribute(owner: Any, name: Any) -> Any:
    if owner is ZoneInfo and name == "_unpickle":
        return _zone
    raise Unpickled(f"it asks for {name!r}")


def _bytes(text: Any, encoding: Any) -> bytes:
    """Return bytes as protocols below 3 have them."""
    return str(text).encode("latin-1")


def _zone(key: Any, from_cache: Any = True) -> ZoneInfo:
    return ZoneInfo(str(key))


def _pytz_zone(name: Any, *rest: Any) -> ZoneInfo:
    return ZoneInfo(str(name))


def _utc() -> dt.timezone:
    return dt.timezone.utc
