"""What is it that we want? The targets, as data; to change one is to change a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TIERS = ("few", "many", "most")


@dataclass(frozen=True)
class Target:
    """A bound on what was measured under ``key``, or on how many times what was measured under ``over`` it is.

    ``over`` may be ``best:NAME``, the best of the peers that keep a record of each run. ``least`` and ``most`` may
    differ by database (``on``); a database that has no bound has no target.
    """

    key: str
    over: str = ""
    most: float | None = None
    least: float | None = None
    on: Mapping[str, float] = field(default_factory=dict)

    def bound(self, database: str) -> Target | None:
        """Return the target for this database, if there is one."""
        if not self.on:
            return self
        if database not in self.on:
            return None
        value = self.on[database]
        return Target(self.key, self.over, most=None if self.least else value, least=value if self.least else None)

    def is_met(self, value: float) -> bool:
        """Tell whether the value, or the ratio, is within the bound."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        return f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"


def _at_most(key: str, most: float, over: str = "", *databases: str) -> Target:
    return Target(key, over, most=most, on=dict.fromkeys(databases, most))


TARGETS = [
    # 1. Idle tick. "The same" at any number of jobs is within 5 %.
    *(_at_most(f"cron.{tier}.{kind}", 1.05, f"bare.{tier}.{kind}") for tier in TIERS for kind in ("wall", "cpu")),
    *(_at_most(f"cron.{tier}.{kind}", 1.05, f"cron.few.{kind}") for tier in TIERS[1:] for kind in ("wall", "cpu")),
    # What is due, and the node's sign of life.
    *(_at_most(f"cron.{tier}.queries", 2) for tier in TIERS),
    # 2. Burst.
    Target("burst.best", "raw.two", least=0.5, on={"pg": 0.6, "mysql": 0.5, "mariadb": 0.5, "sqlite": 0.5}),
    _at_most("burst.all", 1.0, "burst.one"),
    _at_most("burst.late", 0.1),
    # 2a. Hand-off: as fast as jobs are run by the node itself, and by Celery faster than its own beat.
    Target("hand.tasks", "hand.run", least=1.0),
    Target("hand.celery", "hand.beat", least=1.0),
    # 3. Start on the slot, and from the crontab.
    *(_at_most(f"{key}.p50", 8, "", "pg") for key in ("start", "start.most")),
    *(_at_most(f"{key}.p99", 30, "", "pg") for key in ("start", "start.most")),
    _at_most("first.cron", 1.15, "first.bare"),
    # 4. Idle loop. "Flat" is within 5 %.
    _at_most("idle.cpu", 0.2),
    _at_most("idle.queries", 6),
    _at_most("rss.idle", 1.15, "rss.bare"),
    _at_most("rss.after", 1.05, "rss.warm"),
    _at_most("pss.after", 1.05, "pss.warm"),
    # 5. Schedules.
    _at_most("next.ratio", 2),
    # 6. Log growth. A tree of ten million rows is a level or two deeper than an empty one: "the same" is within 10 %.
    _at_most("log.write.most", 1.1, "log.write.none"),
    _at_most("log.due.most", 1.1, "log.due.none"),
    # The peers: ahead of every one that keeps a record of its runs.
    Target("peer.cronkite.pace", "best:pace", least=1.0),
    _at_most("peer.cronkite.p50", 1.0, "best:p50"),
    _at_most("peer.cronkite.p99", 1.0, "best:p99"),
    _at_most("peer.cronkite.cpu", 1.0, "best:cpu"),
    _at_most("peer.cronkite.memory", 1.0, "best:memory"),
    _at_most("peer.cronkite.twice", 0),
]
