"""What is a claim, and what does it mean that one did not come about?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError, connections

from cronkite.code import commands, modules
from cronkite.code.outcomes import keep_arguments
from cronkite.database import quirks
from cronkite.models import Job

#: What is wrong with what was to be written, and not with the database.
UNFIT = (IntegrityError, DataError)


@dataclass(frozen=True)
class Receipt:
    """What an engine has been given: the task with this id, in this queue.

    ``is_followed`` tells whether the engine can tell what becomes of it. ``note`` is what people have to know of it.
    """

    engine: str
    task_id: str
    backend: str = ""
    queue: str = ""
    is_followed: bool = True
    note: str = ""

    def __str__(self) -> str:
        where = f", queue {self.queue}" if self.queue else ""
        return f"{self.engine}{where}, task {self.task_id}"


@dataclass(frozen=True)
class Retry:
    """What is to become of a slot whose run fails: it is tried again after ``delay`` seconds.

    And if it is lost, ``on_lost`` tells. ``of`` is how many attempts there may be.
    """

    delay: int
    of: int
    on_lost: bool = False


@dataclass(frozen=True)
class Claim:
    """A job's slot and lock, taken: the right to run it once, and all that the run needs to know.

    ``slot`` is ``None`` for a run by hand. ``next_run`` is the slot that follows. ``timeout`` is in seconds. One that
    was handed over as it was taken has a ``receipt``. ``attempt`` counts from 1, and ``retry`` says what follows if
    this one fails.
    """

    token: UUID
    fence: int
    job_id: int
    job_name: str
    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    timeout: int | None
    slot: datetime | None
    next_run: datetime | None
    log_id: int
    reason: str = ""
    attempt: int = 1
    group: str = ""
    retry: Retry | None = None
    receipt: Receipt | None = None

    @property
    def kept_args(self) -> Any:
        """What of the arguments goes into the log."""
        return keep_arguments(self.args)

    @property
    def kept_kwargs(self) -> Any:
        """What of the keyword arguments goes into the log."""
        return keep_arguments(self.kwargs)

    def __str__(self) -> str:
        when = f"slot {self.slot:%Y-%m-%d %H:%M:%S} UTC" if self.slot else "by hand"
        if self.attempt > 1:
            when = f"{when}, attempt {self.attempt}"
        return f"job {self.job_name!r} ({commands.shown(commands.callee(self.function, self.args))}), {when}"


class Contention(Exception):
    """The database rolled the claim back in favour of another transaction. Nothing is claimed; try again soon."""


class RowIsHeld(Contention):
    """Another transaction has locked what the claim needs, and does not let go of it. Nothing is claimed."""


class Refused(Exception):
    """What was to be done can't be done with this job, now or later, for a reason of its own. Nothing was done."""

    def __init__(self, job: Job, why: str) -> None:
        super().__init__(f"Job {job.name!r} is left as it is, because {why}")

    @classmethod
    def by_database(cls, job: Job, error: DatabaseError) -> Refused:
        """Say that the database refuses to record it."""
        return cls(job, f"the database refuses to record a run of it. {error}")


class NotHandedOver(Exception):
    """An engine did not take the task of ``claim``, for the ``error`` that it raised. Nothing is claimed."""

    def __init__(self, claim: Claim, error: Exception) -> None:
        super().__init__(f"{claim}: could not be handed over. {modules.said(error)}")
        self.claim = claim
        self.error = error


class OutcomeUnknown(Exception):
    """The connection died at COMMIT. Of the ``claims``, those are ours that ``claiming.settle()`` finds."""

    def __init__(self, claims: list[Claim]) -> None:
        named = "; ".join(map(str, claims))
        super().__init__(f"The connection died at the claim of {named}; whether it is ours shows when it is back.")
        self.claims = claims


def raise_unclaimed(error: DatabaseError, taken: list[Claim], using: str) -> NoReturn:
    """Say what an error during a claim means: another was first, an unknown outcome, or an outage."""
    if quirks.lacks_characters(error):
        # An answer, so nothing is in doubt: it is to be said in other words.
        raise error
    if quirks.has_waited_in_vain(error):
        raise RowIsHeld from error
    if quirks.is_conflict(error):
        raise Contention from error
    if taken:
        connections[using].close()
        raise OutcomeUnknown(taken) from error
    raise error
