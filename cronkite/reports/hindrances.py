"""What keeps a job from running on this machine?"""

from __future__ import annotations

from cronkite.code import functions
from cronkite.exceptions import FunctionError, ScheduleError
from cronkite.models import Job


def of(job: Job) -> str:
    """Return what keeps nodes on this machine from running the slots of ``job``, in sentences; nothing if they can."""
    return " ".join(filter(None, [of_schedule(job), of_function(job.callee)]))


def of_schedule(job: Job) -> str:
    """Return what is wrong with the schedule, its zone or the catch-up: code or data of another machine may know it."""
    try:
        job.get_schedule()
        job.get_policy()
    except ScheduleError as error:
        return error.sentence
    return ""


def of_function(dotted: str) -> str:
    """Return why what ``dotted`` leads to, a job's ``callee``, can't be called here; nothing if it can."""
    try:
        functions.look_up(dotted)
    except FunctionError as error:
        return str(error)
    return ""
