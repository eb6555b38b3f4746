"""How does one step go, at cronkite and at the model, and do both say the same afterwards?

The tables and the code that works on them are cronkite's own; only the database's clock is the history's.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

from django.test import override_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant

from cronkite.claims import claiming, holding, orphans, verdicts
from cronkite.code.outcomes import Outcome
from cronkite.models import Job, Log
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp
from proof.model import world as model
from proof.model.clock import held_clock
from proof.model.promises import JobRow, LogRow, check
from proof.model.slots import at, seconds

#: As many slots as ``all`` catches up on here: few, so that histories get there.
CAP = 5
#: How many reads, and how many ended runs, a history remembers: the newest.
REMEMBERED = 8


@dataclass(frozen=True)
class Read:
    """What a node has read of a job: the row, what the model knew then, and when that was by the node's stopwatch."""

    node: str
    row: Job
    known: model.Job
    instant: float
    taken_at: float


@dataclass(frozen=True)
class Started:
    """A run: the claim that cronkite gave, and what the model calls it."""

    claim: verdicts.Claim
    run: model.Run


@dataclass(frozen=True)
class Page:
    """A page that a person has open: the job as it was when it was loaded."""

    row: Job
    known: model.Job


class Cluster(RuleBasedStateMachine):
    """One database and its nodes, together with the model of them. A subclass has its own ``counts``."""

    counts = Counter()

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.world = None
        self.stopwatch = 0.0
        self.reads = []
        self.live = []
        self.ended = []
        self.runs = []
        self.pages = {}
        self.before = {}
        Log.objects.all().delete()
        Job.objects.all()._raw_delete("default")
        self.counts["histories"] += 1

    def begin_at(self, now, lock_timeout):
        """Set the clock, for this history."""
        self.world = model.World(now, lock_timeout, CAP)
        self.stack.enter_context(held_clock(lambda: self.world.now))
        self.stack.enter_context(override_settings(CRONKITE_LOCK_TIMEOUT=lock_timeout))

    def teardown(self):
        # Not after a violation: it would be hidden by what follows from it.
        with self.stack:
            if self.world is not None and sys.exc_info()[0] is None:
                self.catch_up_with_everything()
                self.counts["ends"] += 1
        if self.world is not None:
            self.counts["slots"] += len(self.world.started)
            self.counts["takeovers"] += self.world.takeovers
            self.counts["one-offs"] += self.world.done

    def catch_up_with_everything(self):
        """P4: however a history went, once its locks are stale each job that is due can be claimed; nothing is left."""
        world = self.world
        if world.lock_timeout is None:
            for job in Job.objects.all():
                holder = world.jobs[job.name].holder
                assert holding.unlock(job, "a person") is (holder is not None)
                if holder is not None:
                    world.unlock(holder)
        enabled = [job for job in world.alive() if job.definition.enabled]
        stale_at = [job.holder.seen_at + world.lock_timeout for job in enabled if job.holder is not None]
        world.now = max([world.now, *stale_at, *(job.next_slot for job in enabled)]) + 1
        waiting = set(world.due(0))
        assert waiting == {job.name for job in enabled}, "the model has a job that is never due"
        for turn in range(CAP + 2):
            for read in self.look_now("abc"[turn % 3], 0):
                if (started := self.act_on(read, read.instant)) is not None:
                    self.end(started, "succeeded")
        assert not Job.objects.queue().exists(), "P4: a job is due for ever"
        for job in enabled:
            assert not job.definition.slots.between(job.accounted, world.now), "P2: a slot is never accounted for"
        # Of those that are disabled, nobody but who looks for that finds that their runs are gone.
        world.now = (
            max([world.now, *(job.holder.seen_at + world.lock_timeout for job in world.alive() if job.holder)]) + 1
        )
        self.look_for_orphans("a")
        left = Log.objects.filter(status=Log.Status.RUNNING, job__enabled=False)
        assert not left.exists(), "P2: a run is said to go on for ever"
        self.promises_are_kept()

    def look_for_orphans(self, node):
        """Have a node record the runs as lost that are gone and that no claim would find."""
        expected = self.world.record_orphans()
        self.counts["orphans"] += expected
        assert orphans.record(node) == expected, "P2: other runs were gone than those that no claim would find"

    @invariant()
    def promises_are_kept(self):
        if self.world is None:
            return
        jobs = {name: job_row(*values) for name, *values in Job.objects.values_list("name", *JOB_COLUMNS)}
        logs = [log_row(*values) for values in Log.objects.order_by("id").values_list(*LOG_COLUMNS)]
        check(self.world, self.runs, jobs, logs, self.before)
        self.before = jobs
        self.counts["steps"] += 1

    def pass_time(self, by):
        self.world.now += by
        self.stopwatch += by

    def look_now(self, node, ahead):
        """Ask what is due; return what was read."""
        rows = list(Job.objects.queue(at(ahead) - at(0)))
        assert sorted(row.name for row in rows) == sorted(self.world.due(ahead)), "P4: not the jobs that are due"
        slots = [row.next_run for row in rows]
        assert slots == sorted(slots), "the oldest slot does not come first"
        assert all(seconds(row.now) == self.world.now for row in rows), "P5: not the database's clock"
        return [Read(node, row, model.read(self.world.jobs[row.name]), self.world.now, self.stopwatch) for row in rows]

    def act_on(self, read, estimate):
        """Decide, and claim or pass over, as a node does; return the run if one was started."""
        row, known = read.row, read.known
        decision = catch_up.decide(
            row.get_schedule(), CatchUp(row.catch_up), row.get_grace(), row.pending, at(estimate)
        )
        verdict = self.world.decide(known, estimate)
        decided = (decision.slot, decision.last_missed, decision.next_run)
        decided = model.Verdict(seconds(decided[0]), decision.missed, seconds(decided[1]), seconds(decided[2]))
        assert decided == verdict, f"catch-up: {decided} was decided, not {verdict}"
        if verdict.slot is None:
            expected = self.world.pass_over(known, verdict)
            assert claiming.pass_over(row, decision, read.node) is expected, "P2: a stretch is missed twice, or never"
            return None
        claim = claiming.claim(row, decision, read.node)
        self.check_claim(known, claim)
        run = self.world.claim(known, verdict, read.node)
        assert (claim is None) is (run is None), f"P4: {verdict} of {known.name} was claimed: {claim is not None}"
        return self.started(claim, run)

    def check_claim(self, known, claim):
        """P1, P3 and P5, without a look at what the model would have done."""
        if claim is None:
            return
        job = self.world.jobs[known.name]
        if claim.slot is not None:
            slot = seconds(claim.slot)
            assert (known.name, slot) not in self.world.started, f"P1: {slot} of {known.name} was started twice"
            assert slot <= self.world.now, f"P5: {slot} of {known.name} was started before it was due"
        assert self.world.is_free(job), f"P3: {job.holder} was live when another run was started"
        assert claim.fence > job.fence, "P3: the fencing token does not grow"

    def tick(self, node):
        """Look and act at once, as a node does that nothing delays; return what it has started."""
        started = [self.act_on(read, read.instant) for read in self.look_now(node, 0)]
        return [run for run in started if run is not None]

    def started(self, claim, run):
        """Note a start, if there was one."""
        if claim is None:
            return None
        assert (claim.fence, seconds(claim.slot)) == (run.fence, run.slot)
        started = Started(claim, run)
        self.live.append(started)
        self.runs.append(run)
        return started

    def end(self, started, status):
        ours = self.world.jobs[started.run.job].holder is started.run
        assert bool(claiming.settle(started.claim)) is ours, "P1: a claim is taken for another's, or as its own"
        kept = holding.finish(started.claim, Outcome(status))
        assert kept is self.world.finish(started.run, status), f"P3: the end of {started.run} counts: {kept}"
        self.live.remove(started)
        self.ended = [*self.ended, (started, status)][-REMEMBERED:]


JOB_COLUMNS = ["enabled", "next_run", "last_slot", "fence", "lock", "locked_by", "locked_at"]
LOG_COLUMNS = ["job_name", "slot", "missed", "fence", "node", "status", "job"]


def job_row(enabled, next_run, last_slot, fence, lock, locked_by, locked_at):
    return JobRow(
        enabled, seconds(next_run), seconds(last_slot), fence, lock is not None, locked_by, seconds(locked_at)
    )


def log_row(name, slot, missed, fence, node, status, job):
    return LogRow(name, seconds(slot), missed, fence, node, status, job is not None)
