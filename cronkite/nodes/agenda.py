"""What is due for this node, and when does it ask again?"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connections

from cronkite import conf
from cronkite.claims.rows import HeldRows
from cronkite.code import labels
from cronkite.database import clock, quirks
from cronkite.database.clock import Reading
from cronkite.database.statements import Select, place
from cronkite.models import Job, primary
from cronkite.models.queries import JobQuerySet
from cronkite.nodes import jitters
from cronkite.nodes.lanes import Lane, slot_of
from cronkite.nodes.rooms import Rooms

logger = logging.getLogger("cronkite")

#: How many due jobs a look brings at most; the next look brings more.
PAGE = 500
#: Of how many jobs that a node takes one may be gone already; when it is more, it is time to look again.
LOST_OF = 20
#: At how many places, a page apart, nodes begin at most that are in each other's way.
PLACES = 16
#: How often (seconds) a loop looks for jobs that are new or were edited, and so how far it looks ahead. Five times a
#: minute: with the sign of life, that makes six statements where nothing is due.
POLL = 12.0
#: How long before a slot (seconds) a loop looks for who is due.
LEAD = 0.1
#: How long (seconds) to wait for others on a full page to be seen to, before looking for what stands behind them.
PASSING = 0.2
#: How long (seconds) a loop leaves a job alone whose function could not be run here, or that is stuck.
REFUSAL = 60.0
#: The longest time (seconds) for which the jobs of a module are left alone whose import hangs, or ends its process.
LONGEST_REFUSAL = 1800.0
#: How many refusals are counted: by then the time is the longest.
MOST_REFUSALS = 10


class Agenda:
    """The jobs that a node knows to be due, or to fall due soon, in the order of their slots as far as others let it.

    A tick's agenda ends: it is what was due, or about to be, when the tick began, however much falls due meanwhile. The
    agenda of a loop (``stays``) goes on. How far that is ``ahead`` is for the settings to say, unless it is given.
    """

    def __init__(self, *, stays: bool = False, ahead: timedelta | None = None) -> None:
        self.stays = stays
        if ahead is None:
            ahead = timedelta(seconds=POLL) if stays else conf.get().lookahead
        self._ahead = ahead
        #: What this node is to run, and what it is to hand over.
        self._runs, self._tasks = Lane(), Lane()
        #: Labels of jobs that this node lacks some of, as far as it has seen such jobs.
        self._foreign: frozenset[str] = frozenset()
        #: The jobs whose tasks are to be asked about.
        self.followed: list[Job] = []
        self._reading: Reading | None = None
        self._until: datetime | None = None
        #: Whether others stand behind the page, and whether any has come since that may be taken when the others are.
        self._has_more = self._owes_look = False
        # Since the last look: how many jobs were taken from here, and how many of them others had claimed before.
        self._taken = 0
        self._lost = 0
        self._places = 1
        self._closed = False
        #: Until when (monotonic seconds) jobs, by their keys, and modules, by their names, are left alone.
        self._left_alone: dict[int, float] = {}
        self._avoided: dict[str, float] = {}
        self._refusals: Counter[str] = Counter()
        self._held = HeldRows(stays=stays)
        self._rooms = Rooms()
        #: When (monotonic seconds) to look again; ``None``: not planned.
        self.look_at: float | None = time.monotonic()

    def look(self, offered: set[int]) -> None:
        """Ask the database what is due or was asked for, but for the jobs that are ``offered`` already.

        This is the one query of an idle tick. Raises :class:`django.db.DatabaseError`.
        """
        self.look_at, self._owes_look = None, False
        if self.stays:
            self._forget()
            if self._reading is None:
                self._reading = _read_clock()
        skipped = offered | self._left_alone.keys() | self._held.left_alone()
        # Whatever is skipped, a page is left. In whole pages: each number is a statement of its own.
        most = PAGE * (1 + -(-len(skipped) // PAGE))
        jobs = self._page(most)
        if jobs:
            self._reading = Reading(jobs[0].now)
            self._until = self._until or jobs[0].now + self._ahead
            first = jobs[0].comes_at
            if self.stays and not jobs[0].is_asked and first is not None and first > jobs[0].now:
                # There is time, and to be on the slot it takes a better reading than one that is as old as a page.
                self._reading = _read_clock()
        jobs = self._own(jobs)
        self.followed = [job for job in jobs if job.follow_at is not None and job.follow_at <= job.now]
        jobs = [job for job in jobs if job.pk not in skipped and not self._is_avoided(job) and not self._is_stuck(job)]
        jitters.put_off(jobs)
        jobs = [job for job in jobs if self._is_to_be_taken(job)]
        self._rooms.see(jobs)
        # Those whose tasks are to be asked about, or whose slot waits for a retry, may come before their time.
        jobs.sort(key=lambda job: job.comes_at or job.now)
        self._runs.fill(job for job in jobs if not job.is_handed_over)
        self._tasks.fill(job for job in jobs if job.is_handed_over)
        if self._lost or self._places > 1:
            # Whoever was in the way is probably still at it.
            self._shuffle()
        elif self._has_more:
            # A burst, which other nodes see as well. They need not meet first.
            self._shuffle(in_order=True)
        self._taken = self._lost = 0
        if self._has_more and self._runs.is_empty() and self._tasks.is_empty():
            # The page was full of others: what is due stands behind them, who may stay there.
            self._spread()
            self.look_within(PASSING)
        self._look_for_held()
        if self.stays and self._reading is not None:
            # In step with the database's clock, so that a job of the full minute is seen on the minute.
            self.look_within(POLL - self._reading.now().timestamp() % POLL)

    def _page(self, most: int) -> list[Job]:
        """Return the first page of what is due, or one further on if others work off the first."""
        until = None if self.stays else self._until
        place = random.randrange(self._places)  # noqa: S311 - only to part the nodes
        variant = _Variant(conf.get().lock_timeout, self._ahead, until is not None, most, place * PAGE, self._foreign)
        using = primary.alias()
        jobs = quirks.anew(using, lambda: _read(using, _Bound(until), variant))
        is_full = len(jobs) == most
        self._has_more = is_full or place > 0
        # There is room for as many places as there are pages, as far as that shows.
        if self._lost and is_full:
            self._spread()
        elif not is_full:
            self._places = max(1, place)
        if not jobs and place:
            return self._page(most)
        return jobs

    def _spread(self) -> None:
        """Begin at one of more places, the next time."""
        self._places = min(2 * self._places, PLACES)

    def look_within(self, seconds: float) -> None:
        """Plan to look again in so many seconds at the latest."""
        if not self._closed:
            at = time.monotonic() + max(0.0, seconds)
            self.look_at = at if self.look_at is None else min(self.look_at, at)

    def look_for(self, slot: datetime | None) -> None:
        """Plan to look who is due at ``slot``, if this agenda goes so far. ``None``: there is none to come."""
        if slot is None:
            return
        if slot <= self.now() and self._is_busy():
            # It has come already, as others have that wait here. It is their turn first: a look for each run of a
            # burst would cost more than the runs.
            self._owes_look = True
        elif self.stays:
            self.look_within((slot - self.now()).total_seconds() - LEAD)
        elif self._until is not None and slot <= self._until:
            self.look_within(0)

    def lost_race(self) -> None:
        """Take note that another node was first to claim what this one had seen.

        Nodes that work off the same burst would all want the same job next, and all but one come too late. So from the
        first time on, a node takes what it has seen in any order; and when too much of it is gone, it looks again.
        """
        self._lost += 1
        if not self._is_busy():
            return
        if self._lost == 1:
            self._shuffle()
        if self._lost > self._taken / LOST_OF:
            self.look_within(0)

    def now(self) -> datetime:
        """Return the database's now, as far as it is known here since the last look."""
        assert self._reading is not None, "nobody has looked yet"
        return self._reading.now()

    def waiting(self) -> int:
        """Return how many jobs wait to be run whose slot has come, or for which somebody asked."""
        return self._waiting(self._runs)

    def take(self) -> Job:
        """Return a job to be run that was asked for or else the one whose slot came first; strike it off."""
        return self._take(self._runs)

    def take_tasks(self, most: int) -> list[Job]:
        """Return up to so many jobs to be handed over whose slot has come, in the same order; strike them off."""
        return [self._take(self._tasks) for _ in range(min(most, self._waiting(self._tasks)))]

    def move(self, job: Job) -> None:
        """Have a job that was taken wait anew, as it turned out to be none to run here, or none to hand over."""
        (self._tasks if job.is_handed_over else self._runs).put_first(job)

    def next_at(self) -> float | None:
        """Return when (monotonic seconds) the next slot of a job to be run comes, or ``None`` if none is known."""
        return self._next_at(self._runs)

    def next_task_at(self) -> float | None:
        """Return when (monotonic seconds) the next slot of a job to be handed over comes, or ``None``."""
        return self._next_at(self._tasks)

    def first(self) -> Job | None:
        """Return the job whose slot comes first, or ``None`` if none is known."""
        known = [lane.jobs[0] for lane in (self._runs, self._tasks) if lane.jobs]
        return min(known, key=slot_of, default=None)

    def _is_busy(self) -> bool:
        """Tell whether any job waits whose slot has come."""
        return bool(self._waiting(self._runs) or self._waiting(self._tasks))

    def _waiting(self, lane: Lane) -> int:
        return len(lane.asked) + (lane.come(self.now()) if lane.jobs else 0)

    def _take(self, lane: Lane) -> Job:
        job = lane.take()
        self._taken += 1
        self._look_for_more(lane)
        return job

    def _look_for_more(self, lane: Lane) -> None:
        """Look for what stands behind the page, or has come meanwhile, if it is time for that."""
        if (self._has_more and not lane.jobs) or (self._owes_look and not self._is_busy()):
            self._has_more = self._owes_look = False
            self.look_within(0)

    def _next_at(self, lane: Lane) -> float | None:
        if lane.asked:
            return time.monotonic()
        if not lane.jobs:
            return None
        return time.monotonic() + (slot_of(lane.jobs[0]) - self.now()).total_seconds()

    def _own(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs whose labels this node has; the others' are left out of the next look."""
        ours = conf.get().node_labels
        foreign = {job.labels for job in jobs if job.labels and not labels.parts(job.labels) <= ours}
        # Where the database tells no cases apart, to leave out GPU would leave out our own gpu.
        alike = {label.lower() for label in ours}
        hidden = {each for each in foreign if not labels.parts(each.lower()) <= alike}
        if hidden:
            self._foreign |= hidden
            if self._has_more:
                self.look_within(0)
        return [job for job in jobs if job.labels not in foreign]

    def _is_to_be_taken(self, job: Job) -> bool:
        """Tell whether the job is here for a run: it is free, and asked for, or its slot has come, or is about to."""
        if job.is_locked and not job.is_stale:
            return False
        comes_at = job.comes_at
        if job.is_asked or comes_at is None:
            return job.is_asked
        return (job.enabled or job.is_retry) and comes_at <= job.now + self._ahead

    def leave_alone(self, job: Job, *, longer: bool = False) -> None:
        """Skip the job for the rest of the tick, or in a loop for a while.

        With ``longer``, the other jobs of its function's module, too, and for longer each time: it is the module that
        can't be imported, and to find that out took a worker a minute.
        """
        now = time.monotonic()
        until = now + REFUSAL
        if longer:
            module = job.home
            if self._avoided.get(module, now) <= now:
                # Of several jobs that have found it out together, the first counts.
                refusals = self._refusals[module] = min(self._refusals[module] + 1, MOST_REFUSALS)
                self._avoided[module] = now + min(REFUSAL * 2 ** (refusals - 1), LONGEST_REFUSAL)
            until = self._avoided[module]
            for lane in (self._runs, self._tasks):
                if not lane.is_empty():
                    lane.keep(lambda each: not self._is_avoided(each))
                    self._look_for_more(lane)
        self._left_alone[job.pk] = until

    def trust(self, job: Job) -> None:
        """Take note that the module of the job's function can be imported: the next refusal is a first one again."""
        self._refusals.pop(job.home, None)

    def put_off(self, job: Job, *, held: str) -> None:
        """Skip the job for a moment, or for longer each time, as nobody has claimed it, and yet nobody can.

        ``held`` tells what another transaction is known to have locked, such as "its row"; or it is empty.
        """
        if self._held.put_off(job, self.now(), held=held):
            self._look_for_held()
        else:
            self.leave_alone(job)

    def wait_for_room(self, job: Job) -> None:
        """Have the job wait until its group, which lets no more jobs run now, has room."""
        if self._closed:
            return
        self._rooms.wait(job)
        for lane in (self._runs, self._tasks):
            # They need not find out one by one.
            if struck := lane.strike(self.now(), lambda each: each.group == job.group):
                for other in struck:
                    self._rooms.wait(other)
                self._look_for_more(lane)

    def have_room(self, group: str) -> None:
        """Take note that a run of a job of this group has ended: it is another one's turn."""
        if group and not self.pass_room_on(group):
            self.look_within(0)

    def pass_room_on(self, group: str) -> bool:
        """Give the turn of a job of this group, which has no use for the room, to who waits for it, if anybody does."""
        job = self._rooms.take(group)
        if job is not None:
            self.move(job)
        return job is not None

    def _look_for_held(self) -> None:
        if (rest := self._held.rest()) is not None:
            self.look_within(rest)

    def why_put_off(self, job: Job) -> str:
        """Say why the job comes late, if it was put off for long; else nothing."""
        return self._held.reason(job)

    def forget(self, job: Job) -> None:
        """Take note that somebody has claimed the job, so that its row was not locked for long."""
        if self._held.forget(job):
            self.look_within(0)

    def close(self) -> None:
        """Strike everything off, and never look again."""
        self._closed = True
        self._rooms.clear()
        self._runs.fill(())
        self._tasks.fill(())
        self.look_at = None

    def is_empty(self) -> bool:
        """Tell whether nothing is known to come, nor will be asked for."""
        return self._runs.is_empty() and self._tasks.is_empty() and self.look_at is None and not self.followed

    def _shuffle(self, *, in_order: bool = False) -> None:
        """Have the jobs whose slot has come in any order, or those of a slot if ``in_order``; those to come follow."""
        for lane in (self._runs, self._tasks):
            if lane.jobs:
                lane.shuffle(self.now(), in_order=in_order)

    def _forget(self) -> None:
        now = time.monotonic()
        self._left_alone = {pk: until for pk, until in self._left_alone.items() if until > now}
        self._avoided = {module: until for module, until in self._avoided.items() if until > now}

    def _is_avoided(self, job: Job) -> bool:
        until = self._avoided.get(job.home)
        if until is None:
            return False
        self._left_alone[job.pk] = until
        return True

    def _is_stuck(self, job: Job) -> bool:
        """Warn of a job that nobody will run until a person unlocks it."""
        if not job.is_stuck:
            return False
        logger.warning(
            "Job %r is stuck: locked by %s, last seen alive at %s. If its run is gone, unlock the job in the admin.",
            job.name,
            job.locked_by,
            f"{job.locked_at:%Y-%m-%d %H:%M:%S} UTC",
        )
        self.leave_alone(job)
        return True


# The one query, put together once.


class _Bound(NamedTuple):
    until: datetime | None


class _Variant(NamedTuple):
    lock_timeout: timedelta | None
    ahead: timedelta
    is_bounded: bool
    most: int
    skipped: int
    foreign: frozenset[str]


def _due(using: str, variant: _Variant) -> JobQuerySet:
    due = Job.objects.using(using).agenda(variant.ahead).with_room()
    if variant.foreign:
        due = due.exclude(labels__in=variant.foreign)
    if variant.is_bounded:
        due = due.filter(due_at__lte=place(Job, "next_run", "until"))
    return due[variant.skipped : variant.skipped + variant.most]


_DUE: Select[Job] = Select(_due)


def _read_clock() -> Reading:
    using = primary.alias()
    return Reading(quirks.anew(using, lambda: clock.now(using)))


def _read(using: str, bound: _Bound, variant: _Variant) -> list[Job]:
    # What is read here is what is run: a claim asks for the number of the edit, and another one may get that of an edit
    # that was rolled back.
    quirks.read_committed(connections[using])
    return _DUE.execute(using, bound, variant)
