"""A protection is taken out, and the same exploration finds what it kept from happening.

At most one start per (job, slot) is held twice: by the condition of the claim's UPDATE, and by the table's constraint.
Each is enough by itself, and a claim that needs the constraint, or a table that lacks it, is a violation all the same.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import pytest
from django.db import connection, connections
from django.db.models.signals import pre_delete

from cronkite.claims import concluding, conditions, handing, holding, taking
from cronkite.database import waits
from cronkite.models import Job, Log, edits
from proof.interleavings import meetings

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def violations(world, violations_of):
    """Explore a meeting, and return all that is found."""

    def violations(meeting, kills=0):
        return violations_of(partial(meeting, world), world.check, kills=kills, twins=getattr(meeting, "twins", ()))

    return violations


@pytest.fixture
def without_condition(monkeypatch):
    """A claim whose UPDATE asks for nothing but the row."""
    monkeypatch.setattr(
        conditions, "claimable", lambda job, decision, using: Job.objects.using(using).filter(pk=job.pk)
    )


def said(found, *words):
    """Whether one of what was found says all these words."""
    return any(all(word in text for word in words) for text in found)


def test_without_its_condition_and_the_constraint_a_request_is_answered_twice(
    violations, without_constraints, monkeypatch
):
    monkeypatch.setattr(conditions, "answerable", lambda job, using: Job.objects.using(using).filter(pk=job.pk))
    assert said(violations(meetings.request_against_request), "a slot was started twice")


def test_without_the_condition_and_the_constraint_a_slot_is_started_twice(
    violations, without_condition, without_constraints
):
    assert said(violations(meetings.claim_against_claim), "a slot was started twice")


def test_without_its_condition_and_the_constraint_a_slot_is_tried_again_twice_as_the_same_attempt(
    violations, without_constraints, monkeypatch
):
    monkeypatch.setattr(conditions, "repeatable", lambda job, using: Job.objects.using(using).filter(pk=job.pk))
    assert said(violations(meetings.retry_against_retry), "a slot was started twice")


def test_without_the_condition_the_constraint_has_to_step_in_and_holds(violations, without_condition):
    found = violations(meetings.claim_against_claim, kills=1)
    assert said(found, "the constraint had to step in")
    assert not said(found, "twice")


def test_without_the_constraint_the_database_refuses_nothing_and_the_condition_holds(violations, without_constraints):
    found = violations(meetings.claim_against_claim, kills=1) + violations(meetings.takeover_against_takeover, kills=1)
    assert found
    assert all("the database does not refuse a second log of a slot" in text for text in found)


def test_with_the_fence_ignored_at_the_end_a_newer_holder_loses_its_lock(violations, monkeypatch):
    monkeypatch.setattr(holding, "_held", lambda claim: Job.objects.filter(pk=claim.job_id))
    assert said(violations(meetings.end_against_takeover), "a run without its lock")


def test_with_the_run_begun_before_the_commit_a_death_lets_it_begin_twice(violations, world, in_steps, monkeypatch):
    start, record = world.start, taking.record

    def record_and_start(*args):
        claim = record(*args)
        start(claim)
        return claim

    monkeypatch.setattr(world, "start", lambda claim: None)
    monkeypatch.setattr(taking, "record", record_and_start)
    assert not violations(meetings.claim_against_claim)
    assert said(violations(meetings.claim_against_claim, kills=1), "a slot was started twice", "KILLED")


def test_without_a_transaction_a_death_leaves_a_slot_that_is_in_no_log(violations, in_steps, monkeypatch):
    monkeypatch.setattr(waits, "limited", lambda using: nullcontext())
    found = violations(meetings.claim_against_claim, kills=1)
    assert said(found, "a lock without its run", "a:KILLED")


def test_with_a_hand_off_without_a_transaction_a_death_leaves_a_log_without_its_task_or_the_other_way_round(
    violations, monkeypatch
):
    monkeypatch.setattr(waits, "limited", lambda using: nullcontext())
    found = violations(meetings.hand_over_against_hand_over, kills=1)
    assert said(found, "a task without its log", "a:KILLED")


def test_with_a_task_enqueued_outside_of_the_transaction_a_death_leaves_it_without_its_log(violations, monkeypatch):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets nobody else write while the transaction is open: it can't be enqueued outside of it")
    monkeypatch.setattr(handing, "_enqueue", lambda enqueue, claim, using: _elsewhere(enqueue, claim))
    found = violations(meetings.hand_over_against_hand_over, kills=1)
    assert said(found, "a task without its log", "a:KILLED")


def _elsewhere(enqueue, claim):
    """Enqueue over another connection, which commits by itself."""

    def act():
        try:
            return enqueue(claim)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result(timeout=60)


def test_with_a_plan_that_ignores_what_was_handed_over_meanwhile_nobody_asks_about_a_task(violations, monkeypatch):
    monkeypatch.setattr(concluding, "_next_turn", lambda using: None)
    assert said(violations(meetings.hand_over_against_question), "a task that nobody asks about")


def test_with_the_lost_run_left_as_it_is_a_takeover_makes_two_live_runs(violations, monkeypatch):
    monkeypatch.setattr(taking, "mark_lost", lambda job_id, node, using, lost: None)
    assert said(violations(meetings.takeover_against_takeover), "two runs are live")


def test_with_an_edit_that_asks_for_nothing_a_claim_and_the_edit_account_for_the_same_slot(violations, monkeypatch):
    monkeypatch.setattr(edits, "_conditional", lambda rows, before: rows)
    assert said(violations(meetings.claim_against_disabling), "edit ended with IntegrityError")


def test_with_an_edit_that_does_not_ask_whether_a_one_off_is_done_it_would_enable_it_without_a_next_run(
    violations, monkeypatch
):
    monkeypatch.setattr(edits, "_as_read", lambda rows, before: rows.filter(revision=before.revision))
    assert said(violations(meetings.claim_of_a_one_off_against_edit), "edit ended with IntegrityError")


def test_with_a_deletion_that_records_nothing_a_slot_vanishes_with_its_job(violations):
    uid = "cronkite.before_delete"
    assert pre_delete.disconnect(sender=Job, dispatch_uid=uid)
    try:
        found = violations(meetings.claim_against_deletion)
    finally:
        pre_delete.connect(edits.before_delete, sender=Job, dispatch_uid=uid)
    assert said(found, "accounted for 0 times", "the job is gone")


def test_with_a_deletion_that_leaves_the_run_as_it_is_it_goes_on_for_ever(violations, monkeypatch):
    monkeypatch.setattr(Log, "lose_with_job", lambda job, *, using: None)
    assert said(violations(meetings.claim_against_deletion), "a run goes on for ever")
