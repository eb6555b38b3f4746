"""What does a function take, and do the arguments fit it?"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass

from cronkite import calls, functions
from cronkite.exceptions import FunctionError


@dataclass(frozen=True)
class Taken:
    """A function's parameters as they are written, the first line of its docstring, and what is wrong."""

    signature: str = ""
    doc: str = ""
    problem: str = ""


def look(dotted: str, args: str | None = None, kwargs: str | None = None) -> Taken:
    """Return what the function takes; with arguments, as JSON texts, also whether they fit."""
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
    )


def _problem(function: object, args: str | None, kwargs: str | None) -> str:
    if args is None or kwargs is None:
        return ""
    try:
        return calls.signature_problem(function, json.loads(args or "[]"), json.loads(kwargs or "{}")) or ""
    except (ValueError, RecursionError):
        return ""  # half-typed; the form tells when it is saved
