"""What is wrong with a job that somebody entered?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.utils.translation import gettext as _

from cronkite import schedules
from cronkite.code import arguments, calls, commands, functions, groups, labels, pings, tasks, wishes
from cronkite.code.declarations import MOST_SECONDS
from cronkite.database import clock
from cronkite.exceptions import FunctionError, ScheduleError
from cronkite.models import primary, rhythm
from cronkite.models.fields import Unreadable, is_storable
from cronkite.models.rhythm import SEEDED_BY
from cronkite.models.ways import OnLost, Overlap, RetryUntil, RunMode
from cronkite.schedules import chosen
from cronkite.schedules.catch_up import NONE_GRACE, CatchUp

if TYPE_CHECKING:
    from cronkite.models.jobs import Job

T = TypeVar("T")

#: What decides when a job runs, and what.
DECIDING = frozenset(["schedule", "timezone", "enabled", "function"])
#: What is a text, whatever a database would make of something else.
TEXTS = {
    "function": "shop.crontab.send_invoices",
    "schedule": "0 3 * * *",
    "timezone": "Europe/Berlin",
    "backend": "default",
    "queue": "default",
}
#: What is one of a few words.
WORDS: dict[str, type[Enum]] = {
    "catch_up": CatchUp,
    "run_mode": RunMode,
    "overlap": Overlap,
    "retry_until": RetryUntil,
    "on_lost": OnLost,
}
#: What is kept in one of the ways in which people write it; what is none is refused.
CANONICAL: dict[str, Callable[[Any], str]] = {
    "labels": labels.canonical,
    "group": groups.canonical,
    "alert": wishes.canonical,
    "ping": pings.canonical,
}
#: How many slots are looked at for the shortest time between two.
SLOTS = 50
#: What says how a job is handed over.
HANDING = ("run_mode", "backend", "queue", "priority")


def demand_values(model: type[Job], values: Mapping[str, Any]) -> None:
    """Raise what :func:`demand` raises, of values that many jobs are to have; expressions may be among those of texts
    and numbers that decide nothing."""
    known = {name: value for name, value in values.items() if name in model.DEFINITION}
    refuse_expressions({name: value for name, value in known.items() if name in DECIDING})
    plain = {name: value for name, value in known.items() if not hasattr(value, "resolve_expression")}
    demand(model(**plain), plain)


def refuse_expressions(values: Mapping[str, Any]) -> None:
    """Raise :class:`TypeError` for an expression: what it comes to is known to the database alone, so nothing can be
    planned by it."""
    if unknown := sorted(name for name, value in values.items() if hasattr(value, "resolve_expression")):
        raise TypeError(f"A job's {' and '.join(unknown)} can't be set by an expression: set a value, and save() it.")


def demand(job: Job, columns: Collection[str]) -> None:
    """Raise :class:`ValueError` for what could be stored, and never run, whatever code and machine.

    And :class:`TypeError` for an expression where the plan, or who may be called, follows from it.
    """
    refuse_expressions({column: getattr(job, column) for column in DECIDING & {*columns}})
    if chosen.is_in(str(job.schedule)):
        refuse_expressions({column: getattr(job, column) for column in SEEDED_BY if column in columns})
    for column, example in TEXTS.items():
        if column in columns and not isinstance(value := getattr(job, column), str):
            raise ValueError(f"A job's {column} is a text, as in {example!r}, and not {value!r}.")
    for column, words in WORDS.items():
        known = [str(word.value) for word in words]
        if column in columns and getattr(job, column) not in known:
            raise ValueError(f"A job's {column} is {', '.join(known)}, and not {getattr(job, column)!r}.")
    for column, canonical in CANONICAL.items():
        if column in columns:
            canonical(getattr(job, column))
    if "args" in columns and not isinstance(job.args, (list, tuple, Unreadable)):
        raise ValueError(f"A job's args must be a list, not {type(job.args).__name__}.")
    if "kwargs" in columns and not isinstance(job.kwargs, (dict, Unreadable)):
        raise ValueError(f"A job's kwargs must be a dict, not {type(job.kwargs).__name__}.")


def problems(job: Job, fields: Collection[str]) -> dict[str, str]:
    """Return what is wrong with those of ``fields`` that need more than a look at their type: a sentence for each.

    What a field cannot be judged without is left alone too if it is not among ``fields``: it may be wrong itself.
    """
    found = _wrong_json(job) | _wrong_function(job) | _wrong_schedule(job) | _wrong_seconds(job) | _wrong_retries(job)
    if not found.keys() & {"args", "kwargs", "function"} and {"args", "kwargs", "function"} <= {*fields}:
        misfit = _misfit(job)
        # A command that may not be run is told of once, where it is named.
        found |= misfit if misfit and job.function == commands.CALL else misfit | _wrong_handing(job)
    return {field: problem for field, problem in found.items() if field in fields}


def unsettled(job: Job, errors: Mapping[str, T]) -> dict[str, T]:
    """Return those of the ``errors``, by field, that stand in the way of saving ``job``.

    What was there before is not judged anew, as ``save()`` does not: a job whose code is gone, or that is known to
    newer code or to another machine only, must not resist being disabled, nor being edited here.
    """
    stored = type(job).objects.filter(pk=job.pk).first() if errors else None
    if stored is None:
        return dict(errors)
    settled = {field for field in errors if getattr(job, field, None) == getattr(stored, field, job)}
    if job.enabled and rhythm.of(job) != rhythm.of(stored):
        # The job is to be planned anew, by both.
        settled -= {"schedule", "timezone"}
    return {field: error for field, error in errors.items() if field not in settled}


def _wrong_json(job: Job) -> dict[str, str]:
    found = {}
    if not isinstance(job.args, list):
        found["args"] = _('This must be a JSON list, as in ["a", 1].')
    if not isinstance(job.kwargs, dict):
        found["kwargs"] = _('This must be a JSON object, as in {"a": 1}.')
    for field, value in (("args", job.args), ("kwargs", job.kwargs)):
        if field not in found and not is_storable(value):
            found[field] = _(
                "This cannot be stored: JSON has no NaN and no Infinity, and databases take no NUL character."
            )
    return found


def _wrong_seconds(job: Job) -> dict[str, str]:
    """SQLite's columns hold more than the other databases' do, and more than Python's durations."""
    message = _("This is too long: at most %(most)d seconds.") % {"most": MOST_SECONDS}
    return {
        field: message
        for field, value in (
            ("grace", job.grace),
            ("timeout", job.timeout),
            ("retry_delay", job.retry_delay),
            ("jitter", job.jitter),
        )
        if (value or 0) > MOST_SECONDS
    }


def _wrong_retries(job: Job) -> dict[str, str]:
    if job.on_lost == OnLost.RETRY and not job.retries:
        return {"on_lost": _("To try a slot again whose run was lost takes a number of retries: 1, at least.")}
    return {}


def _wrong_function(job: Job) -> dict[str, str]:
    if not job.function:
        return {}
    try:
        functions.look_up(job.function)
    except FunctionError as error:
        return {"function": str(error)}
    return {}


def _misfit(job: Job) -> dict[str, str]:
    """Say whether the arguments are such that the function can be called with them."""
    try:
        function = functions.look_up(job.function)
    except FunctionError:
        return {}
    problem = arguments.problem(job.function, function, job.args, job.kwargs)
    if problem is None:
        return {}
    if job.function == commands.CALL:
        return {"kwargs" if job.kwargs else "args": problem}
    culprit = "kwargs" if job.kwargs and calls.signature_problem(function, job.args, {}) is None else "args"
    return {culprit: problem}


def _wrong_handing(job: Job) -> dict[str, str]:
    """Say why it can't be handed over so: at the first field that says how, or at the function."""
    problem = tasks.problem(job, functions.look_up)
    if not problem:
        return {}
    said = [field for field in HANDING if getattr(job, field) not in {"", None, RunMode.AUTOMATIC}]
    return {said[-1] if said else "function": problem}


def _wrong_schedule(job: Job) -> dict[str, str]:
    found = {}
    zone = job.timezone or settings.TIME_ZONE
    for field, expression, name in (("schedule", job.schedule, "UTC"), ("timezone", "@daily", zone)):
        try:
            schedules.get(expression, name)
        except ScheduleError as error:
            found[field] = error.sentence
    if not found:
        try:
            # It may name only times that its zone's clock always skips. Whichever 50 years are looked at makes no
            # difference to that, so this node's own clock will do.
            schedule = job.get_schedule()
            # Only of a one-off does it make a difference, and then it is the database's that counts.
            now = clock.now(primary.alias()) if schedule.is_once else datetime.now(timezone.utc)
            schedule.next_after(now)
        except ScheduleError as error:
            found["schedule"] = error.sentence
    return found or _wrong_jitter(job)


def _wrong_jitter(job: Job) -> dict[str, str]:
    """Say whether a slot would be begun when the next one has come, or when it is too old to be run."""
    if not job.jitter:
        return {}
    grace = NONE_GRACE.total_seconds() if job.catch_up == CatchUp.NONE and job.grace is None else job.grace
    if grace is not None and job.jitter > grace:
        said = _("The jitter is longer than the grace of %(grace)d seconds: slots would be too old to be run.")
        return {"jitter": said % {"grace": grace}}
    schedule, slot = job.get_schedule(), datetime.now(timezone.utc)
    try:
        slots = [slot := schedule.next_after(slot) for _unused in range(SLOTS)]
    except (ScheduleError, OverflowError):
        return {}
    shortest = min((after - before).total_seconds() for before, after in pairwise(slots))
    if job.jitter >= shortest:
        said = _("The jitter must be shorter than the time between two slots, which is %(time)d seconds.")
        return {"jitter": said % {"time": shortest}}
    return {}
