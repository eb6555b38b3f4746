"""How does a node work off what is due?

A due job's way: the :mod:`cronkite.nodes.agenda` asks the database what is due, in one query. When its slot has come,
the job is offered to a worker, which says whether it has the function. Then :mod:`cronkite.schedules.catch_up` decides
the slot, :mod:`cronkite.claims.claiming` claims it, and the worker runs it and writes its end. The node claims only
what a worker is ready for.

All of this is one loop in one thread, which waits for whatever comes first: a slot, a worker, a renewal, a signal. What
it waits for is :mod:`cronkite.nodes.waiting`'s, the claiming :mod:`cronkite.nodes.taker`'s, and what becomes of it all
while the database is away :mod:`cronkite.nodes.outages`'s.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import ClassVar
from uuid import UUID

from cronkite import conf, loggers
from cronkite.claims import holding
from cronkite.claims.verdicts import Claim
from cronkite.database import teller
from cronkite.engines.couriers import Couriers
from cronkite.exceptions import DatabaseAway
from cronkite.models import Log
from cronkite.nodes import heartbeat
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.beacons import Beacons
from cronkite.nodes.dispatch import BATCH, Dispatch
from cronkite.nodes.outages import Outages
from cronkite.nodes.taker import Taker
from cronkite.nodes.unsettled import Unsettled
from cronkite.nodes.waiting import Waiting
from cronkite.nodes.wake import stopped_by_signals
from cronkite.processes import kin
from cronkite.processes.wakes import Wake
from cronkite.runs import onlookers
from cronkite.runs.events import Ended, Event, ForEngine, Ready, Refused, Runs, Wrote
from cronkite.runs.messages import KILL_AFTER
from cronkite.runs.runner import RECORD_PATIENCE

logger = logging.getLogger("cronkite")

#: Pause (seconds) before a lock is renewed whose row another transaction has locked.
HELD_PAUSE = 1.0
#: How long (seconds) the heartbeat waits while jobs that are due are about to be claimed.
COURTESY = 1.0
#: How long (seconds) receivers of signals may take at least, however much a node is in a hurry.
LEAST_PATIENCE = 0.5
MILLISECOND = 0.001


class Node:
    """A process that ticks.

    ``name`` is what the logs call it. It has what is on its ``agenda`` run by ``runs``. If the agenda stays, it is a
    loop, which ends when it is told to stop; otherwise it ends when what was due has been run. Probes see it by its
    ``beacons``. With ``at_once``, all that it does is done in this thread, one thing after another.
    """

    #: What has it live through errors of the database.
    OUTAGES: ClassVar[type[Outages]] = Outages

    def __init__(
        self, name: str, runs: Runs, agenda: Agenda, beacons: Beacons | None = None, *, at_once: bool = False
    ) -> None:
        settings = conf.get()
        self.name = name
        self._runs = runs
        self._stays = agenda.stays
        self._renewal = settings.renewal_interval.total_seconds()
        self._grace = settings.shutdown_grace.total_seconds()
        self._agenda = agenda
        self._beacons = beacons or Beacons()
        self._outages = self.OUTAGES(agenda, self._give_up)
        self._unsettled = Unsettled(runs, agenda, self._outages.lived_through)
        self._taker = Taker(name, runs, agenda, self._outages, self._unsettled, self._may_claim)
        self._wake: Wake | None = None
        self._dispatch = Dispatch(name, agenda, self._outages, Couriers(self._wake_up, at_once=at_once))
        self._in_doubt = Unsettled(self._dispatch, agenda, self._outages.lived_through)
        self._dispatch.taker = Taker(name, self._dispatch, agenda, self._outages, self._in_doubt, self._may_claim)
        self._waiting = Waiting(runs, agenda)
        self._steps = deque(
            [self._settle, self._settle_doubts, self._dispatch.go_on, self._renew, self._peek, self._look]
        )
        #: Which locks could not be renewed the last time, and whether anybody was told.
        self._held: dict[UUID, bool] = {}
        # Instants of the stopwatch (monotonic seconds); None: not planned.
        self._renew_at = time.monotonic() + self._renewal
        self._peek_at = time.monotonic() + onlookers.EVERY
        self._beat_at: float | None = time.monotonic()
        self._has_beaten = False
        self._gave_up = False
        #: For how long it is tried, after that, to write which tasks were handed over.
        self._tells_until = 0.0
        self._told_to_stop = 0
        self._stopping = False
        self._stop_by: float | None = None
        self._leave_by: float | None = None
        #: The time to leave has passed. What there is to wait for is the end of what was killed.
        self._is_late = False

    def work(self) -> None:
        """Tick, or loop; return when there is nothing left to do.

        Raises :class:`DatabaseAway` if a tick had to give up (what it ran has ended then), and
        :class:`django.db.ProgrammingError` or the like if the tables are not there.
        """
        with stopped_by_signals(self.stop) as wake:
            self._wake = wake
            try:
                while self._go_on():
                    self._wait(wake)
                if self._stays and self._has_beaten and not self._outages.is_away:
                    heartbeat.leave(self.name)
            finally:
                self._wake = None
                self._dispatch.close()
                self._runs.close(self._gone_by())
                teller.wait(self._patience())
        if self._gave_up:
            raise DatabaseAway("The database is out of reach. What is due is left to other nodes and the next tick.")

    def stop(self) -> None:
        """Claim nothing any more; let runs finish for the grace, or, when told a second time, end them now.

        May be called from a signal handler: it only leaves word.
        """
        self._told_to_stop += 1
        loggers.hurry()
        self._runs.heed_signal()

    def _heed(self) -> None:
        """Do what :meth:`stop` asked for."""
        now = time.monotonic()
        if self._told_to_stop and self._stop_by is None and self._leave_by is None:
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

    def _patience(self) -> float:
        """Return how long (seconds) receivers of signals may take before this node ends."""
        gone_by = self._gone_by()
        if gone_by is None:
            return teller.PATIENCE
        return min(teller.PATIENCE, max(LEAST_PATIENCE, gone_by - time.monotonic()))

    def _abandon(self) -> None:
        self._stopping = True
        self._agenda.close()

    def _is_done(self) -> bool:
        if self._runs.claims() or not self._unsettled.is_empty():
            return False
        if not self._in_doubt.is_empty() or not self._dispatch.is_idle():
            # An engine that does not answer keeps no node from leaving, when it is written what is not known of it.
            return self._is_late or (self._gave_up and not self._has_tasks_to_tell_of())
        if self._stopping:
            return True
        # Without room and without claims, the runs have an end to tell of, after which there may be more to look for.
        return not self._stays and self._agenda.is_empty() and not self._runs.offered() and self._runs.has_room()

    def _has_tasks_to_tell_of(self) -> bool:
        """Tell whether tasks are waited for that engines have been given: nobody else knows of them."""
        if not self._dispatch.claims():
            return False
        if time.monotonic() < self._tells_until:
            return True
        self._dispatch.leave("as the database is out of reach")
        return False

    def _go_on(self) -> bool:
        """Do what is to be done now; return whether there is anything left to wait for."""
        self._beacons.alive.light()
        self._heed()
        now = time.monotonic()
        if self._outages.is_over():
            self._ask()
        self._offer()
        beat_at = self._beat_due_at()
        if beat_at is not None and now >= beat_at:
            self._beat()
        self._is_late = self._leave_by is not None and now >= self._leave_by
        if self._is_late:
            self._runs.let_go()
            self._unsettled.give_up("as it was told to stop")
            self._in_doubt.give_up("as it was told to stop")
            self._dispatch.give_up("its node was stopped")
        return not self._is_done()

    def _beat_due_at(self) -> float | None:
        """Return when (monotonic) to show that this node is alive: jobs that are due come first, but not for ever."""
        if self._outages.retry_at is not None or self._beat_at is None:
            return None
        return self._beat_at + (COURTESY if self._runs.offered() else 0.0)

    def _beat(self) -> None:
        heartbeat.beat(self.name, stays=self._stays, begins=not self._has_beaten)
        self._has_beaten = True
        self._beat_at = time.monotonic() + heartbeat.EVERY if self._stays else None

    def _wait(self, wake: Wake) -> None:
        """Wait for whatever comes first, and handle it."""
        pause, plan = self._next()
        self._waiting.tell(pause, plan)
        until = time.monotonic() + pause
        # Whoever waits for descriptors counts in milliseconds, and rounds up. To be on the slot, the rest is slept.
        events = list(self._runs.wait(pause - pause % MILLISECOND, wake.fileno()))
        if not events and 0 < (rest := until - time.monotonic()) <= MILLISECOND:
            time.sleep(rest)
        wake.read()
        kin.reap_orphans()
        self._take_up(events)

    def _next(self) -> tuple[float, str]:
        """Return the seconds until something is to be done if nothing happens before, and what."""
        plans = [
            (self._runs.next_deadline(), "a deadline of a run or an import"),
            (self._stop_by, "the end of the grace"),
            (None if self._is_late else self._leave_by, "the time to leave"),
            (self._outages.retry_at, "the database"),
            (self._beacons.alive.next_at(), "the next beacon"),
        ]
        if self._outages.retry_at is None:
            is_running = bool(self._runs.claims() or self._dispatch.claims())
            plans += [
                (self._agenda.look_at, "the next look at what is due"),
                (self._beat_due_at(), "the next sign of life"),
                (self._agenda.next_at() if self._runs.has_room() else None, "the next slot"),
                (self._renew_at if is_running else None, "the next renewal of locks"),
                (self._peek_at if is_running else None, "the next question who looks at runs"),
                (self._unsettled.next_at(), "what the database could not tell or take"),
                (self._in_doubt.next_at(), "what the database could not tell or take"),
                (self._agenda.next_task_at(), "the next slot to hand over"),
                (self._dispatch.next_at(), "what engines have to tell"),
            ]
        return self._waiting.first(plans)

    def _offer(self) -> None:
        """Offer the jobs whose slot has come, as long as there is room for another run."""
        waiting = self._agenda.waiting()
        self._runs.prepare(waiting)
        while waiting and self._runs.has_room():
            self._runs.offer(self._agenda.take())
            waiting -= 1
        if self._may_claim():
            self._dispatch.follow(self._agenda.followed)
            self._agenda.followed = []
            while jobs := self._agenda.take_tasks(BATCH):
                self._dispatch.offer(jobs)

    # What happened.

    def _take_up(self, events: list[Event]) -> None:
        for event in events:
            self._handle(event)
        ready = [event.job for event in events if isinstance(event, Ready)]
        for job in ready:
            self._agenda.trust(job)
        self._taker.take_all(ready)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Refused):
            self._agenda.leave_alone(event.job, longer=event.is_costly)
            logger.error("Job %r cannot be run on node %s: %s", event.job.name, self.name, event.problem)
            # Somebody's request waits for a node that can, and so does a retry.
            if not event.job.is_asked and not event.job.is_retry:
                self._taker.decide(event.job, event.problem)
            self._agenda.pass_room_on(event.job.group)
        elif isinstance(event, ForEngine):
            self._agenda.trust(event.job)
            self._dispatch.offer_task(event.job, event.engine)
        elif isinstance(event, Ended):
            if event.unrecorded is not None:
                level = logging.DEBUG if event.is_doubtful or event.is_told else logging.ERROR
                logger.log(level, "%s: %s, %s.", event.claim, event.unrecorded.status, event.unrecorded.reason)
                self._unsettled.end(event.claim, event.unrecorded)
                return
            if event.claim.next_run is not None:
                self._agenda.look_for(event.claim.next_run)
            self._agenda.have_room(event.claim.group)
        elif isinstance(event, Wrote):
            with self._outages.lived_through():
                onlookers.show(event.claim, event.output)

    def _under_way(self) -> set[int]:
        """Return the keys of the jobs that this node is at, and is not to look for."""
        doubts = self._unsettled.jobs() | self._in_doubt.jobs()
        return self._runs.offered() | self._dispatch.offered() | doubts

    def _wake_up(self) -> None:
        """Have the loop look around; called by other threads."""
        if (wake := self._wake) is not None:
            wake.up()

    def _may_claim(self) -> bool:
        return not self._stopping and self._outages.retry_at is None

    # What the database has to be told or asked, again and again if it is away.

    def _ask(self) -> None:
        """Do what there is to do with the database, until it does not answer.

        To be refused may take a connect's time, each time: what has to be done without the database is not to wait for
        all that has to be done with it. The next pass begins behind what has failed, which may fail for good.
        """
        for _ in range(len(self._steps)):
            step = self._steps[0]
            self._steps.rotate(-1)
            step()
            if self._outages.retry_at is not None:
                return

    def _settle(self) -> None:
        """Find out whether claims for runs are ours, and write ends."""
        self._unsettled.go_on(stopping=self._stopping)

    def _settle_doubts(self) -> None:
        """Find out whether claims for engines are ours."""
        self._in_doubt.go_on(stopping=self._stopping)

    def _look(self) -> None:
        """Look who is due, if it is time to."""
        if self._agenda.look_at is not None and time.monotonic() >= self._agenda.look_at:
            with self._outages.lived_through(reads=True):
                self._agenda.look(self._under_way())
                self._beacons.ready.light()

    def _renew(self) -> None:
        """Renew the locks of all runs, if it is time to, and end those that have lost theirs."""
        now = time.monotonic()
        if now < self._renew_at:
            return
        claims = self._runs.claims() + self._dispatch.claims()
        if not claims:
            self._renew_at = now + self._renewal
            return
        # Soon again, if it is not possible now.
        self._renew_at = now + min(self._renewal, HELD_PAUSE)
        found = holding.Renewal([], [])
        with self._outages.lived_through():
            found = holding.renewal(claims)
            if not found.held:
                self._renew_at = now + self._renewal
        handed = {claim.token for claim in self._dispatch.claims()}
        for claim in found.gone:
            if claim.token in handed:
                # It can't be called back. That its lock was lost is told when it is written.
                continue
            logger.warning("%s: its lock is lost, so it is ended.", claim)
            self._runs.end(claim, Log.Status.LOST, "its lock was lost")
        self._tell_held(found.held)

    def _peek(self) -> None:
        """Find out what those runs have written that somebody looks at, if it is time to."""
        if time.monotonic() < self._peek_at:
            return
        self._peek_at = time.monotonic() + onlookers.EVERY
        if claims := self._runs.claims():
            with self._outages.lived_through(reads=True):
                for claim in onlookers.watched(claims):
                    self._runs.peek(claim)

    def _tell_held(self, claims: list[Claim]) -> None:
        """Tell of locks that can't be renewed, if that is so for the second time; once."""
        for claim in claims:
            if self._held.get(claim.token) is False:
                said = "%s: its lock can't be renewed, as another transaction has locked the job's row; trying again."
                logger.warning(said, claim)
        self._held = {claim.token: claim.token in self._held for claim in claims}

    def _give_up(self) -> None:
        if not self._gave_up:
            self._gave_up, self._tells_until = True, time.monotonic() + RECORD_PATIENCE
        self._unsettled.give_up("as the database is out of reach")
        self._in_doubt.give_up("as the database is out of reach")
        self._abandon()
