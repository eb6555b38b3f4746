"""How does a job run a class of django-cron?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cronkite.code import functions
from cronkite.exceptions import FunctionNotAllowed, FunctionNotFound

#: What such a class is made from.
BASE = ("django_cron", "CronJobBase")


def do(dotted: str) -> Any:
    """Make an object of the class of django-cron's that ``dotted`` names, call its ``do()``, and return the result.

    For jobs that were imported: the class stays as it is until somebody writes a function. Where the class may be is
    the same as for functions. Raises :class:`cronkite.exceptions.FunctionError`, and whatever ``do()`` raises.
    """
    return find(dotted)().do()


def find(dotted: str) -> Any:
    """Return the class; raises :class:`cronkite.exceptions.FunctionError` if it may not be run, or is none of those."""
    if refusal := functions.refusal(dotted):
        raise FunctionNotAllowed(refusal)
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:
        raise FunctionNotFound(f"{dotted!r} cannot be imported here: {type(error).__name__}: {error}") from error
    if not isinstance(found, type) or not any((each.__module__, each.__name__) == BASE for each in found.__mro__):
        raise FunctionNotAllowed(f"{dotted!r} is refused: it is no class made from {'.'.join(BASE)}.")
    if refusal := functions.refusal(f"{found.__module__}.{found.__name__}"):
        raise FunctionNotAllowed(refusal)
    return found
