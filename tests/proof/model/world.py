"""What should cronkite do? Promises P1 to P4 as a model in plain Python: no Django, and nothing of cronkite's.

It knows the clock, the jobs, who holds which lock, and up to which instant the slots of each job are accounted for.
Each method says what must come of one step of a node or of a person, and moves the model on. Instants are seconds since
1970 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from proof.model.slots import NEVER, slots_of

#: Seconds after which a slot of a job that never runs late is too old, unless the job says otherwise.
GRACE_OF_NONE = 120


@dataclass(frozen=True)
class Definition:
    """What a person decides about a job."""

    schedule: str
    timezone: str
    enabled: bool
    catch_up: str
    grace: int | None

    @property
    def rhythm(self):
        return self.schedule, self.timezone, self.enabled

    @property
    def slots(self):
        return slots_of(self.schedule, self.timezone)


@dataclass
class Span:
    """A time in which a job was enabled with one schedule: the slots with ``after < slot <= until`` are owed.

    ``until`` is ``None`` while it goes on.
    """

    definition: Definition
    after: float
    until: float | None = None


@dataclass(eq=False)
class Run:
    """A run that was started, and how it stands: ``running``, ``lost``, or how it ended.

    It is ``forlorn`` when its job was deleted under it, and it has not ended since. One that ``has_ended`` as lost, as
    its process died, has not lost its lock to another.
    """

    job: str
    slot: int | None
    fence: int
    node: str
    seen_at: float
    status: str = "running"
    forlorn: bool = False
    has_ended: bool = False


@dataclass
class Job:
    """A job, and what its nodes know of it. ``changes`` counts what makes an older read of it worthless."""

    name: str
    definition: Definition
    spans: list[Span] = field(default_factory=list)
    accounted: float = 0.0
    newest: int | None = None
    changes: int = 0
    fence: int = 0
    holder: Run | None = None
    is_deleted: bool = False

    @property
    def next_slot(self):
        """The first slot that is not accounted for, or ``None`` for a job that is disabled."""
        return self.definition.slots.first_after(self.accounted) if self.definition.enabled else None


@dataclass(frozen=True)
class Verdict:
    """Which slot is to run, if any; how many are missed, the newest of which is ``last_missed``; and what follows.

    Nothing does after the slot of a one-off: ``None``.
    """

    slot: int | None
    missed: int
    last_missed: int | None
    next_slot: int | None


class World:
    """All that happens at one database: its clock, and the jobs by name, with those that were deleted."""

    def __init__(self, now, lock_timeout, cap):
        self.now = now
        self.lock_timeout = lock_timeout
        self.cap = cap
        self.jobs = {}
        self.started = set()
        self.takeovers = 0
        self.done = 0

    # What is known.

    def alive(self):
        """Return the jobs that exist, in the order of their making."""
        return [job for job in self.jobs.values() if not job.is_deleted]

    def is_stale(self, run):
        """Tell whether the lock of this run may be taken over."""
        return self.lock_timeout is not None and self.now - run.seen_at > self.lock_timeout

    def is_free(self, job):
        """Tell whether the job has no lock, or one that may be taken over."""
        return job.holder is None or self.is_stale(job.holder)

    def due(self, ahead):
        """Return the names of the jobs that a node must be given, oldest slot first. No job is hostage to another."""
        due = [job for job in self.alive() if job.definition.enabled and self.is_free(job)]
        due = [job for job in due if job.next_slot <= self.now + ahead]
        return [job.name for job in sorted(due, key=lambda job: job.next_slot)]

    def decide(self, job, estimate):
        """Return what the job's catch-up makes of the slots that are due by ``estimate``, which are some."""
        definition, grace = job.definition, job.definition.grace
        due = definition.slots.between(job.accounted, estimate)
        if definition.catch_up == "none" and grace is None:
            grace = GRACE_OF_NONE
        wanted = due[-1:]
        if definition.catch_up == "all":
            wanted = due[-self.cap :]
        in_time = [slot for slot in wanted if grace is None or estimate - slot <= grace]
        if not in_time:
            return Verdict(None, len(due), due[-1], _after(definition, due[-1]))
        slot = in_time[0]
        missed = due[: due.index(slot)]
        return Verdict(slot, len(missed), missed[-1] if missed else None, _after(definition, slot))

    # What nodes do.

    def claim(self, read, verdict, node):
        """Claim by a read that may be old; return the run, or ``None`` if there must be none."""
        job = self.jobs[read.name]
        if job.changes != read.changes or not self.is_free(job) or verdict.slot > self.now:
            return None
        self.started.add((job.name, verdict.slot))
        job.accounted = job.newest = verdict.slot
        self._end_one_off(job, verdict)
        return self._start(job, verdict.slot, node)

    def pass_over(self, read, verdict):
        """Record missed slots by a read that may be old; return whether that must have been done."""
        job = self.jobs[read.name]
        if job.changes != read.changes or verdict.last_missed > self.now:
            return False
        job.accounted = job.newest = verdict.last_missed
        self._end_one_off(job, verdict)
        job.changes += 1
        return True

    def _end_one_off(self, job, verdict):
        """Disable a job whose only slot was taken, or is missed."""
        if verdict.next_slot is None:
            job.definition = replace(job.definition, enabled=False)
            job.spans[-1].until = job.accounted
            self.done += 1

    def claim_by_hand(self, name, node):
        """Claim without a slot; return the run, or ``None`` if the lock must be in the way."""
        job = self.jobs[name]
        return self._start(job, None, node) if self.is_free(job) else None

    def _start(self, job, slot, node):
        if job.holder is not None:
            job.holder.status = "lost"
            self.takeovers += 1
        job.changes += 1
        job.fence += 1
        job.holder = Run(job.name, slot, job.fence, node, self.now)
        return job.holder

    def renew(self, runs):
        """Give signs of life; return the runs that must learn that their lock is gone."""
        gone = []
        for run in runs:
            job = self.jobs[run.job]
            if job.holder is run:
                run.seen_at = self.now
            elif not job.is_deleted:
                gone.append(run)
        return gone

    def record_orphans(self):
        """Record runs as lost whose locks may be taken over, and whose jobs are disabled; return how many they were."""
        found = [job for job in self.alive() if not job.definition.enabled and job.holder and self.is_stale(job.holder)]
        for job in found:
            job.holder.status, job.holder = "lost", None
        return len(found)

    def finish(self, run, status):
        """End a run; return whether its end counts. A run that lost its lock stays lost, and harms nobody.

        Unless it was lost with its job: then it harms nobody either, and its end is told.
        """
        job = self.jobs[run.job]
        if job.holder is run:
            job.holder = None
        counts = run.forlorn or run.status != "lost" or run.has_ended
        if run.forlorn or run.status == "running":
            run.status, run.forlorn, run.has_ended = status, False, True
        return counts

    # What people do.

    def is_refused(self, name, definition):
        """Tell whether a job can't be made so, or become so: it would be enabled, and no slot is to come.

        The clock may have been set back: what was accounted for does not come again.
        """
        job = self.jobs.get(name)
        if not definition.enabled or (job is not None and definition.rhythm == job.definition.rhythm):
            return False
        newest = self.now if job is None or job.newest is None else max(self.now, job.newest)
        return definition.slots.first_after(newest) == NEVER

    def add(self, name, definition):
        """Make a job: it owes the slots after now."""
        job = self.jobs[name] = Job(name, definition)
        self._plan(job)

    def edit(self, name, definition):
        """Change a job. What was owed until now is missed; what is owed from now on is never older."""
        job = self.jobs[name]
        before, job.definition = job.definition, definition
        job.changes += 1
        if definition.rhythm != before.rhythm:
            self._close(job, before)
            self._plan(job)

    def delete(self, name):
        """Delete a job. What was owed until now is missed."""
        job = self.jobs[name]
        job.changes += 1
        self._close(job, job.definition)
        job.is_deleted = True
        if job.holder is not None:
            job.holder.status, job.holder.forlorn = "lost", True
            job.holder = None

    def unlock(self, run):
        """Take a run's lock away, as a person who saw it may; return whether it was there still."""
        job = self.jobs[run.job]
        if job.holder is not run:
            return False
        job.holder = None
        run.status = "lost"
        return True

    def _close(self, job, definition):
        if not definition.enabled:
            return
        owed = definition.slots.between(job.accounted, self.now)
        if owed:
            job.accounted = job.newest = owed[-1]
        job.spans[-1].until = max(job.accounted, self.now)

    def _plan(self, job):
        # The clock may have been set back: no slot is older than one that is accounted for.
        job.accounted = self.now if job.newest is None else max(self.now, job.newest)
        if job.definition.enabled:
            job.spans.append(Span(job.definition, job.accounted))


def _after(definition, slot):
    following = definition.slots.first_after(slot)
    return None if following == NEVER else following


def read(job):
    """Return the job as a node or a person reads it now, whatever happens to it later."""
    return replace(job, spans=[])
