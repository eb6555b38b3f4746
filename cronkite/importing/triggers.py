"""How are APScheduler's triggers and options said here?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from cronkite.importing import instants, pickled
from cronkite.importing.pickled import Inert, Unpickled
from cronkite.importing.planned import Plan, Planned

#: There Monday is 0.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LAST = 5
#: The crontab fields, in their order: how they are called there, and what they go from and to.
FIELDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12)}
#: The misfire_grace_time, in seconds, of who has not thought of it.
DEFAULT_GRACE = 1


def planned(title: str, key: str, state: bytes, now: datetime) -> Planned:
    """Return what becomes of a job whose ``state`` is pickled so; nothing of it is run."""
    plan = Plan(title, key, key=key)
    try:
        job = pickled.read(state)
        return _planned(plan, job, now) or plan.done()
    except (Unpickled, KeyError, TypeError, ValueError, AttributeError) as error:
        plan.problems.append(f"It is not pickled as APScheduler 3 does it: {error}.")
        return plan.done()


def _planned(plan: Plan, job: dict[str, Any], now: datetime) -> Planned | None:
    function = str(job["func"]).replace(":", ".")
    plan.name = str(job.get("name") or plan.key)
    if plan.name == str(job["func"]).rpartition(":")[2] and not _is_random(plan.key):
        # What it is called by default says less than its id.
        plan.name = plan.key
    plan.columns["enabled"] = job.get("next_run_time") is not None
    plan.call(function, list(job.get("args") or ()), dict(job.get("kwargs") or {}))
    trigger = job["trigger"]
    kind = trigger.path.rpartition(".")[2] if isinstance(trigger, Inert) else type(trigger).__name__
    if not isinstance(trigger, Inert) or kind not in _KINDS:
        plan.problems.append(f"Its trigger is a {kind}, which there is none of here.")
        return None
    end = trigger.get("end_date")
    if end is not None and end <= now:
        return Planned(plan.source, plan.name, None, f"It was to end at {end.isoformat()}: that is past.")
    if kind == "DateTrigger" and trigger.get("run_date") <= now:
        at = trigger.get("run_date").isoformat()
        return Planned(plan.source, plan.name, None, f"It was to run once, at {at}: that is past.")
    _KINDS[kind](plan, trigger)
    _put_options(plan, job, trigger)
    return None


def _is_random(key: str) -> bool:
    return len(key) == len("0" * 32) and all(letter in "0123456789abcdef" for letter in key)


def _put_options(plan: Plan, job: dict[str, Any], trigger: Inert) -> None:
    grace = job.get("misfire_grace_time")
    if grace is not None and grace > DEFAULT_GRACE:
        plan.columns["grace"] = int(grace)
    if not job.get("coalesce") and grace != DEFAULT_GRACE:
        plan.columns["catch_up"] = "all"
    if jitter := trigger.get("jitter"):
        plan.columns["jitter"] = int(jitter)
        plan.notes.append("Its jitter is the same for each run here: it keeps jobs apart.")
    if (job.get("max_instances") or 1) > 1:
        plan.notes.append("Two of its runs could overlap there, and can't here.")
    if job.get("executor") not in (None, "default"):
        plan.notes.append(f"Its executor, {job['executor']}, is left out: nodes run it.")
    if (start := trigger.get("start_date")) is not None and "IntervalTrigger" not in trigger.path:
        plan.notes.append(f"It begins at {start.isoformat()}: enable the job then, and not before.")
    if (end := trigger.get("end_date")) is not None:
        plan.notes.append(f"It ends at {end.isoformat()}: disable the job then.")


def _put_interval(plan: Plan, trigger: Inert) -> None:
    instants.put_every(plan, trigger.get("interval") or timedelta())


def _put_date(plan: Plan, trigger: Inert) -> None:
    instants.put_at(plan, trigger.get("run_date"))


def _put_cron(plan: Plan, trigger: Inert) -> None:
    fields = {field.get("name"): field.get("expressions") or [] for field in trigger.get("fields")}
    for name in ("year", "week"):
        if not all(_is_star(each) for each in fields[name]):
            plan.problems.append(f"It names {name}s, which a schedule here can't.")
    words = [_word(fields[name], *bounds) for name, bounds in FIELDS.items()]
    weekdays = _weekdays(fields["day_of_week"])
    if places := [_place(each) for each in fields["day"] if each.path.endswith(".WeekdayPositionExpression")]:
        # "2nd tue" is of the days of the month there, and of those of the week here; of two, either does.
        if weekdays != "*":
            plan.problems.append("There both days must match, and here either does. Import it with one of them.")
        weekdays = ",".join(places)
        words[2] = words[2] or "*"
    elif not words[2].startswith("*") and not weekdays.startswith("*"):
        plan.problems.append(
            f"There both days must match, and here either does: {words[2]!r} of the month and {weekdays!r} of the "
            "week. Import it with one of them alone, and have the function return on the other days."
        )
    seconds = _word(fields["second"], 0, 59)
    plan.columns["schedule"] = " ".join([*words, weekdays, *([] if seconds == "0" else [seconds])])
    plan.columns["timezone"] = instants.zone_of(_zone(plan, trigger.get("timezone")))


_KINDS = {"CronTrigger": _put_cron, "IntervalTrigger": _put_interval, "DateTrigger": _put_date}


def _zone(plan: Plan, zone: Any) -> str:
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    if zone is timezone.utc:
        return "UTC"
    plan.problems.append(f"Its time zone, {zone}, has no name. Give it one as Europe/Berlin.")
    return ""


def _is_star(expression: Inert) -> bool:
    return expression.path.endswith(".AllExpression") and not expression.get("step")


def _word(expressions: Iterable[Inert], low: int, high: int) -> str:
    """Return a field of numbers as crontab has it; nothing if it has no numbers."""
    words = []
    for each in expressions:
        if each.path.endswith(".LastDayOfMonthExpression"):
            words.append("L")
        elif not each.path.endswith(".WeekdayPositionExpression"):
            words.append(_range(each, high))
    return ",".join(words)


def _range(expression: Inert, high: int) -> str:
    first, last, step = (expression.get(name) for name in ("first", "last", "step"))
    if first is None:
        return f"*/{step}" if step else "*"
    if last is None and not step:
        return str(first)
    last = high if last is None else last
    word = str(first) if last == first else f"{first}-{last}"
    return f"{word}/{step}" if step and last != first else word


def _weekdays(expressions: Iterable[Inert]) -> str:
    """Return the days of the week, by their names."""
    if any(_is_star(each) for each in expressions):
        return "*"
    numbers: set[int] = set()
    for each in expressions:
        first, last, step = (each.get(name) for name in ("first", "last", "step"))
        if last is None:
            last = (
                len(WEEKDAYS) - 1
                if first is None or step or not each.path.endswith("WeekdayRangeExpression")
                else first
            )
        numbers |= set(range(first or 0, last + 1, step or 1))
    if len(numbers) == len(WEEKDAYS):
        return "*"
    if sorted(numbers) == [*range(LAST)]:
        return "mon-fri"
    return ",".join(WEEKDAYS[number] for number in sorted(numbers))


def _place(expression: Inert) -> str:
    """Return ``2nd tue`` and ``last fri`` as ``2#2`` and ``5L``."""
    weekday = (expression.get("weekday") + 1) % len(WEEKDAYS)
    number = expression.get("option_num")
    return f"{weekday}L" if number == LAST else f"{weekday}#{number + 1}"
