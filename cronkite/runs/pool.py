"""How does a node have jobs run by worker processes?

It never waits for one of them: whatever a worker does, or is kept from doing, the node goes on with the others. What it
hears of them comes through channels that hold up nobody, and that one has died from the nursery.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.models import Job, Log, told
from cronkite.processes import kin
from cronkite.runs import channels, crowd
from cronkite.runs.channels import Channel, HungUp
from cronkite.runs.crowd import Crowd
from cronkite.runs.events import Ended, Event, ForEngine, Ready, Refused, Wrote
from cronkite.runs.members import Worker, asked_of
from cronkite.runs.messages import (
    KILL_AFTER,
    Born,
    Died,
    End,
    Over,
    Recorded,
    Resolve,
    Resolved,
    Returned,
    Unable,
    Written,
)
from cronkite.runs.nursery import Nursery

logger = logging.getLogger("cronkite")

#: A run that takes longer than this (seconds) no longer counts as one of the pool's size, as with cron itself, whose
#: next minute starts what is due whatever still runs: a slow job delays no other (promise P4).
LONG = 60.0
#: Nor does an import that takes longer than this (seconds), as long as there are not more of them than the pool has
#: workers, or ``SLOW_IMPORTS``; those beyond that are broken off, and wait for the others.
SLOW_IMPORT = 1.0
SLOW_IMPORTS = 2
#: How long (seconds) an import may take before its function counts as one that can't be run here.
IMPORT_PATIENCE = 60.0
#: How long (seconds) a worker that is to go may take, as to send a mail; and at least when its node is in a hurry.
LEAVE_PATIENCE = 35.0
LEAST_PATIENCE = 0.5
#: For how long (seconds) no other worker is asked for where one could not be had.
CRAMPED = 1.0
#: How often (seconds) to see whether workers live whose nursery has died.
GLANCE = 0.5


@dataclass
class Pool:
    """Up to ``size`` worker processes, made when they are needed, and kept for the next run."""

    size: int
    nursery: Nursery
    workers: list[Worker] = field(default_factory=list)
    #: Those that are to go, or have said that they do.
    leaving: list[Worker] = field(default_factory=list)
    #: The jobs that are to be offered again when fewer imports take long.
    _crowd: Crowd = field(default_factory=Crowd)
    #: The modules whose imports were given up since it was last seen to these, and why.
    _given_up: dict[str, str] = field(default_factory=dict)
    _reserved: list[Worker] = field(default_factory=list)
    _stillborn: list[Ended] = field(default_factory=list)
    #: Until when (monotonic) there is no room for another worker on this machine, as far as is known.
    _cramped_until: float = 0.0
    #: What could not be asked.
    _unborn: list[Refused] = field(default_factory=list)

    def prepare(self, wanted: int) -> None:
        """Have as many of ``wanted`` workers idle as the size allows."""
        if self._is_cramped():
            return
        missing = min(self.size - self._counting(), wanted - sum(worker.is_idle for worker in self.workers))
        # Where the machine has no room for more, whoever is offered is told so.
        with suppress(OSError):
            for _ in range(missing):
                self._fork()

    def has_room(self) -> bool:
        """Tell whether one more job can be offered."""
        is_idle = any(worker.is_idle for worker in self.workers)
        return is_idle or (self._counting() < self.size and not self._is_cramped())

    def _is_cramped(self) -> bool:
        return time.monotonic() < self._cramped_until

    def offer(self, job: Job) -> None:
        """Reserve a worker that can resolve the job's function, or ask one; :meth:`wait` will tell."""
        question = asked_of(job)
        try:
            self.prepare(1)
            if not any(worker.is_idle for worker in self.workers):
                # In the place of one that has died, after slow imports had made room for others.
                self._fork()
            worker = self._fitting(question)
        except OSError as error:
            # Too many processes or descriptors, most likely a run's, are no end of the others.
            self._unborn.append(self._refused(job, f"no worker can be started here: {error}"))
            return
        if question in worker.known:
            worker.busy(job=job)
            self._reserved.append(worker)
        else:
            worker.busy(job=job, seconds=min(SLOW_IMPORT, IMPORT_PATIENCE))
            self._send(worker, question)
            if worker.is_deaf:
                # It has just died, most likely, and the function has nothing to do with that.
                worker.is_unasked = True
                worker.kill()

    def _fitting(self, question: Resolve) -> Worker:
        """Return the idle worker that knows the answer, or else one that can find it out, if there may be one."""

        def misfit(worker: Worker) -> tuple[bool, bool, bool]:
            is_strange = worker.bound_to not in ("", question.home)
            return is_strange, question not in worker.known, not worker.bound_to

        worker = min((worker for worker in self.workers if worker.is_idle), key=misfit)
        if worker.bound_to in ("", question.home) or self._counting() >= self.size or self._is_cramped():
            return worker
        self._fork()
        return self.workers[-1]

    def start(self, job: Job, claim: Claim) -> None:
        """Run ``claim`` on the worker that is ready for the job."""
        worker = self._ready_for(job)
        if worker is None:
            told.started(claim.log_id)
            # It died while the job was claimed. The run ends as if it had died a moment later.
            self._stillborn.append(Ended(claim, Outcome(Log.Status.LOST, reason="its process had died")))
            return
        worker.busy(claim=claim, seconds=claim.timeout)
        self._send(worker, claim)
        told.started(claim.log_id)

    def release(self, job: Job) -> None:
        """Let the worker that was ready for the job be idle again."""
        if (worker := self._ready_for(job)) is not None:
            worker.busy()

    def claims(self) -> list[Claim]:
        """Return what is running."""
        stillborn = [event.claim for event in self._stillborn]
        return stillborn + [worker.claim for worker in self.workers if worker.claim is not None]

    def offered(self) -> set[int]:
        """Return the ids of the jobs that were offered and are not claimed yet."""
        refused = {refused.job.pk for refused in self._unborn}
        return refused | self._crowd.keys() | {worker.job.pk for worker in self.workers if worker.job is not None}

    def end(self, claim: Claim, status: str, reason: str) -> None:
        """Tell the run to end: SIGTERM within its process, and SIGKILL if that does not help."""
        for worker in self.workers:
            if worker.claim is claim and worker.end is None and not worker.is_over:
                self._end(worker, status, reason)

    def let_go(self) -> None:
        """Leave to themselves those that are over: nobody else knows how, and they write that when they can."""
        for worker in [worker for worker in self.workers if worker.is_over]:
            said = "%s: how it ended can't be written yet. Its process goes on trying, without this node."
            logger.warning(said, worker.claim)
            self._discard(worker)

    def peek(self, claim: Claim) -> None:
        """Have the nursery tell what the run has written until now."""
        for worker in self.workers:
            if worker.claim is claim and worker.peeked is None:
                worker.peeked = claim
                worker.nursery.peek(worker.number)

    def heed_signal(self) -> None:
        """Do nothing in the signal's handler: the node sees to it that the runs end."""

    def next_deadline(self) -> float | None:
        """Return when (monotonic) :meth:`wait` has to be called at the latest."""
        now, every = time.monotonic(), [*self.workers, *self.leaving]
        deadlines = [worker.deadline for worker in every if worker.deadline is not None]
        if any(worker.is_orphan for worker in every):
            deadlines.append(now + GLANCE)
        if self._needs_nursery():
            deadlines.append(self.nursery.attend_at)
        if self._is_cramped():
            deadlines.append(self._cramped_until)
        if (overdue_at := self._crowd.next_at()) is not None:
            deadlines.append(overdue_at)
            if self.has_room():
                way_at = max(self._way_is_made_at(), self._crowd.insists_at(self._imported()))
                deadlines.append(now if self._has_place_for_slow() else way_at)
        # Then there is room for others.
        deadlines += [each.since + LONG for each in self.workers if each.claim is not None and each.since > now - LONG]
        return min(deadlines, default=None)

    def wait(self, timeout: float, wake: int) -> Iterator[Event]:
        """Wait for up to ``timeout`` seconds, or until ``wake`` is readable or a worker has something to say."""
        stillborn: list[Event] = [*self._stillborn, *self._unborn]
        self._stillborn, self._unborn = [], []
        reserved, self._reserved = self._reserved, []
        ready = channels.wait([wake, *self._listening()], 0 if stillborn or reserved else timeout)
        yield from stillborn
        for worker in list(self.workers):
            if worker.channel.fileno() in ready:
                yield from self._receive(worker)
        yield from self._bury(ready)
        if self._needs_nursery():
            self.nursery.attend()
        yield from self._see_to_orphans()
        for worker in reserved:
            # Unless it has just died; then its job is offered again.
            if worker.job is not None and not worker.is_killed:
                yield self._ready(worker.job)
        now = time.monotonic()
        for worker in [*self.workers, *self.leaving]:
            if worker.deadline is not None and worker.deadline <= now:
                self._overdue(worker)
        yield from self._see_to_crowd()

    def close(self, by: float | None) -> None:
        """Hang up, which ends idle workers, and wait for them; leave those that run a job to themselves."""
        for worker in list(self.workers):
            if worker.is_resolving:
                # An import that nobody needs any more hears of nothing until it is over, if it ever is.
                worker.kill()
            self._discard(worker)
        now = time.monotonic()
        self._wait_for_leaving(now + LEAVE_PATIENCE if by is None else max(by, now + LEAST_PATIENCE))
        for worker in self.leaving:
            if worker.claim is None:
                worker.kill()
        self._wait_for_leaving(time.monotonic() + KILL_AFTER)
        if any(worker.claim is None for worker in self.leaving):
            # Killed, and not told of as dead: it does not hear.
            self.nursery.signal(signal.SIGKILL)
            self._wait_for_leaving(time.monotonic() + KILL_AFTER)
        self.nursery.close()

    def _wait_for_leaving(self, until: float) -> None:
        for _ in self._see_to_orphans():
            pass
        while any(worker.claim is None for worker in self.leaving):
            if (rest := until - time.monotonic()) <= 0:
                return
            has_orphans = any(worker.is_orphan for worker in self.leaving)
            ready = channels.wait(self._nurseries(), min(rest, GLANCE) if has_orphans else rest)
            for _ in (*self._bury(ready), *self._see_to_orphans()):
                pass

    def _listening(self) -> list[Channel | int]:
        return [*self._nurseries(), *(worker.channel for worker in self.workers if not worker.is_deaf)]

    def _needs_nursery(self) -> bool:
        """Tell whether the nursery has anything to do."""
        return not self.nursery.is_gone and any(not worker.is_idle for worker in [*self.workers, *self.leaving])

    def _nurseries(self) -> list[Channel | int]:
        return [] if self.nursery.is_gone else [self.nursery.fileno()]

    def _ready_for(self, job: Job) -> Worker | None:
        return next((worker for worker in self.workers if worker.job is job), None)

    def _counting(self) -> int:
        now = time.monotonic()
        return sum(not self._is_free_of_charge(worker, now) for worker in self.workers)

    def _is_free_of_charge(self, worker: Worker, now: float) -> bool:
        """Whether it makes room for another one, since it takes so long."""
        if worker.claim is not None:
            return worker.since <= now - LONG
        return worker.is_killed or (worker.is_resolving and worker.since <= now - SLOW_IMPORT)

    def _fork(self) -> None:
        if self.nursery.is_gone:
            logger.error("The process that workers are forked from has died; another takes its place.")
            self.nursery = self.nursery.anew([worker.channel for worker in self.workers])
        number, channel = self.nursery.fork()
        self.workers.append(Worker(self.nursery, number, channel))

    def _send(self, worker: Worker, message: Resolve | Claim | End) -> None:
        try:
            worker.channel.send(message)
        except HungUp:
            # It has just died, of which the nursery tells, or its function has closed the channel.
            worker.is_deaf = True

    def _receive(self, worker: Worker) -> Iterator[Event]:
        try:
            messages = worker.channel.receive()
        except HungUp:
            worker.is_deaf = True
            # Or, where it is noise that has been heard, it would wait for the next run from here, for ever.
            worker.channel.close()
            if worker.claim is None:
                # It is of no use any more, whatever it is that lives on there.
                worker.kill()
            return
        for message in messages:
            yield from self._heard(worker, message)

    def _heard(self, worker: Worker, message: object) -> Iterator[Event]:
        if isinstance(message, Born):
            worker.process = worker.process or message.process
        elif isinstance(message, Unable):
            worker.lack = message.lack
        elif isinstance(message, Resolved) and worker.job is not None:
            yield from self._resolved(worker, worker.job, message)
        elif isinstance(message, Over) and worker.claim is not None and worker.claim.token == message.token:
            worker.is_over, worker.deadline = True, None
        elif isinstance(message, Recorded) and worker.claim is not None:
            claim = worker.claim
            worker.busy()
            told.recorded(claim.log_id)
            # The pool may have grown beyond its size while this run was a long one.
            if message.retires or worker.nursery.is_gone or self._counting() > self.size:
                self._discard(worker)
            yield Ended(claim)
        elif isinstance(message, Returned) and worker.claim is not None:
            claim = worker.claim
            worker.busy()
            self._discard(worker)
            yield Ended(claim, message.outcome, is_told=True)

    def _resolved(self, worker: Worker, job: Job, message: Resolved) -> Iterator[Event]:
        if message.problem is None and not message.engine and not message.retires:
            worker.deadline = None
            worker.known.add(asked_of(job))
            worker.bound_to = job.home if message.bound else ""
            yield self._ready(job)
            return
        worker.busy()
        if message.retires:
            self._discard(worker)
        if message.passes:
            self.offer(job)
        elif message.problem is None:
            self._crowd.forget(job)
            yield ForEngine(job, message.engine)
        else:
            yield self._refused(job, message.problem)

    def _ready(self, job: Job) -> Ready:
        self._crowd.forget(job)
        return Ready(job)

    def _refused(self, job: Job, problem: str, *, is_costly: bool = False) -> Refused:
        self._crowd.forget(job)
        if is_costly:
            self._given_up[job.home] = problem
        return Refused(job, problem, is_costly)

    def _bury(self, ready: set[int]) -> Iterator[Event]:
        """Take leave of the workers that have died, and hear what others have written."""
        if self.nursery.is_gone or self.nursery.fileno() not in ready:
            return
        for said in self.nursery.receive():
            for worker in [*self.workers, *self.leaving]:
                if worker.number == said.number and worker.nursery is self.nursery:
                    yield from self._part(worker, said) if isinstance(said, Died) else self._wrote(worker, said)

    def _see_to_orphans(self) -> Iterator[Event]:
        """Take over the workers whose nursery has died, and see which of them have ended."""
        for worker in [*self.workers, *self.leaving]:
            if worker.nursery.is_gone and not worker.is_orphan:
                worker.is_orphan = True
                yield from self._orphaned(worker)
        for worker in [*self.workers, *self.leaving]:
            if worker.has_ended_unseen():
                # By which code, nobody knows.
                how = Died(worker.number, 1, problem="has ended, and what it wrote is lost")
                yield from self._part(worker, Died(worker.number, -signal.SIGKILL) if worker.is_killed else how)

    def _orphaned(self, worker: Worker) -> Iterator[Event]:
        """Have a worker go whose nursery has died, unless it is busy: then it goes at the end of its run."""
        if not worker.is_deaf:
            yield from self._receive(worker)
        is_resolving = worker.is_resolving and worker.process is not None and not worker.is_unasked
        if worker.is_killed or is_resolving:
            # What the nursery was asked for it may not have done.
            worker.kill()
        if worker.claim is not None or worker in self.leaving:
            return
        job, worker.job = worker.job, None
        self._discard(worker)
        if job is None:
            return
        if is_resolving:
            # It may be the import that has ended the nursery.
            problem = worker.verdict or "the process that workers are forked from died meanwhile"
            yield self._refused(job, f"{job.function} cannot be imported here: {problem}.", is_costly=True)
        else:
            self.offer(job)

    def _wrote(self, worker: Worker, written: Written) -> Iterator[Event]:
        """Pass on what a run has written, unless it has ended since that was asked."""
        peeked, worker.peeked = worker.peeked, None
        if peeked is not None and worker.claim is peeked:
            yield Wrote(peeked, written.output.text())

    def _part(self, worker: Worker, died: Died) -> Iterator[Event]:
        """Hear the last words of a worker that has died, and draw the conclusions."""
        while worker in self.workers and not worker.is_deaf:
            events = list(self._receive(worker))
            yield from events
            if not events:
                break
        if worker in self.workers:
            yield from self._died(worker, died)
        else:
            self.leaving.remove(worker)
            worker.channel.close()

    def _died(self, worker: Worker, died: Died) -> Iterator[Event]:
        self.workers.remove(worker)
        worker.channel.close()
        how = died.problem or kin.fate(died.code)
        if worker.claim is not None:
            status, reason = (worker.end.status, worker.end.reason) if worker.end else (Log.Status.LOST, "")
            reason = "; ".join(filter(None, [reason, f"its process {how}"]))
            outcome = Outcome(status, reason=reason, output=died.output.text())
            # A function that has closed the channel, and returned, is recorded by its own process.
            is_doubtful = worker.is_deaf and died.code == 0 and worker.end is None
            if worker.is_orphan and worker.process is not None:
                # As its nursery would have done.
                kin.kill_group(worker.process.pid)
            yield Ended(worker.claim, outcome, is_doubtful=is_doubtful)
        job, worker.job = worker.job, None
        if job is None:
            return
        if lack := worker.lack or died.lack:
            self._cramped_until = time.monotonic() + CRAMPED
            if any(not other.is_killed for other in self.workers):
                # One of these may take it.
                self._crowd.join(job, lack)
            else:
                yield self._refused(job, lack)
        elif asked_of(job) in worker.known or worker.is_unasked:
            self.offer(job)
        else:
            problem = worker.verdict or f"its process {how}"
            yield self._refused(job, f"{job.function} cannot be imported here: {problem}.", is_costly=True)

    def _discard(self, worker: Worker) -> None:
        """Have a worker go."""
        self.workers.remove(worker)
        worker.channel.close()
        self.leaving.append(worker)
        worker.deadline = None if worker.claim is not None else time.monotonic() + LEAVE_PATIENCE

    def _overdue(self, worker: Worker) -> None:
        if worker in self.leaving or (worker.claim is not None and worker.end is not None):
            worker.kill()
        elif worker.claim is not None:
            self._end(worker, Log.Status.TIMED_OUT, f"it took longer than its timeout of {worker.claim.timeout} s")
        elif worker.is_resolving:
            self._lose_patience(worker)

    def _lose_patience(self, worker: Worker) -> None:
        """Give up an import that takes too long, or break it off if enough others take as long."""
        now = time.monotonic()
        if now - worker.since >= IMPORT_PATIENCE:
            worker.verdict = f"its import took longer than {IMPORT_PATIENCE:g} s"
        elif (others := self._slow_imports(now) - 1) >= self._room_for_slow():
            assert worker.job is not None
            said = "Job %r waits: the import of %s takes longer than %g s, and %d others take as long."
            logger.info(said, worker.job.name, worker.job.function, SLOW_IMPORT, others)
            self._crowd.join(worker.job)
            worker.job = None
        else:
            worker.deadline = worker.since + IMPORT_PATIENCE
            return
        worker.kill()

    def _slow_imports(self, now: float) -> int:
        return sum(worker.is_resolving and worker.since <= now - SLOW_IMPORT for worker in self.workers)

    def _room_for_slow(self) -> int:
        return max(self.size, SLOW_IMPORTS)

    def _see_to_crowd(self) -> Iterator[Event]:
        """Offer those again whose imports wait for others, if there is room; refuse who waits in vain."""
        given_up, self._given_up = self._given_up, {}
        for job in self._crowd.take_those(lambda job: job.home in given_up):
            yield self._refused(job, given_up[job.home])
        for job in self._crowd.take_overdue():
            if lack := self._crowd.lack(job):
                yield self._refused(job, lack)
                continue
            had = self._crowd.had(job)
            problem = f"it takes longer than {had or SLOW_IMPORT:.0f} s, and for {crowd.PATIENCE:g} s others came first"
            said = f"{job.function} could not be imported here yet: {problem}."
            # Who was never given time is not to blame.
            yield self._refused(job, said, is_costly=had > 0)
        while self._crowd and self.has_room():
            imported = self._imported()
            if not self._has_place_for_slow() and not (self._crowd.insists(imported) and self._make_way()):
                break
            self.offer(self._crowd.take(imported))

    def _has_place_for_slow(self) -> bool:
        return sum(worker.is_resolving for worker in self.workers) < self._room_for_slow()

    def _make_way(self) -> bool:
        """Break off the import that has gone on for longest, if it has had its share; tell whether one was."""
        oldest = min(self._importing(), key=self._share_ends, default=None)
        if oldest is None or oldest.job is None or self._share_ends(oldest) > time.monotonic():
            return False
        had = time.monotonic() - oldest.since
        said = "Job %r waits: the import of %s has taken %.0f s, and other imports wait for their turn."
        logger.info(said, oldest.job.name, oldest.job.function, had)
        self._crowd.make_way(oldest.job, had)
        oldest.job = None
        oldest.kill()
        return True

    def _way_is_made_at(self) -> float:
        """Return when (monotonic) the first import is to make way; never, if all that go on are being given up."""
        return min(map(self._share_ends, self._importing()), default=math.inf)

    def _importing(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.is_resolving and not worker.is_killed]

    def _imported(self) -> set[str]:
        """Return the modules whose imports go on."""
        return {worker.job.home for worker in self._importing() if worker.job is not None}

    def _share_ends(self, worker: Worker) -> float:
        """Return when (monotonic) the import is to make way, if others wait."""
        assert worker.job is not None
        return worker.since + self._crowd.share(worker.job)

    def _end(self, worker: Worker, status: str, reason: str) -> None:
        worker.end = End(status, reason)
        worker.deadline = time.monotonic() + KILL_AFTER
        self._send(worker, worker.end)
