"""What is wrong with declared jobs, as far as their declarations tell?

``manage.py check`` tells of it, and a loop when it starts, which has imported their modules in any case. Nothing here
connects to a database.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from django.conf import settings
from django.core import checks

from cronkite.checks.setting_checks import TAG, is_asked
from cronkite.code import arguments, commands, functions
from cronkite.code.declarations import Declaration
from cronkite.declared import discovery
from cronkite.exceptions import FunctionNotAllowed, FunctionNotFound, ScheduleError
from cronkite.schedules import foreign, zones

#: Letters that are two, and do not decompose.
LIGATURES = {"æ": "ae", "œ": "oe"}

#: The most names that a message has.
MOST_NAMES = 5


@checks.register(TAG)
def check_declarations(**_: Any) -> list[checks.CheckMessage]:
    """W003, W007, W008, W009: see :func:`messages`. Not before other commands: all modules would be imported."""
    return messages() if is_asked() else []


def messages() -> list[checks.CheckMessage]:
    """Return what there is to say of the jobs that the ``crontab`` modules of installed apps declare."""
    declared = discovery.declared_by_apps()
    return list(chain(_alike(declared), _suspect(declared), _zoneless(declared), _refused(declared)))


def _alike(declared: list[Declaration]) -> Iterator[checks.CheckMessage]:
    """W003: declared functions whose names many collations of MySQL and MariaDB don't tell apart."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for declaration in declared:
        alike[plain(declaration.function)].append(declaration.function)
    for names in alike.values():
        if len(names) > 1:
            yield checks.Warning(
                f"These are declared as jobs, and differ by case or accents only: {', '.join(names)}. Databases such "
                "as MySQL and MariaDB take them for one, and all but the first are refused.",
                hint="Give the functions names that differ by more than that.",
                id="cronkite.W003",
            )


def plain(name: str) -> str:
    """Return the name without case and accents."""
    return "".join(map(_base, unicodedata.normalize("NFKD", name.casefold())))


def _base(letter: str) -> str:
    """Return the letter without strokes and the like, which do not decompose; a digit as it is counted; marks not."""
    if unicodedata.category(letter) == "Mn":
        return ""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    base, stroke, _ = unicodedata.name(letter, "").partition(" WITH ")
    if stroke and base.startswith("LATIN "):
        with suppress(KeyError):
            return unicodedata.lookup(base)
    return LIGATURES.get(letter, letter)


def _suspect(declared: list[Declaration]) -> Iterator[checks.CheckMessage]:
    """W007: a declared schedule has six fields, and its seconds seem to be meant to come first."""
    for declaration in declared:
        if meant := foreign.suspect(declaration.schedule):
            yield checks.Warning(
                f"{declaration.function} is declared with the schedule {declaration.schedule!r}, whose last field "
                "names the seconds.",
                hint=f"If they were meant to come first, or a year last, as with other schedulers, write {meant!r}.",
                id="cronkite.W007",
            )


def _zoneless(declared: list[Declaration]) -> Iterator[checks.CheckMessage]:
    """W008: this machine has no data for the zones of declared jobs, so that it can't tell when these are to run."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for declaration in declared:
        try:
            zones.get(declaration.timezone or settings.TIME_ZONE)
        except ScheduleError as error:
            names[str(error)].append(declaration.function)
    for problem, found in names.items():
        yield checks.Warning(
            f"These declared jobs cannot run on this machine: {', '.join(found)}. The time zone is why: {problem}.",
            hint="All other jobs run. Do on each machine what the message says, and restart what runs there.",
            id="cronkite.W008",
        )


def _refused(declared: list[Declaration]) -> list[checks.CheckMessage]:
    """W009: declared functions may not be run here."""
    refused = {}
    for declaration in declared:
        try:
            function = functions.look_up(declaration.callee)
        except FunctionNotAllowed as error:
            refused[declaration.callee] = str(error)
            continue
        except FunctionNotFound as error:
            if commands.of(declaration.callee):
                refused[declaration.callee] = str(error)
            continue  # of functions, E005 says so
        if declaration.function == commands.CALL:
            # Of others, the declaration itself was refused.
            misfit = arguments.problem(declaration.function, function, list(declaration.args), declaration.kwargs)
            if misfit:
                refused[declaration.callee] = misfit
    return not_allowed(refused, "declared")


def not_allowed(refused: dict[str, str], kind: str) -> list[checks.CheckMessage]:
    """Return W009 for jobs of a ``kind`` whose functions may not be run, each with why; nothing if there are none."""
    if not refused:
        return []
    many, named = len(refused) > 1, listed(map(commands.shown, refused))
    return [
        checks.Warning(
            f"{len(refused)} {kind} {'jobs' if many else 'job'} may not be run: {named}.",
            hint=f"{'Of the first: ' if many else ''}{next(iter(refused.values()))}",
            id="cronkite.W009",
        )
    ]


def listed(names: Iterable[str]) -> str:
    """Return the first of the names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - MOST_NAMES} more" if len(every) > MOST_NAMES else ""
    return f"{', '.join(every[:MOST_NAMES])}{more}"
