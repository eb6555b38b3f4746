"""What is put up with, and how bad is what is not?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is: the exit codes of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Limit:
    """From which number on something is a warning, and from which it is critical; ``None``: never."""

    warning: float | None
    critical: float | None

    def level(self, value: float) -> Level:
        """Return how bad the value is."""
        if self.critical is not None and value >= self.critical:
            return Level.CRITICAL
        return Level.WARNING if self.warning is not None and value >= self.warning else Level.OK

    @property
    def least(self) -> float | None:
        """The number below which nothing is said; ``None``: nothing ever is."""
        return min((bound for bound in (self.warning, self.critical) if bound is not None), default=None)


@dataclass(frozen=True)
class Limits:
    """What is put up with. Durations are in seconds."""

    silent: Limit = Limit(150, 300)
    """Since any node ticked. One that is silent while others tick is a warning from the lower number on."""
    failing: Limit = Limit(1, 3)
    """Failures of one job in a row."""
    missed: Limit = Limit(1, None)
    """Missed slots of all jobs in 24 hours, without those in brief stretches."""
    brief: float = 60
    """For how long a job's slots may be missed, as while nodes start, if that is no more than ten times this in all."""
    late: Limit = Limit(300, None)
    """Since a job fell due, or was asked for, that is free and that no node has taken."""
    skew: Limit = Limit(30, None)
    """By how much a node's clock is wrong, either way."""
    nodes: int = 1
    """How many nodes have to tick."""


#: What is put up with unless somebody says otherwise.
USUAL = Limits()
