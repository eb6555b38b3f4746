"""What of a text goes into a column, whatever its characters are?

No column takes NUL (PostgreSQL) or half of a surrogate pair (no encoding has it): they become U+FFFD. What else a
column can't hold is a matter of its character set, such as MySQL's ``utf8mb3``, and shows when it is refused: then it
is said again with escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_NEVER = re.compile("[\x00\ud800-\udfff]")
_FAR = re.compile("[\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"


def without_far(text: str) -> str:
    """Return the text with escapes such as ``\\U0001f600`` for what takes four bytes in UTF-8."""
    return _FAR.sub(lambda found: ascii_only(found[0]), text)


def ascii_only(text: str) -> str:
    """Return the text with escapes such as ``\\u20ac`` for all that is not ASCII."""
    return text.encode("ascii", "backslashreplace").decode()


#: What is tried in turn where a text is refused for its characters.
WAYS: tuple[Callable[[str], str], ...] = (str, without_far, ascii_only)

_way: ContextVar[Callable[[str], str]] = ContextVar("cronkite_way", default=str)


def storable(text: str) -> str:
    """Return the text in characters that the column takes: of any database or, within :func:`spelled`, of this one."""
    return _way.get()(_NEVER.sub(_REPLACEMENT, text))


def is_storable(text: str) -> bool:
    """Tell whether a column that has all characters would take the text as it is."""
    return _NEVER.search(text) is None


@contextmanager
def spelled(way: Callable[[str], str]) -> Iterator[None]:
    """Have what is written in this thread during the block be spelled that way, one of the ``WAYS``."""
    before = _way.set(way)
    try:
        yield
    finally:
        _way.reset(before)
