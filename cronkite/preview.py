"""What would a tick claim now?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cronkite import catch_up, conf, functions, locks
from cronkite.catch_up import CatchUp
from cronkite.exceptions import FunctionError, ScheduleError
from cronkite.models import Job


def lines() -> Iterator[str]:
    """Yield a line for each job that is due or falls due within the lookahead, and a last one with their number."""
    jobs = list(Job.objects.using(locks.database()).queue(conf.get().lookahead))
    for job in jobs:
        yield f"{job.name} ({job.function}): {_verdict(job)}"
    yield f"{len(jobs)} due. Nothing was changed." if jobs else "Nothing is due."


def _verdict(job: Job) -> str:
    assert job.pending is not None
    # A slot that the tick would wait for is judged as if it had come.
    now = max(job.now, job.pending.next_run)
    try:
        functions.resolve(job.function)
        decision = catch_up.decide(job.get_schedule(), CatchUp(job.catch_up), job.get_grace(), job.pending, now)
    except (FunctionError, ScheduleError) as error:
        return f"would not run. {error}"
    verdict = f"would run slot {_utc(decision.slot)}" if decision.slot else "would not run"
    if decision.missed:
        verdict += f", {decision.missed} missed before it ({decision.reason})"
    return f"{verdict}; next {_utc(decision.next_run)}"


def _utc(slot: datetime) -> str:
    return f"{slot:%Y-%m-%d %H:%M:%S} UTC"
