"""What do the entries of django-crontab's ``CRONJOBS`` become?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from cronkite.importing import commands
from cronkite.importing.planned import Given, NothingToRead, Plan, Planned

TITLE = "django-crontab"
WHERE = ""
TAKES = ("timezone",)
AWAY = "Have `manage.py crontab remove` take the lines out, on every machine, and then empty CRONJOBS."

CALL_COMMAND = "django.core.management.call_command"
#: What calls a command of ``manage.py`` as a job.
COMMAND = "cronkite.commands.call"


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each entry."""
    entries = getattr(settings, "CRONJOBS", None)
    if entries is None:
        raise NothingToRead("The settings have no CRONJOBS.")
    for number, entry in enumerate(entries, start=1):
        yield _planned(entry, number, given.timezone)


def _planned(entry: Any, number: int, timezone: str) -> Planned:
    plan = Plan(TITLE, f"entry {number}")
    try:
        schedule, function, args, kwargs, suffix = _parts(entry)
    except (TypeError, ValueError):
        plan.problems.append(f"It is no entry that django-crontab takes: {entry!r}.")
        return plan.done()
    plan.name = function.rpartition(".")[2]
    if function == CALL_COMMAND:
        _put_command(plan, args, kwargs)
    else:
        plan.call(function, args, kwargs)
    plan.columns |= {"schedule": schedule, "timezone": timezone}
    called = [json.dumps(plan.columns[name]) for name in ("args", "kwargs") if plan.columns.get(name)]
    plan.key = " ".join(filter(None, [schedule, timezone, function, *called]))
    if suffix or getattr(settings, "CRONTAB_COMMAND_SUFFIX", "") or getattr(settings, "CRONTAB_COMMAND_PREFIX", ""):
        plan.notes.append("What was put around its line is left out; what it writes is in the log of each run.")
    if other := getattr(settings, "CRONTAB_DJANGO_SETTINGS_MODULE", None):
        plan.problems += commands.other_settings(other)
    return plan.done()


def _parts(entry: Any) -> tuple[str, str, Sequence[Any], Mapping[str, Any], str]:
    """Return schedule, function, args, kwargs and suffix; raises ``ValueError`` or ``TypeError``."""
    schedule, function, *rest = entry
    if not isinstance(schedule, str) or not isinstance(function, str):
        raise TypeError(entry)
    if rest and isinstance(rest[0], str):
        return schedule, function, [], {}, rest[0]
    parts = [*rest, *([], {}, "")[len(rest) :]]
    args, kwargs, suffix = parts[:3]
    return schedule, function, list(args), dict(kwargs), str(suffix)


def _put_command(plan: Plan, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Have it call a command of ``manage.py``, with its options as on the command line."""
    words = [str(each) for each in args]
    for name, value in kwargs.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, (list, tuple, dict)):
            plan.problems.append(f"Its option {name} has several values: write them as arguments.")
        elif value is True:
            words.append(option)
        elif value is not False and value is not None:
            words.append(f"{option}={value}")
    plan.name = " ".join(words) or plan.name
    plan.call(COMMAND, words)
