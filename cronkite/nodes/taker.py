"""How does a node come by the runs of jobs for which a worker is ready?

It decides on their slots, claims those that are to run, and has the missed ones recorded. What it could not have, it
leaves to other nodes, or to a later time.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

from cronkite.claims import claiming, seats, skips, verdicts
from cronkite.claims.verdicts import Claim
from cronkite.exceptions import ScheduleError
from cronkite.models import Job
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.outages import CONFLICT_PAUSE, Outages
from cronkite.nodes.starts import Starts
from cronkite.nodes.unsettled import Unsettled
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import Decision

logger = logging.getLogger("cronkite")

MOMENT = timedelta(microseconds=1)


class Taker:
    """Takes jobs on the ``agenda`` for the node ``name``, as long as it ``may_claim``, and has ``runs`` start them."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that a node has to do with a claim
        self,
        name: str,
        runs: Starts,
        agenda: Agenda,
        outages: Outages,
        unsettled: Unsettled,
        may_claim: Callable[[], bool],
    ) -> None:
        self._name = name
        self._runs = runs
        self._agenda = agenda
        self._outages = outages
        self._unsettled = unsettled
        self.may_claim = may_claim

    def take_all(self, jobs: list[Job]) -> None:
        """Claim what is to be run of these jobs: a slot, what somebody asked for, or a retry."""
        if due := [job for job in jobs if not (job.is_asked or job.is_retry)]:
            self.take(due)
        for job in jobs:
            if job.is_asked:
                self.take_asked(job)
            elif job.is_retry:
                self.take_retry(job)

    def take(self, jobs: list[Job]) -> None:
        """Claim the slots of jobs that are ready, and start their runs; release those that are not to be started."""
        wanted = [(job, decision) for job in jobs if self.may_claim() and (decision := self.decide(job)) is not None]
        claims: list[Claim | None] = []
        if wanted and self.may_claim():
            with self.claiming([job for job, _ in wanted]):
                claims = claiming.claim_all(wanted, self._name)
        lost = []
        for (job, decision), claim in zip(wanted, claims, strict=False):
            if claim is None:
                lost.append((job, decision))
            else:
                logger.info("%s: claimed by node %s.", claim, self._name)
                self._agenda.forget(job)
                self._runs.start(job, claim)
        taken = {claim.job_id for claim in claims if claim}
        raced = {job.pk for job, _ in lost}
        for job in jobs:
            if job.pk in taken or self._unsettled.is_doubted(job):
                continue
            self._runs.release(job)
            if job.pk not in raced:
                # It is not to run, or could not be claimed now.
                self._agenda.pass_room_on(job.group)
        self.leave(lost)

    def leave(self, lost: list[tuple[Job, Decision]]) -> None:
        """Leave jobs that could not be had to who was first, or to later if another transaction has their row."""
        roomless = self._roomless([job for job, _ in lost])
        lost = [(job, decision) for job, decision in lost if job.pk not in roomless]
        skipped = self._skipped([job for job, _ in lost])
        for job, decision in lost:
            self._agenda.lost_race()
            if job.pk in skipped:
                self._agenda.pass_room_on(job.group)
            else:
                self._agenda.look_for(decision.next_run)
                # There was room for it, which is another one's now.
                self._agenda.have_room(job.group)

    def is_doubted(self, job: Job) -> bool:
        """Tell whether this very ``job``, as it was read, may have been claimed."""
        return self._unsettled.is_doubted(job)

    def take_asked(self, job: Job) -> None:
        """Claim a job that somebody asked for, and start its run; release it if another node does."""
        claim = None
        if self.may_claim():
            with self.claiming([job]):
                claim = claiming.claim_asked(job, self._name)
        if self._unsettled.is_doubted(job):
            return
        if claim is None:
            self._runs.release(job)
            self._leave(job)
        else:
            logger.info("%s: claimed by node %s, %s.", claim, self._name, claim.reason)
            self._agenda.forget(job)
            self._runs.start(job, claim)

    def take_retry(self, job: Job) -> None:
        """Claim the retry of a job's slot, and start its run; release it if another node does."""
        claim = None
        if self.may_claim():
            with self.claiming([job]):
                claim = claiming.claim_retry(job, self._name)
        if self._unsettled.is_doubted(job):
            return
        if claim is None:
            self._runs.release(job)
            self._leave(job)
        else:
            logger.info("%s: claimed by node %s.", claim, self._name)
            self._agenda.forget(job)
            self._runs.start(job, claim)

    def decide(self, job: Job, problem: str = "") -> Decision | None:
        """Decide on the job's slots; return the decision if a slot is to run, and see to the missed ones if none is.

        With a ``problem`` the job can't be run here: slots that are out of its grace are missed for that reason, and
        others wait for a node that can.
        """
        assert job.pending is not None
        try:
            schedule = job.get_schedule()
            decide = partial(catch_up.decide, schedule, job.get_policy(), job.get_grace(), job.pending)
            decision = decide(self._agenda.now())
            if decision.slot is not None and job.begins(decision.slot) > self._agenda.now():
                # The newest has come, but is to be begun later, by its jitter: for now, it has not.
                decision = decide(decision.slot - MOMENT)
        except (ScheduleError, ValueError, OverflowError) as error:
            self._agenda.leave_alone(job)
            logger.error("Job %r cannot be run on node %s: %s", job.name, self._name, error)
            return None
        if decision.slot is not None and not decision.missed:
            return decision
        with self._outages.lived_through(reads=decision.slot is not None):
            if decision.missed:
                why = problem or self._agenda.why_put_off(job) or claiming.why_missed(job)
                decision = replace(decision, reason="; ".join(filter(None, [decision.reason, why])))
            if decision.slot is not None:
                return decision
            if not claiming.pass_over(job, decision, self._name):
                if self._skipped([job]):
                    return None
            elif decision.missed:
                logger.warning("Job %r: %d slots were missed: %s.", job.name, decision.missed, decision.reason)
            self._agenda.look_for(decision.next_run)
        return None

    def _leave(self, job: Job) -> None:
        """Leave what is no slot, and could not be had, to who was first, or to later."""
        if self.may_claim() and self._roomless([job]):
            return
        if not (self.may_claim() and self._skipped([job])):
            # Another node was first, or the job was edited meanwhile, and waits still.
            self._agenda.look_within(CONFLICT_PAUSE)
        self._agenda.pass_room_on(job.group)

    def _roomless(self, jobs: list[Job]) -> set[int]:
        """Have those of the jobs wait whose group is full; return their keys."""
        full: set[str] = set()
        if any(job.group for job in jobs):
            with self._outages.lived_through(reads=True):
                full = seats.full(jobs)
        found = [job for job in jobs if job.group in full]
        for job in found:
            self._agenda.wait_for_room(job)
        return {job.pk for job in found}

    def _skipped(self, jobs: list[Job]) -> set[int]:
        """Put those of the jobs off of which another transaction has locked a row; return their keys.

        Those that were edited just as they were to be claimed are looked at again at once, or so.
        """
        skipped: dict[int, str] = {}
        if jobs:
            with self._outages.lived_through(reads=True):
                skipped, edited = skips.unclaimed(jobs)
                if edited:
                    self._look_again()
        for job in jobs:
            if job.pk in skipped:
                self._agenda.put_off(job, held=skipped[job.pk])
            else:
                self._agenda.forget(job)
        return set(skipped)

    def _look_again(self) -> None:
        """Have another look soon, and not at the same moment as another node that has come to the same."""
        self._agenda.look_within(CONFLICT_PAUSE * random.uniform(1, 2))  # noqa: S311 - only to part two nodes

    @contextmanager
    def claiming(self, jobs: list[Job]) -> Iterator[None]:
        """Live through what may go wrong while ``jobs`` are claimed; what is in doubt then is found out later."""
        try:
            with self._outages.lived_through():
                yield
                self._unsettled.is_in_vain = False
        except verdicts.RowIsHeld:
            for job in jobs:
                self._agenda.put_off(job, held=skips.SOMETHING)
        except verdicts.Contention:
            self._look_again()
        except verdicts.Refused as refusal:
            logger.error("%s", refusal)
            for job in jobs:
                self._agenda.leave_alone(job)
        except verdicts.OutcomeUnknown as doubt:
            level = logging.WARNING if self._unsettled.is_in_vain else logging.INFO
            logger.log(level, "%s", doubt)
            self._unsettled.doubt(doubt.claims, jobs)
            self._agenda.look_within(0)
