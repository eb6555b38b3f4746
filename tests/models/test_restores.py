"""A job's row that knows less than its logs, as after a restore: nothing runs twice, vanishes, or stands still."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import due, make_due
from django.db import IntegrityError, connection
from nodes import cron

from cronkite import pruning, requests
from cronkite.claims import claiming, holding, verdicts
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Job, Log, restores
from cronkite.nodes import ticks
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp, Decision

Status = Log.Status
pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
#: What nodes keep of a job, and so what an older row of it has otherwise; and what is to be tried again.
KEPT = ["next_run", "last_slot", "fence", "lock", "locked_by", "locked_at"]
RETRY = ["retry_at", "retry_slot", "retry_attempt"]


def decide(job):
    return catch_up.decide(job.get_schedule(), CatchUp(job.catch_up), job.get_grace(), job.pending, job.now)


def claim(job, node="node"):
    read = due(job)
    assert read is not None, "the job is not due"
    return claiming.claim(read, decide(read), node)


def row(job):
    return Job.objects.filter(pk=job.pk).values(*KEPT).get()


def restore(job, older):
    Job.objects.filter(pk=job.pk).write(**older)


def run(job):
    """Have the job run the slot that is due."""
    taken = claim(job)
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    return taken


def run_by_hand(job, times):
    for _ in range(times):
        assert holding.finish(claiming.claim_by_hand(job, "node"), Outcome(Status.SUCCEEDED))


def accounted(job):
    """Return the slots that logs account for: of each log with a slot, that one and those missed before it."""
    found = []
    for log in Log.objects.filter(job=job, slot__isnull=False).order_by("slot"):
        found += [log.slot - n * MINUTE for n in reversed(range(log.missed + 1))]
    return found


@pytest.fixture
def job(make_job):
    # Once a year, so that no slot falls due while a test looks on.
    return make_job(due=0)


@pytest.fixture
def an_hour(make_job):
    """A job that has run each minute for an hour, and its row as it was before."""
    job = make_job(schedule="* * * * *", catch_up="all")
    make_due(job, 3600)
    older = row(job)
    for _ in range(30):
        run(job)
    Job.objects.filter(pk=job.pk).update(catch_up="latest")
    before = clock.now("default")
    taken = claim(job)
    assert taken.slot > before - MINUTE
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    return job, older


# The fencing token.


@pytest.mark.parametrize("steps", [False, True], ids=["at once", "in steps"])
def test_a_fencing_token_that_was_given_before_costs_no_slot(job, steps, request):
    if steps:
        request.getfixturevalue("in_steps")
    older = row(job)
    run_by_hand(job, 3)
    restore(job, older)
    taken = claim(job)
    assert (taken.slot, taken.fence) == (older["next_run"], 4)
    log = Log.objects.get(pk=taken.log_id)
    assert (log.slot, log.fence, log.status) == (taken.slot, 4, Status.RUNNING)
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    assert row(job) | {"last_slot": taken.slot, "fence": 4, "lock": None} == row(job)


def test_among_several_jobs_each_is_claimed(make_job):
    jobs = [make_job(due=0) for _ in range(3)]
    older = row(jobs[1])
    run_by_hand(jobs[1], 2)
    restore(jobs[1], older)
    reads = [due(job) for job in jobs]
    claims = claiming.claim_all([(read, decide(read)) for read in reads], "node")
    assert [taken.fence for taken in claims] == [1, 3, 1]


def test_a_request_is_answered_with_a_token_that_is_new(job):
    older = row(job)
    run_by_hand(job, 2)
    restore(job, older | {"next_run": job.get_schedule().next_after(older["next_run"])})
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    newest = Log.objects.latest("id")
    assert (newest.fence, newest.slot, newest.status) == (3, None, Status.SUCCEEDED)
    assert not Job.objects.get().is_asked


def test_a_request_for_a_disabled_job_is_answered_too(job):
    run_by_hand(job, 2)
    Job.objects.filter(pk=job.pk).update(enabled=False)
    Job.objects.filter(pk=job.pk).write(fence=0)
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    assert Log.objects.latest("id").fence == 3


def test_a_run_by_hand_has_a_token_that_is_new(job):
    older = row(job)
    run_by_hand(job, 2)
    restore(job, older)
    job.run()
    assert Log.objects.latest("id").fence == 3


def test_a_run_that_the_row_does_not_know_of_has_lost_its_lock(job):
    older = row(job)
    unknown = claiming.claim_by_hand(job, "node")
    restore(job, older)
    taken = claim(job)
    log = Log.objects.get(pk=unknown.log_id)
    assert (log.status, log.reason) == (Status.LOST, restores.REPLACED)
    assert holding.renew([unknown, taken]) == [unknown]
    assert not holding.finish(unknown, Outcome(Status.SUCCEEDED))
    assert Job.objects.get().lock == taken.token


def test_a_stale_lock_goes_with_the_row_that_had_it(job, lock_timeout):
    lock_timeout(60)
    held = claiming.claim_by_hand(job, "node")
    older = row(job) | {"locked_at": clock.now("default") - timedelta(hours=1)}
    assert holding.finish(held, Outcome(Status.SUCCEEDED))
    run_by_hand(job, 2)
    restore(job, older)
    taken = claim(job)
    assert taken.fence == 4
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    assert not Log.objects.exclude(status=Status.SUCCEEDED).exists()


def test_a_live_lock_keeps_its_token(an_hour):
    """The run was going on when the backup was made, and is going on still."""
    job, older = an_hour
    restore(job, older | {"lock": uuid4(), "locked_by": "node", "locked_at": clock.Now(), "fence": 1})
    assert restores.realign(Job.objects.get(), "default")
    assert (Job.objects.get().fence, Job.objects.get().lock is None) == (1, False)
    assert Job.objects.get().last_slot == Log.objects.latest("slot").slot


# The slots.


@pytest.fixture
def failed(make_job):
    """A job whose slot has failed, and is to be tried again now before any other is run; and its row."""
    job = make_job("app.jobs.fail", due=0, retries=3, retry_delay=1, retry_until="last retry")
    assert holding.finish(claim(job), Outcome(Status.FAILED))
    Job.objects.all().write(retry_at=clock.now("default") - MINUTE)
    return job, Job.objects.filter(pk=job.pk).values(*KEPT, *RETRY).get()


def test_a_retry_that_was_made_is_not_made_again_and_holds_up_no_slot(failed, caplog):
    """Else the database would refuse it each minute, and slots that wait for retries would never run."""
    job, before = failed
    retried = claiming.claim_retry(Job.objects.agenda().get(), "node")
    assert holding.finish(retried, Outcome(Status.SUCCEEDED))
    restore(job, before)
    read = Job.objects.agenda().get()
    assert (read.is_retry, read.retry_attempt) == (True, 2)
    assert claiming.claim_retry(read, "node") is None
    assert "was to be tried again" in caplog.text
    assert Job.objects.get().retry_at is None
    made = list(Log.objects.order_by("pk").values_list("attempt", "status"))
    assert made == [(1, Status.FAILED), (2, Status.SUCCEEDED)]


def test_a_retry_that_was_not_made_yet_is_made(failed):
    job, before = failed
    run_by_hand(job, 1)
    restore(job, before)
    read = Job.objects.agenda().get()
    taken = claiming.claim_retry(read, "node") or claiming.claim_retry(Job.objects.agenda().get(), "node")
    assert (taken.attempt, taken.fence) == (2, 3)


def test_a_slot_that_has_ended_well_since_is_not_tried_again(make_job, lock_timeout):
    """Of a job that may run twice, each claim says when to do so if it is lost: a backup made meanwhile has that."""
    lock_timeout(1)
    job = make_job(due=0, retries=1, on_lost="retry")
    taken = claim(job)
    during = Job.objects.filter(pk=job.pk).values(*KEPT, *RETRY).get()
    assert during["retry_slot"] == taken.slot
    during |= {column: during[column] - MINUTE for column in ("locked_at", "retry_at")}
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    restore(job, during)
    read = Job.objects.agenda().get()
    assert read.is_retry
    assert claiming.claim_retry(read, "node") is None
    assert Log.objects.get().status == Status.SUCCEEDED


def test_a_slot_that_has_a_log_does_not_run_again_and_the_next_one_does(job, caplog):
    older = row(job)
    slot = run(job).slot
    restore(job, older | {"fence": 1})
    assert claim(job) is None
    assert "as if that was replaced by an older one" in caplog.text
    assert (Job.objects.get().last_slot, Job.objects.get().next_run) == (slot, job.get_schedule().next_after(slot))
    assert Log.objects.get().slot == slot


def test_slots_that_have_logs_are_not_missed_as_well(an_hour):
    job, older = an_hour
    before = accounted(job)
    assert len(before) == len(set(before)) >= 60
    restore(job, older)
    assert claim(job) is None
    assert accounted(job) == before
    assert Job.objects.get().last_slot == before[-1]


def test_nor_are_they_passed_over(an_hour):
    job, older = an_hour
    before = accounted(job)
    restore(job, older)
    read = due(job)
    newest = job.get_schedule().latest_at(read.now)
    assert not claiming.pass_over(read, Decision(None, 60, newest, newest + MINUTE, "because"), "node")
    assert accounted(job) == before


@pytest.mark.parametrize("change", [{"schedule": "0 0 1 1 *"}, {"enabled": False}], ids=["schedule", "disabled"])
def test_an_edit_owes_only_what_has_no_log(an_hour, change):
    job, older = an_hour
    before = accounted(job)
    restore(job, older)
    Job.objects.filter(pk=job.pk).update(**change)
    assert accounted(job)[: len(before)] == before
    fallen_due = (clock.now("default") - before[-1]) // MINUTE
    assert len(accounted(job)) == len(set(accounted(job))) <= len(before) + fallen_due


def test_a_deletion_owes_only_what_has_no_log(an_hour):
    job, older = an_hour
    restore(job, older)
    before = Log.objects.count()
    job.delete()
    assert Log.objects.count() <= before + 1


def test_catching_up_on_all_goes_on_after_what_has_logs(make_job):
    job = make_job(schedule="* * * * *", catch_up="all")
    make_due(job, 600)
    older = row(job)
    ran = [run(job).slot for _ in range(4)]
    restore(job, older)
    assert claim(job) is None
    assert run(job).slot == ran[-1] + MINUTE


def test_whoever_was_first_to_mend_a_row_is_the_only_one(an_hour):
    job, older = an_hour
    restore(job, older)
    reads = [due(job), due(job)]
    assert [restores.realign(read, "default") for read in reads] == [True, False]


def test_where_rows_and_logs_agree_nothing_moves(an_hour):
    job, _ = an_hour
    before = row(job)
    assert not restores.realign(Job.objects.get(), "default")
    assert not restores.is_realigned(Job.objects.get(), "default")
    assert row(job) == before


# What else a database may refuse.


@pytest.fixture
def refusing(monkeypatch, in_steps):
    """Have a constraint that nobody knows refuse all logs."""

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT INTO") and "cronkite_log" in sql:
            raise IntegrityError("CHECK constraint failed: somebody_elses")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def test_another_constraint_is_told_as_what_it_is_and_nothing_moves(job, refusing, caplog):
    before = row(job)
    assert claim(job) is None
    with pytest.raises(IntegrityError, match="somebody_elses"):
        claiming.claim_by_hand(job, "node")
    requests.ask(job, "anna")
    with pytest.raises(verdicts.Refused, match="somebody_elses"):
        claiming.claim_asked(Job.objects.agenda().get(), "node")
    assert row(job) == before
    assert "the database refuses to record a run of it. CHECK constraint failed: somebody_elses" in caplog.text
    assert Job.objects.get().is_asked


def test_a_request_that_cannot_be_recorded_is_no_outage(job, refusing, caplog):
    """It waits, and is left alone for the rest of the tick; nothing else waits for it."""
    Job.objects.filter(pk=job.pk).write(enabled=False, next_run=None)
    requests.ask(job, "anna")
    caplog.set_level(logging.WARNING, "cronkite")
    ticks.tick(workers=0)
    assert Job.objects.get().is_asked
    assert caplog.text.count("somebody_elses") == 1
    assert "trying again" not in caplog.text


# Logs that say "running" of runs that are not.


def test_pruning_ends_the_logs_of_runs_that_hold_no_lock(make_job, caplog):
    """As of logs that were restored from a backup in which the runs were going on."""
    held, ended, gone = (make_job(name=name) for name in ("held", "ended", "gone"))
    claims = {job.name: claiming.claim_by_hand(job, "node") for job in (held, ended, gone)}
    holding.finish(claims["ended"], Outcome(Status.SUCCEEDED))
    run_by_hand(ended, 1)
    gone.delete()
    Log.objects.filter(job_name__in=["ended", "gone"], fence=1).update(
        status=Status.RUNNING, finished_at=None, reason=""
    )
    assert list(pruning.prune(older_than=timedelta(days=1))) == []
    found = {(log.job_name, log.fence): (log.status, log.reason) for log in Log.objects.all()}
    assert found == {
        ("held", 1): (Status.RUNNING, ""),
        ("ended", 1): (Status.LOST, pruning.UNLOCKED),
        ("ended", 2): (Status.SUCCEEDED, ""),
        ("gone", 1): (Status.LOST, pruning.UNLOCKED),
    }
    assert "2 logs said that a run goes on" in caplog.text
    caplog.clear()
    assert list(pruning.prune(keep=5)) == []
    assert not caplog.text
    assert holding.finish(claims["held"], Outcome(Status.SUCCEEDED))


@pytest.mark.django_db(transaction=True)
def test_a_node_goes_on_after_a_restore(make_job):
    """By real processes, one tick after the other."""
    job = make_job(due=0)
    older = row(job)
    cron()
    run_by_hand(job, 2)
    restore(job, older)
    cron()
    assert Log.objects.filter(slot__isnull=False).count() == 1
    make_due(job)
    Log.objects.filter(slot__isnull=False).delete()
    restore(job, {"fence": 1})
    cron()
    assert Log.objects.get(slot__isnull=False).fence == 4
