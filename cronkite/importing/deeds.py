"""How do rows come of what is planned, each once?

What was imported is known again by the last line of its description, which says where it is from. Who has taken that
line out, and else nothing, still has the job known by all that it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError

from cronkite.code import functions
from cronkite.exceptions import CronkiteError
from cronkite.importing.planned import Planned
from cronkite.models import Job, primary

#: What the last line of an imported job's description begins with.
MARK = "Imported from "
#: How long a job's name may be, in characters.
LONGEST = 255
#: How many are judged, and written, at a time.
CHUNK = 500

#: ``new``: it becomes a job; ``here``: it has become one before; ``refused``: it can't; ``nothing``: it is none.
State = Literal["new", "here", "refused", "nothing"]
#: What two jobs have in common that do the same.
SAME = ("function", "args", "kwargs", "schedule", "timezone")


@dataclass(frozen=True)
class Deed:
    """What became of a thing. ``job`` is the row, or, where nothing is to be written, what would be one.

    ``was_enabled`` says whether it is enabled where it is from, as far as that knows of such a thing.
    """

    planned: Planned
    state: State
    job: Job | None = None
    was_enabled: bool = True


def do(plans: Iterable[Planned], *, enable: bool = False, write: bool = True) -> Iterator[Deed]:
    """Make a job of each of ``plans``; yield what became of it.

    A job is disabled, unless it is to be enabled and was so where it is from. Each is written by itself, so that nobody
    waits for many; done again after an outage, it goes on where it stopped. Nothing is done to a job that is here.

    Raises :class:`django.db.Error` if the database is away.
    """
    here = _Here()
    waiting: list[Planned] = []
    for planned in plans:
        waiting.append(planned)
        if len(waiting) == CHUNK:
            yield from _do(waiting, here, enable, write)
            waiting = []
    yield from _do(waiting, here, enable, write)


def _do(plans: list[Planned], here: _Here, enable: bool, write: bool) -> Iterator[Deed]:
    functions.try_all({str(plan.columns["function"]) for plan in plans if plan.columns})
    for planned in plans:
        if planned.columns is None:
            yield Deed(planned, "refused" if planned.problems else "nothing")
            continue
        was_enabled = bool(planned.columns.get("enabled", True))
        job = _job(planned, enabled=enable and was_enabled)
        if (known := here.find(planned, job)) is not None:
            yield Deed(planned, "here", known, was_enabled)
            continue
        job.name = here.free_name(planned.name)
        if found := problems(job, write):
            yield Deed(replace(planned, columns=None, problems=found), "refused", None, was_enabled)
            continue
        here.add(planned, job)
        yield Deed(planned, "new", job, was_enabled)


def mark(planned: Planned) -> str:
    """Return the line that says where a job is from."""
    return f"{MARK}{planned.source}: {' '.join(planned.key.split())}" if planned.key else ""


def _job(planned: Planned, enabled: bool) -> Job:
    columns: dict[str, Any] = {**(planned.columns or {}), "name": planned.name[:LONGEST], "enabled": enabled}
    columns["description"] = "\n\n".join(filter(None, [columns.get("description", ""), mark(planned)]))
    return Job(**columns)


def problems(job: Job, write: bool, columns: list[str] | None = None) -> tuple[str, ...]:
    """Write the job, or these columns of one that is here; return what is wrong with it, a sentence for each thing."""
    try:
        job.full_clean()
        if write:
            job.save(force_insert=columns is None, update_fields=columns)
    except ValidationError as error:
        return tuple(
            f"{sentence} ({field})" if field != "__all__" else sentence
            for field, sentences in error.message_dict.items()
            for sentence in sentences
        )
    except (CronkiteError, ValueError, TypeError, DataError, IntegrityError) as error:
        return (str(error),)
    return ()


class _Here:
    """The jobs that are here, read once."""

    def __init__(self) -> None:
        self._by_mark: dict[str, Job] = {}
        self._by_name: dict[str, list[Job]] = {}
        for job in Job.objects.using(primary.alias()).order_by("id"):
            self._know(job, _mark_in(job.description))

    def find(self, planned: Planned, job: Job) -> Job | None:
        """Return the job that this has become before, or is as good as."""
        if line := mark(planned):
            if (known := self._by_mark.get(line)) is not None:
                return known
            alike = [each for each in self._by_name.get(job.name, []) if not _mark_in(each.description)]
        else:
            return next(iter(self._by_name.get(job.name, [])), None)
        return next((each for each in alike if all(getattr(each, c) == getattr(job, c) for c in SAME)), None)

    def free_name(self, name: str) -> str:
        """Return the name, with a number if another job has it: people call jobs by their names."""
        name = name[:LONGEST]
        number, free = 1, name
        while free in self._by_name:
            number += 1
            free = f"{name[: LONGEST - len(str(number)) - 1]} {number}"
        return free

    def add(self, planned: Planned, job: Job) -> None:
        """Know of a job that was made."""
        self._know(job, mark(planned))

    def _know(self, job: Job, line: str) -> None:
        self._by_name.setdefault(job.name, []).append(job)
        if line:
            self._by_mark.setdefault(line, job)


def _mark_in(description: str) -> str:
    return next((line for line in reversed(description.splitlines()) if line.startswith(MARK)), "")
