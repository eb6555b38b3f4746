"""Which jobs were chosen? One, or thousands, in one field of a form.

A field for each would be more than ``DATA_UPLOAD_MAX_NUMBER_FIELDS`` takes, from a thousand on.
"""

from __future__ import annotations

from collections.abc import Iterable

#: The digits of the largest key that every database takes.
DIGITS = 18


def pack(keys: Iterable[int]) -> str:
    """Return the keys as the value of one field.

    >>> pack([3, 5, 8])
    '3,5,8'
    """
    return ",".join(map(str, keys))


def unpack(values: Iterable[str]) -> list[int]:
    """Return the keys in the values of fields, each once; what is no key is left out.

    >>> unpack(["3", "5,8,3", "x", ""])
    [3, 5, 8]
    """
    found = (each.strip() for value in values for each in value.split(","))
    keys = (int(each) for each in found if each.isascii() and each.isdecimal() and len(each) <= DIGITS)
    return [*dict.fromkeys(keys)]
