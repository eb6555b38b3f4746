"""How does a node work off what is due?

A due job's way: the :mod:`cronkite.agenda` asks the database what is due, in one query. When its slot has come, the job
is offered to a worker, which says whether it has the function. Then :mod:`cronkite.catch_up` decides the slot,
:mod:`cronkite.locks` claims it, and the worker runs it and writes its end. The node claims only what a worker is ready
for.

All of this is one loop in one thread, which waits for whatever comes first: a slot, a worker, a renewal, a signal.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from django.db import DatabaseError, connections

from cronkite import catch_up, conf, databases, heartbeat, holding, kin, locks, onlookers, skips
from cronkite.agenda import Agenda
from cronkite.beacons import Beacons
from cronkite.catch_up import Decision
from cronkite.exceptions import DatabaseAway, ScheduleError
from cronkite.locks import Claim
from cronkite.messages import KILL_AFTER
from cronkite.models import Job, Log
from cronkite.runs import Ended, Event, Ready, Refused, Runs, Wrote
from cronkite.signals import Wake, stopped_by_signals
from cronkite.unsettled import Unsettled

logger = logging.getLogger("cronkite")
waiting = logging.getLogger("cronkite.waiting")

#: Pauses (seconds) before trying again: after a conflict with another node; while the database is away.
CONFLICT_PAUSE = 0.05
OUTAGE_PAUSE = 1.0
#: Pause (seconds) before a lock is renewed whose row another transaction has locked.
HELD_PAUSE = 1.0
#: How long (seconds) a tick puts up with a database that is away before it gives up what it has not claimed.
OUTAGE_PATIENCE = 30.0
#: How long (seconds) the heartbeat waits while jobs that are due are about to be claimed.
COURTESY = 1.0
#: How long (seconds) a node waits for events when nothing is planned.
IDLE = 60.0
MILLISECOND = 0.001


class Node:
    """A process that ticks.

    ``name`` is what the logs call it. It has what is on its ``agenda`` run by ``runs``. If the agenda stays, it is a
    loop, which ends when it is told to stop; otherwise it ends when what was due has been run. Probes see it by its
    ``beacons``.
    """

    def __init__(self, name: str, runs: Runs, agenda: Agenda, beacons: Beacons | None = None) -> None:
        settings = conf.get()
        self.name = name
        self._runs = runs
        self._stays = agenda.stays
        self._renewal = settings.renewal_interval.total_seconds()
        self._grace = settings.shutdown_grace.total_seconds()
        self._agenda = agenda
        self._beacons = beacons or Beacons()
        self._unsettled = Unsettled(runs, agenda, self._database)
        #: Which locks could not be renewed the last time, and whether anybody was told.
        self._held: dict[UUID, bool] = {}
        # Instants of the stopwatch (monotonic seconds); None: not planned.
        self._renew_at = time.monotonic() + self._renewal
        self._peek_at = time.monotonic() + onlookers.EVERY
        self._beat_at: float | None = time.monotonic()
        self._has_beaten = False
        self._retry_at: float | None = None
        self._away_since: float | None = None
        self._refuses_writes = False
        self._gave_up = False
        self._told_to_stop = 0
        self._stopping = False
        self._stop_by: float | None = None
        self._leave_by: float | None = None
        #: What was told last that this node waits for.
        self._told = ""

    def work(self) -> None:
        """Tick, or loop; return when there is nothing left to do.

        Raises :class:`DatabaseAway` if a tick had to give up (what it ran has ended then), and
        :class:`django.db.ProgrammingError` or the like if the tables are not there.
        """
        with stopped_by_signals(self.stop) as wake:
            try:
                while self._go_on():
                    self._wait(wake)
                if self._stays and self._has_beaten and self._away_since is None:
                    heartbeat.leave(self.name)
            finally:
                self._runs.close(self._gone_by())
        if self._gave_up:
            raise DatabaseAway("The database is out of reach. What is due is left to other nodes and the next tick.")

    def stop(self) -> None:
        """Claim nothing any more; let runs finish for the grace, or, when told a second time, end them now.

        May be called from a signal handler: it only leaves word.
        """
        self._told_to_stop += 1
        self._runs.heed_signal()

    def _heed(self) -> None:
        """Do what :meth:`stop` asked for."""
        now = time.monotonic()
        if self._told_to_stop and not self._stopping:
            logger.info("Node %s stops: it claims no more, and its runs have %g s to finish.", self.name, self._grace)
            self._stop_by = now + self._grace
            self._abandon()
        if self._stop_by is not None and (now >= self._stop_by or self._told_to_stop > 1):
            self._stop_by, self._leave_by = None, now + KILL_AFTER
            for claim in self._runs.claims():
                self._runs.end(claim, Log.Status.INTERRUPTED, "its node was stopped")

    def _gone_by(self) -> float | None:
        """Return when (monotonic) this node has to be gone: it was told to stop, or may take its time (``None``)."""
        return self._leave_by if self._stop_by is None else self._stop_by + KILL_AFTER

    def _abandon(self) -> None:
        self._stopping = True
        self._agenda.close()

    def _is_done(self) -> bool:
        if self._runs.claims() or not self._unsettled.is_empty():
            return False
        if self._stopping:
            return True
        # Without room and without claims, the runs have an end to tell of, after which there may be more to look for.
        return not self._stays and self._agenda.is_empty() and not self._runs.offered() and self._runs.has_room()

    def _go_on(self) -> bool:
        """Do what is to be done now; return whether there is anything left to wait for."""
        self._beacons.alive.light()
        self._heed()
        now = time.monotonic()
        if self._retry_at is None or now >= self._retry_at:
            self._retry_at = None
            self._unsettled.go_on(stopping=self._stopping)
            if now >= self._renew_at:
                self._renew()
            if now >= self._peek_at:
                self._peek()
            if self._agenda.look_at is not None and now >= self._agenda.look_at:
                with self._database(reads=True):
                    self._agenda.look(self._runs.offered() | self._unsettled.jobs())
                    self._beacons.ready.light()
        self._offer()
        beat_at = self._beat_due_at()
        if beat_at is not None and now >= beat_at:
            self._beat()
        if self._leave_by is not None and now >= self._leave_by and self._away_since is None:
            self._unsettled.give_up("as it was told to stop")
        return not self._is_done()

    def _beat_due_at(self) -> float | None:
        """Return when (monotonic) to show that this node is alive: jobs that are due come first, but not for ever."""
        if self._retry_at is not None or self._beat_at is None:
            return None
        return self._beat_at + (COURTESY if self._runs.offered() else 0.0)

    def _beat(self) -> None:
        heartbeat.beat(self.name, stays=self._stays, begins=not self._has_beaten)
        self._has_beaten = True
        self._beat_at = time.monotonic() + heartbeat.EVERY if self._stays else None

    def _wait(self, wake: Wake) -> None:
        """Wait for whatever comes first, and handle it."""
        pause, plan = self._next()
        if pause and waiting.isEnabledFor(logging.DEBUG):
            self._tell_wait(pause, plan)
        until = time.monotonic() + pause
        # Whoever waits for descriptors counts in milliseconds, and rounds up. To be on the slot, the rest is slept.
        events = list(self._runs.wait(pause - pause % MILLISECOND, wake.fileno()))
        if not events and 0 < (rest := until - time.monotonic()) <= MILLISECOND:
            time.sleep(rest)
        wake.clear()
        kin.reap_orphans()
        for event in events:
            self._handle(event)
        ready = [event.job for event in events if isinstance(event, Ready)]
        if due := [job for job in ready if not job.is_asked]:
            self._claim(due)
        for job in ready:
            if job.is_asked:
                self._claim_asked(job)

    def _next(self) -> tuple[float, str]:
        """Return the seconds until something is to be done if nothing happens before, and what."""
        now = time.monotonic()
        plans = [
            (self._runs.next_deadline(), "a deadline of a run or an import"),
            (self._stop_by, "the end of the grace"),
            (self._retry_at, "the database"),
            (self._beacons.alive.next_at(), "the next beacon"),
        ]
        if self._retry_at is None:
            is_running = bool(self._runs.claims())
            plans += [
                (self._agenda.look_at, "the next look at what is due"),
                (self._beat_due_at(), "the next sign of life"),
                (self._agenda.next_at() if self._runs.has_room() else None, "the next slot"),
                (self._renew_at if is_running else None, "the next renewal of locks"),
                (self._peek_at if is_running else None, "the next question who looks at runs"),
                (self._unsettled.next_at(), "what the database could not tell or take"),
            ]
        known = [(at, what) for at, what in plans if at is not None]
        at, what = min(known, default=(now + IDLE, ""))
        return max(0.0, at - now), what

    def _tell_wait(self, pause: float, plan: str) -> None:
        """Say what is waited for, unless that was said already."""
        if self._runs.offered():
            # Whoever is asked if he is ready says so at once, or the log tells that he does not.
            return
        awaited = [f"the end of {claim}" for claim in self._runs.claims()]
        if (coming := self._agenda.first()) is not None:
            awaited.append(f"job {coming.name!r}, whose slot is {coming.next_run:%Y-%m-%d %H:%M:%S} UTC")
        told = "; ".join(awaited or filter(None, [plan]))
        if told and told != self._told:
            self._told = told
            waiting.debug("Waits for %s (%.1f s until there is anything else to do).", told, pause)

    def _offer(self) -> None:
        """Offer the jobs whose slot has come, as long as there is room for another run."""
        waiting = self._agenda.waiting()
        self._runs.prepare(waiting)
        while waiting and self._runs.has_room():
            self._runs.offer(self._agenda.take())
            waiting -= 1

    # What happened.

    def _handle(self, event: Event) -> None:
        if isinstance(event, Refused):
            self._agenda.leave_alone(event.job, longer=event.is_costly)
            logger.error("Job %r cannot be run on node %s: %s", event.job.name, self.name, event.problem)
            # Somebody's request waits for a node that can.
            if not event.job.is_asked:
                self._decide(event.job, event.problem)
        elif isinstance(event, Ended):
            if event.unrecorded is not None:
                level = logging.DEBUG if event.is_doubtful else logging.ERROR
                logger.log(level, "%s: %s, %s.", event.claim, event.unrecorded.status, event.unrecorded.reason)
                self._unsettled.end(event.claim, event.unrecorded)
            if event.claim.next_run is not None:
                self._agenda.look_for(event.claim.next_run)
        elif isinstance(event, Wrote):
            with self._database():
                onlookers.show(event.claim, event.output)

    def _decide(self, job: Job, problem: str = "") -> Decision | None:
        """Decide on the job's slots; return the decision if a slot is to run, and see to the missed ones if none is.

        With a ``problem`` the job can't be run here: slots that are out of its grace are missed for that reason, and
        others wait for a node that can.
        """
        assert job.pending is not None
        try:
            schedule = job.get_schedule()
            decision = catch_up.decide(schedule, job.get_policy(), job.get_grace(), job.pending, self._agenda.now())
        except (ScheduleError, ValueError, OverflowError) as error:
            self._agenda.leave_alone(job)
            logger.error("Job %r cannot be run on node %s: %s", job.name, self.name, error)
            return None
        if decision.slot is not None and not decision.missed:
            return decision
        with self._database(reads=decision.slot is not None):
            if decision.missed:
                why = problem or self._agenda.why_put_off(job) or locks.why_missed(job)
                decision = replace(decision, reason="; ".join(filter(None, [decision.reason, why])))
            if decision.slot is not None:
                return decision
            if not locks.pass_over(job, decision, self.name):
                if self._skipped([job]):
                    return None
            elif decision.missed:
                logger.warning("Job %r: %d slots were missed: %s.", job.name, decision.missed, decision.reason)
            self._agenda.look_for(decision.next_run)
        return None

    def _claim(self, jobs: list[Job]) -> None:
        """Claim the slots of jobs that are ready, and start their runs; release those that are not to be started."""
        wanted = [(job, decision) for job in jobs if self._may_claim() and (decision := self._decide(job)) is not None]
        claims: list[Claim | None] = []
        if wanted and self._may_claim():
            with self._claiming([job for job, _ in wanted]):
                claims = locks.claim_all(wanted, self.name)
        lost = []
        for (job, decision), claim in zip(wanted, claims, strict=False):
            if claim is None:
                lost.append((job, decision))
            else:
                logger.info("%s: claimed by node %s.", claim, self.name)
                self._agenda.forget(job)
                self._runs.start(job, claim)
        taken = {claim.job_id for claim in claims if claim}
        for job in jobs:
            if job.pk not in taken and not self._unsettled.is_doubted(job):
                self._runs.release(job)
        skipped = self._skipped([job for job, _ in lost])
        for job, decision in lost:
            self._agenda.lost_race()
            if job.pk not in skipped:
                self._agenda.look_for(decision.next_run)

    def _claim_asked(self, job: Job) -> None:
        """Claim a job that somebody asked for, and start its run; release it if another node does."""
        claim = None
        if self._may_claim():
            with self._claiming([job]):
                claim = locks.claim_asked(job, self.name)
        if self._unsettled.is_doubted(job):
            return
        if claim is None:
            self._runs.release(job)
            if not self._may_claim() or not self._skipped([job]):
                # Another node was first, or the job was edited meanwhile, and waits still.
                self._agenda.look_within(CONFLICT_PAUSE)
        else:
            logger.info("%s: claimed by node %s, %s.", claim, self.name, claim.reason)
            self._agenda.forget(job)
            self._runs.start(job, claim)

    def _skipped(self, jobs: list[Job]) -> set[int]:
        """Put those of the jobs off whose rows another transaction has locked; return their keys."""
        skipped: dict[int, bool] = {}
        if jobs:
            with self._database(reads=True):
                skipped = skips.skipped(jobs)
        for job in jobs:
            if job.pk in skipped:
                self._agenda.put_off(job, is_held=skipped[job.pk])
            else:
                self._agenda.forget(job)
        return set(skipped)

    @contextmanager
    def _claiming(self, jobs: list[Job]) -> Iterator[None]:
        """Live through what may go wrong while ``jobs`` are claimed; what is in doubt then is found out later."""
        try:
            with self._database():
                yield
                self._unsettled.is_in_vain = False
        except locks.RowIsHeld:
            for job in jobs:
                self._agenda.put_off(job, is_held=True)
        except locks.Contention:
            self._agenda.look_within(CONFLICT_PAUSE * random.uniform(1, 2))  # noqa: S311 - only to part two nodes
        except locks.Refused as refusal:
            logger.error("%s", refusal)
            for job in jobs:
                self._agenda.leave_alone(job)
        except locks.OutcomeUnknown as doubt:
            level = logging.WARNING if self._unsettled.is_in_vain else logging.INFO
            logger.log(level, "%s", doubt)
            self._unsettled.doubt(doubt.claims, jobs)
            self._agenda.look_within(0)

    def _may_claim(self) -> bool:
        return not self._stopping and self._retry_at is None

    # What the database has to be told or asked, again and again if it is away.

    def _renew(self) -> None:
        """Renew the locks of all runs, and end those that have lost theirs."""
        now = time.monotonic()
        claims = self._runs.claims()
        if not claims:
            self._renew_at = now + self._renewal
            return
        # Soon again, if it is not possible now.
        self._renew_at = now + min(self._renewal, HELD_PAUSE)
        found = holding.Renewal([], [])
        with self._database():
            found = holding.renewal(claims)
            if not found.held:
                self._renew_at = now + self._renewal
        for claim in found.gone:
            logger.warning("%s: its lock is lost, so it is ended.", claim)
            self._runs.end(claim, Log.Status.LOST, "its lock was lost")
        self._tell_held(found.held)

    def _peek(self) -> None:
        """Find out what those runs have written that somebody looks at."""
        self._peek_at = time.monotonic() + onlookers.EVERY
        if claims := self._runs.claims():
            with self._database(reads=True):
                for claim in onlookers.watched(claims):
                    self._runs.peek(claim)

    def _tell_held(self, claims: list[Claim]) -> None:
        """Tell of locks that can't be renewed, if that is so for the second time; once."""
        for claim in claims:
            if self._held.get(claim.token) is False:
                said = "%s: its lock can't be renewed, as another transaction has locked the job's row; trying again."
                logger.warning(said, claim)
        self._held = {claim.token: claim.token in self._held for claim in claims}

    @contextmanager
    def _database(self, *, reads: bool = False) -> Iterator[None]:
        """Live through errors of the database: what could not be done is tried again when it is back.

        That is not so when it answers who only ``reads``, as one whose disk is full does, if it has refused a write.
        """
        try:
            yield
        except DatabaseError as error:
            if databases.is_missing_table(error):
                raise
            if databases.is_conflict(error):
                # Another transaction was first; no outage.
                self._agenda.look_within(CONFLICT_PAUSE)
                return
            connections[locks.database()].close()
            now = time.monotonic()
            self._retry_at = now + OUTAGE_PAUSE
            self._agenda.look_within(0)
            self._refuses_writes |= not reads
            if self._away_since is None:
                self._away_since = now
                logger.warning("The database does not answer as it should; trying again. %s", error)
            elif not self._stays and now - self._away_since > OUTAGE_PATIENCE:
                self._give_up("as the database is out of reach")
        else:
            if self._away_since is not None and not (reads and self._refuses_writes):
                self._away_since, self._refuses_writes = None, False
                logger.warning("The database is back.")

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        self._unsettled.give_up(why)
        self._abandon()
