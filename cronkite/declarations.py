"""What does code say about its jobs?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import getdoc
from typing import Any, TypeVar

from cronkite import schedules
from cronkite.catch_up import CatchUp

T = TypeVar("T")


@dataclass(frozen=True)
class Declaration:
    """A job as code declares it; the fields are the job's."""

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

    def columns(self) -> dict[str, Any]:
        """Return what the job's row is to hold."""
        return {**vars(self), "args": list(self.args), "kwargs": dict(self.kwargs), "declared_as": self.function}


#: Declared with :func:`cron`, by the dotted name of the function.
_declared: dict[str, Declaration] = {}


def cron(
    schedule: str,
    *,
    timezone: str = "",
    name: str = "",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    catch_up: str = CatchUp.LATEST.value,
    grace: int | None = None,
    timeout: int | None = None,
) -> Callable[[T], T]:
    """Declare a job next to its function, which is returned as it is.

    The options are the job's fields; ``grace`` and ``timeout`` are in seconds. The function may be a plain one, an
    ``async def`` one, a ``django.tasks`` task or a Celery task; a task is called by the node, not sent to its queue.
    Raises :class:`cronkite.exceptions.ScheduleError` or :class:`ValueError` for an option that makes no sense.

    >>> @cron("0 3 * * *", timezone="Europe/Berlin")
    ... def bill():
    ...     "Bill the orders of the day."
    """
    schedules.get(schedule, timezone or "UTC")
    CatchUp(catch_up)
    for option, value in (("grace", grace), ("timeout", timeout)):
        if value is not None and (not isinstance(value, int) or value < (option == "timeout")):
            raise ValueError(f"{option} must be a whole number of seconds or None, not {value!r}.")

    def declare(target: T) -> T:
        function = plain_function(target)
        dotted = dotted_name(function)
        if dotted in _declared and _declared[dotted].schedule != schedule:
            raise ValueError(f"{dotted} is declared twice; a function has one declared job. Wrap it for the second.")
        _declared[dotted] = Declaration(
            dotted,
            name or function.__name__,
            getdoc(function) or "",
            schedule,
            timezone,
            args,
            kwargs or {},
            CatchUp(catch_up).value,
            grace,
            timeout,
        )
        return target

    return declare


def of(target: Any) -> Declaration | None:
    """Return what is declared of ``target``, with :func:`cron` or by an attribute ``schedule``, if anything is."""
    try:
        function = plain_function(target)
        dotted = dotted_name(function)
    except (AttributeError, TypeError):
        return None
    if dotted in _declared:
        return _declared[dotted]
    schedule = getattr(function, "schedule", None)
    if not isinstance(schedule, str):
        return None
    return Declaration(dotted, function.__name__, getdoc(function) or "", schedule)


def plain_function(target: Any) -> Callable[..., Any]:
    """Return the function that a task wraps (``django.tasks``: ``func``, Celery: ``run``), or the function itself."""
    if callable(target) and hasattr(target, "__code__"):
        return target
    for attribute in ("func", "run"):
        function = getattr(target, attribute, None)
        if callable(function) and hasattr(function, "__name__"):
            return function
    raise TypeError(f"{target!r} is neither a function nor a task.")


def dotted_name(function: Callable[..., Any]) -> str:
    """Return the dotted name under which a function of a module can be imported."""
    return f"{function.__module__}.{function.__name__}"
