"""The claim: one node takes a slot and its lock, and no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from admin_pages import SLOT, make_log
from conftest import due, make_due, put_in_place_of
from deciding import claim, decide, make_stale
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from cronkite import requests
from cronkite.claims import claiming, handing, holding, skips, taking, verdicts
from cronkite.claims.verdicts import Receipt
from cronkite.code.outcomes import Outcome
from cronkite.database import clock, quirks
from cronkite.exceptions import JobIsLocked
from cronkite.models import Job, Log, restores
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp, Decision

Status = Log.Status


@pytest.fixture
def job(make_job):
    return make_job(due=0)


# Claiming.


@pytest.mark.django_db
def test_a_claim_takes_the_slot_and_the_lock_and_makes_the_log(job):
    slot = job.next_run
    taken = claim(job, "alpha")
    job.refresh_from_db()
    assert (job.lock, job.locked_by, job.fence, job.last_slot) == (taken.token, "alpha", 1, slot)
    assert job.next_run == job.get_schedule().next_after(slot)
    log = Log.objects.get()
    assert (log.pk, log.job, log.slot, log.fence, log.node) == (taken.log_id, job, slot, 1, "alpha")
    assert (log.status, log.started_at is not None, log.finished_at) == (Status.RUNNING, True, None)
    assert str(slot.minute) in str(taken)
    assert "job 'ok'" in str(taken)


@pytest.mark.django_db
def test_the_second_node_gets_nothing(job):
    first, second = due(job), due(job)
    assert claiming.claim(first, decide(first), "first") is not None
    assert claiming.claim(second, decide(second), "second") is None
    assert [log.node for log in Log.objects.all()] == ["first"]


@pytest.mark.django_db
def test_a_claim_is_a_constant_number_of_statements(job, django_assert_num_queries):
    """Two that write, in one where the database can do that; and the savepoint, as there is a transaction already.

    And one before them that locks the row, where the database can't skip a row that is locked as it writes.
    """
    read = due(job)
    decision = decide(read)
    writes = ["UPDATE", "INSERT"] if connection.vendor != "postgresql" else ["WITH"]
    if connection.vendor == "mysql":
        writes = ["SELECT", *writes]
    with django_assert_num_queries(2 + len(writes)) as statements:
        claiming.claim(read, decision, "node")
    words = [query["sql"].split()[0] for query in statements.captured_queries]
    assert words == ["SAVEPOINT", *writes, "RELEASE"]


@pytest.mark.django_db
def test_finishing_is_a_constant_number_of_statements(job, django_assert_num_queries):
    """Both UPDATEs in one, where the database can do that."""
    taken = claim(job)
    expected = ["SAVEPOINT", "UPDATE", "UPDATE", "RELEASE"] if connection.vendor != "postgresql" else ["WITH"]
    with django_assert_num_queries(len(expected)) as statements:
        holding.finish(taken, Outcome(Status.SUCCEEDED))
    assert [query["sql"].split()[0] for query in statements.captured_queries] == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "0 3 * * *"},
        {"enabled": False},
        {"args": ["other"]},
        {"description": "anything at all"},
    ],
)
def test_what_was_decided_before_an_edit_is_not_claimed(job, change):
    read = due(job)
    decision = decide(read)
    for column, value in change.items():
        setattr(job, column, value)
    job.save()
    assert claiming.claim(read, decision, "node") is None
    assert not Log.objects.exclude(status=Status.MISSED).exists()


@pytest.mark.django_db
def test_a_job_that_was_deleted_is_not_claimed(job):
    read = due(job)
    decision = decide(read)
    Job.objects.get(pk=job.pk).delete()
    assert claiming.claim(read, decision, "node") is None


@pytest.mark.django_db
@pytest.mark.parametrize("way", [taking.take, taking.in_steps, handing.joined(lambda claim: Receipt("e", "1"), ())])
def test_a_job_that_is_at_the_key_of_the_one_that_was_read_is_not_claimed_for_it(job, way):
    """It has been edited and claimed as often, which is never, and is due at the same time."""
    read = due(job)
    decision = decide(read)
    new = put_in_place_of(job, function="app.jobs.fail")
    assert (new.revision, new.fence, new.next_run) == (read.revision, read.fence, read.next_run)
    assert claiming.claim(read, decision, "node", way) is None
    assert not claiming.pass_over(read, catch_up.abandon(read.get_schedule(), read.pending, read.now, ""), "node")
    assert not new.logs.exists()
    # To be read anew, at once.
    assert skips.unclaimed([read]) == ({}, {job.pk})
    assert claim(new).function == "app.jobs.fail"


@pytest.mark.django_db
def test_a_request_is_not_taken_for_the_job_that_was_at_the_key_before(job):
    requests.ask(job, "ada")
    read = Job.objects.agenda().get()
    new = put_in_place_of(job, function="app.jobs.fail")
    requests.ask(new, "bob")
    assert claiming.claim_asked(read, "node") is None
    assert claiming.claim_asked(Job.objects.agenda().get(), "node").job_name == "new"


@pytest.mark.django_db
def test_a_job_that_was_never_planned_by_code_of_ours_is_claimed(job):
    Job.objects.filter(pk=job.pk).write(planned_at=None)
    assert claim(job) is not None


@pytest.mark.django_db
def test_the_logs_of_another_job_do_not_move_the_one_at_its_key_by_the_schedule_of_before(job):
    read = due(job)
    new = put_in_place_of(job, function="app.jobs.fail")
    make_log(new, slot=read.next_run)
    assert not restores.is_realigned(read, "default")
    new.refresh_from_db()
    assert new.next_run == read.next_run


@pytest.mark.django_db
def test_no_slot_is_claimed_before_its_time_however_wrong_a_nodes_clock_is(make_job):
    job = make_job(schedule="0 0 29 2 *")
    read = Job.objects.with_now().get(pk=job.pk)
    decision = Decision(read.next_run, 0, None, read.next_run + timedelta(days=1))
    assert claiming.claim(read, decision, "node from the future") is None


@pytest.mark.django_db
def test_no_slot_is_claimed_before_its_time_because_an_older_one_is_due(make_job):
    job = make_job(due=0, schedule="* * * * *")
    read = due(job)
    coming = read.now + timedelta(hours=1)
    decision = catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, coming)
    assert decision.slot > read.now
    assert claiming.claim(read, decision, "node from the future") is None


@pytest.mark.django_db
def test_no_slot_is_recorded_as_missed_before_its_time(make_job):
    job = make_job(due=0, schedule="* * * * *")
    read = due(job)
    coming = read.now + timedelta(hours=1)
    decision = catch_up.abandon(read.get_schedule(), read.pending, coming, "because")
    assert decision.last_missed > read.now
    assert not claiming.pass_over(read, decision, "node from the future")
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_no_slot_is_claimed_that_is_not_newer_than_the_last(job):
    read = due(job)
    Job.objects.filter(pk=job.pk).write(last_slot=read.next_run)
    assert claiming.claim(read, Decision(read.next_run, 0, None, read.next_run), "node") is None


@pytest.mark.django_db
def test_a_slot_that_has_a_log_already_is_an_error_and_the_job_goes_on(job, caplog):
    """Promise P1 holds against our own bugs, and against hands in the tables."""
    slot = job.next_run
    Log.objects.create(job=job, slot=slot, fence=99, created=slot, status=Status.SUCCEEDED)
    assert claim(job) is None
    assert "tell of more than its row" in caplog.text
    job.refresh_from_db()
    assert (job.lock, job.last_slot) == (None, slot)
    assert job.next_run > slot
    assert due(job) is None


@pytest.mark.django_db
def test_missed_slots_stand_in_the_log_of_the_run_that_follows(make_job):
    job = make_job(due=0, schedule="* * * * *")
    slot = make_due(job, 3600)
    claim(job)
    log = Log.objects.get()
    assert log.missed == round((log.slot - slot) / timedelta(minutes=1)) >= 59
    assert "only the newest is run" in log.reason


@pytest.mark.django_db
def test_what_is_passed_over_is_recorded_and_takes_no_lock(make_job):
    job = make_job(due=3600, catch_up="none", grace=0, schedule="*/5 * * * * *")
    read = due(job)
    decision = Decision(None, 7, read.next_run, read.next_run + timedelta(hours=9), "because")
    assert claiming.pass_over(read, decision, "node")
    job.refresh_from_db()
    assert (job.lock, job.fence, job.last_slot) == (None, 0, decision.last_missed)
    log = Log.objects.get()
    assert (log.status, log.missed, log.fence, log.reason) == (Status.MISSED, 6, None, "because")
    assert not claiming.pass_over(read, decision, "another node")


@pytest.mark.django_db
def test_a_missed_slot_that_has_a_log_already_is_an_error_and_the_job_goes_on(job, caplog):
    read, slot = due(job), job.next_run
    Log.objects.create(job=job, slot=slot, fence=9, created=slot)
    decision = Decision(None, 1, read.next_run, read.next_run + timedelta(minutes=1), "because")
    assert not claiming.pass_over(read, decision, "node")
    assert "tell of more than its row" in caplog.text
    job.refresh_from_db()
    assert (job.last_slot, job.next_run) == (slot, job.get_schedule().next_after(slot))
    assert Log.objects.get().status == Status.LOST


# Why slots were missed.


@pytest.mark.django_db
def test_slots_missed_while_a_run_went_on_say_so(job):
    taken = claim(job)
    holding.finish(taken, Outcome(Status.SUCCEEDED))
    Job.objects.filter(pk=job.pk).write(next_run=taken.slot)
    assert "was going on until" in claiming.why_missed(Job.objects.get(pk=job.pk))


@pytest.mark.django_db
def test_slots_missed_while_no_node_was_up_say_so(job):
    assert claiming.why_missed(job) == "no node ticked in time"


# Stale locks.


@pytest.mark.django_db
def test_a_stale_lock_is_taken_over_and_its_run_is_lost(job, lock_timeout):
    lock_timeout(60)
    old = claim(job, "dead node")
    make_due_again(job, old)
    make_stale(job)
    new = claim(job, "live node")
    assert new is not None
    assert new.fence == old.fence + 1
    lost = Log.objects.get(pk=old.log_id)
    assert (lost.status, lost.finished_at is not None) == (Status.LOST, True)
    assert "live node took it over" in lost.reason
    # The old run comes back from the dead: its result is kept, marked as late, and the newer holder is not touched.
    assert not holding.finish(old, Outcome(Status.SUCCEEDED, result="late"))
    job.refresh_from_db()
    assert job.lock == new.token
    lost.refresh_from_db()
    assert (lost.status, lost.result) == (Status.LOST, "late")
    assert "ended late, as succeeded" in lost.reason


@pytest.mark.django_db
def test_a_lock_that_shows_life_is_not_taken(job, lock_timeout):
    lock_timeout(60)
    taken = claim(job)
    make_due_again(job, taken)
    assert due(job) is None
    make_stale(job)
    read = due(job)
    assert holding.renew([taken]) == []
    assert claiming.claim(read, decide(read), "thief") is None


def make_due_again(job, taken):
    """Let the slot that was taken be an hour older than it is, so that it can fall due again."""
    hour = timedelta(hours=1)
    Log.objects.filter(pk=taken.log_id).update(slot=taken.slot - hour)
    Job.objects.filter(pk=job.pk).write(last_slot=taken.slot - hour, next_run=taken.slot)


@pytest.mark.django_db
def test_without_a_timeout_a_lock_is_never_cleared(job, lock_timeout):
    lock_timeout(None)
    taken = claim(job)
    make_due_again(job, taken)
    make_stale(job, seconds=30 * 24 * 3600)
    assert due(job) is None
    with pytest.raises(JobIsLocked):
        claiming.claim_by_hand(job, "node")


@pytest.mark.django_db
def test_a_lock_is_stale_by_the_databases_clock_to_the_second(job, lock_timeout):
    lock_timeout(60)
    taken = claim(job)
    make_due_again(job, taken)
    make_stale(job, seconds=40)
    assert due(job) is None
    make_stale(job, seconds=61)
    assert due(job) is not None


# By hand.


@pytest.mark.django_db
def test_a_claim_by_hand_moves_no_slot(job):
    taken = claiming.claim_by_hand(job, "node")
    job.refresh_from_db()
    assert (job.lock, job.fence, job.last_slot, job.next_run) == (taken.token, 1, None, Job.objects.get().next_run)
    assert (Log.objects.get().slot, taken.slot) == (None, None)
    assert "by hand" in str(taken)


@pytest.mark.django_db
def test_a_claim_by_hand_takes_over_a_stale_lock(job, lock_timeout):
    lock_timeout(60)
    old = claim(job)
    make_stale(job)
    new = claiming.claim_by_hand(job, "node")
    assert new.fence == 2
    assert Log.objects.get(pk=old.log_id).status == Status.LOST


# When the database sends us away, or dies.


class Driver(Exception):
    def __init__(self, *args, **attributes):
        super().__init__(*args)
        vars(self).update(attributes)


def failing(error, cause=None):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "conflict"),
    [
        (failing(OperationalError("deadlock"), Driver(pgcode="40P01")), True),
        (failing(OperationalError("could not serialize"), Driver(sqlstate="40001")), True),
        (failing(OperationalError("lock"), Driver(pgcode="55P03")), True),
        (failing(OperationalError("syntax"), Driver(pgcode="42601")), False),
        (OperationalError(1205, "Lock wait timeout exceeded"), True),
        (OperationalError(1213, "Deadlock found"), True),
        (OperationalError(1020, "Record has changed since last read"), True),
        (OperationalError(2013, "Lost connection"), False),
        (OperationalError("database is locked"), True),
        (OperationalError("database table is locked: cronkite_job"), True),
        (OperationalError("disk I/O error"), False),
        (OperationalError(), False),
    ],
)
def test_a_conflict_is_told_from_an_outage(error, conflict):
    assert quirks.is_conflict(error) is conflict


def fail_at(monkeypatch, word, error):
    """Have the next statement that begins with ``word`` fail with ``error`` instead of being executed."""
    armed = [True]

    def wrapper(execute, sql, params, many, context):
        if armed and sql.startswith(word):
            armed.clear()
            raise error
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("word", ["UPDATE", "INSERT"])
def test_a_conflict_means_not_claimed_and_nothing_written(job, in_steps, monkeypatch, word):
    read = due(job)
    with fail_at(monkeypatch, word, OperationalError(1213, "Deadlock found")), pytest.raises(verdicts.Contention):
        claiming.claim(read, decide(read), "node")
    assert not Log.objects.exists()
    assert claim(job) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("word", ["UPDATE", "INSERT"])
def test_a_connection_that_dies_before_the_commit_has_claimed_nothing(job, in_steps, monkeypatch, word):
    read = due(job)
    with fail_at(monkeypatch, word, OperationalError(2013, "Lost connection")), pytest.raises(OperationalError):
        claiming.claim(read, decide(read), "node")
    assert not Log.objects.exists()
    assert claim(job) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [True, False])
def test_a_connection_that_dies_at_the_commit_leaves_a_doubt_that_can_be_settled(job, in_steps, monkeypatch, committed):
    read = due(job)
    commit = connection._commit

    def dying():
        if committed:
            commit()
        else:
            connection.connection.rollback()
        raise OperationalError(2013, "Lost connection")

    monkeypatch.setattr(connection, "_commit", dying)
    with pytest.raises(verdicts.OutcomeUnknown) as doubt:
        claiming.claim(read, decide(read), "node")
    monkeypatch.undo()
    assert bool(claiming.settle(*doubt.value.claims)) is committed
    assert Log.objects.exists() is committed
    assert "claim of job 'ok'" in str(doubt.value)


@pytest.mark.django_db(transaction=True)
def test_passing_over_gives_way_to_a_conflict_and_tells_of_an_outage(job, monkeypatch):
    read = due(job)
    decision = Decision(None, 1, read.next_run, read.next_run + timedelta(minutes=1), "because")
    with fail_at(monkeypatch, "UPDATE", OperationalError(1213, "Deadlock found")):
        assert not claiming.pass_over(read, decision, "node")
    with fail_at(monkeypatch, "UPDATE", OperationalError(2013, "Lost connection")), pytest.raises(OperationalError):
        claiming.pass_over(read, decision, "node")
    assert claiming.pass_over(read, decision, "node")


@pytest.mark.django_db(transaction=True)
def test_the_first_statement_of_a_claim_writes_or_locks(job, in_steps):
    """SQLite refuses a write after a read at once if another connection wrote in between; it locks no rows."""
    read = due(job)
    seen = []

    def wrapper(execute, sql, params, many, context):
        seen.append(sql.split()[0])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        claiming.claim(read, decide(read), "node")
    locking = ["SELECT"] if connection.features.has_select_for_update else []
    assert [word for word in seen if word not in ("BEGIN", "SET")] == [*locking, "UPDATE", "INSERT"]


@pytest.mark.django_db(transaction=True)
def test_a_claim_is_committed_before_it_is_returned(job):
    taken = claim(job)
    connections["default"].close()
    assert Log.objects.get(pk=taken.log_id).status == Status.RUNNING


@pytest.mark.django_db(transaction=True)
def test_integrity_errors_of_the_schema_roll_the_whole_claim_back(job, in_steps, monkeypatch):
    read = due(job)
    with fail_at(monkeypatch, "INSERT", IntegrityError("UNIQUE")), transaction.atomic():
        assert claiming.claim(read, decide(read), "node") is None
    job.refresh_from_db()
    assert job.lock is None


# In one statement, where the database can do that.


joins = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL joins statements that write")


@joins
@pytest.mark.django_db(transaction=True)
def test_a_claim_is_one_statement_that_is_its_own_transaction(job, django_assert_num_queries):
    read = due(job)
    decision = decide(read)
    with django_assert_num_queries(1):
        claiming.claim(read, decision, "node")


@joins
@pytest.mark.django_db(transaction=True)
def test_several_claims_are_one_statement_and_each_is_taken_for_itself(make_job, django_assert_num_queries):
    reads = [due(make_job(name=name, due=0)) for name in ("first", "second", "third")]
    wanted = [(read, decide(read)) for read in reversed(reads)]
    assert claim(Job.objects.get(name="second"), "another") is not None
    with django_assert_num_queries(1):
        third, second, first = claiming.claim_all(wanted, "node")
    assert (first.job_name, second, third.job_name) == ("first", None, "third")
    for taken in (first, third):
        log = Log.objects.get(pk=taken.log_id)
        assert (log.job_id, log.slot, log.fence, log.node) == (taken.job_id, taken.slot, taken.fence, "node")


@joins
@pytest.mark.django_db(transaction=True)
def test_a_takeover_goes_step_by_step(make_job, lock_timeout, django_assert_num_queries):
    """As the run that held the lock is to be marked, and no other."""
    job = make_job(due=0)
    lock_timeout(60)
    first = claim(job, "dead")
    make_stale(job)
    Job.objects.filter(pk=job.pk).write(next_run=first.slot, last_slot=None)
    Log.objects.update(slot=None)
    read = due(job)
    decision = decide(read)
    with django_assert_num_queries(8) as statements:
        assert claiming.claim(read, decision, "node") is not None
    words = [query["sql"].split()[0] for query in statements.captured_queries]
    took = ["SELECT", "UPDATE", "UPDATE", "INSERT"]
    assert words == ["SELECT", "BEGIN", "SET", *took, "COMMIT"]


def answered(state):
    """Return the error that a driver makes of the server's answer."""
    error = OperationalError("what the server says")
    error.__cause__ = type("DriverError", (Exception,), {"pgcode": state})()
    return error


@joins
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("state", "expected"), [("40P01", verdicts.Contention), ("25006", OperationalError)])
def test_what_the_server_answers_instead_leaves_no_doubt(job, monkeypatch, state, expected):
    read = due(job)
    with fail_at(monkeypatch, "WITH", answered(state)), pytest.raises(expected):
        claiming.claim(read, decide(read), "node")
    assert claim(job) is not None


@joins
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), answered("57P01")])
@pytest.mark.parametrize("done", [True, False])
def test_a_connection_that_dies_at_the_one_statement_leaves_a_doubt_that_can_be_settled(job, error, done):
    read = due(job)

    def dying(execute, sql, params, many, context):
        if done:
            execute(sql, params, many, context)
        raise error

    with connection.execute_wrapper(dying), pytest.raises(verdicts.OutcomeUnknown) as doubt:
        claiming.claim(read, decide(read), "node")
    settled = claiming.settle(*doubt.value.claims)
    assert bool(settled) is done
    if settled:
        assert holding.finish(settled, Outcome(Status.SUCCEEDED))
        assert Log.objects.get(pk=settled.log_id).status == Status.SUCCEEDED


@joins
@pytest.mark.django_db
def test_a_slot_that_has_a_log_costs_the_callers_transaction_nothing(job, caplog):
    read = due(job)
    Log.objects.create(job=job, slot=read.next_run, fence=99, created=clock.Now())
    assert claiming.claim(read, decide(read), "node") is None
    assert "tell of more than its row" in caplog.text
    assert Job.objects.get().last_slot == job.next_run


# Several at a time.


@pytest.fixture
def three(make_job):
    """Three jobs that are due, as read; the second has a log of its slot already."""
    jobs = [make_job(name=name, due=0) for name in ("first", "second", "third")]
    reads = [due(job) for job in jobs]
    Log.objects.create(job=jobs[1], slot=reads[1].next_run, fence=99, created=clock.Now())
    return [(read, decide(read)) for read in reads]


@pytest.mark.django_db(transaction=True)
def test_of_several_jobs_only_the_one_that_stumbles_is_not_claimed(three, caplog):
    first, second, third = claiming.claim_all(three, "node")
    assert (first.job_name, second, third.job_name) == ("first", None, "third")
    assert "tell of more than its row" in caplog.text
    assert Job.objects.filter(lock__isnull=False).count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_was_claimed_of_several_jobs_before_an_error_is_in_doubt_and_not_given_up(three, monkeypatch):
    """Or its lock would be held by nobody until its timeout."""
    claim = claiming.claim

    def conflicting(job, decision, node, take):
        if job.name == "third":
            raise verdicts.Contention
        return claim(job, decision, node, take)

    monkeypatch.setattr(claiming, "claim", conflicting)
    with pytest.raises(verdicts.OutcomeUnknown) as doubt:
        claiming.claim_all(three, "node")
    (first,) = doubt.value.claims
    assert first.job_name == "first"
    assert claiming.settle(first) == first


@pytest.mark.django_db
def test_who_asked_and_who_unlocked_stays_in_the_reason_when_a_late_end_is_added(job):
    taken = claiming.claim_by_hand(job, "node", "asked for by kim")
    job.refresh_from_db()
    assert holding.unlock(job, by="ada")
    told = "asked for by kim; unlocked by ada"
    log = Log.objects.get(pk=taken.log_id)
    assert log.reason == told
    for _ in "twice, as when the answer is lost":
        assert not holding.finish(taken, Outcome(Status.FAILED, exc_info="late"))
    log.refresh_from_db()
    assert log.reason == f"{told}; its lock was lost while it ran; it ended late, as failed"
    assert log.exc_info == "late"


@pytest.mark.django_db
def test_who_asked_stays_in_the_reason_when_the_lock_is_taken_over(job, lock_timeout):
    lock_timeout(60)
    old = claiming.claim_by_hand(job, "dead", "asked for by kim")
    make_stale(job)
    claiming.claim_by_hand(job, "live")
    assert Log.objects.get(pk=old.log_id).reason == "asked for by kim; the lock was stale and live took it over"


@pytest.mark.django_db
def test_who_asked_stays_in_the_reason_when_the_job_is_deleted(job):
    taken = claiming.claim_by_hand(job, "node", "asked for by kim")
    Job.objects.get(pk=job.pk).delete()
    log = Log.objects.get(pk=taken.log_id)
    assert (log.status, log.reason) == (Status.LOST, "asked for by kim; its job was deleted while it ran")
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    log.refresh_from_db()
    assert (log.status, log.reason) == (Status.SUCCEEDED, "asked for by kim")


ARGUMENTS = {"args": [1, {"a": [None, 'ü"\\']}], "kwargs": {"to": "ü€😀", "n": 2**53}}


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["slot", "steps", "hand", "asked"])
def test_a_log_keeps_the_arguments_that_it_ran_with(make_job, way, request):
    if way == "steps":
        request.getfixturevalue("in_steps")
    job = make_job(due=0, **ARGUMENTS)
    if way == "asked":
        requests.ask(job, "kim")
        taken = claiming.claim_asked(Job.objects.agenda().get(), "node")
    else:
        taken = claiming.claim_by_hand(job, "node") if way == "hand" else claim(job)
    Job.objects.filter(pk=job.pk).update(args=["edited"], kwargs={})
    log = Log.objects.get(pk=taken.log_id)
    assert {"args": log.args, "kwargs": log.kwargs} == ARGUMENTS
    assert log.has_arguments


@pytest.mark.django_db
def test_a_log_keeps_the_beginning_of_very_long_arguments(make_job):
    taken = claim(make_job(due=0, args=["ü" * 10_000], kwargs={"a": 1}))
    log = Log.objects.get(pk=taken.log_id)
    assert (len(log.args), log.args[:3], log.args[-9:]) == (8192, '["\\', "... (cut)")
    assert log.kwargs == {"a": 1}
    assert not log.has_arguments
    assert taken.args == ["ü" * 10_000]


@pytest.mark.django_db
def test_code_that_does_not_know_of_arguments_can_write_logs(job):
    """As that of nodes which are brought up to date after the database."""
    quote = connection.ops.quote_name
    make_log(job, slot=SLOT, status=Status.SUCCEEDED)
    other = {"node": "'b'", "fence": "2", "slot": "NULL"}
    names = [field.column for field in Log._meta.concrete_fields if field.name not in {"id", "args", "kwargs"}]
    values = ", ".join(other.get(name, quote(name)) for name in names)
    with connection.cursor() as cursor:
        into = f"INSERT INTO cronkite_log ({', '.join(map(quote, names))})"
        cursor.execute(f"{into} SELECT {values} FROM cronkite_log")
    log = Log.objects.get(node="b")
    assert (log.args, log.kwargs, log.has_arguments) == (None, None, False)
