"""Which numbers does a monitor get that draws them?

As many series as there are kinds of things, and for jobs and nodes by name ``NAMED`` of each kind at most, however many
there are: names that come and go would have the monitor keep each for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import Count

from cronkite.models import Log
from cronkite.reports.exposition import Metric, Sample
from cronkite.reports.findings import Finding
from cronkite.reports.limits import Level, Limits
from cronkite.reports.vitals import RUNS, NodeHealth, Vitals

T = TypeVar("T")

#: Of how many jobs, or nodes, of a kind there are numbers of their own.
NAMED = 20
#: How far back runs are counted: a few scrapes, and an index away, however long the log is.
LATELY = timedelta(minutes=5)


def level(level: Level) -> Metric:
    """Return how bad it is."""
    words = "How bad the worst finding is: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
    return _one("cronkite_health_level", words, int(level))


def recent(using: str, now: datetime) -> dict[str, int]:
    """Return how many logs began lately, by status, in one query."""
    logs = Log.objects.using(using).filter(created__gt=now - LATELY).order_by()
    found = dict(logs.values_list("status").annotate(Count("pk")))
    return {status: found.pop(status, 0) for status in Log.Status.values} | found


def of(vitals: Vitals, findings: Sequence[Finding], limits: Limits, recent: dict[str, int]) -> Iterator[Metric]:
    """Yield all numbers."""
    yield level(max((finding.level for finding in findings), default=Level.OK))
    words = "How bad a kind of finding is: 1 WARNING, 2 CRITICAL. Kinds that were not found are left out."
    kinds = {finding.kind: finding.level for finding in findings}
    yield Metric("cronkite_finding_level", words, _by("kind", kinds))
    yield from _jobs(vitals)
    words = f"Logs that began within {LATELY.total_seconds():g} seconds, by status; missed: stretches of missed slots."
    yield Metric("cronkite_recent_logs", words, _by("status", recent))
    yield from _nodes(vitals, limits)
    yield from _named_jobs(vitals)


def _jobs(vitals: Vitals) -> Iterator[Metric]:
    enabled = {"true": vitals.enabled, "false": vitals.jobs - vitals.enabled}
    yield Metric("cronkite_jobs", "Jobs.", _by("enabled", enabled))
    yield _one("cronkite_running_jobs", "Jobs that are locked, as by a run that goes on.", vitals.running)
    yield _one("cronkite_stuck_jobs", "Jobs whose lock nobody clears but a person.", len(vitals.stuck))
    yield _one("cronkite_failing_jobs", "Jobs whose last run failed.", len(vitals.failing))
    yield _one(
        "cronkite_late_jobs", "Jobs that are due, or asked for, and that no node has taken in time.", len(vitals.late)
    )
    longest = max((job.age for job in vitals.late), default=0)
    yield _one("cronkite_late_seconds", "For how long the one of these has waited that waits longest.", longest)
    yield _one("cronkite_unserved_jobs", "Jobs with labels that no node has.", len(vitals.unserved))
    brief = sum(job.brief for job in vitals.missed)
    missed = {"true": brief, "false": sum(job.count for job in vitals.missed) - brief}
    words = "Slots that were missed within 24 hours; brief: in stretches that are put up with."
    yield Metric("cronkite_missed_slots", words, _by("brief", missed))


def _nodes(vitals: Vitals, limits: Limits) -> Iterator[Metric]:
    states = dict.fromkeys(["ticking", "silent", "stopped"], 0)
    for node in vitals.nodes:
        states[_state(node, limits)] += 1
    yield Metric("cronkite_nodes", "Nodes that are known; stopped: they said that they end.", _by("state", states))
    if vitals.nodes:
        newest = max(node.ticked_at for node in vitals.nodes)
        words = "When a node ticked last, by the database's clock."
        yield _one("cronkite_last_tick_timestamp_seconds", words, newest.timestamp())
    going = sorted((node for node in vitals.nodes if node.stopped_at is None), key=lambda node: node.ticked_at)
    newest_nodes = _first(reversed(going))
    yield Metric(
        "cronkite_node_last_tick_timestamp_seconds",
        f"When a node ticked last, of the {NAMED} that did so last and did not end.",
        tuple(Sample(node.ticked_at.timestamp(), {"node": node.name}) for node in newest_nodes),
    )
    yield Metric(
        "cronkite_node_clock_skew_seconds",
        "By how much the clocks of these are ahead of the database's.",
        tuple(Sample(node.skew, {"node": node.name}) for node in newest_nodes if node.skew is not None),
    )


def _state(node: NodeHealth, limits: Limits) -> str:
    if node.stopped_at is not None:
        return "stopped"
    return "silent" if limits.silent.level(node.age) else "ticking"


def _named_jobs(vitals: Vitals) -> Iterator[Metric]:
    yield Metric(
        "cronkite_job_stuck_timestamp_seconds",
        f"Since when a job shows no sign of life, of the {NAMED} that are stuck for longest.",
        tuple(Sample(job.locked_at.timestamp(), _job(job.id, job.name)) for job in _first(vitals.stuck)),
    )
    yield Metric(
        "cronkite_job_failures",
        f"Failures of a job in a row, {RUNS} at most, of the {NAMED} that failed most often.",
        tuple(Sample(job.count, _job(job.id, job.name)) for job in _first(vitals.failing)),
    )
    longest = sorted(vitals.late, key=lambda job: -job.age)
    yield Metric(
        "cronkite_job_due_timestamp_seconds",
        f"Since when a job is due, or asked for, of the {NAMED} that wait longest for a node.",
        tuple(Sample(job.due_at.timestamp(), _job(job.id, job.name)) for job in _first(longest)),
    )
    yield Metric(
        "cronkite_job_missed_slots",
        f"Slots of a job that were missed within 24 hours, of the {NAMED} that missed most.",
        tuple(Sample(job.count, _job(job.id, job.name)) for job in _first(vitals.missed) if job.id is not None),
    )


def _job(key: int, name: str) -> dict[str, str]:
    """Return the labels of a job: several may have the same name. Not ``job``, which is Prometheus's own."""
    return {"job_id": str(key), "job_name": name}


def _by(label: str, numbers: dict[str, int] | dict[str, Level]) -> tuple[Sample, ...]:
    return tuple(Sample(int(number), {label: value}) for value, number in numbers.items())


def _one(name: str, words: str, value: float) -> Metric:
    return Metric(name, words, (Sample(value),))


def _first(things: Iterable[T]) -> list[T]:
    return list(islice(things, NAMED))
