"""What do many readings come to?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["median", "percentile", "ratio"]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that ``percent`` % of the values do not exceed, interpolated between neighbours.

    >>> percentile([1, 2, 3, 4, 5], 50), percentile([1, 2], 75)
    (3.0, 1.75)
    """
    if not values:
        raise ValueError("no values, so no percentile")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def ratio(values: Sequence[float], bases: Sequence[float]) -> float | None:
    """Return how many times the bases the values are; ``None`` where that makes no sense.

    Values and bases of the same rounds are compared round by round, as a machine's speed changes over an hour, and the
    median of that is returned.

    >>> ratio([2, 30, 6], [1, 10, 3]), ratio([1], [0])
    (2.0, None)
    """
    if not values or not bases:
        return None
    pairs = [(v, b) for v, b in zip(values, bases, strict=True)] if len(values) == len(bases) else []
    if not pairs:
        pairs = [(median(values), median(bases))]
    if any(not base for _, base in pairs):
        return None
    return float(median(value / base for value, base in pairs))
