"""What is to become of something that was found elsewhere?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from cronkite.exceptions import CronkiteError


class NothingToRead(CronkiteError):
    """What is to be imported can't be read; the message is a sentence or two for people."""


@dataclass(frozen=True)
class Planned:
    """A thing that was found in ``source``, and the job that it is to become.

    ``columns`` are the job's, without its name, which ``name`` is. Where they are ``None`` it becomes no job: the
    ``problems`` say why, or, if there are none, it is nothing that could be one, such as a line with a variable.
    ``becomes`` says in a line what becomes of it, ``notes`` what one should know of that. ``key`` is what it is called
    there, by which it is known again when it is imported once more.
    """

    source: str
    name: str
    columns: dict[str, Any] | None
    becomes: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Given:
    """What a person has said of a source: ``where`` it is, and what else it asks for; see ``cron import --help``."""

    where: str = ""
    timezone: str = ""
    is_system: bool = False
    table: str = ""
    overwrite: bool = False
    #: The database's now, by which is told what is past.
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


@dataclass
class Plan:
    """A :class:`Planned` in the making."""

    source: str
    name: str
    key: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def call(self, function: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> None:
        """Have it call the function with these arguments, which have to be such as JSON can hold."""
        self.columns["function"] = function
        for column, values in (("args", args), ("kwargs", kwargs or {})):
            try:
                # As it will be read again: a tuple is a list.
                self.columns[column] = json.loads(json.dumps(values))
            except (TypeError, ValueError) as error:
                self.problems.append(
                    f"Its {column} can't be kept as JSON: {str(error)[:1].lower()}{str(error)[1:]}. "
                    "Have the function find them itself."
                )

    def done(self) -> Planned:
        """Return what is planned: a job, unless there are problems."""
        columns = None if self.problems else self.columns
        becomes = "" if columns is None else told(columns)
        return Planned(
            self.source, self.name, columns, becomes, tuple(self.problems), tuple(dict.fromkeys(self.notes)), self.key
        )


def told(columns: dict[str, Any]) -> str:
    """Return in a line when a job of these columns runs, and what it calls.

    >>> told({"schedule": "0 3 * * *", "timezone": "Europe/Berlin", "function": "shop.tasks.bill", "args": [1]})
    '0 3 * * * (Europe/Berlin), shop.tasks.bill(1)'
    """
    zone = f" ({columns['timezone']})" if columns.get("timezone") else ""
    values = [repr(value) for value in columns.get("args", [])]
    values += [f"{name}={value!r}" for name, value in columns.get("kwargs", {}).items()]
    return f"{columns['schedule']}{zone}, {columns['function']}({', '.join(values)})"


def stdin() -> bytes:
    """Return what comes from stdin, as it is: it may be in another encoding than this terminal's."""
    return (
        sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode(errors="surrogateescape")
    )
