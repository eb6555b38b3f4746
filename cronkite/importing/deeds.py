"""How do rows come of what is planned, each once?

What was imported is known again by the last line of its description, which says where it is from. Who has taken that
line out, and else nothing, still has the job known by all that it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError

from cronkite.code import arguments, functions
from cronkite.exceptions import CronkiteError
from cronkite.importing import turns
from cronkite.importing.planned import Planned
from cronkite.models import Job, primary

#: What the last line of an imported job's description begins with.
MARK = "Imported from "
#: How long a job's name may be, in characters.
LONGEST = 255
#: What says that a job can't be one.
REFUSALS = (CronkiteError, ValueError, TypeError, DataError, IntegrityError)

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


class Judged(Protocol):
    """What was judged, of a job that came from elsewhere."""

    @property
    def state(self) -> str:
        """``"new"`` if it becomes a row."""

    @property
    def job(self) -> Job | None:
        """The row, or what is to be one."""


class Known(Protocol):
    """What is known of the jobs that are here."""

    mark: turns.Mark

    def read(self) -> None:
        """Read them anew."""


T = TypeVar("T", bound=Judged)


def do(plans: Iterable[Planned], *, enable: bool = False, write: bool = True) -> Iterator[Deed]:
    """Make a job of each of ``plans``; yield what became of it.

    A job is disabled, unless it is to be enabled and was so where it is from. Few are written at a time, so that nobody
    waits for many; done again after an outage, it goes on where it stopped. Nothing is done to a job that is here, nor
    is one added that another import adds at this moment.

    Raises :class:`django.db.Error` if the database is away.
    """
    here, waiting = _Here(), iter(plans)
    while batch := list(islice(waiting, turns.BATCH)):
        functions.try_all({str(plan.columns["function"]) for plan in batch if plan.columns})
        yield from _do(batch, here, enable, write)


def _do(plans: list[Planned], here: _Here, enable: bool, write: bool) -> list[Deed]:
    with arguments.building_once():
        deeds = [_judged(plan, here, enable) for plan in plans]
    if not write or not any(deed.state == "new" for deed in deeds):
        return deeds
    try:
        return written(deeds, here, lambda: [here.add(here.known(deed)) for deed in deeds])
    except REFUSALS as error:
        if len(plans) == 1:
            return [_refused(deeds[0], (str(error),))]
    # Each by itself: the one that is refused keeps no other from coming.
    return [deed for plan in plans for deed in _do([plan], here, enable, write)]


def _judged(planned: Planned, here: _Here, enable: bool) -> Deed:
    if planned.columns is None:
        return Deed(planned, "refused" if planned.problems else "nothing")
    was_enabled = bool(planned.columns.get("enabled", True))
    deed = here.known(Deed(planned, "new", _job(planned, enabled=enable and was_enabled), was_enabled))
    if deed.state == "new" and deed.job is not None and (found := problems(deed.job)):
        return _refused(deed, found)
    here.add(deed)
    return deed


def _refused(deed: Deed, found: tuple[str, ...]) -> Deed:
    return replace(deed, planned=replace(deed.planned, columns=None, problems=found), state="refused", job=None)


def written(judged: list[T], here: Known, again: Callable[[], list[T]]) -> list[T]:
    """Write the jobs of what was ``judged`` new, while no other import has its turn; return what became of them.

    ``again`` judges them once more, where others have come since. Raises what is one of ``REFUSALS``; nothing is
    written then, and what is here was read anew.
    """

    def write() -> tuple[list[T], turns.Mark]:
        found = judged
        if turns.mark() != here.mark:
            here.read()
            found = again()
        # What was judged is not true if this is rolled back and done anew.
        here.mark = turns.NEVER
        for each in found:
            if each.state == "new" and each.job is not None:
                insert(each.job)
        return found, turns.mark()

    try:
        found, here.mark = turns.take(write)
    except REFUSALS:
        here.read()
        raise
    return found


def insert(job: Job) -> None:
    """Write a job that is new, also if it was written before, in a transaction that was rolled back."""
    job.pk, job._state.adding = None, True  # noqa: SLF001 - documented
    job.save(force_insert=True)


def mark(planned: Planned) -> str:
    """Return the line that says where a job is from."""
    return f"{MARK}{planned.source}: {' '.join(planned.key.split())}" if planned.key else ""


def _job(planned: Planned, enabled: bool) -> Job:
    columns: dict[str, Any] = {**(planned.columns or {}), "name": planned.name[:LONGEST], "enabled": enabled}
    columns["description"] = "\n\n".join(filter(None, [columns.get("description", ""), mark(planned)]))
    return Job(**columns)


def problems(job: Job) -> tuple[str, ...]:
    """Return what is wrong with the job, a sentence for each thing."""
    try:
        job.full_clean()
    except ValidationError as error:
        return tuple(
            f"{sentence} ({field})" if field != "__all__" else sentence
            for field, sentences in error.message_dict.items()
            for sentence in sentences
        )
    except REFUSALS as error:
        return (str(error),)
    return ()


class _Here:
    """The jobs that are here, and those that are about to be."""

    def __init__(self) -> None:
        self.read()

    def read(self) -> None:
        """Read those that are here, and forget the others."""
        self._by_mark: dict[str, Job] = {}
        self._by_name: dict[str, list[Job]] = {}
        #: The last number that was given to each name.
        self._numbers: dict[str, int] = {}
        rows = list(Job.objects.using(primary.alias()).order_by("id"))
        self.mark = turns.mark_of(rows)
        for job in rows:
            self._know(job, _mark_in(job.description))

    def known(self, deed: Deed) -> Deed:
        """Return the deed as it is if the job is here already; else with a name for it."""
        if deed.state != "new" or deed.job is None:
            return deed
        if (known := self._find(deed.planned, deed.job)) is not None:
            return replace(deed, state="here", job=known)
        deed.job.name = self._free_name(deed.planned.name)
        return deed

    def add(self, deed: Deed) -> Deed:
        """Know of a job that is to be made, and return the deed."""
        if deed.state == "new" and deed.job is not None:
            self._know(deed.job, mark(deed.planned))
        return deed

    def _find(self, planned: Planned, job: Job) -> Job | None:
        """Return the job that this has become before, or is as good as."""
        alike = self._by_name.get(planned.name[:LONGEST], [])
        if line := mark(planned):
            if (known := self._by_mark.get(line)) is not None:
                return known
            alike = [each for each in alike if not _mark_in(each.description)]
            return next((each for each in alike if all(getattr(each, c) == getattr(job, c) for c in SAME)), None)
        return next(iter(alike), None)

    def _free_name(self, name: str) -> str:
        """Return the name, with a number if another job has it: people call jobs by their names."""
        name = name[:LONGEST]
        number, free = self._numbers.get(name, 1), name
        while free in self._by_name:
            number += 1
            free = f"{name[: LONGEST - len(str(number)) - 1]} {number}"
        self._numbers[name] = number
        return free

    def _know(self, job: Job, line: str) -> None:
        self._by_name.setdefault(job.name, []).append(job)
        if line:
            self._by_mark.setdefault(line, job)


def _mark_in(description: str) -> str:
    return next((line for line in reversed(description.splitlines()) if line.startswith(MARK)), "")
