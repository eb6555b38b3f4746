"""What does code say about its jobs?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from functools import partial
from inspect import getdoc, isclass
from types import ModuleType
from typing import Any, Literal, Protocol, TypeVar

from cronkite import schedules
from cronkite.code import calls, commands, groups, pings, wishes
from cronkite.code.labels import canonical
from cronkite.exceptions import ZoneDataMissing
from cronkite.schedules import chosen, zones
from cronkite.schedules.catch_up import CatchUp

T = TypeVar("T")


class Scheduled(Protocol):
    """For type checkers: what an attribute declares, as in ``cast("Scheduled", send).schedule = "@daily"``."""

    schedule: str


@dataclass(frozen=True)
class Declaration:
    """A job as code declares it; the fields are the job's. ``enabled`` is how it begins, which is then people's."""

    function: str
    name: str
    description: str
    schedule: str
    timezone: str = ""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    catch_up: str = CatchUp.LATEST.value
    grace: int | None = None
    timeout: int | None = None
    run_mode: str = "automatic"
    backend: str = ""
    queue: str = ""
    priority: int | None = None
    overlap: str = "hand over"
    labels: str = ""
    group: str = ""
    jitter: int = 0
    retries: int = 0
    retry_delay: int = 60
    retry_until: str = "next slot"
    on_lost: str = "leave"
    alert: str = ""
    ping: str = field(default="", repr=False)
    enabled: bool = True
    #: Of its group, not of the job.
    max_running: int | None = None

    def columns(self) -> dict[str, Any]:
        """Return what the job's row is to hold, but for whether it is enabled."""
        values = {**vars(self), "args": list(self.args), "kwargs": dict(self.kwargs), "declared_as": self.function}
        del values["enabled"], values["max_running"]
        return values

    @property
    def spelled(self) -> str:
        """The schedule as people read it: where it says ``H``, with the numbers that the job of this function has."""
        return chosen.spell(self.schedule, self.function)

    @property
    def callee(self) -> str:
        """The text by which what it runs is found and judged; see :func:`cronkite.code.commands.callee`."""
        return commands.callee(self.function, list(self.args))

    @property
    def what(self) -> str:
        """What it runs, as people read it."""
        return commands.shown(self.callee)

    @property
    def module(self) -> str:
        """The module that the function is defined in."""
        return self.function.rpartition(".")[0]

    def differences(self, row: object) -> dict[str, tuple[Any, Any]]:
        """Return where the job's ``row`` says otherwise: by column, what it holds and what is declared."""
        return {
            column: (here, value) for column, value in self.columns().items() if (here := getattr(row, column)) != value
        }


#: The length of the column that holds a job's name, in characters.
LONGEST_NAME = 255
#: The largest number that the columns hold on every database.
MOST_SECONDS = 2**31 - 1

#: Who may run a job, and what becomes of a slot while a task goes on.
RUN_MODES = ("automatic", "here", "hand over")
OVERLAPS = ("hand over", "wait for the task")
RETRY_UNTIL = ("next slot", "last retry")
ON_LOST = ("leave", "retry")
#: More retries than anybody waits for: with the shortest delay, the last comes in decades.
MOST_RETRIES = 30
#: What the column of a task's priority holds.
PRIORITIES = range(-(2**15), 2**15)

#: Declared with :func:`cron`, by the dotted name of the function.
_declared: dict[str, Declaration] = {}


def cron(  # noqa: PLR0913 - a job's options, each by its name
    schedule: str,
    *,
    timezone: str | tzinfo = "",
    name: str = "",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    catch_up: CatchUp | Literal["latest", "all", "none"] = CatchUp.LATEST.value,
    grace: int | timedelta | None = None,
    timeout: int | timedelta | None = None,
    run: Literal["automatic", "here", "hand over"] = "automatic",
    backend: str = "",
    queue: str = "",
    priority: int | None = None,
    overlap: Literal["hand over", "wait for the task"] = "hand over",
    labels: str | Sequence[str] = (),
    group: str = "",
    max_running: int | None = None,
    jitter: int | timedelta = 0,
    retries: int = 0,
    retry_delay: int | timedelta = 60,
    retry_until: Literal["next slot", "last retry"] = "next slot",
    on_lost: Literal["leave", "retry"] = "leave",
    alert: str = "",
    ping: str = "",
    enabled: bool = True,
) -> Callable[[T], T]:
    """Declare a job next to its function, which is returned as it is.

    The options are the job's fields; ``grace`` and ``timeout`` are in seconds, or a timedelta. With ``enabled=False``
    the job waits for a person to enable it. The function may be a plain one, an ``async def`` one, or a task. One of
    ``django.tasks`` or Celery is handed over to its engine, by its ``backend``, ``queue`` and ``priority`` if they are
    given, unless ``run`` says ``"here"``; those of other task queues are called by the node. With ``overlap="wait for
    the task"``, the next is handed over when the last has ended. With ``labels``, it runs on nodes alone that have all
    of them. Of the jobs of a ``group``, ``max_running`` run at a time in the whole cluster; one, if nobody says. Each
    slot is begun up to ``jitter`` seconds later, so that jobs of one time come apart. It may be one that another module
    defines. A slot whose function has raised is tried again, up to ``retries`` times, the first time after
    ``retry_delay``, then after twice that each time, until the next slot comes, or ``retry_until="last retry"``. With
    ``on_lost="retry"``, by which a job says that it may run twice, so is one whose run was lost. ``alert`` says who is
    told when something is wrong with it, and after how many failures in a row, as in ``"ada@example.com after 3"``.
    ``ping`` is a URL that is told of its runs, as :mod:`cronkite.monitors.pings` says.

    Raises :class:`cronkite.exceptions.ScheduleError` or another :class:`ValueError` for what makes no sense, and
    :class:`TypeError` for what is no function.

    >>> @cron("0 3 * * *", timezone="Europe/Berlin")
    ... def bill():
    ...     "Bill the orders of the day."
    """
    if not isinstance(schedule, str):
        raise TypeError(f'Write the schedule, as in @cronkite.cron("0 3 * * *"): a text, and not {schedule!r}.')
    if on_lost == "retry" and not retries:
        raise ValueError('on_lost="retry" takes a number of retries, as in retries=1.')
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be True or False, not {enabled!r}.")
    schedules.get(schedule, "UTC")
    timezone = _zone_name(timezone)
    if timezone:
        # Where the data of a zone are missing, the module's other jobs are to run; of this one, the check warns.
        with suppress(ZoneDataMissing):
            zones.get(timezone)
    options = {
        "timezone": timezone,
        "args": _as_json("args", args, list),
        "kwargs": _as_json("kwargs", kwargs or {}, dict),
        "catch_up": _catch_up(catch_up),
        "grace": _seconds("grace", grace, 0),
        "timeout": _seconds("timeout", timeout, 1),
        "run_mode": _one_of("run", run, RUN_MODES),
        "backend": _text("backend", backend),
        "queue": _text("queue", queue),
        "priority": _priority(priority),
        "overlap": _one_of("overlap", overlap, OVERLAPS),
        "labels": canonical(labels),
        "group": groups.canonical(group),
        "max_running": _max_running(max_running, group),
        "jitter": _seconds("jitter", jitter, 0),
        "retries": _retries(retries),
        "retry_delay": _seconds("retry_delay", retry_delay, 0),
        "retry_until": _one_of("retry_until", retry_until, RETRY_UNTIL),
        "alert": wishes.canonical(alert),
        "on_lost": _one_of("on_lost", on_lost, ON_LOST),
        "ping": pings.canonical(ping),
        "enabled": enabled,
    }

    def declare(target: T) -> T:
        function = plain_function(target)
        dotted = dotted_name(function)
        if function.__qualname__ != function.__name__:
            raise ValueError(
                f"{function.__qualname__} cannot be declared: no dotted name leads to it from outside. Declare a "
                "function of the module itself. If a decorator made this one, have it use functools.wraps, or write "
                "@cronkite.cron beneath it, next to the function."
            )
        is_command = dotted == commands.CALL
        misfit = commands.shape_problem if is_command else partial(calls.signature_problem, target)
        if problem := misfit(options["args"], options["kwargs"]):
            raise ValueError(f"{dotted} cannot be declared so. {problem}")
        if len(name) > LONGEST_NAME:
            raise ValueError(f"{dotted} cannot be declared so. Its name has more than {LONGEST_NAME} characters.")
        # Of a command, what the function is called and says tells nothing.
        called, doc = (options["args"][0], "") if is_command else (function.__name__, getdoc(function) or "")
        declaration = Declaration(dotted, name or called, doc, schedule, **options)
        _demand_one_number(declaration)
        # A module that is read again says the same again.
        if _declared.setdefault(dotted, declaration) != declaration:
            raise ValueError(f"{dotted} is declared twice; a function has one declared job. Wrap it for the second.")
        return target

    return declare


def of(target: Any) -> Declaration | None:
    """Return what is declared of ``target``, with :func:`cron` or by an attribute ``schedule``, if anything is."""
    try:
        function = plain_function(target)
        dotted = dotted_name(function)
        # The attribute is found wherever it was set: on a task, or on the function in it.
        schedule = getattr(target, "schedule", None) or getattr(function, "schedule", None)
    except Exception:  # noqa: BLE001 - a module holds all kinds of objects, and some raise anything when looked into
        return None
    if dotted in _declared:
        return _declared[dotted]
    if not isinstance(schedule, str):
        return None
    return Declaration(dotted, function.__name__, getdoc(function) or "", schedule)


def in_module(module: ModuleType, is_looked_at: Callable[[str], bool]) -> list[Declaration]:
    """Return what is declared in ``module``, in its order.

    That is of the functions *defined* there and, with :func:`cron`, of what it only names, unless that is defined in a
    module that ``is_looked_at`` itself. A function that a decorator has hidden counts by its name.
    """
    found: dict[str, Declaration] = {}
    for name, target in list(vars(module).items()):
        declaration = of(target)
        if declaration is None and callable(target):
            declaration = _declared.get(f"{module.__name__}.{name}")
        if declaration is not None and (
            declaration.module == module.__name__
            or (declaration.function in _declared and not is_looked_at(declaration.module))
        ):
            found.setdefault(declaration.function, declaration)
    return list(found.values())


def named(dotted: str, target: Any) -> Declaration | None:
    """Return what is declared of the function that ``dotted`` leads to, which is ``target``, if anything is."""
    return of(target) or _declared.get(dotted)


def all_by_cron() -> list[Declaration]:
    """Return all that this process has seen :func:`cron` declare."""
    return list(_declared.values())


def plain_function(target: Any) -> Callable[..., Any]:
    """Return the function that a task wraps, or the function itself; raise ``TypeError`` for anything else."""
    function = calls.task_function(target) or target
    if isclass(function) or not callable(function) or not hasattr(function, "__name__"):
        raise TypeError(
            f"{target!r} is neither a function nor a task. Write a function that calls it, and declare that."
        )
    return function


def dotted_name(function: Callable[..., Any]) -> str:
    """Return the dotted name under which a function of a module can be imported."""
    return f"{function.__module__}.{function.__name__}"


def _max_running(number: object, group: str) -> int | None:
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= groups.MOST_RUNNING:
        raise ValueError(f"max_running must be a whole number from 1 to {groups.MOST_RUNNING}, not {number!r}.")
    if not group.strip():
        raise ValueError('max_running is of a group: name one, as in group="reports".')
    return number


def _demand_one_number(declaration: Declaration) -> None:
    """Raise :class:`ValueError` if another job is declared to be in the same group, which lets another number run."""
    if declaration.max_running is None:
        return
    for other in _declared.values():
        if other.group == declaration.group and other.max_running not in {None, declaration.max_running}:
            raise ValueError(
                f"{declaration.function} cannot be declared so: of its group, {declaration.group!r}, {other.function} "
                f"says that max_running is {other.max_running}, and it that it is {declaration.max_running}. A group "
                "has one number; it is enough that one of its jobs says it."
            )


def _as_json(option: str, value: Any, kind: type) -> Any:
    """Return the value as it comes back from the database, or each start would find it changed: tuples are lists."""
    try:
        # A text is a sequence too, but whoever writes args="abc" does not mean three letters.
        copy = json.loads(json.dumps(list(value) if isinstance(value, tuple) else value, allow_nan=False))
    except (TypeError, ValueError):
        copy = None
    if not isinstance(copy, kind):
        message = f"{option} must be a {kind.__name__} of what JSON can hold, not {value!r}."
        raise ValueError(message)  # noqa: TRY004 - most that is refused is of the right type
    return copy


def _zone_name(zone: object) -> str:
    """Return the name of a zone that is given as such, or as what :mod:`zoneinfo` or the like makes of it."""
    name = getattr(zone, "key", None) or (str(zone) if isinstance(zone, tzinfo) else zone)
    if not isinstance(name, str):
        raise TypeError(f'timezone must be a name, as in timezone="Europe/Berlin", and not {zone!r}.')
    return name


def _catch_up(value: object) -> str:
    try:
        return CatchUp(value).value
    except ValueError:
        known = ", ".join(repr(each.value) for each in CatchUp)
        raise ValueError(f"catch_up must be one of {known}, not {value!r}.") from None


def _one_of(option: str, value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{option} must be one of {', '.join(map(repr, known))}, not {value!r}.")
    return str(value)


def _text(option: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise ValueError(f"{option} must be a text of at most {LONGEST_NAME} characters, not {value!r}.")
    return value


def _retries(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_RETRIES:
        raise ValueError(f"retries must be a whole number from 0 to {MOST_RETRIES}, not {value!r}.")
    return value


def _priority(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in PRIORITIES:
        raise ValueError(f"priority must be None or a whole number, as the task's engine counts, not {value!r}.")
    return value


def _seconds(option: str, value: object, least: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, timedelta) and not value.microseconds:
        value = value // timedelta(seconds=1)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_SECONDS:
        raise ValueError(
            f"{option} must be None or a whole number of seconds from {least} up, or such a timedelta, not {value!r}."
        )
    return value
