"""Is everything well, and if not, what is wrong, and how bad is it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronkite import locks, vitals
from cronkite.durations import DAY, in_short
from cronkite.vitals import RUNS, Vitals
from cronkite.words import listed

#: How many jobs a problem names one by one.
NAMED = 5


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


@dataclass(frozen=True)
class Limits:
    """What is put up with. Durations are in seconds."""

    silent: Limit = Limit(150, 300)
    """Since any node ticked."""
    failing: Limit = Limit(1, 3)
    """Failures of one job in a row."""
    missed: Limit = Limit(1, None)
    """Missed slots of all jobs in 24 hours."""
    late: Limit = Limit(300, None)
    """Since a job fell due, or was asked for, that is free and that no node has taken."""
    skew: Limit = Limit(30, None)
    """By how much a node's clock is wrong, either way."""
    nodes: int = 1
    """How many nodes have to tick."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and how bad it is."""

    level: Level
    text: str


@dataclass(frozen=True)
class Health(Vitals):
    """What there is to know, and what is wrong with it, the worst first."""

    findings: list[Finding]

    @property
    def level(self) -> Level:
        """How bad the worst finding is."""
        return max((finding.level for finding in self.findings), default=Level.OK)

    @property
    def problems(self) -> list[str]:
        """What is wrong, the worst first, in words."""
        return [finding.text for finding in self.findings]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it in values that Django's JSON encoder knows."""
        findings = [{"level": finding.level.name, "text": finding.text} for finding in self.findings]
        return {"level": self.level.name, **asdict(self), "findings": findings}


#: What is put up with unless somebody says otherwise.
USUAL = Limits()


def report(using: str | None = None, limits: Limits = USUAL) -> Health:
    """Look, in a constant number of queries, and judge by ``limits``.

    Raises :class:`django.db.DatabaseError` if the database does not answer, or its tables are missing.
    """
    late_after = min(filter(None, [limits.late.warning, limits.late.critical]), default=366.0 * DAY)
    seen = vitals.look(using or locks.database(), timedelta(seconds=late_after))
    found = [finding for finding in _findings(seen, limits) if finding.level]
    return Health(**vars(seen), findings=sorted(found, key=lambda finding: -finding.level))


def _findings(health: Vitals, limits: Limits) -> Iterator[Finding]:
    yield from _about_nodes(health, limits)
    for job in health.stuck:
        said = _("Job %(job)s is stuck: locked by %(node)s, whose run was last seen alive %(age)s ago. Unlock it.")
        yield Finding(Level.CRITICAL, said % {"job": job.name, "node": job.locked_by, "age": in_short(job.age)})
    for failing in health.failing:
        said = ngettext(
            "Job %(job)s has failed at its last run.", "Job %(job)s has failed %(count)s times in a row.", failing.count
        )
        count = f"{failing.count}" if failing.count < RUNS else f"{RUNS}+"
        yield Finding(limits.failing.level(failing.count), said % {"job": failing.name, "count": count})
    total = sum(job.count for job in health.missed)
    said = ngettext(
        "%(count)d slot was missed in the last 24 hours: %(jobs)s.",
        "%(count)d slots were missed in the last 24 hours: %(jobs)s.",
        total,
    )
    named = [f"{job.name} ({job.count})" for job in health.missed]
    yield Finding(limits.missed.level(total), said % {"count": total, "jobs": _some(named)})
    if limits.silent.level(health.silent_for or 0) == Level.OK and health.late:
        # While no node ticks, that is the reason, and it was said.
        untaken = _("These are due, and no node has taken them: %(jobs)s.")
        held = _("These are due, and their rows are locked by other transactions: %(jobs)s.")
        for said, jobs in (
            (untaken, [job for job in health.late if not job.is_held]),
            (held, [job for job in health.late if job.is_held]),
        ):
            if jobs:
                named = [f"{job.name} ({in_short(job.age)})" for job in jobs]
                yield Finding(limits.late.level(jobs[0].age), said % {"jobs": _some(named)})


def _about_nodes(health: Vitals, limits: Limits) -> Iterator[Finding]:
    if health.silent_for is None:
        yield Finding(Level.CRITICAL, _("No node has ever ticked. Run `manage.py cron` each minute on every machine."))
        return
    level = limits.silent.level(health.silent_for)
    yield Finding(level, _("No node has ticked for %(time)s.") % {"time": in_short(health.silent_for)})
    ticking = [node for node in health.nodes if limits.silent.level(node.age) == Level.OK]
    if level == Level.OK and len(ticking) < limits.nodes:
        said = ngettext(
            "Only %(ticking)d of %(wanted)d node ticks.", "Only %(ticking)d of %(wanted)d nodes tick.", limits.nodes
        )
        yield Finding(Level.WARNING, said % {"ticking": len(ticking), "wanted": limits.nodes})
    for node in ticking:
        if node.skew is not None:
            ahead = _("The clock of node %(node)s is %(skew)s fast.")
            behind = _("The clock of node %(node)s is %(skew)s slow.")
            said = (ahead if node.skew > 0 else behind) % {"node": node.name, "skew": in_short(node.skew)}
            yield Finding(limits.skew.level(abs(node.skew)), said)


def _some(names: list[str]) -> str:
    return listed(names if len(names) <= NAMED else [*names[:NAMED], "…"])
