"""What is wrong with jobs and nodes, and of what is it known that all is well?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from cronkite import conf
from cronkite.code import wishes
from cronkite.code.wishes import Wish
from cronkite.database import clock
from cronkite.models import Job, Log, Node
from cronkite.reports import vitals
from cronkite.reports.limits import USUAL, Level
from cronkite.schedules.durations import in_short

#: The wish of a job that says nothing, and of nodes.
NOBODY = Wish()
#: Who has been silent for longer is gone for good, as a machine that was given back.
GONE = timedelta(days=1)
#: How much of what a run has raised is told.
CUT = 500


@dataclass(frozen=True)
class Wrong:
    """Something that is wrong; ``node`` is set where it is a node that is silent, ``log_id`` where a run failed."""

    name: str
    text: str
    job_id: int | None = None
    log_id: int | None = None
    node: Node | None = None


@dataclass(frozen=True)
class Seen:
    """What is wrong, by what it is about, and of what is known that all is well; ``names`` and wishes are jobs'."""

    wrong: dict[str, Wrong]
    well: Well
    wishes: dict[int, Wish]


class Well:
    """Tells of what it is known that it is well, and not only that nobody can tell."""

    def __init__(self, jobs: set[int], succeeded: set[int], ailing: set[str], nodes: set[int]) -> None:
        self._jobs, self._succeeded, self._ailing, self._nodes = jobs, succeeded, ailing, nodes

    def __contains__(self, about: str) -> bool:
        kind, key = parts(about)
        if kind == "silent":
            return key in self._nodes
        there = self._succeeded if kind == "failing" else self._jobs
        return about not in self._ailing and key in there


def parts(about: str) -> tuple[str, int]:
    """Return of what kind it is, and the key of the job or, of one that is ``"silent"``, of the node."""
    kind, _, key = about.partition(" ")
    return kind, int(key)


def see(rows: Collection[str], using: str) -> Seen:
    """Look what is wrong, and which of the ``rows``, by what they are about, tell of what is well again."""
    now = clock.now(using)
    silent, there = _see_nodes(now, using)
    if not conf.get().alert:
        return Seen(silent, Well(set(), set(), set(), there), {})
    keys = [key for kind, key in map(parts, rows) if kind != "silent"]
    jobs = Job.objects.using(using).filter(Q(pk__in=keys) | ~Q(alert="")).values_list("pk", "alert")
    wanted = {pk: wishes.of(text) for pk, text in jobs}
    off = {pk for pk, wish in wanted.items() if wish.is_off}
    wrong, ailing = _see_jobs(wanted, now, using)
    failed = [parts(about)[1] for about in rows if about.startswith("failing ") and about not in ailing]
    well = Well(wanted.keys() - off, vitals.succeeded(using, failed) - off if failed else set(), ailing, there)
    return Seen({about: each for about, each in wrong.items() if each.job_id not in off} | silent, well, wanted)


def _see_nodes(now: datetime, using: str) -> tuple[dict[str, Wrong], set[int]]:
    """Return which nodes are silent, and the keys of those that are not."""
    silent: dict[str, Wrong] = {}
    there: set[int] = set()
    for node in Node.objects.using(using):
        age = now - node.ticked_at
        if node.stopped_at is not None or USUAL.silent.level(age.total_seconds()) == Level.OK:
            there.add(node.pk)
        elif age < GONE:
            said = f"Node {node.name} is silent: its last sign of life was {in_short(age.total_seconds())} ago."
            silent[f"silent {node.pk}"] = Wrong(node.name, said, node=node)
    return silent, there


def _see_jobs(wanted: Mapping[int, Wish], now: datetime, using: str) -> tuple[dict[str, Wrong], set[str]]:
    """Return what is wrong with jobs, and what fails, be it less often than somebody wants to know of."""
    found, ailing = {}, set()
    for failing in vitals.failing(using):
        ailing.add(f"failing {failing.id}")
        wish = wanted.get(failing.id, NOBODY)
        if failing.count >= wish.after:
            times = "its last run has failed" if failing.count == 1 else f"its last {failing.count} runs have failed"
            said = f"Job {failing.name!r} fails: {times}"
            found[f"failing {failing.id}"] = Wrong(failing.name, said, failing.id, failing.log)
    for each in vitals.missed(using, now, USUAL.brief):
        if each.id is not None and each.count > each.brief:
            said = f"Slots of job {each.name!r} were missed: {each.count} in the last 24 hours."
            found[f"missed {each.id}"] = Wrong(each.name, said, each.id)
    for stuck in vitals.stuck(using, now):
        said = (
            f"Job {stuck.name!r} is stuck: locked by {stuck.locked_by}, last seen alive {in_short(stuck.age)} ago. If "
            "its run is gone, unlock the job."
        )
        found[f"stuck {stuck.id}"] = Wrong(stuck.name, said, stuck.id)
    return found, ailing


def raised(log_id: int, using: str) -> str:
    """Return where and how the run of the log has ended, or that it is gone, in short."""
    log = Log.objects.using(using).filter(pk=log_id).first()
    if log is None:
        return "."
    if log.status == Log.Status.RUNNING:
        return (
            f", at last on {log.node} (log {log.pk}, running): it shows no life any more. The next run takes over its "
            "lock, and records it as lost."
        )
    last = log.exc_info.strip().rpartition("\n")[2]
    why = (last or log.reason)[:CUT]
    return f", at last on {log.node} (log {log.pk}, {log.status.replace('_', ' ')}){f': {why}' if why else '.'}"
