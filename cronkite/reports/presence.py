"""Does this node tick, whatever becomes of jobs and of other nodes?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cronkite import conf
from cronkite.database import clock
from cronkite.models import Node, primary
from cronkite.reports.limits import USUAL, Level, Limits
from cronkite.schedules.durations import in_short


@dataclass(frozen=True)
class Presence:
    """Whether the node ``node`` ticks, in words as well; ``age`` is the time (seconds) since it did, if it ever did."""

    level: Level
    node: str
    text: str
    ticked_at: datetime | None = None
    age: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it in values that Django's JSON encoder knows."""
        return {**vars(self), "level": self.level.name}


def report(limits: Limits = USUAL) -> Presence:
    """Look at the row of the node that has the name of this process's, and judge by ``limits.silent``.

    Raises :class:`django.db.DatabaseError` if the database does not answer, or its tables are missing.
    """
    name, using = conf.get().node, primary.alias()
    node = Node.objects.using(using).filter(name=name).first()
    if node is None:
        return Presence(Level.CRITICAL, name, f"Node {name} has not ticked yet.")
    age = (clock.now(using) - node.ticked_at).total_seconds()
    if node.stopped_at is not None:
        text = f"Node {name} was stopped, and has not ticked since. Its last tick was {in_short(age)} ago."
        return Presence(Level.CRITICAL, name, text, node.ticked_at, age)
    return Presence(limits.silent.level(age), name, f"Node {name} ticked {in_short(age)} ago.", node.ticked_at, age)
