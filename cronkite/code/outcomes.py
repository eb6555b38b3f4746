"""What of a run's end can be kept in the database, whatever the function returned, printed or raised.

Text goes into any text column, a result into any JSON column, of every database that Django supports: no NUL
characters (PostgreSQL), no lone surrogates (no encoding has them), JSON no deeper than 90 levels (MySQL: 100), whole
numbers of 64 bits, no NaN. Everything has a limit, and what was cut says so.
"""

from __future__ import annotations

import codecs
import json
import math
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cronkite.database import texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

#: How much of an output or a traceback is kept, in bytes: half from its beginning, half from its end.
OUTPUT_LIMIT = 64 * 1024
HALF = OUTPUT_LIMIT // 2
#: How long a result may be, in bytes of UTF-8: its JSON, or its repr if JSON can't hold it.
RESULT_LIMIT = 64 * 1024
#: How long the arguments may be that a log keeps whole, as JSON, in bytes; a log is written for each run.
ARGUMENTS_LIMIT = 8 * 1024
#: How many lists and objects of a result may lie inside each other; MySQL's own limit is 100.
DEPTH_LIMIT = 90

_CUT = "... (cut)"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, ready to be written: the texts and the result have been through this module's functions."""

    status: str
    """One of the log's statuses."""
    result: Any = None
    """A JSON value."""
    output: str = ""
    """What the function wrote to stdout and stderr."""
    exc_info: str = ""
    """The traceback of what it raised."""
    reason: str = ""
    """Why the run did not end by itself, in words for people."""
    is_final: bool = False
    """Whether it must not be tried again: what was to be done may have been done after all."""


def keep_result(value: object) -> Any:
    """Return the JSON value to keep for what a function returned; never raises.

    It is what ``json.loads(json.dumps(value))`` makes of the value. What JSON or a database can't hold, or what is
    longer than ``RESULT_LIMIT``, is kept as the text of its ``repr``, cut to that limit.
    """
    try:
        kept = _Copier().copy(value)
        if len(json.dumps(kept, ensure_ascii=False).encode()) <= RESULT_LIMIT:
            return kept
    except BaseException:  # noqa: BLE001, S110  # not only _NotJson: a subclass of dict may do anything
        pass
    return _bounded_repr(value)


def keep_arguments(value: Any) -> Any:
    """Return the arguments to keep of a run: themselves, as they came out of a JSON column, if they are not too long.

    Else the first ``ARGUMENTS_LIMIT`` bytes of their JSON, as a text: what is no list or object any more was cut.
    """
    if not value:
        return value
    text = json.dumps(value)
    return value if len(text) <= ARGUMENTS_LIMIT else text[: ARGUMENTS_LIMIT - len(_CUT)] + _CUT


def keep_text(text: str | bytes) -> str:
    """Return the text as a column can hold it, or its first and last part if it is longer than ``OUTPUT_LIMIT``.

    Bytes are read as UTF-8. What cannot be kept becomes U+FFFD, so the text may need up to three times as many bytes.
    """
    data = texts.storable(text).encode() if isinstance(text, str) else text
    if len(data) <= OUTPUT_LIMIT:
        return keep_ends(data, b"", len(data))
    return keep_ends(data[:HALF], data[-HALF:], len(data))


def keep_ends(head: bytes, tail: bytes, size: int) -> str:
    """Return what :func:`keep_text` makes of ``size`` bytes, of which only these are known.

    Where ``size`` is within ``OUTPUT_LIMIT``, the two are all of it; else each has ``HALF`` bytes.
    """
    if size <= OUTPUT_LIMIT:
        return texts.storable((head + tail).decode(errors="replace"))
    head, tail = _without_broken_end(head), _without_broken_start(tail)
    cut = size - len(head) - len(tail)
    first, last = head.decode(errors="replace"), tail.decode(errors="replace")
    return texts.storable(f"{first}\n[... {cut} bytes cut ...]\n{last}")


def traceback_text(error: BaseException) -> str:
    """Return the traceback as Python prints it, with causes and contexts, fit to be kept; never raises."""
    try:
        return keep_text("".join(traceback.format_exception(error)))
    except BaseException as failure:  # noqa: BLE001  # an exception class may break even this
        where = "".join(traceback.format_tb(_traceback(error)))
        return keep_text(f"{where}{type(error).__name__} (it cannot be shown: {type(failure).__name__})")


def for_logger(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    """Return what a logger takes as ``exc_info``; ``None`` for an error that would have its handlers fail."""
    try:
        traceback.format_exception(error)
    except BaseException:  # noqa: BLE001  # as above
        return None
    # Not the error alone: a logger takes one that counts as false for none.
    return type(error), error, _traceback(error)


def _traceback(error: BaseException) -> TracebackType | None:
    """Return the traceback without asking the error's own class."""
    found: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return found


def _without_broken_end(data: bytes) -> bytes:
    """Leave out a last UTF-8 character that is incomplete."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return data[: len(data) - len(decoder.getstate()[0])]


def _without_broken_start(data: bytes) -> bytes:
    """Leave out up to three bytes that continue a character whose beginning is missing."""
    return data[:3].lstrip(bytes(range(0x80, 0xC0))) + data[3:]


class _NotJson(Exception):
    """The value cannot be kept as JSON."""


class _Copier:
    """Copies one value into plain JSON types, and gives up early.

    A list that holds itself, or holds a list twice that holds a list twice (and so on), is small in memory and
    endless as JSON, so it is counted while it is copied, not measured afterwards.
    """

    def __init__(self) -> None:
        self.room = RESULT_LIMIT

    def copy(self, value: Any, depth: int = 0) -> Any:
        """Return the copy; raises :class:`_NotJson`, or whatever a strange subclass raises."""
        self._take(1)
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return _number(value)
        if depth == DEPTH_LIMIT:
            raise _NotJson
        if isinstance(value, (list, tuple)):
            return [self.copy(item, depth + 1) for item in value]
        if isinstance(value, dict):
            copied = {self._key(key): self.copy(item, depth + 1) for key, item in value.items()}
            if len(copied) == len(value):
                return copied
            # 1 and "1" are the same key in JSON: one of the two values would vanish
        raise _NotJson

    def _key(self, key: Any) -> str:
        """Return the key as JSON names it: 1 becomes "1", None becomes "null"."""
        if isinstance(key, str):
            return self._text(key)
        if key is None or isinstance(key, (bool, int, float)):
            return json.dumps(_number(key))
        raise _NotJson

    def _text(self, text: str) -> str:
        self._take(len(text))
        if not texts.is_storable(text):
            raise _NotJson
        return str.__str__(text)  # of a subclass, such as an enum's member, the text itself

    def _take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise _NotJson


def _number(value: float | None) -> float | None:
    """Return the number, truth value or ``None`` as a plain one; raises :class:`_NotJson` if it is out of bounds."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return int.__index__(value)
    elif math.isfinite(value):
        return float.__float__(value)
    raise _NotJson


def _bounded_repr(value: object) -> str:
    """Return the beginning of ``repr(value)``; lists and dicts are written no further than is kept."""
    pieces, length = [], 0
    try:
        for piece in _repr_pieces(value, 0):
            pieces.append(piece[: RESULT_LIMIT + 1])
            length += len(pieces[-1])
            if length > RESULT_LIMIT:
                break
    except BaseException as error:  # noqa: BLE001  # a container that changes while it is written
        pieces.append(f"... ({type(error).__name__})")
    data = texts.storable("".join(pieces)).encode()
    if len(data) > RESULT_LIMIT:
        return data[: RESULT_LIMIT - len(_CUT)].decode(errors="ignore") + _CUT
    return data.decode()


def _repr_pieces(value: Any, depth: int) -> Iterator[str]:
    """Yield the repr of a value piece by piece; what lies too deep, or within itself, is an ellipsis."""
    kind = type(value)
    if kind in (list, tuple, dict) and depth > DEPTH_LIMIT:
        yield "..."
    elif kind in (list, tuple):
        yield "[" if kind is list else "("
        for i, item in enumerate(value):
            yield ", " if i else ""
            yield from _repr_pieces(item, depth + 1)
        yield "]" if kind is list else ",)" if len(value) == 1 else ")"
    elif kind is dict:
        yield "{"
        for i, (key, item) in enumerate(value.items()):
            yield ", " if i else ""
            yield from _repr_pieces(key, depth + 1)
            yield ": "
            yield from _repr_pieces(item, depth + 1)
        yield "}"
    else:
        yield _own_repr(value[: RESULT_LIMIT + 1] if kind in (str, bytes, bytearray) else value)


def _own_repr(value: object) -> str:
    """Return an object's own repr, or say that it has none."""
    try:
        return str.__str__(repr(value))
    except BaseException as error:  # noqa: BLE001  # code of others
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
