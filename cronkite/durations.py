"""How long is that, in a few letters that are read in any language?"""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400
#: From which number of them on a unit is used: 90 s are told from 119 s, and 47 h from two days.
TWICE = 2


def in_short(seconds: float) -> str:
    """Return a duration in its largest sensible unit, cut off and not rounded; the sign is left out.

    >>> [in_short(seconds) for seconds in (0.25, 12, 119, 120, 7199, 7200, 200000)]
    ['0.25 s', '12 s', '119 s', '2 min', '119 min', '2 h', '2 d']
    """
    seconds = abs(seconds)
    if 0 < seconds < 1:
        return f"{seconds:.2f} s"
    for unit, letters in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= TWICE * unit:
            return f"{int(seconds // unit)} {letters}"
    return f"{int(seconds)} s"
