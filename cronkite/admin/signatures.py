"""What does a function take, and do the arguments fit it?"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from cronkite.code import arguments, calls, commands, functions
from cronkite.exceptions import FunctionError
from cronkite.models import Job


@dataclass(frozen=True)
class Taken:
    """A function's parameters as they are written, the first line of its docstring, and what is wrong.

    ``hints`` say what is still to be typed.
    """

    signature: str = ""
    doc: str = ""
    problem: str = ""
    hints: list[str] = field(default_factory=list)


def look(dotted: str, args: str | None = None, kwargs: str | None = None) -> Taken:
    """Return what the function takes; with arguments, as JSON texts, also whether they fit."""
    if dotted == commands.CALL:
        return _look_at_command(args, kwargs)
    try:
        function = functions.look_up(dotted)
    except FunctionError as error:
        return Taken(problem=str(error))
    signature = calls.signature(function)
    # Of a task the function in it has the docstring; of anything else the thing itself.
    doc = inspect.getdoc(calls.task_function(function) or function) or ""
    return Taken(
        signature=f"{dotted.rpartition('.')[2]}{'(…)' if signature is None else signature}",
        doc=doc.partition("\n")[0],
        problem=_problem(function, args, kwargs),
        hints=_hints(args, kwargs),
    )


def _look_at_command(args: str | None, kwargs: str | None) -> Taken:
    """Return what the command takes that the arguments name first."""
    try:
        given, named = json.loads(args or "[]"), json.loads(kwargs or "{}")
    except (ValueError, RecursionError):
        return Taken(hints=_hints(args, kwargs))
    if not (name := commands.named(commands.CALL, given)):
        return Taken(problem=commands.shape_problem(given, named))
    try:
        usage = arguments.usage(name)
    except (FunctionError, arguments.Unfit) as error:
        return Taken(problem=str(error))
    problem = arguments.problem(commands.CALL, None, given, named)
    return Taken(usage.line, usage.doc, problem or "")


def _hints(args: str | None, kwargs: str | None) -> list[str]:
    """Say which of the arguments are half-typed; that is no mistake yet."""
    expected = {
        "args": (args, _('This must be a JSON list, as in ["a", 1].')),
        "kwargs": (kwargs, _('This must be a JSON object, as in {"a": 1}.')),
    }
    labels = {each.name: each.verbose_name for each in Job._meta.concrete_fields}  # noqa: SLF001 - public, for all that
    return [
        f"{capfirst(labels[name])}: {hint}" for name, (text, hint) in expected.items() if not _is_json(text or "[]")
    ]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _problem(function: object, args: str | None, kwargs: str | None) -> str:
    if args is None or kwargs is None:
        return ""
    try:
        return calls.signature_problem(function, json.loads(args or "[]"), json.loads(kwargs or "{}")) or ""
    except (ValueError, RecursionError):
        return ""  # half-typed
