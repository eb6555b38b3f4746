"""What happened in a storm: the evidence of the runs, held against the schedules and the logs.

The evidence is a file that the runs append to. It is not cronkite's, and neither is the way in which it is read here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

from cronkite.models import Job, Log
from cronkite.models.logs import Status

INSTANT = timedelta(microseconds=1)


@dataclass
class Run:
    """One run by the evidence: which slot (Unix seconds) of which job, by whom, and when (monotonic seconds)."""

    job: int
    slot: int
    fence: int
    node: str
    pid: int
    began: float
    ended: float | None = None

    def __str__(self) -> str:
        slot = datetime.fromtimestamp(self.slot, timezone.utc)
        return f"job {self.job}, slot {slot:%Y-%m-%d %H:%M:%S}, fence {self.fence}, {self.node} ({self.pid})"


def lines(evidence: Path) -> list[str]:
    """Return the lines that are written; of one that crosses a page of the file, a reader may see the half."""
    written = evidence.read_text() if evidence.exists() else ""
    return written[: written.rfind("\n") + 1].splitlines()


def is_torn(evidence: Path) -> bool:
    """Tell whether the file, to which nobody writes any more, ends within a line."""
    written = evidence.read_text() if evidence.exists() else ""
    return written != "" and not written.endswith("\n")


def runs(evidence: Path) -> list[Run]:
    """Return the runs that the file tells of, in the order in which they began."""
    begun: dict[tuple[int, int, int, int], Run] = {}
    every: list[Run] = []
    for line in lines(evidence):
        job, slot, fence, node, pid, what, at = line.split()
        key = int(job), int(slot), int(fence), int(pid)
        if what == "begin":
            begun[key] = Run(int(job), int(slot), int(fence), node, int(pid), float(at))
            every.append(begun[key])
        else:
            begun[key].ended = float(at)
    return every


@dataclass
class Verdict:
    """What a storm came to. Without ``faults``, each promise was kept."""

    slots: int = 0
    missed: int = 0
    duplicates: int = 0
    unaccounted: int = 0
    takeovers: int = 0
    overlaps: int = 0
    winners: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, words: str) -> None:
        self.faults.append(words)

    def __str__(self) -> str:
        words = f"{self.slots} slots run, {self.missed} missed, {self.takeovers} taken over"
        return f"{words}, {len(self.winners)} nodes, {len(self.faults)} faults"


def audit(jobs: list[Job], evidence: Path, until: datetime) -> Verdict:
    """Hold the evidence and the logs of ``jobs`` against the promises.

    Each of ``jobs`` is as it was when it was made, so that its ``next_run`` is its first slot. No node works any more;
    the last one looked at ``until``, so every slot up to then has to be accounted for.
    """
    verdict = Verdict()
    ids = {job.pk for job in jobs}
    found = [run for run in runs(evidence) if run.job in ids]
    if is_torn(evidence):
        verdict.fault("the evidence ends within a line")
    logs: dict[int, list[Log]] = defaultdict(list)
    for log in Log.objects.filter(job__in=ids).order_by("job", "slot"):
        logs[log.job_id].append(log)
    now = Job.objects.in_bulk(ids)
    by_job: dict[int, list[Run]] = defaultdict(list)
    for run in found:
        by_job[run.job].append(run)
    for first in jobs:
        _at_most_once(by_job[first.pk], verdict)
        _recorded(by_job[first.pk], logs[first.pk], verdict)
        nothing_vanished(first, now[first.pk], logs[first.pk], until, verdict)
        _no_overlap(by_job[first.pk], logs[first.pk], verdict)
        only_grew(now[first.pk], logs[first.pk], verdict)
    verdict.winners = Counter(run.node for run in found)
    return verdict


def _at_most_once(found: list[Run], verdict: Verdict) -> None:
    """P1."""
    starts = Counter(run.slot for run in found)
    verdict.slots += len(starts)
    for run in found:
        if starts[run.slot] > 1:
            verdict.fault(f"started {starts[run.slot]} times: {run}")
    verdict.duplicates += len(found) - len(starts)


def _recorded(found: list[Run], logs: list[Log], verdict: Verdict) -> None:
    """P1 and P2: what ran has its log, and what the log says has run did run."""
    claims = {(int(log.slot.timestamp()), log.fence): log for log in logs if log.fence is not None}
    for run in found:
        log = claims.get((run.slot, run.fence))
        if log is None:
            verdict.unaccounted += 1
            verdict.fault(f"no log of {run}")
        elif log.node != run.node:
            verdict.fault(f"the log names {log.node} for {run}")
        elif log.status == Status.RUNNING:
            verdict.unaccounted += 1
            verdict.fault(f"running for ever: {run}")
    ran = {(run.slot, run.fence) for run in found if run.ended is not None}
    for key, log in claims.items():
        if log.status == Status.SUCCEEDED and key not in ran:
            verdict.fault(f"succeeded without having run: {log}, fence {log.fence}")
        if log.status == Status.LOST and ("took it over" in log.reason or "lock was lost" in log.reason):
            verdict.takeovers += 1


def nothing_vanished(first: Job, now: Job, logs: list[Log], until: datetime, verdict: Verdict) -> None:
    """P2: from the job's first slot on, each log begins where the one before ended, and the last reaches ``until``."""
    schedule, before = first.get_schedule(), first.next_run - INSTANT
    for log in logs:
        expected = schedule.count_between(before, log.slot)
        if expected != log.missed + 1:
            verdict.unaccounted += abs(expected - log.missed - 1)
            verdict.fault(f"{expected} slots, {log.missed + 1} accounted for: {log}")
        verdict.missed += log.missed + (log.status == Status.MISSED)
        before = log.slot
    if skipped := schedule.count_between(before, now.next_run - INSTANT):
        verdict.unaccounted += skipped
        verdict.fault(f"{skipped} slots skipped before {now.next_run} of job {first.pk}")
    if waiting := schedule.count_between(now.next_run - INSTANT, until):
        verdict.unaccounted += waiting
        verdict.fault(f"{waiting} slots of job {first.pk} from {now.next_run} on are due, and nobody took them")


def _no_overlap(found: list[Run], logs: list[Log], verdict: Verdict) -> None:
    """P3: two runs of a job are at work at a time only if the first had lost its lock."""
    lost = {log.fence for log in logs if log.status == Status.LOST}
    ordered = sorted(found, key=lambda run: run.began)
    for run, following in pairwise(ordered):
        if run.ended is not None and run.ended > following.began:
            verdict.overlaps += 1
            if run.fence not in lost:
                verdict.fault(f"{following} began before the end of {run}")


def only_grew(now: Job, logs: list[Log], verdict: Verdict) -> None:
    """The fencing token counts the claims, and they came in the order of the slots."""
    fences = [log.fence for log in logs if log.fence is not None]
    if fences != list(range(1, now.fence + 1)):
        verdict.fault(f"of job {now.pk}'s {now.fence} claims, these have logs, in the order of the slots: {fences}")
    if now.lock is not None:
        verdict.fault(f"job {now.pk} is still locked, by {now.locked_by}")
