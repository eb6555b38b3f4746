"""How are jobs run without worker processes?

In the node's own process, one after another, so that a debugger can follow them (``--workers 0``). Nothing protects one
job from another here, and no timeout is enforced. A run is ended when its lock is lost or its node is told to stop,
with the node if need be.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait

from cronkite.claims.verdicts import Claim
from cronkite.code import functions, tasks
from cronkite.exceptions import FunctionError
from cronkite.models import Job
from cronkite.processes import kin, owner
from cronkite.runs import interrupts, runner
from cronkite.runs.events import Ended, Event, ForEngine, Ready, Refused
from cronkite.runs.guards import Guard

logger = logging.getLogger("cronkite")


class Here:
    """Runs each job when it is started; see :class:`cronkite.runs.events.Runs` for the methods."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._guard: Guard | None = None
        if owner.is_ours():
            # What a run starts is to be found, whatever becomes of who started it.
            kin.adopt_orphans()

    def prepare(self, wanted: int) -> None:
        """Do nothing: this process is there."""

    def has_room(self) -> bool:
        """Tell whether the job before is done with."""
        return not self._events

    def offer(self, job: Job) -> None:
        """Resolve the job's function."""
        try:
            function = functions.resolve(job.callee)
        except FunctionError as error:
            self._events.append(Refused(job, str(error)))
            return
        engine = tasks.engine(function, job.run_mode, job.backend)
        self._events.append(ForEngine(job, engine) if engine else Ready(job))

    def start(self, job: Job, claim: Claim) -> None:
        """Run the claim; return when it has ended."""
        self._guard = Guard("its node was stopped")
        try:
            # In this order: the guard is to know what handles SIGINT during the run.
            with (
                interrupts.noted() as person,
                self._guard.listening(signal.SIGTERM, signal.SIGINT, handled=True),
            ):
                runner.run_before(person, claim, self._guard)
        except BaseException:
            logger.debug("%s raised.", claim, exc_info=True)
        self._guard = None
        if owner.is_ours():
            # What it has left behind, and has ended since, is this process's to let go of.
            kin.have_children()
        self._events.append(Ended(claim))

    def release(self, job: Job) -> None:
        """Do nothing: nothing was reserved for it."""

    def claims(self) -> list[Claim]:
        """Return nothing: while anybody can ask, nothing is running."""
        return []

    def offered(self) -> set[int]:
        """Return the ids of the jobs whose events are still to be seen."""
        return {event.job.pk for event in self._events if isinstance(event, Ready | Refused | ForEngine)}

    def end(self, claim: Claim, status: str, reason: str) -> None:
        """Do nothing: nothing is running."""

    def peek(self, claim: Claim) -> None:
        """Do nothing: nothing is running."""

    def let_go(self) -> None:
        """Do nothing: a run is over when its end is written."""

    def heed_signal(self) -> None:
        """End the run at once: nobody could end it later, as there is only this thread."""
        if self._guard is not None:
            self._guard.stop()

    def next_deadline(self) -> float | None:
        """Return ``None``: there are no timeouts."""
        return None

    def wait(self, timeout: float, wake: int) -> Iterator[Event]:
        """Tell what happened, or wait until something may."""
        if not self._events:
            wait([wake], timeout)
        while self._events:
            yield self._events.popleft()

    def close(self, by: float | None) -> None:
        """Do nothing: there is no process."""
