"""What would a tick claim now?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cronkite import conf
from cronkite.exceptions import ScheduleError
from cronkite.models import Job, primary
from cronkite.models.queries import is_free
from cronkite.reports import hindrances
from cronkite.schedules import catch_up


def lines() -> Iterator[str]:
    """Yield a line for each job that is due, falls due within the lookahead or was asked for, and one with the sums."""
    every = Job.objects.using(primary.alias())
    jobs = list(every.queue(conf.get().lookahead))
    for job in jobs:
        yield f"{job.name} ({job.what}): {_verdict(job)}"
    asked = list(every.agenda().filter(is_free(conf.get().lock_timeout), asked_at__isnull=False))
    for job in asked:
        yield f"{job.name} ({job.what}): {_verdict_on_request(job)}"
    sums = ", ".join(f"{len(found)} {how}" for found, how in ((jobs, "due"), (asked, "asked for")) if found)
    yield f"{sums}. Nothing was changed." if sums else "Nothing is due."


def _verdict_on_request(job: Job) -> str:
    # A run that somebody asked for has no slot, and no need of a schedule.
    if problem := hindrances.of_function(job.callee):
        return f"would not run. {problem}"
    return f"would run, asked for by {job.asked_by}"


def _verdict(job: Job) -> str:
    assert job.pending is not None
    # A slot that the tick would wait for is judged as if it had come.
    now = max(job.now, job.pending.next_run)
    if problem := hindrances.of(job):
        return f"would not run. {problem}"
    try:
        decision = catch_up.decide(job.get_schedule(), job.get_policy(), job.get_grace(), job.pending, now)
    except ScheduleError as error:  # none within 50 years, such as of a time that a change of the zone's rules skips
        return f"would not run. {error.sentence}"
    verdict = f"would run slot {_utc(decision.slot)}" if decision.slot else "would not run"
    if decision.missed:
        verdict += f", {decision.missed} missed before it ({decision.reason})"
    return f"{verdict}; {f'next {_utc(decision.next_run)}' if decision.next_run else 'then it is done'}"


def _utc(slot: datetime) -> str:
    return f"{slot:%Y-%m-%d %H:%M:%S} UTC"
