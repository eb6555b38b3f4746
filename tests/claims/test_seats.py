"""Of the jobs of a group, so many run at a time as the group says, on all nodes together."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from nodes import PATIENCE
from rivals import committed_when_waited_for, rival, strictly

from cronkite import requests
from cronkite.claims import claiming, holding, seats, skips, verdicts
from cronkite.code.outcomes import Outcome
from cronkite.database import clock, waits
from cronkite.declared import discovery
from cronkite.exceptions import JobIsLocked
from cronkite.models import Group, Job, Log
from cronkite.models.queries import FREE
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


@pytest.fixture
def reports(make_job):
    """Three jobs of a group, all due."""
    return [make_job(name=name, due=0, group="reports") for name in ("one", "two", "three")]


def let(number, name="reports"):
    Group.objects.update_or_create(name=name, defaults={"max_running": number})


def claim(*jobs, node="node"):
    wanted = []
    for job in jobs:
        read = Job.objects.agenda().get(pk=job.pk)
        wanted.append((read, catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, read.now)))
    return claiming.claim_all(wanted, node)


def taken():
    return sorted(Job.objects.exclude(seat=None).values_list("name", "seat"))


def stale(*jobs):
    Job.objects.filter(pk__in=[job.pk for job in jobs]).write(locked_at=clock.now("default") - timedelta(hours=1))


def test_a_claim_takes_a_seat_and_another_job_of_the_group_has_to_wait(reports):
    one, two, _ = reports
    (first,) = claim(one)
    assert first is not None
    assert taken() == [("one", 1)]
    assert claim(two) == [None]
    two.refresh_from_db()
    assert (two.lock, two.seat) == (None, None)
    assert seats.full([two]) == {"reports"}


def test_a_group_that_nobody_has_made_lets_one_job_run(reports):
    claim(reports[0])
    assert Group.objects.get().max_running == 1


def test_with_the_end_of_a_run_its_seat_is_free(reports):
    one, two, _ = reports
    (first,) = claim(one)
    assert holding.finish(first, Outcome(Status.SUCCEEDED))
    assert taken() == []
    assert None not in claim(two)
    assert taken() == [("two", 1)]


def test_a_batch_takes_as_many_as_there_is_room_for(reports):
    let(2)
    claims = claim(*reports)
    assert [claim is not None for claim in claims] == [True, True, False]
    assert [seat for _, seat in taken()] == [1, 2]
    assert Log.objects.count() == 2


def test_jobs_of_other_groups_and_of_none_do_not_wait(reports, make_job):
    claim(reports[0])
    others = [make_job(name="other", due=0, group="mails"), make_job(name="alone", due=0)]
    assert None not in claim(reports[1], *others)[1:]
    assert taken() == [("one", 1), ("other", 1)]


def test_with_fewer_seats_than_runs_nobody_gets_one(reports):
    one, two, three = reports
    let(3)
    first, _ = claim(one, two)
    let(1)
    assert claim(three) == [None]
    holding.finish(first, Outcome(Status.SUCCEEDED))
    assert taken() == [("two", 2)]
    assert claim(three) == [None], "seat 1 is free, but one job runs"


def test_a_seat_whose_lock_is_stale_is_taken_and_its_run_is_lost(reports, lock_timeout):
    lock_timeout(60)
    one, two, _ = reports
    (first,) = claim(one)
    assert claim(two) == [None]
    stale(one)
    assert None not in claim(two, node="other")
    assert taken() == [("two", 1)]
    lost = Log.objects.get(job=one)
    assert (lost.status, lost.reason) == (Status.LOST, "the lock was stale and other took its place in the group")
    assert holding.renew([first]) == [first], "if it lives after all, it is told that its lock is gone"
    assert not holding.finish(first, Outcome(Status.SUCCEEDED))


def test_a_stale_lock_is_left_alone_while_there_is_room(reports, lock_timeout):
    lock_timeout(60)
    let(2)
    one, two, _ = reports
    (first,) = claim(one)
    stale(one)
    assert None not in claim(two)
    assert holding.renew([first]) == []


def test_a_job_takes_over_its_own_stale_lock_and_seat(reports, lock_timeout):
    lock_timeout(60)
    one, *_ = reports
    claim(one)
    stale(one)
    Job.objects.filter(pk=one.pk).write(next_run=one.next_run + timedelta(seconds=1), schedule="* * * * * *")
    assert None not in claim(one)
    assert taken() == [("one", 1)]
    assert Log.objects.filter(status=Status.LOST).count() == 1


def test_without_a_lock_timeout_a_seat_is_kept_until_somebody_unlocks_the_job(reports, lock_timeout):
    lock_timeout(None)
    one, two, _ = reports
    claim(one)
    stale(one)
    assert claim(two) == [None]
    one.refresh_from_db()
    assert holding.unlock(one, "anna")
    assert None not in claim(two)


def test_a_run_by_hand_takes_a_seat_or_says_why_it_can_not(reports):
    one, two, _ = reports
    claim = claiming.claim_by_hand(one, "shell")
    assert taken() == [("one", 1)]
    with pytest.raises(JobIsLocked, match="as many jobs of its group, reports, run as may"):
        two.run()
    holding.finish(claim, Outcome(Status.SUCCEEDED))
    assert two.run() == {"args": [], "kwargs": {}}
    assert taken() == []


def test_a_request_waits_for_room(reports):
    one, two, _ = reports
    (first,) = claim(one)
    Job.objects.filter(pk=two.pk).write(asked_at=clock.Now(), asked_by="anna")
    read = Job.objects.agenda().get(pk=two.pk)
    assert claiming.claim_asked(read, "node") is None
    holding.finish(first, Outcome(Status.SUCCEEDED))
    assert claiming.claim_asked(read, "node") is not None
    assert taken() == [("two", 1)]


def test_a_retry_waits_for_room(reports):
    one, two, _ = reports
    (first,) = claim(one)
    an_hour_ago = clock.now("default") - timedelta(hours=1)
    slot = two.next_run - timedelta(days=1)
    retry = {"retry_at": an_hour_ago, "retry_slot": slot, "retry_attempt": 2, "retries": 2}
    Job.objects.filter(pk=two.pk).write(**retry, retry_until="last retry")
    read = Job.objects.agenda().get(pk=two.pk)
    assert read.is_retry
    assert claiming.claim_retry(read, "node") is None
    holding.finish(first, Outcome(Status.SUCCEEDED))
    assert claiming.claim_retry(read, "node") is not None
    assert taken() == [("two", 1)]


def test_the_schema_refuses_a_seat_that_is_taken_and_one_without_a_lock(reports):
    one, two, _ = reports
    claim(one)
    seat = {"seated_in": Group.objects.get().pk, "seat": 1}
    held = {"lock": "00000000-0000-4000-8000-000000000001", "locked_by": "x", "locked_at": clock.Now()}
    for columns in ({**held, **seat}, {"seated_in": seat["seated_in"], "seat": 2}, {**held, "seat": 2}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Job.objects.filter(pk=two.pk).write(**columns)


def test_a_seat_that_was_taken_behind_the_claims_back_is_a_conflict_and_no_error(reports, monkeypatch, caplog):
    one, two, _ = reports
    claim(one)
    monkeypatch.setattr(seats, "_taken", lambda group, using: set())
    for act in (lambda: claim(two), lambda: claiming.claim_by_hand(two, "shell")):
        with pytest.raises(claiming.Contention):
            act()
    assert not caplog.records
    assert taken() == [("one", 1)]


def test_an_edit_of_the_group_leaves_a_run_the_seat_that_it_has(reports):
    one, two, _ = reports
    claim(one)
    one.group = "mails"
    one.save()
    assert taken() == [("one", 1)]
    assert claim(two) == [None]
    Job.objects.filter(pk=one.pk).write(**FREE)
    assert None not in claim(two)


def test_a_claim_does_not_wait_for_a_group_whose_row_is_locked(reports, make_job):
    if not waits.skips(connection):
        pytest.skip("SQLite locks no rows: who writes keeps all others from writing")
    one, *_ = reports
    alone = make_job(name="alone", due=0)
    let(1)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT id FROM cronkite_group FOR UPDATE")
            cursor.fetchall()
        assert [each is not None for each in claim(one, alone)] == [False, True]
        other.rollback()
        assert None not in claim(one)
    finally:
        other.close()


def test_a_claim_does_not_wait_for_a_group_that_another_transaction_has_made(make_job):
    """And may yet take back. Other jobs are claimed, those of another group that has no row yet among them."""
    if not waits.skips(connection):
        pytest.skip("SQLite locks no rows: who writes keeps all others from writing")
    # Names that no other test has: of a row that was just deleted, InnoDB keeps the place, and locks it with others.
    one, two, three = [make_job(name=name, due=0, group="zebras") for name in ("one", "two", "three")]
    ants, alone = make_job(name="ants", due=0, group="ants"), make_job(name="alone", due=0)
    requests.ask(two, "ada")
    asked = Job.objects.agenda().get(pk=two.pk)
    with rival(lambda: let(3, "zebras")) as other:
        assert [each is not None for each in claim(one, ants, alone)] == [False, True, True]
        assert claiming.claim_asked(asked, "node") is None
        assert skips.unclaimed([asked]) == ({two.pk: ""}, set())
        with pytest.raises(verdicts.RowIsHeld):
            claiming.claim_by_hand(three, "node")
        other.commit()
    assert None not in claim(one)
    assert claiming.claim_asked(asked, "node") is not None
    assert claiming.claim_by_hand(three, "node") is not None


def by_import(name):
    Group.objects.ensure({name: 2})


def by_declaration(name):
    discovery._add_groups({name: 2}, discovery._Inserts(time.monotonic() + PATIENCE))


def by_claim(name):
    assert name in seats.groups_of([Job(group=name)], "default")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases' INSERTs see what is committed")
@pytest.mark.parametrize("make", [by_import, by_declaration, by_claim])
def test_a_group_that_another_transaction_makes_at_the_same_moment_is_there_at_any_isolation_level(make, monkeypatch):
    monkeypatch.setattr(waits, "INSTANT", f"{PATIENCE}s")
    name = f"at_once_{make.__name__}"
    with committed_when_waited_for(lambda: Group.objects.create(name=name, max_running=3)), strictly():
        make(name)
    assert Group.objects.get(name=name).max_running == 3


def test_jobs_of_a_full_group_are_left_out_of_what_nodes_look_at_but_for_those_that_are_locked(
    reports, make_job, lock_timeout
):
    lock_timeout(60)
    one, two, three = reports
    alone = make_job(name="alone", due=0)
    assert set(Job.objects.agenda().with_room()) == {one, two, three, alone}
    claim(one)
    assert set(Job.objects.agenda().with_room()) == {alone}
    Job.objects.filter(pk=one.pk).write(follow_at=clock.now("default") - timedelta(seconds=1))
    assert set(Job.objects.agenda().with_room()) == {one, alone}
    stale(one)
    Job.objects.filter(pk=one.pk).write(follow_at=None)
    assert {two, three, alone} <= set(Job.objects.agenda().with_room())
    assert seats.full([two]) == set()
