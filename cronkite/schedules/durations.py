"""How long is that, in a few letters that are read in any language?"""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400
#: From which number of them on a unit is used: 90 s are told from 119 s, and 47 h from two days.
TWICE = 2


def largest(seconds: float) -> tuple[float, str]:
    """Return a duration in its largest sensible unit: how many, cut off and not rounded, and its letters.

    Less than a second is the only one that is not whole. The sign is left out.

    >>> largest(0.25), largest(119), largest(-7200)
    ((0.25, 's'), (119, 's'), (2, 'h'))
    """
    seconds = abs(seconds)
    if 0 < seconds < 1:
        return seconds, "s"
    for unit, letters in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= TWICE * unit:
            return int(seconds // unit), letters
    return int(seconds), "s"


def in_short(seconds: float) -> str:
    """Return a duration in its :func:`largest` unit.

    >>> [in_short(seconds) for seconds in (0.25, 12, 119, 120, 7199, 7200, 200000)]
    ['0.25 s', '12 s', '119 s', '2 min', '119 min', '2 h', '2 d']
    """
    number, letters = largest(seconds)
    return f"{number} {letters}" if isinstance(number, int) else f"{number:.2f} {letters}"
