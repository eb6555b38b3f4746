"""The promises under every order in which the statements of two nodes can meet, and with a node killed at each of them.

The suite tries the meetings of claims, takeovers and ends; with ``CRONKITE_TEST_ORDERS=all`` also edits, deletions and
kills. The saboteurs at the end take a protection out; the same exploration must then find a violation.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from cronkite import catch_up, clock, locks
from cronkite.catch_up import CatchUp
from cronkite.models import Job, Log
from cronkite.outcomes import Outcome
from proof.interleavings.explorer import expected, explore

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


class World:
    """One job, what happened to it outside of the tables, and what must be true afterwards."""

    def __init__(self, make_job):
        self.job = make_job(due=0)
        self.slot = self.job.next_run
        self.first = Job.objects.filter(pk=self.job.pk).values().get()
        self.starts = []

    def reset(self):
        """Put the tables into their first state."""
        Log.objects.all().delete()
        if not Job.objects.filter(pk=self.job.pk).write(**{k: v for k, v in self.first.items() if k != "id"}):
            Job.objects.bulk_create([Job(**self.first)])
        self.starts = []

    def claim(self, node):
        """What a tick does, up to the start of the function."""
        read = Job.objects.queue().filter(pk=self.job.pk).first()
        if read is None:
            return None
        decision = catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, read.now)
        taken = locks.claim(read, decision, node) if decision.slot else None
        if taken is not None:
            self.starts.append(taken)
        return taken

    def held_by(self, node, *, stale):
        """Have ``node`` hold the lock of the slot before, for a run that has shown no life for long if ``stale``."""
        before = self.slot - timedelta(hours=1)
        log = Log.objects.create(
            job=self.job, job_name=self.job.name, function=self.job.function, slot=before, fence=5, node=node,
            created=clock.Now(), started_at=clock.Now(),
        )  # fmt: skip
        token = "00000000-0000-4000-8000-000000000001"
        at = clock.Now() - timedelta(hours=1) if stale else clock.Now()
        Job.objects.filter(pk=self.job.pk).write(lock=token, locked_by=node, locked_at=at, fence=5, last_slot=before)
        job = Job.objects.get(pk=self.job.pk)
        return locks.Claim(
            token=job.lock, fence=5, job_id=job.pk, job_name=job.name, function=job.function, args=[], kwargs={},
            timeout=None, slot=before, next_run=self.slot, log_id=log.pk,
        )  # fmt: skip

    def check(self, order):
        """Hold the tables to the promises, whatever the order was."""
        for actor in order.actors:
            assert expected(actor.error), f"{actor.name} ended with {actor.error!r} in {order}"
        logs = list(Log.objects.all())
        job = Job.objects.filter(pk=self.job.pk).first()
        slots = [log.slot for log in logs if log.fence is not None]
        assert len(slots) == len(set(slots)), f"a slot was claimed twice: {order}"
        started = [claim.slot for claim in self.starts]
        assert len(started) == len(set(started)), f"a slot was started twice: {order}"
        running = [log for log in logs if log.status == Status.RUNNING and log.job_id]
        assert len(running) <= 1, f"two runs are live: {order}"
        if job is None:
            return
        if job.lock is not None:
            assert [log.fence for log in running] == [job.fence], f"the lock is not the run's: {order}"
        else:
            assert not running, f"a run without its lock: {order}"
        assert job.fence >= self.first["fence"], f"the fencing token went back: {order}"
        accounted = sum(log.missed + 1 for log in logs if log.slot and log.slot >= self.slot)
        if job.enabled and job.next_run <= self.slot:
            assert accounted == 0, f"a slot is accounted for and still to come: {order}"
        else:
            assert accounted == 1, f"{accounted} of 1 slots are accounted for: {order}"
        self.check_goes_on(job, order)

    def check_goes_on(self, job, order):
        """Once its lock is stale, the job can be claimed, whatever has happened."""
        if job.lock is not None:
            Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(hours=2))
        fresh = Job.objects.with_now().get(pk=job.pk)
        assert locks.claim_by_hand(fresh, "afterwards"), f"the job can never run again: {order}"


@pytest.fixture
def world(make_job, lock_timeout):
    lock_timeout(60)
    return World(make_job)


def say(capsys, name, count):
    with capsys.disabled():
        print(f"\n    {name}: {count} orders", end="")


def scenario(world, name):
    """Return what puts the tables into their first state, and the two nodes that meet."""

    def claim_claim():
        world.reset()
        return [("a", lambda: world.claim("a")), ("b", lambda: world.claim("b"))]

    def claim_takeover():
        world.reset()
        world.held_by("dead", stale=True)
        return [("a", lambda: world.claim("a")), ("b", lambda: world.claim("b"))]

    def renewal_takeover():
        world.reset()
        held = world.held_by("a", stale=True)
        return [("a", lambda: locks.renew([held])), ("b", lambda: world.claim("b"))]

    def finish_takeover():
        world.reset()
        held = world.held_by("a", stale=True)
        return [("a", lambda: locks.finish(held, Outcome(Status.SUCCEEDED))), ("b", lambda: world.claim("b"))]

    def claim_edit():
        world.reset()
        return [("a", lambda: world.claim("a")), ("edit", lambda: edit(world, schedule="0 0 2 1 *"))]

    def claim_disable():
        world.reset()
        return [("a", lambda: world.claim("a")), ("edit", lambda: edit(world, enabled=False))]

    def claim_delete():
        world.reset()
        return [("a", lambda: world.claim("a")), ("delete", lambda: Job.objects.get(pk=world.job.pk).delete())]

    return locals()[name]


def edit(world, **columns):
    job = Job.objects.get(pk=world.job.pk)
    for column, value in columns.items():
        setattr(job, column, value)
    job.save(update_fields=list(columns))


#: What meets what, and how many nodes are killed in each order, one at each of their statements.
MEETINGS = [("claim_claim", 0), ("claim_takeover", 0), ("renewal_takeover", 0), ("finish_takeover", 0)]
if os.environ.get("CRONKITE_TEST_ORDERS") == "all":
    # Thousands of orders: minutes for each database.
    MEETINGS += [("claim_edit", 0), ("claim_disable", 0), ("claim_delete", 0)]
    MEETINGS += [(name, 1) for name, _ in MEETINGS]


@pytest.mark.parametrize(("name", "kills"), MEETINGS)
def test_every_order_keeps_the_promises(world, name, kills, capsys):
    count = explore(scenario(world, name), world.check, kills=kills)
    say(capsys, f"{name}, {kills} killed", count)
    assert count > 1


# The saboteurs: a protection is taken out, and the exploration must find what it kept from happening.


def violations(set_up, check, kills=0):
    """Return what the exploration finds, without ending at the first."""
    found = []

    def collect(order):
        try:
            check(order)
        except AssertionError as error:
            found.append(str(error))

    explore(set_up, collect, kills=kills)
    return found


def test_without_the_condition_and_the_constraint_a_slot_is_claimed_twice(world, monkeypatch, without_constraints):
    monkeypatch.setattr(locks, "_claimable", lambda job, decision, using: Job.objects.using(using).filter(pk=job.pk))
    found = violations(scenario(world, "claim_claim"), world.check)
    assert any("a slot was claimed twice" in words for words in found)


def test_without_the_condition_the_constraint_turns_the_second_run_into_an_error(world, monkeypatch, caplog):
    monkeypatch.setattr(locks, "_claimable", lambda job, decision, using: Job.objects.using(using).filter(pk=job.pk))
    found = violations(scenario(world, "claim_claim"), world.check)
    assert not any("twice" in words for words in found)
    assert "has a log already" in caplog.text


def test_with_the_fence_ignored_at_the_end_a_newer_holder_loses_its_lock(world, monkeypatch):
    monkeypatch.setattr(locks, "_held", lambda claim: Job.objects.filter(pk=claim.job_id))
    found = violations(scenario(world, "finish_takeover"), world.check)
    assert any("a run without its lock" in words for words in found)
