"""How does a node tick?

A due job's way: ``Node._look`` asks the database for what is due, in one query; when its slot has come it is offered
to a worker, which says whether it has the function; then :mod:`cronkite.catch_up` decides the slot, :mod:`cronkite.locks`
claims it, and the worker runs it and writes its end. The node claims only what a worker is ready for.

All of this is one loop in one thread, which waits for whatever comes first: a slot, a worker, a renewal, a signal.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from types import FrameType

from django.db import DatabaseError, connections

from cronkite import catch_up, clock, conf, databases, locks
from cronkite.catch_up import CatchUp, Decision
from cronkite.clock import Reading
from cronkite.exceptions import ScheduleError
from cronkite.locks import Claim
from cronkite.models import Job, Log
from cronkite.outcomes import Outcome
from cronkite.pool import Ended, Event, Here, Pool, Ready, Refused, Runs, Worker

logger = logging.getLogger("cronkite")

#: How many due jobs a look brings at most; the next look brings more.
PAGE = 500
#: How often (seconds) a loop looks for jobs that are new or were edited, and so how far it looks ahead.
POLL = 10.0
#: How long before a slot (seconds) a loop looks for who is due.
LEAD = 0.1
#: Pauses (seconds) before trying again: after a conflict with another node; while the database is away.
CONFLICT_PAUSE = 0.05
OUTAGE_PAUSE = 1.0
#: How long (seconds) a tick puts up with a database that is away before it gives up what it has not claimed.
OUTAGE_PATIENCE = 30.0
#: How long (seconds) a loop does not offer a job again whose function could not be run here.
REFUSAL = 60.0


class DatabaseAway(Exception):
    """The database was out of reach for so long that the tick gave up."""


class Node:
    """A process that ticks.

    ``name`` is what the logs call it. With ``stays`` it is a loop, which ends when it is told to stop; otherwise it
    ends when what was due has been run.
    """

    def __init__(self, name: str, runs: Runs, *, stays: bool = False) -> None:
        settings = conf.get()
        self.name = name
        self._runs = runs
        self._stays = stays
        self._ahead = timedelta(seconds=POLL) if stays else settings.lookahead
        self._renewal = settings.renewal_interval.total_seconds()
        self._grace = settings.shutdown_grace.total_seconds()
        self._agenda: deque[Job] = deque()
        self._problems: dict[int, tuple[float, str]] = {}
        self._doubts: list[tuple[Claim, Worker]] = []
        self._unrecorded: list[tuple[Claim, Outcome]] = []
        self._reading: Reading | None = None
        self._until: datetime | None = None
        # Instants of the stopwatch (monotonic seconds); None: not planned.
        self._look_at: float | None = time.monotonic()
        self._renew_at = time.monotonic() + self._renewal
        self._retry_at: float | None = None
        self._away_since: float | None = None
        self._gave_up = False
        self._told_to_stop = 0
        self._stopping = False
        self._stop_by: float | None = None
        self._more = False

    def work(self) -> None:
        """Tick, or loop; return when there is nothing left to do.

        Raises :class:`DatabaseAway` if a tick had to give up (what it ran has ended then), and
        :class:`django.db.ProgrammingError` or the like if the tables are not there.
        """
        with _signals(self.stop) as wake:
            try:
                while self._go_on():
                    self._wait(wake)
            finally:
                self._runs.close()
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
            self._stop_by = None
            for claim in self._runs.claims():
                self._runs.end(claim, Log.Status.INTERRUPTED, "its node was stopped")

    def _abandon(self) -> None:
        self._stopping = True
        self._agenda.clear()
        self._look_at = None

    def _is_done(self) -> bool:
        if self._runs.claims() or self._unrecorded or self._doubts:
            return False
        if self._stopping:
            return True
        return not (self._stays or self._agenda or self._look_at is not None or self._runs.offered())

    def _go_on(self) -> bool:
        """Do what is to be done now; return whether there is anything left to wait for."""
        self._heed()
        now = time.monotonic()
        if self._retry_at is None or now >= self._retry_at:
            self._retry_at = None
            self._settle()
            self._record()
            if now >= self._renew_at:
                self._renew()
            if self._look_at is not None and now >= self._look_at:
                self._look()
        self._offer()
        return not self._is_done()

    def _wait(self, wake: int) -> None:
        """Wait for whatever comes first, and handle it."""
        for event in self._runs.wait(self._pause(), wake):
            self._handle(event)
        with suppress(BlockingIOError):
            os.read(wake, 4096)

    def _pause(self) -> float | None:
        """Return the seconds until something is to be done, or ``None`` if nothing is before an event."""
        now = time.monotonic()
        plans = [self._runs.next_deadline(), self._stop_by]
        if self._retry_at is not None:
            plans.append(self._retry_at)
        else:
            plans.append(self._look_at)
            if self._runs.claims():
                plans.append(self._renew_at)
            if self._agenda and self._reading and self._runs.has_room():
                plans.append(now + (self._slot(self._agenda[0]) - self._reading.now()).total_seconds())
        if self._doubts or self._unrecorded:
            plans.append(self._retry_at or now)
        return max(0.0, min((at for at in plans if at is not None), default=now + POLL) - now)

    # What is due.

    def _look(self) -> None:
        """Ask the database what is due, or will be soon. This one query is all of an idle tick."""
        self._look_at = None
        with self._database():
            self._forget_refusals()
            if self._stays and self._reading is None:
                self._reading = Reading(clock.now(locks.database()))
            due = Job.objects.using(locks.database()).queue_or_stuck(self._ahead)
            if self._until is not None and not self._stays:
                # A tick ends: it takes what was due when it began, however much falls due meanwhile.
                due = due.filter(next_run__lte=self._until)
            skipped = self._runs.offered() | self._problems.keys()
            jobs = list(due.exclude(pk__in=skipped)[:PAGE] if skipped else due[:PAGE])
            if jobs:
                self._reading = Reading(jobs[0].now)
                self._until = self._until or jobs[0].now + self._ahead
            self._agenda = deque(job for job in jobs if not self._is_stuck(job))
            self._more = len(jobs) == PAGE
        if self._stays and not self._stopping and self._reading is not None:
            # In step with the database's clock, so that a job of the full minute is seen on the minute.
            self._look_within(POLL - self._reading.now().timestamp() % POLL)

    def _is_stuck(self, job: Job) -> bool:
        """Warn of a job that nobody will run until a person unlocks it."""
        if job.lock is None or conf.get().lock_timeout is not None:
            return False
        problem = f"locked by {job.locked_by}, which was last seen alive at {job.locked_at:%Y-%m-%d %H:%M:%S} UTC"
        logger.warning("Job %r is stuck: %s. If that run is gone, unlock the job in the admin.", job.name, problem)
        self._problems[job.pk] = (time.monotonic(), problem)
        return True

    def _offer(self) -> None:
        """Offer the jobs whose slot has come, as long as there is room for another run."""
        if not self._agenda or self._reading is None:
            return
        now = self._reading.now()
        self._runs.prepare(sum(self._slot(job) <= now for job in islice(self._agenda, PAGE)))
        while self._agenda and self._slot(self._agenda[0]) <= now and self._runs.has_room():
            self._runs.offer(self._agenda.popleft())
        if not self._agenda and self._more:
            self._more = False
            self._look_within(0)

    def _look_within(self, seconds: float) -> None:
        if not self._stopping:
            at = time.monotonic() + max(0.0, seconds)
            self._look_at = at if self._look_at is None else min(self._look_at, at)

    def _look_for(self, slot: datetime) -> None:
        """Plan to look for who is due at ``slot``, if this node would see it at all before its next look."""
        assert self._reading is not None and self._until is not None
        if self._stays:
            self._look_within((slot - self._reading.now()).total_seconds() - LEAD)
        elif slot <= self._until:
            self._look_within(0)

    @staticmethod
    def _slot(job: Job) -> datetime:
        assert job.next_run is not None
        return job.next_run

    def _forget_refusals(self) -> None:
        if self._stays:
            long_ago = time.monotonic() - REFUSAL
            self._problems = {pk: problem for pk, problem in self._problems.items() if problem[0] > long_ago}

    # What happened.

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ready):
            if self._stopping or self._retry_at is not None or not self._claim(event.worker, event.job):
                self._runs.release(event.worker)
        elif isinstance(event, Refused):
            self._problems[event.job.pk] = (time.monotonic(), event.problem)
            logger.error("Job %r cannot be run on node %s: %s", event.job.name, self.name, event.problem)
            self._decide(event.job, event.problem)
        else:
            if event.unrecorded is not None:
                logger.error("%s: %s, %s.", event.claim, event.unrecorded.status, event.unrecorded.reason)
                self._unrecorded.append((event.claim, event.unrecorded))
            if event.claim.next_run is not None:
                self._look_for(event.claim.next_run)

    def _decide(self, job: Job, problem: str = "") -> Decision | None:
        """Decide on the job's slots; return the decision if a slot is to run, and see to the missed ones if none is.

        With a ``problem`` the job can't be run here: slots that are out of its grace are missed for that reason, and
        others wait for a node that can.
        """
        assert self._reading is not None and job.pending is not None
        try:
            schedule = job.get_schedule()
            policy = CatchUp(job.catch_up)
            decision = catch_up.decide(schedule, policy, job.get_grace(), job.pending, self._reading.now())
        except (ScheduleError, ValueError, OverflowError) as error:
            self._problems[job.pk] = (time.monotonic(), str(error))
            logger.error("Job %r cannot be run: %s", job.name, error)
            return None
        with self._database():
            if decision.missed:
                why = problem or locks.why_missed(job)
                decision = replace(decision, reason="; ".join(filter(None, [decision.reason, why])))
            if decision.slot is not None:
                return decision
            if locks.pass_over(job, decision, self.name):
                if decision.missed:
                    logger.warning("Job %r: %d slots were missed: %s.", job.name, decision.missed, decision.reason)
                self._problems.pop(job.pk, None)
            self._look_for(decision.next_run)
        return None

    def _claim(self, worker: Worker, job: Job) -> bool:
        """Claim the job's slot for the worker that is ready for it, and start it; ``False`` if nothing was started."""
        decision = self._decide(job)
        if decision is None:
            return False
        try:
            with self._database():
                claim = locks.claim(job, decision, self.name)
                if claim is None:
                    self._look_for(decision.next_run)
                    return False
                logger.info("%s: claimed by node %s.", claim, self.name)
                self._runs.start(worker, claim)
                return True
        except locks.Contention:
            self._look_within(CONFLICT_PAUSE * random.uniform(1, 2))
        except locks.OutcomeUnknown as doubt:
            logger.warning("%s", doubt)
            self._doubts.append((doubt.claim, worker))
            self._retry_at = time.monotonic() + OUTAGE_PAUSE
            return True
        return False

    # What the database has to be told or asked, again and again if it is away.

    def _settle(self) -> None:
        """Find out about claims whose COMMIT was not answered."""
        for doubt in list(self._doubts):
            with self._database():
                claim, worker = doubt
                if locks.settle(claim):
                    self._runs.start(worker, claim)
                else:
                    self._runs.release(worker)
                    self._look_within(0)
                self._doubts.remove(doubt)

    def _record(self) -> None:
        """Write the ends of runs whose processes could not do it."""
        for claim, outcome in list(self._unrecorded):
            with self._database():
                locks.finish(claim, outcome)
                self._unrecorded.remove((claim, outcome))

    def _renew(self) -> None:
        """Renew the locks of all runs, and end those that have lost theirs."""
        self._renew_at = time.monotonic() + self._renewal
        claims = self._runs.claims()
        if claims:
            with self._database():
                for claim in locks.renew(claims):
                    logger.warning("%s: its lock is lost, so it is ended.", claim)
                    self._runs.end(claim, Log.Status.LOST, "its lock was lost")

    @contextmanager
    def _database(self) -> Iterator[None]:
        """Live through errors of the database: what could not be done is tried again when it is back."""
        try:
            yield
        except DatabaseError as error:
            if databases.is_missing_table(error):
                raise
            connections[locks.database()].close()
            now = time.monotonic()
            self._retry_at = now + OUTAGE_PAUSE
            self._look_within(0)
            if self._away_since is None:
                self._away_since = now
                logger.warning("The database does not answer as it should; trying again. %s", error)
            elif not self._stays and now - self._away_since > OUTAGE_PATIENCE:
                self._give_up()
        else:
            if self._away_since is not None:
                self._away_since = None
                logger.warning("The database is back.")

    def _give_up(self) -> None:
        self._gave_up = True
        for claim, worker in self._doubts:
            logger.critical(
                "%s: may be claimed by this node, which gives up. Its lock then stays until its timeout.", claim
            )
            self._runs.release(worker)
        for claim, outcome in self._unrecorded:
            logger.critical("%s: %s, which could not be written.", claim, outcome.status)
        self._doubts.clear()
        self._unrecorded.clear()
        self._abandon()


def tick(workers: int) -> None:
    """Run what is due, by ``workers`` processes or, with 0, in this one; return when it has been run."""
    settings = conf.get()
    Node(settings.node, Pool(workers) if workers else Here()).work()


def loop(workers: int) -> None:
    """Tick at each slot until the process is told to stop (SIGTERM or SIGINT)."""
    settings = conf.get()
    logger.info("Node %s ticks.", settings.node)
    Node(settings.node, Pool(workers) if workers else Here(), stays=True).work()


def process_queue() -> None:
    """Run what is due in this process: the code behind :meth:`Job.process_queue`."""
    tick(workers=0)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[int]:
    """Have SIGTERM and SIGINT call ``stop``, and yield a descriptor that becomes readable when one has arrived."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread can have signals; whoever ticks elsewhere stops it in other ways.
        yield reader
        os.close(reader)
        os.close(writer)
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        stop()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
