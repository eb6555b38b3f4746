"""A slot whose function raised is tried again, one attempt at a time, and each at most once."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest
from conftest import put_in_place_of
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction
from nodes import cron

from cronkite import cron as declare
from cronkite import current_run, requests
from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.schedules import catch_up

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status
FAILED = Outcome(Status.FAILED)


def tick():
    call_command("cron", workers=0)


def attempts():
    """Return the attempts that have logs, and how each ended."""
    return list(Log.objects.order_by("pk").values_list("attempt", "status"))


def make_due():
    """Have the time of the retry come; return how many seconds it was away."""
    job = Job.objects.with_now().get()
    away = (job.retry_at - job.now).total_seconds()
    Job.objects.all().write(retry_at=job.now)
    return away


def read():
    """Return the job as a tick reads it."""
    return Job.objects.agenda().get()


def test_without_retries_a_failure_is_the_end(make_job):
    make_job("app.jobs.fail", due=0)
    tick()
    assert attempts() == [(1, Status.FAILED)]
    assert Job.objects.get().retry_at is None


def test_a_slot_that_failed_is_tried_again_after_delays_that_double(make_job):
    job = make_job("app.jobs.fail", due=0, retries=3, retry_delay=100)
    tick()
    for delay in (100, 200, 400):
        assert delay - 20 < make_due() <= delay
        tick()
    tick()
    assert attempts() == [(n, Status.FAILED) for n in (1, 2, 3, 4)]
    assert set(Log.objects.values_list("slot", flat=True)) == {job.next_run}
    assert list(Log.objects.order_by("pk").values_list("fence", flat=True)) == [1, 2, 3, 4]
    fresh = Job.objects.get()
    assert (fresh.retry_at, fresh.retry_slot, fresh.retry_attempt) == (None, None, None)


def test_the_log_says_that_it_is_tried_again_and_which_attempt_it_is(make_job):
    make_job("app.jobs.fail", due=0, retries=1, retry_delay=5)
    tick()
    make_due()
    tick()
    first, second = Log.objects.order_by("pk")
    assert first.reason == "it is tried again after 5 s, unless the next slot comes before"
    assert second.reason == "attempt 2 of 2"


def test_once_it_succeeds_it_is_over(make_job, monkeypatch):
    make_job("app.jobs.fail", due=0, retries=5, retry_delay=1)
    tick()
    make_due()
    monkeypatch.setattr("app.jobs.fail", Mock(return_value="at last"))
    tick()
    assert attempts() == [(1, Status.FAILED), (2, Status.SUCCEEDED)]
    assert Job.objects.get().retry_at is None


def test_before_its_time_nobody_tries_it_again(make_job):
    make_job("app.jobs.fail", due=0, retries=1, retry_delay=100)
    tick()
    tick()
    assert attempts() == [(1, Status.FAILED)]


def test_a_loop_and_workers_try_it_again(make_job):
    make_job("app.jobs.fail", due=0, retries=2, retry_delay=0)
    for _ in range(3):
        cron()
    assert attempts() == [(1, Status.FAILED), (2, Status.FAILED), (3, Status.FAILED)]


def test_the_next_slot_takes_the_place_of_a_retry(make_job):
    job = make_job("app.jobs.fail", due=0, retries=1, retry_delay=0)
    rows = Job.objects.all()
    rows.write(retry_at=job.next_run.replace(year=2000), retry_slot=job.next_run.replace(year=2000), retry_attempt=2)
    fresh = read()
    assert fresh.is_retry
    rows.write(retry_at=job.next_run + timedelta(seconds=1))
    assert not read().is_retry
    tick()
    assert attempts() == [(1, Status.FAILED)]
    assert Job.objects.get().retry_slot == job.next_run


def test_a_retry_that_would_come_after_the_next_slot_is_none(make_job):
    make_job("app.jobs.fail", due=0, schedule="* * * * *", retries=1, retry_delay=3600)
    tick()
    assert Job.objects.get().retry_at is None


def test_slots_wait_for_retries_if_the_job_says_so(make_job):
    late = {"due": 60, "schedule": "* * * * *", "catch_up": "all"}
    make_job("app.jobs.fail", **late, retries=1, retry_delay=3600, retry_until="last retry")
    tick()
    ((attempt, _),) = attempts()
    assert attempt == 1
    fresh = Job.objects.get()
    assert fresh.next_run < clock.now("default") < fresh.retry_at == fresh.due_at
    tick()
    assert len(attempts()) == 1
    make_due()
    tick()
    assert [attempt for attempt, _ in attempts()][:2] == [1, 2]


def test_of_an_attempt_there_is_one_log(make_job):
    """Promise P1, kept by the database, holds for each attempt."""
    job = make_job("app.jobs.fail", due=0, retries=2, retry_delay=0)
    tick()
    same = {"job": job, "slot": job.next_run, "created": clock.Now(), "status": Status.FAILED, "node": "x"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Log.objects.create(attempt=1, fence=98, **same)
    Log.objects.create(attempt=2, fence=99, **same)


def test_two_nodes_that_read_the_same_retry_make_one_attempt(make_job, caplog):
    make_job("app.jobs.fail", due=0, retries=2, retry_delay=0)
    tick()
    make_due()
    one, other = read(), read()
    assert claiming.claim_retry(one, "node-1") is not None
    assert claiming.claim_retry(other, "node-2") is None
    assert [attempt for attempt, _ in attempts()] == [1, 2]
    assert "was to be tried again" not in caplog.text


def test_a_retry_is_not_made_of_the_job_that_is_at_the_key_of_the_one_that_failed(make_job):
    make_job("app.jobs.fail", due=0, retries=2, retry_delay=0)
    tick()
    make_due()
    failed = read()
    new = put_in_place_of(failed, function="app.jobs.ok", retries=2)
    columns = ("fence", "retry_at", "retry_slot", "retry_attempt")
    Job.objects.filter(pk=new.pk).write(**{name: getattr(failed, name) for name in columns})
    assert claiming.claim_retry(failed, "node") is None
    assert claiming.claim_retry(read(), "node").job_name == "new"


def test_what_was_asked_for_is_not_tried_again(make_job):
    job = make_job("app.jobs.fail", retries=2, retry_delay=0)
    requests.ask(job, "ada")
    tick()
    assert attempts() == [(1, Status.FAILED)]
    assert Job.objects.get().retry_at is None


def test_a_run_by_hand_leaves_a_retry_that_is_to_come(make_job):
    job = make_job("app.jobs.fail", due=0, retries=2, retry_delay=1000)
    tick()
    before = Job.objects.get().retry_at
    with pytest.raises(ValueError, match="it went wrong"):
        job.run()
    assert Job.objects.get().retry_at == before


@pytest.mark.parametrize("change", [{"schedule": "0 0 2 1 *"}, {"enabled": False}])
def test_another_plan_has_no_retries_of_the_one_before(make_job, change):
    make_job("app.jobs.fail", due=0, retries=2, retry_delay=1000)
    tick()
    job = Job.objects.get()
    for column, value in change.items():
        setattr(job, column, value)
    job.save()
    fresh = Job.objects.get()
    assert (fresh.retry_at, fresh.retry_slot, fresh.retry_attempt) == (None, None, None)


def test_a_lost_run_is_not_tried_again_unless_the_job_may_run_twice(make_job, lock_timeout):
    lock_timeout(60)
    job = make_job("app.jobs.ok", due=0, retries=1)
    claiming.claim(Job.objects.queue().get(), decide(job), "dead")
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(hours=1))
    tick()
    assert attempts() == [(1, Status.RUNNING)]


def test_a_lost_run_of_a_job_that_may_run_twice_is_tried_again_when_its_lock_is_stale(make_job, lock_timeout):
    lock_timeout(60)
    job = make_job("app.jobs.ok", due=0, retries=1, on_lost="retry")
    claiming.claim(Job.objects.queue().get(), decide(job), "dead")
    tick()
    assert attempts() == [(1, Status.RUNNING)]
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(hours=1), retry_at=clock.now("default"))
    tick()
    assert attempts() == [(1, Status.LOST), (2, Status.SUCCEEDED)]
    assert Job.objects.get().retry_at is None


def test_an_end_takes_out_what_a_loss_would_have_needed(make_job, lock_timeout):
    lock_timeout(60)
    job = make_job("app.jobs.ok", due=0, retries=1, on_lost="retry")
    claim = claiming.claim(Job.objects.queue().get(), decide(job), "node")
    assert Job.objects.get().retry_attempt == 2
    assert holding.finish(claim, Outcome(Status.SUCCEEDED))
    assert Job.objects.get().retry_at is None


def test_on_lost_takes_a_number_of_retries():
    with pytest.raises(ValidationError) as refusal:
        Job(name="a", function="app.jobs.ok", schedule="@daily", on_lost="retry").full_clean()
    assert list(refusal.value.message_dict) == ["on_lost"]
    with pytest.raises(ValueError, match="takes a number of retries"):
        declare("@daily", on_lost="retry")


@pytest.mark.parametrize("retries", [-1, 31, True, "3"])
def test_a_number_of_retries_that_makes_no_sense_is_refused(retries):
    with pytest.raises(ValueError, match="retries must be a whole number from 0 to 30"):
        declare("@daily", retries=retries)


def test_a_run_knows_which_attempt_it_is(make_job, monkeypatch):
    told = []

    def fail():
        told.append(current_run().attempt)
        raise ValueError

    make_job("app.jobs.fail", due=0, retries=1, retry_delay=0)
    monkeypatch.setattr("app.jobs.fail", Mock(side_effect=fail))
    tick()
    make_due()
    tick()
    assert told == [1, 2]


def decide(job):
    read = Job.objects.queue().get(pk=job.pk)
    return catch_up.decide(read.get_schedule(), read.get_policy(), None, read.pending, read.now)
