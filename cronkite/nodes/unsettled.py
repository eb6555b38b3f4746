"""What does a node have to ask the database, or to tell it, until it is answered?

Claims whose COMMIT was not answered, and ends of runs whose processes could not write them. Both are tried again and
again: while the database is away, and while another transaction has locked the row of the job, or the log, which is to
hold up no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from django.db import DatabaseError, connections

from cronkite.claims import claiming, holding, skips, verdicts
from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.database import quirks
from cronkite.models import Job, Log, primary, told
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.starts import Starts

logger = logging.getLogger("cronkite")

#: How long (seconds) to wait before trying again what was not possible because the row is locked.
PAUSE = 0.5
#: How long (seconds) to leave a database alone that answers, but has committed no claim of late.
VAIN_PAUSE = 1.0
#: How long (seconds) a worker is kept ready for a claim whose transaction the server has open still.
DOUBT_PATIENCE = 5.0
#: How long (seconds) a tick tries to write an end that the database refuses.
REFUSAL_PATIENCE = 30.0


@dataclass(eq=False)
class _Doubt:
    """A claim that may be ours; where nobody can tell: until when (monotonic seconds) a worker is kept ready for it."""

    claim: Claim
    job: Job
    until: float | None = None

    @property
    def is_old(self) -> bool:
        return self.until is not None and time.monotonic() > self.until


@dataclass(eq=False)
class _End:
    """How a run ended, and whether it was told that this can't be written yet."""

    claim: Claim
    outcome: Outcome
    is_told: bool = False
    #: Since when (monotonic seconds) the database has refused it.
    refused_since: float | None = None


class _RefusedEnd(Exception):
    """The database answers, and refuses an end with ``error``: so it counts neither as away nor as back."""

    def __init__(self, error: DatabaseError) -> None:
        super().__init__(str(error))
        self.error = error


class Unsettled:
    """What is to be found out, and what is to be written.

    ``database()`` is a context in which the database may fail; what was to be done then stays to be done. If that only
    ``locks`` rows, it says so.
    """

    def __init__(self, runs: Starts, agenda: Agenda, database: Callable[..., AbstractContextManager[None]]) -> None:
        self._runs = runs
        self._agenda = agenda
        self._database = database
        self._doubts: list[_Doubt] = []
        self._ends: list[_End] = []
        self._at = 0.0
        #: Whether what was in doubt the last time turned out not to be ours; false as soon as a claim is answered.
        self.is_in_vain = False

    def doubt(self, claims: list[Claim], jobs: list[Job]) -> None:
        """Find out which of the claims of these jobs are ours, and start their runs."""
        self._doubts += [_Doubt(claim, job) for job in jobs for claim in claims if claim.job_id == job.pk]
        # At once: a connection that was idle may have been ended without an outage. But a database that commits
        # nothing, as its disk is full, answers at once, too.
        self._at = time.monotonic() + (VAIN_PAUSE if self.is_in_vain else 0.0)

    def end(self, claim: Claim, outcome: Outcome) -> None:
        """Write how the run of ``claim`` ended."""
        self._ends.append(_End(claim, outcome))
        self._at = 0.0

    def is_doubted(self, job: Job) -> bool:
        """Tell whether this very ``job``, as it was read, may have been claimed."""
        return any(job is doubt.job for doubt in self._doubts)

    def jobs(self) -> set[int]:
        """Return the keys of the jobs that may have been claimed."""
        return {doubt.job.pk for doubt in self._doubts}

    def next_at(self) -> float | None:
        """Return when (monotonic seconds) to try again, or ``None`` if there is nothing to be done."""
        return self._at if self._doubts or self._ends else None

    def is_empty(self) -> bool:
        """Tell whether there is nothing to be done."""
        return not self._doubts and not self._ends

    def go_on(self, *, stopping: bool) -> None:
        """Try what it is time for. If the node is ``stopping``, nothing is started that turns out to be ours."""
        now = time.monotonic()
        if self.is_empty() or now < self._at:
            return
        self._at = now + PAUSE
        for doubt in list(self._doubts):
            is_answered = False
            with self._database():
                self._settle(doubt, stopping=stopping)
                is_answered = True
            if not is_answered:
                # To ask for each might take a connect's time each, where packets get lost.
                break
        self._write_ends()

    def give_up(self, why: str) -> None:
        """Leave everything as it is, and say so, and ``why``."""
        for doubt in self._doubts:
            logger.critical(
                "%s: may be claimed by this node, which gives up, %s. Its lock then stays until its timeout.",
                doubt.claim,
                why,
            )
            self._runs.release(doubt.job)
        for end in self._ends:
            logger.critical("%s: %s, which could not be written, %s.", end.claim, end.outcome.status, why)
        self._doubts.clear()
        self._ends.clear()

    def _settle(self, doubt: _Doubt, *, stopping: bool) -> None:
        try:
            ours = claiming.settle(doubt.claim)
        except verdicts.Contention:
            self._put_off(doubt)
            return
        # Asked once, or it might be in time for the one, and too late for the other.
        is_old = doubt.is_old
        if ours:
            told.missed_before(doubt.job, ours.log_id)
        if ours and stopping:
            self._ends.append(_End(ours, Outcome(Log.Status.INTERRUPTED, reason="its node was stopped")))
        elif ours and is_old:
            why = "that it was claimed showed too late to run it"
            self._ends.append(_End(ours, Outcome(Log.Status.LOST, reason=why)))
        self._doubts.remove(doubt)
        if ours and not stopping and not is_old:
            self._runs.start(doubt.job, ours)
        else:
            self._runs.release(doubt.job)
            self._agenda.look_within(0)
            self.is_in_vain = True

    def _put_off(self, doubt: _Doubt) -> None:
        """Ask later: the server has the transaction of the claim open still, or somebody else has locked the row."""
        if doubt.until is None:
            logger.warning("%s: may be claimed by this node; the database can't tell yet.", doubt.claim)
            doubt.until = time.monotonic() + DOUBT_PATIENCE
        if doubt.is_old:
            # Others may need the worker.
            self._runs.release(doubt.job)

    def _write_ends(self) -> None:
        """Write those ends that no other transaction is in the way of; wait for one at most, if any."""
        ends: list[_End] = []
        if self._ends:
            with self._database(locks=True):
                ends = self._writable()
        for end in ends:
            if not self._write(end):
                break

    def _write(self, end: _End) -> bool:
        """Write how a run ended; return ``False`` if that was waited for in vain: then the others come before it."""
        try:
            with self._database():
                self._write_one(end)
        except _RefusedEnd as refusal:
            # Another server may be behind the name by now, and take it: this one, as where it has become a replica.
            connections[primary.alias()].close()
            self._bear_refusal(end, refusal.error)
            return True
        return end not in self._ends

    def _write_one(self, end: _End) -> None:
        try:
            is_kept = holding.finish(end.claim, end.outcome)
        except DatabaseError as error:
            self._ends.append(self._ends.pop(self._ends.index(end)))
            if self._is_refused(error):
                raise _RefusedEnd(error) from error
            raise
        self._ends.remove(end)
        if is_kept:
            told.finished(end.claim.log_id)
        # Until now, it had its lock still, and its seat.
        if end.claim.next_run is not None:
            self._agenda.look_for(end.claim.next_run)
        self._agenda.have_room(end.claim.group)

    @staticmethod
    def _is_refused(error: DatabaseError) -> bool:
        """Tell whether it is this very end which a database refuses that answers: that keeps nothing else from it."""
        return not quirks.is_conflict(error) and quirks.lives(connections[primary.alias()])

    def _bear_refusal(self, end: _End, error: DatabaseError) -> None:
        """Try again later; a tick leaves it when it has for a while."""
        now = time.monotonic()
        if end.refused_since is None:
            end.refused_since = now
            said = "%s: %s, which the database refuses to record; trying again. %s"
            logger.error(said, end.claim, end.outcome.status, error)
        elif not self._agenda.stays and now - end.refused_since > REFUSAL_PATIENCE:
            logger.critical("%s: %s, which could not be written. %s", end.claim, end.outcome.status, error)
            self._ends.remove(end)

    def _writable(self) -> list[_End]:
        """Return those ends whose rows nobody has locked; tell of the others, once."""
        rows = skips.held({end.claim.job_id for end in self._ends})
        logs = skips.held_logs({end.claim.log_id for end in self._ends})
        for end in self._ends:
            what = "job's row" if end.claim.job_id in rows else "log" if end.claim.log_id in logs else ""
            if what and not end.is_told:
                end.is_told = True
                said = "%s: %s, which can't be written yet: another transaction has locked the %s."
                logger.warning(said, end.claim, end.outcome.status, what)
        return [end for end in self._ends if end.claim.job_id not in rows and end.claim.log_id not in logs]
