"""What was handed over in a storm: the engine's own table and the evidence of its workers, held against the logs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django_tasks_db.models import DBTaskResult

from cronkite.models import Job, Log
from cronkite.models.logs import Status
from proof.race import ledger
from proof.race.ledger import Verdict

#: What a log says of a task, by the state that its engine has it in.
SAID = {"READY": Status.HANDED_OVER, "RUNNING": Status.HANDED_OVER, "SUCCESSFUL": Status.SUCCEEDED}


@dataclass
class Handed(Verdict):
    """What a storm of hand-offs came to; ``slots`` are those that were handed over."""

    #: The engine's tasks, by their states.
    tasks: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        tasks = ", ".join(f"{number} {state}" for state, number in sorted(self.tasks.items()))
        return f"{self.slots} slots handed over, {self.missed} missed, tasks: {tasks}, {len(self.faults)} faults"


def begun(evidence: Path) -> Counter[str]:
    """Return how often each task was begun, by its id."""
    return Counter(task_id for task_id, what in map(str.split, ledger.lines(evidence)) if what == "begin")


def audit(jobs: list[Job], evidence: Path, until: datetime) -> Handed:
    """Hold the engine's table, the evidence and the logs of ``jobs`` against promise P7, and P2.

    ``jobs`` are as they were when they were made; no node works any more, and each slot up to ``until`` has to be
    accounted for.
    """
    verdict = Handed()
    queued = dict(DBTaskResult.objects.values_list("id", "status"))
    states = {str(task_id): status for task_id, status in queued.items()}
    verdict.tasks = Counter(states.values())
    logs: dict[int, list[Log]] = defaultdict(list)
    for log in Log.objects.filter(job__in=jobs).order_by("job", "slot"):
        logs[log.job_id].append(log)
    claims = [log for found in logs.values() for log in found if log.fence is not None]
    verdict.slots = len(claims)
    _once(claims, states, verdict)
    if ledger.is_torn(evidence):
        verdict.fault("the evidence ends within a line")
    for task_id, times in begun(evidence).items():
        if times > 1:
            verdict.duplicates += times - 1
            verdict.fault(f"the engine began the task {task_id} {times} times")
    now = Job.objects.in_bulk()
    for first in jobs:
        ledger.nothing_vanished(first, now[first.pk], logs[first.pk], until, verdict)
        ledger.only_grew(now[first.pk], logs[first.pk], verdict)
    return verdict


def _once(claims: list[Log], states: dict[str, str], verdict: Handed) -> None:
    """P7: each log has its own task, and each task its log, which tells what became of it."""
    logs = Counter(log.task_id for log in claims)
    for log in claims:
        if log.task_id not in states:
            verdict.unaccounted += 1
            verdict.fault(f"no task of {log}, fence {log.fence}, {log.status}: {log.reason}")
        elif log.status != SAID[states[log.task_id]]:
            verdict.fault(f"{log} is {log.status}, and its task {states[log.task_id]}")
    for task_id, state in states.items():
        if logs[task_id] != 1:
            verdict.duplicates += 1
            verdict.fault(f"the task {task_id} ({state}) has {logs[task_id]} logs")
