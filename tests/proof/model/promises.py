"""Do the tables keep the promises? What they hold, against what the model says has happened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobRow:
    """A row of the table of jobs, as far as nodes keep it."""

    enabled: bool
    next_run: float | None
    last_slot: float | None
    fence: int
    is_locked: bool
    locked_by: str
    locked_at: float | None


@dataclass(frozen=True)
class LogRow:
    """A row of the table of logs."""

    job: str
    slot: float | None
    missed: int
    fence: int | None
    node: str
    status: str
    has_job: bool


def check(world, runs, jobs, logs, before):
    """Hold the tables to the promises.

    ``jobs`` are the rows by name, ``logs`` those of this history in the order of their insertion, ``before`` the rows
    of jobs at the check before, and ``runs`` all that were started.
    """
    assert set(jobs) == {job.name for job in world.alive()}, "a job is gone, or there is one too many"
    by_job = {name: [log for log in logs if log.job == name] for name in world.jobs}
    for name, job in world.jobs.items():
        row = jobs.get(name)
        check_starts(by_job[name], [run for run in runs if run.job == name])
        check_accounts(job, by_job[name], row)
        assert all(log.has_job is not job.is_deleted for log in by_job[name]), f"{name}: a log of another job"
        if row is not None:
            check_lock(job, row, by_job[name])
            check_growth(before.get(name), row)


def check_starts(logs, runs):
    """P1: no slot was started twice, and each start has its log."""
    started = [log.slot for log in logs if log.fence is not None and log.slot is not None]
    assert len(started) == len(set(started)), f"P1: a slot was started twice: {started}"
    told = {log.fence: (log.slot, log.node, log.status) for log in logs if log.fence is not None}
    assert len(told) == len(runs), "P1: a claim was made twice"
    assert told == {run.fence: (run.slot, run.node, run.status) for run in runs}, "P2: a log tells of another run"


def check_accounts(job, logs, row):
    """P2: runs + missed = slots, in each time in which the job was enabled: no hole, and no slot twice."""
    rows = [log for log in logs if log.slot is not None]
    for span in job.spans:
        slots, position = span.definition.slots, span.after
        while rows and (span.until is None or slots.first_after(position) <= span.until):
            log = rows.pop(0)
            owed = slots.between(position, log.slot)
            assert log.slot in owed[-1:], f"P2: {log} is accounted for twice, or was never a slot"
            assert len(owed) == log.missed + 1, f"P2: {log} accounts for {log.missed + 1} slots of {len(owed)}"
            position = log.slot
        if span.until is not None:
            lacking = len(slots.between(position, span.until))
            assert not lacking, f"P2: {lacking} slots vanished before the job was changed"
        elif row is not None:
            assert row.next_run == slots.first_after(position), "P2: slots vanish, or come twice: next_run is wrong"
    assert not rows, f"P2: nobody owed {rows}"


def check_lock(job, row, logs):
    """P3: the one run that is live holds the lock, and nobody else does."""
    running = [log.fence for log in logs if log.status == "running"]
    holder = job.holder
    assert running == ([holder.fence] if holder else []), f"P3: {running} are live"
    assert row.is_locked is (holder is not None), "P3: the lock was taken from its holder, or was not given back"
    assert (row.locked_by, row.locked_at) == ((holder.node, holder.seen_at) if holder else ("", None)), (
        "P3: not the holder's lock"
    )
    assert row.fence == job.fence, "P3: the fencing token is not the number of claims"
    assert (row.enabled, row.next_run) == (job.definition.enabled, job.next_slot), "P2: another plan than the model's"
    assert row.last_slot == job.newest, "P2: last_slot is not the newest slot that is accounted for"


def check_growth(before, row):
    """What may only grow has not shrunk."""
    if before is not None:
        assert row.fence >= before.fence, "P3: the fencing token went back"
        assert before.last_slot is None or row.last_slot >= before.last_slot, "P1: last_slot went back"
