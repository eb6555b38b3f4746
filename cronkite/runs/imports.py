"""What does a worker answer that is asked for a function?

To find a function is to import its module, which may change the process, as a function may. What a module sets of its
process when it is imported holds in each run of its functions, and in no other's: a worker in which an import has
changed something serves that module alone, and one that has served others before has the import done by a fresh worker.
What a module leaves that can't be imported ends the worker.
"""

from __future__ import annotations

import decimal
import sys
from contextvars import copy_context
from dataclasses import replace

from django.utils import timezone, translation

from cronkite.code import functions, tasks
from cronkite.exceptions import FunctionError
from cronkite.runs import capture
from cronkite.runs.messages import Resolve, Resolved
from cronkite.runs.surroundings import Surroundings

#: Another worker is to be asked.
PASS = Resolved(None, retires=True, passes=True)


class Imports:
    """Which modules a worker serves."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._served: set[str] = set()
        #: The only one that is served: its import has changed something.
        self._only: str | None = None

    def answer(self, asked: Resolve) -> Resolved:
        """Import what is asked for, and answer."""
        home = asked.home
        if self._only not in (None, home):
            return PASS
        modules = len(sys.modules)
        answer, is_whole = _import(asked)
        self._surroundings.put_input_back()
        is_served = answer.problem is None and not answer.engine
        # What was imported before, for a run after which it was looked, has changed nothing.
        is_known = is_served and home in self._served and len(sys.modules) == modules
        if is_whole and (is_known or self._surroundings.are_still()):
            if is_served:
                self._served.add(home)
            return replace(answer, bound=self._only is not None)
        if not is_served:
            return replace(answer, retires=True)
        if self._served - {home}:
            return PASS
        self._surroundings.take_as_they_are()
        self._served, self._only = {home}, home
        return replace(answer, bound=True)


def _import(asked: Resolve) -> tuple[Resolved, bool]:
    """Return the answer, and whether stdout and stderr could be kept from the import."""
    # What is set of context variables ends with the import, but for decimals, which are the process's to most people.
    context = copy_context()
    answer = None
    try:
        with capture.kept():
            answer = context.run(_resolved, asked)
    except OSError as error:
        return answer or Resolved(f"{asked.function} cannot be imported here: {error}."), False
    finally:
        decimal.setcontext(context.run(decimal.getcontext))
        timezone.deactivate()
        translation.deactivate()
    return answer, True


def _resolved(asked: Resolve) -> Resolved:
    try:
        function = functions.resolve(asked.function)
    except FunctionError as error:
        return Resolved(str(error))
    return Resolved(None, tasks.engine(function, asked.run_mode, asked.backend))
