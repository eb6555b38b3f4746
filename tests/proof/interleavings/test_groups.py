"""Two jobs of a group that lets one run: whatever the order, and whoever is killed, no two run at a time."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest
from django.db import connection

from cronkite.claims import holding, seats
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Group, Job, Log
from proof.interleavings.explorer import LITERALLY, Order
from proof.interleavings.world import Status, Violation, World, claim_all, purged

pytestmark = pytest.mark.django_db(transaction=True)


class Member(World):
    """The world of a job that is in a group. That it can run again is up to the whole group."""

    def _check_future(self, job, logs, order):
        pass


@pytest.fixture
def members(make_job, lock_timeout, monkeypatch):
    """Two jobs that are due, of a group that lets one run."""
    lock_timeout(60)
    Group.objects.create(name="reports", max_running=1)
    jobs = [make_job(name=name, due=0, group="reports") for name in ("first", "second")]
    # Its key never changes, and is read before the transaction: one statement less to come between others.
    keys = seats.groups_of(jobs, "default")
    monkeypatch.setattr(seats, "groups_of", lambda jobs, using: keys)
    with ExitStack() as stack:
        both = [Member(job, alone=False) for job in jobs]
        for member in both:
            stack.enter_context(member.listening())
        yield both


def seat_against_seat(members):
    """Two nodes claim a job each."""
    first, second = members
    reads = _reset(members)
    return {"a": partial(first.claim, "a", reads[0]), "b": partial(second.claim, "b", reads[1])}


def seat_against_batch(members):
    """One node claims a job, another both."""
    _, second = members
    reads = _reset(members)
    return {"a": partial(second.claim, "a", reads[1]), "b": partial(claim_all, "b", members, reads)}


def end_against_seat(members):
    """A run ends while another job of its group is claimed."""
    first, second = members
    held = _reset_seated(first, second, stale=False)
    read = second.read()
    return {"a": lambda: holding.finish(held, Outcome(Status.SUCCEEDED)), "b": partial(second.claim, "b", read)}


def renewal_against_seat(members):
    """A node that had stalled shows that it lives, while another job's claim takes the seat of its stale lock."""
    first, second = members
    held = _reset_seated(first, second, stale=True)
    read = second.read()
    return {"a": lambda: holding.renew([held]), "b": partial(second.claim, "b", read)}


def takeover_against_seat(members):
    """The seat of a stale lock is wanted by its own job and by another one."""
    first, second = members
    _reset_seated(first, second, stale=True)
    reads = [member.read() for member in members]
    return {"a": partial(first.claim, "a", reads[0]), "b": partial(second.claim, "b", reads[1])}


def seat_against_number(members):
    """Somebody gives the group another number while a job of it is claimed."""
    first, _ = members
    reads = _reset(members)
    return {
        "a": partial(first.claim, "a", reads[0]),
        "edit": lambda: Group.objects.filter(name="reports").update(max_running=2),
    }


def _reset(members):
    Group.objects.update(max_running=1)
    for member in members:
        member.reset(group="reports", seated_in=None, seat=None)
    return [member.read() for member in members]


def _reset_seated(first, second, *, stale):
    """Have the first run, for the slot before, in the only seat."""
    held = first.reset_held("a")
    second_log = Log.objects.filter(job=first.job).values().get()
    second.reset()
    Log.objects.create(**second_log)
    Job.objects.filter(pk=first.job.pk).write(seated_in=Group.objects.get().pk, seat=1)
    if not stale:
        Job.objects.filter(pk=first.job.pk).write(locked_at=clock.Now())
    return held


#: With how many kills.
OF_TWO = {
    seat_against_seat: 1,
    # What a kill does to these, it does to others.
    seat_against_batch: 0,
    takeover_against_seat: 0,
    renewal_against_seat: 0,
    end_against_seat: 1,
    seat_against_number: 1,
}


def check_all(members, order: Order):
    """Hold each job to the promises, and the group to its number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT job_id FROM cronkite_log WHERE status = 'running'")
        running = len(cursor.fetchall())
        cursor.execute(f"SELECT id FROM cronkite_job WHERE {connection.ops.quote_name('lock')} IS NOT NULL")
        locked = len(cursor.fetchall())
    if max(running, locked) > 1:
        raise Violation("more jobs of a group run than may", order)
    for member in members:
        member.check(order)
    if order.is_over and not locked and not any(step.kill for step in order.steps) and not _has_ended():
        raise Violation("there was room, and nobody took it", order)


def _has_ended():
    """Whether a run has ended in this order, after which nobody need have come."""
    return Log.objects.exclude(status=Status.RUNNING).exists()


@pytest.mark.parametrize("meeting", OF_TWO, ids=lambda meeting: meeting.__name__)
def test_in_every_order_no_more_jobs_of_a_group_run_than_may(members, meeting, try_all):
    kills = 1 if LITERALLY else OF_TWO[meeting]
    try_all(meeting, purged(partial(meeting, members)), partial(check_all, members), kills=kills)


# A protection is taken out, and the same exploration finds what it kept from happening.


@pytest.fixture
def violations(members, violations_of):
    """Explore a meeting, and return all that is found."""
    return lambda meeting: violations_of(purged(partial(meeting, members)), partial(check_all, members))


@pytest.fixture
def without_turns(monkeypatch):
    """Claims that look which seats are taken, and do not keep others from taking one meanwhile."""

    def free(groups, node, using):
        rows = dict(Group.objects.using(using).filter(pk__in=groups.values()).values_list("pk", "max_running"))
        return {name: seats._free(key, rows[key], node, using) for name, key in groups.items()}

    monkeypatch.setattr(seats, "free", free)


def test_with_seats_taken_out_of_turn_and_without_the_constraint_more_run_than_may(
    violations, without_turns, without_unique_seats
):
    found = violations(seat_against_seat)
    if connection.vendor == "sqlite":
        # Who has read before another wrote is refused to write.
        assert not any("more jobs of a group" in words for words in found)
    else:
        assert any("more jobs of a group run than may" in words for words in found)


def test_with_seats_taken_out_of_turn_the_constraint_holds_the_number(violations, without_turns):
    assert not any("more jobs of a group" in words for words in violations(seat_against_seat))


def test_without_the_constraint_the_turns_hold_the_number(violations, without_unique_seats):
    assert not violations(seat_against_seat)


def test_with_a_stale_lock_that_keeps_its_run_while_its_seat_is_taken_more_run_than_may(violations, monkeypatch):
    def clear(group, node, using):
        return Job.objects.using(using).filter(seated_in=group).write(seated_in=None, seat=None)

    monkeypatch.setattr(seats, "_clear_stale", clear)
    assert any("more jobs of a group run than may" in words for words in violations(renewal_against_seat))
