"""Which engines are there, and what does a node ask of each?"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Protocol, cast

from cronkite.claims.verdicts import Claim, Receipt
from cronkite.code import calls, modules
from cronkite.code.outcomes import Outcome, for_logger
from cronkite.code.tasks import Order
from cronkite.models import Job

#: By the name that jobs and logs have for it, the module.
_MODULES = {calls.DJANGO_TASKS: "cronkite.engines.django_tasks", calls.CELERY: "cronkite.engines.celery"}


@dataclass(frozen=True)
class Told:
    """What an engine tells of a task. ``outcome`` is ``None`` while it waits or runs."""

    is_running: bool = False
    outcome: Outcome | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str = ""


class Unanswered(Exception):
    """The engine was told, and did not answer: whether it has the task is not known."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.note)
        self.receipt = receipt


class NotSent(Exception):
    """The engine has certainly not been given the task, for the ``reason`` that was raised."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(modules.text(reason))
        self.reason = reason


class Line(Protocol):
    """A way to an engine that is open."""

    def enqueue(self, order: Order, claim: Claim) -> Receipt:
        """Hand the task over for ``claim``. Raises :class:`Unanswered`, or whatever the engine raises if it has not."""


class Engine(Protocol):
    """What a node asks of an engine; the modules that :func:`get` returns are such."""

    #: Whether it takes the code of a task to ask about it.
    NEEDS_CODE: bool

    def place(self, order: Order) -> Hashable:
        """Return what a way to the engine leads to: tasks that share it can be handed over by one."""

    def hindrance(self, order: Order) -> str:
        """Say why this process can't hand over tasks like this one, and what to do, or nothing if it can."""

    def joins(self, order: Order, using: str) -> bool:
        """Tell whether the task is written into the database ``using``, by whoever hands it over, at once."""

    def together(self, order: Order, using: str) -> AbstractContextManager[None]:
        """Have tasks like this one, of which the engine :meth:`joins`, be in the database when the block ends.

        Till then they may be kept back, to be written at a time. Raises whatever it likes.
        """

    def can_tell(self, order: Order) -> bool:
        """Tell whether the engine knows what became of a task."""

    def line(self, order: Order) -> AbstractContextManager[Line]:
        """Open a way to the engine, for tasks like this one. Raises whatever it likes if there is none now."""

    def tell(self, job: Job, backend: str, task_ids: list[str]) -> Iterator[tuple[str, Told | None]]:
        """Tell what became of tasks of ``job``, or of others of the same ``backend`` if ``NEEDS_CODE`` is not set.

        ``None`` of those that the engine does not know. Raises whatever it likes.
        """


@contextmanager
def bearing() -> Iterator[None]:
    """Have what is no :class:`Exception`, such as a backend's ``sys.exit()``, be one: it is not to end the node.

    So is an error that can't be looked into. Ctrl-C, which comes to the main thread, is let through.
    """
    try:
        yield
        return
    except (Unanswered, GeneratorExit):
        raise
    except BaseException as error:
        in_main = threading.current_thread() is threading.main_thread()
        kind, can_be_shown = type(error), for_logger(error) is not None
        if can_be_shown and (issubclass(kind, Exception) or (in_main and kind is KeyboardInterrupt)):
            raise
        said = modules.deed(error) if issubclass(kind, SystemExit) else modules.said(error)
        cause = error if can_be_shown else None
    # Out here, or what can't be looked into would be its context.
    raise RuntimeError(said) from cause


def get(name: str) -> Engine:
    """Return the engine of this name; raise :class:`LookupError` if this code knows none."""
    if name not in _MODULES:
        raise LookupError(f"No engine is known here by the name {name!r}.")
    module: ModuleType = import_module(_MODULES[name])
    return cast("Engine", module)
