"""Which run is this code part of?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CurrentRun:
    """The run that the calling code is part of.

    ``slot`` is UTC, or ``None`` for a run by hand. ``fence`` is the fencing token, which grows with each run of the
    job: a receiver that keeps the highest it has seen can refuse what a run sends after it has lost its lock.
    ``attempt`` counts the runs of the slot, from 1; see :class:`cronkite.models.Job`'s ``retries``.
    """

    job_id: int
    job_name: str
    slot: datetime | None
    fence: int
    log_id: int
    attempt: int = 1


_run: ContextVar[CurrentRun | None] = ContextVar("cronkite_current_run", default=None)


@contextmanager
def entered(run: CurrentRun) -> Iterator[None]:
    """Make ``run`` the one that the code within the block is part of."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


def current_run() -> CurrentRun | None:
    """Return the run that this code is part of, or ``None`` where no job is running.

    Follows the context into ``async`` code. A thread that a job starts by itself has a context of its own.
    """
    return _run.get()
