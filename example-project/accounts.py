"""What was due, and what became of it? The example's bookkeeping, by three sources that know nothing of each other.

What was due follows from the schedules alone, read by this module's own few lines; what became of it from the logs; and
what really ran from the journal, a file into which the jobs themselves write.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

SECOND = timedelta(seconds=1)
#: How an Entry's ``ended`` says that no run was made of the slot.
MISSED = "missed"


@dataclass(frozen=True)
class Window:
    """The time in which the jobs were enabled, by the database's clock.

    Each job was enabled between the two instants of ``opened``, and disabled between the two of ``closed``. A slot in
    the middle of these was due; of one that fell in between two instants, which take some milliseconds, nobody can say.
    """

    opened: tuple[datetime, datetime]
    closed: tuple[datetime, datetime]

    def due(self, schedule: str) -> list[datetime]:
        """Return the slots that were due."""
        return list(slots(schedule, self.opened[1], self.closed[0]))

    def doubtful(self, schedule: str) -> list[datetime]:
        """Return the slots that may have been due."""
        return [*slots(schedule, *self.opened), *slots(schedule, *self.closed)]


@dataclass(frozen=True)
class Entry:
    """What the logs say of one slot of one job.

    ``late`` is how long (seconds) after its slot the run began. ``reason`` is why it was missed, or did not succeed. If
    the slot was handed over, ``node`` has done so, the ``task`` is what the engine got, and ``worker`` ran it.
    """

    job: str
    slot: datetime
    ended: str
    node: str = ""
    late: float = 0.0
    reason: str = ""
    task: str = ""
    worker: str = ""


@dataclass(frozen=True)
class Account:
    """The sums for one job. ``twice`` and ``unaccounted`` name what must not be."""

    job: str
    schedule: str
    due: int
    ended: Counter[str]
    nodes: Counter[str]
    workers: Counter[str]
    twice: list[str]
    unaccounted: list[str]

    @property
    def run(self) -> int:
        """How many slots were run, however the runs ended."""
        return sum(self.ended.values()) - self.ended[MISSED]


def slots(schedule: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots with ``after < slot <= until`` of a schedule such as ``* * * * * */5``.

    Only the seconds may be other than ``*``, and only ``*`` or ``*/N``: that is all that this example's jobs need.

    >>> noon = datetime(2026, 1, 1, 12)
    >>> [slot.second for slot in slots("* * * * * */20", noon, noon + 60 * SECOND)]
    [20, 40, 0]
    """
    step = re.fullmatch(r"\* \* \* \* \* \*(?:/(\d+))?", schedule)
    if step is None:
        raise ValueError(f"This example can count the slots of '* * * * * */N', not of {schedule!r}.")
    slot = after.replace(microsecond=0) + SECOND
    while slot <= until:
        if slot.second % int(step[1] or 1) == 0:
            yield slot
        slot += SECOND


def slots_before(schedule: str, slot: datetime, count: int) -> list[datetime]:
    """Return the last ``count`` slots before ``slot``, oldest first."""
    # The steps divide the minute, so that no slot is more than a minute after the one before.
    found = list(slots(schedule, slot - (count + 1) * 60 * SECOND, slot - SECOND))
    return found[len(found) - count :]


def read_logs(logs: Iterable, schedules: dict[str, str]) -> list[Entry]:
    """Return an entry for each slot that the logs account for: a log may stand for a whole stretch of missed ones."""
    entries = []
    for log in logs:
        schedule = schedules[log.job_name]
        missed = slots_before(schedule, log.slot, log.missed) + [log.slot] * (log.status == MISSED)
        entries += [Entry(log.job_name, slot, MISSED, reason=log.reason) for slot in missed]
        if log.status != MISSED:
            # A task that is not known to have ended has not begun, as far as the log knows.
            late = (log.started_at - log.slot).total_seconds() if log.started_at else 0.0
            # A traceback's last line says what was raised.
            reason = (log.exc_info.strip().splitlines() or [log.reason])[-1]
            said = (log.job_name, log.slot, log.status, log.node, late, reason)
            entries.append(Entry(*said, task=log.task_id, worker=log.worker))
    return sorted(entries, key=lambda entry: (entry.slot, entry.job))


def read_journal(path: Path) -> Counter[tuple[str, datetime]]:
    """Return how often each slot of each job was run, as the jobs' own lines tell."""
    lines = path.read_text().splitlines() if path.exists() else []
    words = [line.split() for line in lines]
    return Counter((job, datetime.fromisoformat(slot)) for job, slot, _node, _process in words)


def read_tasks(path: Path, entries: list[Entry]) -> tuple[Counter[tuple[str, datetime]], list[str]]:
    """Return how often each slot of each job was run, as the tasks' own lines tell, and what can't be right.

    A task's line has its id, and the logs say for which slot it was handed over. A slot that was handed over twice has
    a task of which no log knows.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    known = {entry.task: entry for entry in entries if entry.task}
    runs: Counter[tuple[str, datetime]] = Counter()
    problems = []
    for job, task, worker, _process in map(str.split, lines):
        entry = known.get(task)
        if entry is None or entry.job != job:
            problems.append(f"{job}: {worker} ran the task {task}, and no log says so")
            continue
        runs[job, entry.slot] += 1
        if entry.worker != worker:
            problems.append(f"{job}: {entry.slot:%X} was run by {worker}, and its log says by {entry.worker or 'none'}")
    return runs, problems


def settle(
    schedules: dict[str, str], window: Window, entries: list[Entry], journal: Counter[tuple[str, datetime]]
) -> list[Account]:
    """Compare the three sources, job by job."""
    accounts = []
    for job, schedule in schedules.items():
        own = [entry for entry in entries if entry.job == job]
        logged = Counter(entry.slot for entry in own)
        run = {entry.slot for entry in own if entry.ended != MISSED}
        noted = Counter({slot: count for (name, slot), count in journal.items() if name == job})
        due = set(window.due(schedule)) | (set(window.doubtful(schedule)) & set(logged))
        accounts.append(
            Account(
                job=job,
                schedule=schedule,
                due=len(due),
                ended=Counter(entry.ended for entry in own),
                nodes=Counter(entry.node for entry in own if entry.node),
                workers=Counter(entry.worker for entry in own if entry.worker),
                twice=[f"{slot:%X} ran {count} times" for slot, count in sorted(noted.items()) if count > 1],
                unaccounted=[
                    *[f"{slot:%X} was due, and no log says so" for slot in sorted(due - set(logged))],
                    *[f"{slot:%X} has a log, and was not due" for slot in sorted(set(logged) - due)],
                    *[f"{slot:%X} is accounted for twice" for slot in sorted(logged) if logged[slot] > 1],
                    *[f"{slot:%X} ran, and no log says so" for slot in sorted(set(noted) - run)],
                    *[f"{slot:%X} did not run, and its log says it did" for slot in sorted(run - set(noted))],
                ],
            )
        )
    return accounts
