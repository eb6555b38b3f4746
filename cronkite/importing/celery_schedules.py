"""How are Celery's schedules, tasks and options said here?"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from celery import current_app, schedules

from cronkite.exceptions import ScheduleError
from cronkite.importing import instants
from cronkite.importing.planned import Plan
from cronkite.schedules import expressions

#: The fields of ``crontab()``, in our order: how what they name is called here, and all that they can name there.
FIELDS = {
    "minute": ("minutes", range(60)),
    "hour": ("hours", range(24)),
    "day_of_month": ("days", range(1, 32)),
    "month_of_year": ("months", range(1, 13)),
    "day_of_week": ("weekdays", range(7)),
}
#: What of a task's options a job has; the others are left out, and told.
OPTIONS = frozenset({"queue", "priority", "expires"})


def app() -> Any:
    """Return the project's app, with its tasks known; raises what its modules raise."""
    found = current_app._get_current_object()  # noqa: SLF001 - as Celery's own extensions do
    found.loader.import_default_modules()
    found.finalize()
    return found


def put_schedule(plan: Plan, schedule: Any, zone: str) -> None:
    """Have the job run when ``schedule`` says, whose clock is that of ``zone``."""
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        schedule = timedelta(seconds=schedule)
    if isinstance(schedule, timedelta):
        instants.put_every(plan, schedule)
    elif isinstance(schedule, schedules.crontab):
        _put_crontab(plan, schedule, zone)
    elif isinstance(schedule, schedules.solar):
        plan.problems.append("It goes by the sun, and no schedule here does.")
    elif type(schedule) is schedules.schedule:
        instants.put_every(plan, schedule.run_every)
    else:
        plan.problems.append(f"Its schedule is a {type(schedule).__name__}, which there is none of here.")


def _put_crontab(plan: Plan, crontab: Any, zone: str) -> None:
    words = [_word(str(getattr(crontab, f"_orig_{name}")), getattr(crontab, name), name) for name in FIELDS]
    day, weekday = words[2], words[4]
    if not day.startswith("*") and not weekday.startswith("*"):
        plan.problems.append(
            f"There both days must match, and here either does: {day!r} of the month and {weekday!r} of the week. "
            "Import it with one of them alone, and have the function return on the other days."
        )
    plan.columns["schedule"] = " ".join(words)
    plan.columns["timezone"] = instants.zone_of(zone)


def _word(written: str, numbers: Iterable[int], name: str) -> str:
    """Return a field as it is written, if it says the same here, or else its numbers."""
    called, every = FIELDS[name]
    named, text = sorted(numbers), "".join(written.split())
    if named == [*every]:
        return "*"
    alone = " ".join(text if each == name else "*" for each in FIELDS)
    try:
        if [*getattr(expressions.parse(alone), called, ())] == named:
            return text
    except ScheduleError:
        pass
    return _list(named)


def _list(numbers: list[int]) -> str:
    """Return the numbers with ranges where there are three and more in a row.

    >>> _list([1, 2, 3, 5, 7, 8])
    '1-3,5,7,8'
    """
    rows: list[list[int]] = []
    for number in numbers:
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    few = 2
    return ",".join(f"{row[0]}-{row[-1]}" if len(row) > few else ",".join(map(str, row)) for row in rows)


def put_task(plan: Plan, known: Mapping[str, Any], name: str, args: Any, kwargs: Any) -> None:
    """Have the job call the task of that name, one of those that are ``known`` to the app, with the arguments."""
    function = name
    if name.startswith("celery."):
        plan.problems.append("It is a task of Celery's own, in no app. Write a function that does the same.")
    elif (task := known.get(name)) is not None:
        function = _leads_to(task)
        if not function:
            plan.problems.append(f"Nothing in the module {task.__module__} leads to it: give the task a name there.")
    elif "." not in name:
        plan.problems.append(f"No task is called {name!r} here. Import where the project's tasks are.")
    plan.call(function, args, kwargs)


def _leads_to(task: Any) -> str:
    """Return the dotted name that leads to a task; nothing if there is none."""
    module = sys.modules.get(task.__module__)
    names = [getattr(task, "__name__", ""), *(vars(module) if module else ())]
    for name in names:
        if not name.startswith("_") and getattr(getattr(module, name, None), "name", None) == task.name:
            return f"{task.__module__}.{name}"
    return ""


def put_options(plan: Plan, options: Mapping[str, Any]) -> None:
    """Have the job sent with the options that it can have."""
    if queue := options.get("queue"):
        plan.columns["queue"] = getattr(queue, "name", queue)
    if options.get("priority") is not None:
        plan.columns["priority"] = options["priority"]
    expires = options.get("expires")
    if isinstance(expires, timedelta):
        expires = expires.total_seconds()
    if isinstance(expires, datetime):
        plan.notes.append(f"Its messages expire at {expires.isoformat()}: disable the job then.")
    elif expires is not None:
        plan.columns |= {"catch_up": "none", "grace": max(1, round(float(expires)))}
        plan.notes.append(f"Its messages expire after {expires} s: here, a slot is not begun later than that.")
    if others := sorted(name for name, value in options.items() if name not in OPTIONS and value not in (None, {}, "")):
        plan.notes.append(f"Left out, as a job has none: {', '.join(others)}.")
