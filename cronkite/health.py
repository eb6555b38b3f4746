"""Is everything well, and if not, what is wrong, and how bad is it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from cronkite.database import clock
from cronkite.models import primary
from cronkite.reports import findings, metrics, vitals
from cronkite.reports.exposition import Metric
from cronkite.reports.findings import Finding
from cronkite.reports.limits import USUAL, Level, Limit, Limits
from cronkite.reports.vitals import LateJob, Vitals
from cronkite.schedules.durations import DAY

__all__ = ["USUAL", "Finding", "Health", "Level", "Limit", "Limits", "numbers", "report"]

#: How many nodes, or jobs of a kind, are told to programs one by one.
LISTED = 20
#: What there is in numbers where the database does not answer.
UNKNOWN = [metrics.level(Level.UNKNOWN)]


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

    @property
    def missed_slots(self) -> int:
        """How many slots were missed lately, without those that are put up with."""
        return sum(job.count - job.brief for job in self.missed)

    def as_dict(self) -> dict[str, Any]:
        """Return it in values that Django's JSON encoder knows: how many of each kind there are, and the first ones."""
        told: dict[str, Any] = {"level": self.level.name, "counts": {}}
        for field in fields(Vitals):
            value = getattr(self, field.name)
            if isinstance(value, list):
                told["counts"][field.name] = len(value)
                value = [asdict(each) for each in value[:LISTED]]
            told[field.name] = value
        told["counts"]["missed_slots"] = self.missed_slots
        told["findings"] = [
            {"level": finding.level.name, "kind": finding.kind, "text": finding.text} for finding in self.findings
        ]
        return told


def report(using: str | None = None, limits: Limits = USUAL) -> Health:
    """Look, in a constant number of queries, and judge by ``limits``.

    Raises :class:`django.db.DatabaseError` if the database does not answer, or its tables are missing.
    """
    seen = vitals.look(using or primary.alias(), _late_after(limits), limits.brief)
    return Health(**vars(seen), findings=findings.of(seen, limits))


def numbers(found: Health, limits: Limits = USUAL) -> list[Metric]:
    """Return what ``found`` says in numbers, and how many runs began lately, which takes one more query.

    However many jobs there are, there are no more numbers. Raises :class:`django.db.DatabaseError` if the database does
    not answer.
    """
    recent = metrics.recent(primary.alias(), found.now)
    return list(metrics.of(found, found.findings, limits, recent))


def overdue(limits: Limits = USUAL) -> list[LateJob]:
    """Return the jobs that are due, or were asked for, and that no node has taken in time."""
    using = primary.alias()
    return vitals.late(using, clock.now(using), _late_after(limits))


def _late_after(limits: Limits) -> timedelta:
    return timedelta(seconds=366.0 * DAY if limits.late.least is None else limits.late.least)
