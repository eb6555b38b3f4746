"""What does the database's clock show while a test has it stand?

That instant, to all that cronkite asks of it in this process, in any thread. The database's own clock goes on, and so
does all that the project asks of any clock.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import wraps
from typing import Any, TypeVar

from cronkite.code import trials
from cronkite.database import clock

F = TypeVar("F", bound=Callable[..., Any])

#: The instants (UTC) at which the clock has stood: what was planned then was planned by the test.
stood: set[datetime] = set()


def instant(value: object, name: str = "at") -> datetime:
    """Return what a test gave as ``name``, in UTC.

    Raises :class:`TypeError` for what is no datetime, and :class:`ValueError` for one without a time zone.
    """
    if not isinstance(value, datetime):
        raise TypeError(
            f"{name} must be a datetime with a time zone, as in datetime(2026, 3, 1, 3, tzinfo=timezone.utc), and not "
            f"{value!r}."
        )
    if value.utcoffset() is None:
        raise ValueError(
            f"{name} has no time zone, so it is no instant: {value!r}. Write tzinfo=timezone.utc, or another, as in "
            'tzinfo=ZoneInfo("Europe/Berlin").'
        )
    return value.astimezone(timezone.utc)


def stand(at: datetime | None) -> None:
    """Have the clock stand at an instant, or go."""
    clock.standing = at
    if at is not None:
        stood.add(at)


def freeze(at: datetime) -> Standing:
    """Have the database's clock stand at an instant, for cronkite alone: in a ``with`` statement, or as a decorator.

    Jobs that are saved meanwhile are planned from then on, and what else cronkite asks of the clock in this process is
    answered so: what is due, how old a lock is, when a retry comes. The project's own time goes on: ``timezone.now()``,
    ``Now()`` and whatever the database keeps by itself. Raises :class:`ValueError` for an instant without a time zone,
    and, as a decorator, :class:`TypeError` for what is neither a function nor an ``async def`` function.

    Functions' modules are imported meanwhile without being tried in a process of their own before.
    """
    return Standing(instant(at))


class Standing:
    """The clock while it stands at an instant; see :func:`freeze`."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        with ExitStack() as stack:
            stack.callback(stand, clock.standing)
            stand(self._at)
            stack.enter_context(trials.untried())
            self._entered.append(stack.pop_all())

    def __exit__(self, *error: object) -> None:
        self._entered.pop().close()

    def __call__(self, function: F) -> F:
        """Return the function, which has the clock stand while it is run."""
        if isinstance(function, type):
            raise TypeError(
                "freeze() decorates functions and methods, and no class: in its setUp(), call "
                "self.cron.freeze(), which CronMixin gives it."
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"freeze() can't decorate {function.__name__}(), which yields: write `with freeze(...):` in it."
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with Standing(self._at):
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with Standing(self._at):
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]
