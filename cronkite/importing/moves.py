"""How does what was exported become rows? Each job is found again by its natural key, and is changed if that is wished.

Of jobs that people entered by one name, those that are as the file says are found first, then those that call the same
with the same arguments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cronkite.code import arguments, functions
from cronkite.importing import deeds, turns
from cronkite.importing.planned import Planned
from cronkite.models import Group, Job, primary

#: ``new``: it becomes a row; ``same``: it is here so; ``differs``: it is here otherwise, and stays so; ``changed``: it
#: was here otherwise; ``refused``: it can't come.
State = Literal["new", "same", "differs", "changed", "refused"]


@dataclass(frozen=True)
class Wish:
    """What a person wants of an import."""

    #: Whether jobs are enabled that are enabled in the file.
    enable: bool = False
    #: Whether what is here becomes what the file says.
    overwrite: bool = False
    #: Whether anything is written.
    write: bool = True


@dataclass(frozen=True)
class Move:
    """What became of a job or a group. ``columns`` has what is, or was, otherwise here: by column, here and there."""

    planned: Planned
    state: State
    job: Job | None = None
    columns: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def groups(planned: Iterable[Planned], wish: Wish) -> Iterator[Move]:
    """Make a group of each of ``planned``; yield what became of it. To be done before the jobs'."""
    rows = Group.objects.using(primary.alias())
    here = dict(rows.values_list("name", "max_running"))
    for plan in planned:
        if plan.columns is None:
            yield Move(plan, "refused")
            continue
        number, before = plan.columns["max_running"], here.get(plan.name)
        columns = {} if before in {None, number} else {"max_running": (before, number)}
        state: State = (
            "new" if before is None else "same" if not columns else "changed" if wish.overwrite else "differs"
        )
        here.setdefault(plan.name, number)
        if wish.write and state == "new":
            rows.ensure({plan.name: number})
        elif wish.write and state == "changed":
            rows.filter(name=plan.name).update(max_running=number)
        yield Move(plan, state, None, columns)


def jobs(planned: Iterable[Planned], wish: Wish) -> Iterator[Move]:
    """Make a job of each of ``planned``; yield what became of it, in their order.

    What is new is written a few at a time, and each that is changed by itself: one that can't come keeps no other from
    coming, and nobody waits for many. Nothing is enabled unless that is wished; what is enabled here and not in the
    file is disabled with the rest that is overwritten. Raises :class:`django.db.Error` if the database is away.
    """
    plans = list(planned)
    functions.try_all({str(plan.columns["function"]) for plan in plans if plan.columns})
    here = _Here(plans)
    for start in range(0, len(plans), turns.BATCH):
        yield from _moved(range(start, min(start + turns.BATCH, len(plans))), here, wish)


def _moved(numbers: Sequence[int], here: _Here, wish: Wish) -> list[Move]:
    """Do what is to be done for the plans of these numbers."""
    with arguments.building_once():
        moves = [_judged(number, here, wish) for number in numbers]
    if not wish.write:
        return moves
    if any(move.state == "new" for move in moves):
        try:
            moves = deeds.written(moves, here, lambda: [_judged(number, here, wish) for number in numbers])
        except deeds.REFUSALS as error:
            if len(numbers) > 1:
                # Each by itself: the one that is refused keeps no other from coming.
                return [move for number in numbers for move in _moved([number], here, wish)]
            return [_refused(here.plans[numbers[0]], str(error))]
    here.done(numbers, moves)
    return [_changed(move) for move in moves]


def _changed(move: Move) -> Move:
    """Write what is to be changed, by itself."""
    if move.state != "changed" or move.job is None:
        return move
    try:
        move.job.save(update_fields=list(move.columns))
    except deeds.REFUSALS as error:
        return _refused(move.planned, str(error))
    return move


def _judged(number: int, here: _Here, wish: Wish) -> Move:
    plan = here.plans[number]
    if plan.columns is None:
        return Move(plan, "refused")
    if number not in here.found:
        return _refused(plan, _ambiguous(plan))
    job = here.found[number]
    return _new(plan, wish) if job is None else _again(plan, job, wish)


def _new(plan: Planned, wish: Wish) -> Move:
    columns = plan.columns or {}
    job = Job(**{**columns, "name": plan.name, "enabled": wish.enable and columns.get("enabled", True)})
    problems = deeds.problems(job)
    return _refused(plan, *problems) if problems else Move(plan, "new", job)


def _again(plan: Planned, job: Job, wish: Wish) -> Move:
    there = {**(plan.columns or {}), "name": plan.name}
    # One that is done here stays so: what is there was written down before.
    is_done = job.is_done and all(getattr(job, c) == there.get(c, "") for c in ("schedule", "timezone"))
    if there.get("enabled") and (is_done or not wish.enable):
        del there["enabled"]
    columns = {column: (here, value) for column, value in there.items() if (here := getattr(job, column)) != value}
    if not columns:
        return Move(plan, "same", job)
    if not wish.overwrite:
        return Move(plan, "differs", job, columns)
    for column, (_, value) in columns.items():
        setattr(job, column, value)
    problems = deeds.problems(job)
    return _refused(plan, *problems) if problems else Move(plan, "changed", job, columns)


def _refused(plan: Planned, *problems: str) -> Move:
    return Move(replace(plan, columns=None, problems=problems), "refused")


def _ambiguous(plan: Planned) -> str:
    if plan.columns and plan.columns.get("declared_as"):
        return "The file has it twice."
    return (
        "Several jobs are called so, here or in the file, and it can't be told which is which: call each by a name of "
        "its own."
    )


class _Here:
    """Which job here each of the plans is about.

    ``found`` has for the number of each plan its job, or ``None`` for a new one; nothing where that can't be told.
    """

    def __init__(self, plans: list[Planned]) -> None:
        self.plans = plans
        #: The keys of the jobs that some plans were about, and the numbers of these plans.
        self._done: tuple[set[int], set[int]] = set(), set()
        self.read()

    def done(self, numbers: Sequence[int], moves: list[Move]) -> None:
        """Leave these alone from now on."""
        self._done[0].update(move.job.pk for move in moves if move.job is not None)
        self._done[1].update(numbers)

    def read(self) -> None:
        """Find them for the plans that are not done yet."""
        jobs = list(Job.objects.using(primary.alias()).order_by("id"))
        self.mark = turns.mark_of(jobs)
        keys, numbers = self._done
        rows: defaultdict[tuple[str, str], list[Job]] = defaultdict(list)
        for job in jobs:
            if job.pk not in keys:
                rows[job.natural_key()].append(job)
        wanted: defaultdict[tuple[str, str], dict[int, Planned]] = defaultdict(dict)
        for number, plan in enumerate(self.plans):
            if plan.columns is not None and number not in numbers:
                wanted[Job(name=plan.name, declared_as=plan.columns.get("declared_as")).natural_key()][number] = plan
        self.found: dict[int, Job | None] = {}
        for key, some in wanted.items():
            self.found |= _paired(some, rows.get(key, []), is_declared=bool(key[0]))


def _paired(plans: dict[int, Planned], rows: list[Job], is_declared: bool) -> dict[int, Job | None]:
    if is_declared:
        return {min(plans): rows[0] if rows else None}
    found: dict[int, Job | None] = {}
    left = list(rows)
    for columns in (None, ("function", "args", "kwargs")):
        for number, plan in plans.items():
            job = next((row for row in left if _is_like(row, plan, columns)), None) if number not in found else None
            if job is not None:
                found[number] = job
                left.remove(job)
    others = plans.keys() - found.keys()
    if not left:
        return found | dict.fromkeys(others)
    return found | {others.pop(): left[0]} if len(others) == len(left) == 1 else found


def _is_like(job: Job, plan: Planned, columns: tuple[str, ...] | None) -> bool:
    """Tell whether the job is as the plan says in these columns, or in all that it tells of."""
    there = plan.columns or {}
    return all(getattr(job, column) == there[column] for column in columns or there if column in there)
