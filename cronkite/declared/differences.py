"""How do the jobs that code declares differ from the rows, and how is that made good?"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

from cronkite.code import modules, trials
from cronkite.code.declarations import Declaration
from cronkite.declared import discovery
from cronkite.exceptions import HarmfulModule
from cronkite.models import Group, Job, primary


@dataclass(frozen=True)
class Changed:
    """A row that says otherwise than the code: by column, what the row holds and what is declared."""

    job: Job
    declaration: Declaration
    columns: dict[str, tuple[Any, Any]]


@dataclass
class Differences:
    """Jobs that are declared and have no row, rows that were edited since, and rows whose declaration is gone.

    ``groups`` are those that let more jobs run, or fewer, than the code says: by name, both numbers, of which the first
    is ``None`` where there is no such group yet. ``broken`` has the modules that can't be imported, with the error;
    their jobs are left alone. ``refused`` are the declarations that could not be made good. ``declared`` are all.
    """

    declared: list[Declaration] = field(default_factory=list)
    new: list[Declaration] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    gone: list[Job] = field(default_factory=list)
    groups: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    #: The functions that have rows of their declarations.
    jobs: set[str] = field(default_factory=set)
    #: By the declared function, the module that declares it, which may name it only.
    modules: dict[str, str] = field(default_factory=dict)
    refused: list[Declaration] = field(default_factory=list)


def find() -> Differences:
    """Compare the rows with what the ``crontab`` modules of installed apps say, and the modules of declared rows."""
    found = Differences()
    rows = list(Job.objects.using(primary.alias()).order_by("name", "id"))
    declared_rows = {job.declared_as: job for job in rows if job.declared_as is not None}
    found.jobs = set(declared_rows)
    by_hand = {job.function for job in rows if job.declared_as is None}
    ours = set(discovery.crontabs())
    known: set[str] = set()
    # Ours first: a module that only defines a function does not say whether another one declares it.
    modules = [*sorted(ours), *sorted({name.rpartition(".")[0] for name in declared_rows} - ours)]
    trials.try_all(modules, trials.LONG)
    for module in modules:
        for declaration in _declarations(module, found):
            if declaration.function in known:
                continue
            known.add(declaration.function)
            found.declared.append(declaration)
            found.modules[declaration.function] = module
            job = declared_rows.get(declaration.function)
            if job is not None:
                if columns := declaration.differences(job):
                    found.changed.append(Changed(job, declaration, columns))
            elif module in ours and declaration.function not in by_hand:
                # Somebody entered that job before it was declared; discovery leaves it alone, too.
                found.new.append(declaration)
    found.groups = _groups(found.declared)
    # What is defined in no module of ours may be named in one of those that can't be imported.
    in_doubt = {name for name in declared_rows if found.broken and name.rpartition(".")[0] not in ours}
    found.gone = [
        job
        for name, job in declared_rows.items()
        if name not in known and name.rpartition(".")[0] not in found.broken and name not in in_doubt
    ]
    return found


def create(found: Differences) -> None:
    """Make rows of what is new, as each node does at its start."""
    for module in {found.modules[declaration.function] for declaration in found.new}:
        discovery.auto_discover(module)
    names = [declaration.function for declaration in found.new]
    rows = Job.objects.using(primary.alias()).filter(declared_as__in=names)
    made = set(rows.values_list("declared_as", flat=True))
    Group.objects.ensure({name: number for name, (here, number) in found.groups.items() if here is None})
    found.refused += [declaration for declaration in found.new if declaration.function not in made]
    found.new = [declaration for declaration in found.new if declaration.function in made]


def overwrite(found: Differences) -> None:
    """Have the rows that were changed say what the code says."""
    refused = [
        changed
        for changed in found.changed
        if discovery.write_one(changed.declaration, partial(discovery.overwrite, changed.job, changed.declaration))
    ]
    for name, (_, number) in found.groups.items():
        Group.objects.filter(name=name).update(max_running=number)
    found.refused += [changed.declaration for changed in refused]
    found.changed = [changed for changed in found.changed if changed not in refused]


def _groups(declared: list[Declaration]) -> dict[str, tuple[int | None, int]]:
    said = discovery.groups_of(declared)
    here = dict(Group.objects.filter(name__in=said).values_list("name", "max_running")) if said else {}
    return {name: (here.get(name), number) for name, number in sorted(said.items()) if here.get(name) != number}


def _declarations(module: str, found: Differences) -> list[Declaration]:
    try:
        return discovery.declarations_in(trials.load(module, trials.LONG))
    except HarmfulModule as error:
        found.broken[module] = f"{error.deed[:1].upper()}{error.deed[1:]}."
        return []
    except Exception as error:  # noqa: BLE001 - a module may raise anything
        if not _is_gone(module):
            found.broken[module] = modules.said(error)
        return []


def _is_gone(module: str) -> bool:
    """Whether there is no such module, rather than one that fails."""
    try:
        return find_spec(module) is None
    except ModuleNotFoundError as error:
        # The package around it is not there; or it is there, and imports something that is not.
        return error.name is not None and f"{module}.".startswith(f"{error.name}.")
    except Exception:  # noqa: BLE001
        return False
