"""A one-off runs once, and is disabled by the very UPDATE that takes its slot, or passes over it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from app import handed, jobs
from cronkite.claims import claiming, handing, holding, orphans, verdicts
from cronkite.cli import moments
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.declared.discovery import auto_discover
from cronkite.exceptions import OneOffIsOver
from cronkite.models import Job, Log, switches
from cronkite.reports import vitals
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


def at(instant):
    return f"@at {instant:%Y-%m-%dT%H:%M:%S}Z"


@pytest.fixture
def make_one_off(make_job):
    """Make a one-off whose time was so many seconds ago, or is to come if the number is negative."""

    def make(function="app.jobs.ok", *, ago=0, **columns):
        job = make_job(function, schedule="@at 9000-01-01T00:00Z", **columns)
        slot = (clock.now("default") - timedelta(seconds=ago)).replace(microsecond=0)
        Job.objects.filter(pk=job.pk).write(schedule=at(slot), next_run=slot)
        return Job.objects.get(pk=job.pk)

    return make


def tick():
    call_command("cron", workers=0)


def decide(job):
    return catch_up.decide(job.get_schedule(), CatchUp(job.catch_up), job.get_grace(), job.pending, job.now)


def plan(job):
    fresh = Job.objects.get(pk=job.pk)
    return fresh.enabled, fresh.next_run, fresh.last_slot


def test_a_one_off_runs_once_and_is_disabled(make_one_off):
    job = make_one_off()
    tick()
    tick()
    log = Log.objects.get()
    assert (log.slot, log.status, log.missed) == (job.next_run, Status.SUCCEEDED, 0)
    assert plan(job) == (False, None, job.next_run)
    assert Job.objects.get().is_done


def test_the_claim_itself_disables_it_and_takes_no_statement_more(make_one_off, make_job):
    def statements(job):
        job = Job.objects.queue().get(pk=job.pk)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert claiming.claim(job, decide(job), "a") is not None
        return len(captured)

    one_off, other = make_one_off(), make_job("app.jobs.fail", due=0)
    assert statements(one_off) == statements(other)
    assert plan(one_off) == (False, None, one_off.next_run)
    assert Job.objects.get(pk=other.pk).enabled
    assert Job.objects.get(pk=one_off.pk).is_locked


def test_of_two_nodes_one_gets_it(make_one_off):
    job = make_one_off()
    first, second = (Job.objects.queue().get(pk=job.pk) for _ in range(2))
    assert claiming.claim(first, decide(first), "a")
    assert claiming.claim(second, decide(second), "b") is None
    assert Log.objects.count() == 1


def test_handing_some_over_disables_the_one_off_among_them(make_one_off, make_job):
    def enqueue(claim):
        result = handed.bill.enqueue()
        return verdicts.Receipt("django.tasks", str(result.id), "db", "default")

    one_off, other = make_one_off("app.handed.bill"), make_job("app.handed.bill", due=0)
    read = list(Job.objects.queue())
    claims = claiming.claim_all([(job, decide(job)) for job in read], "a", handing.joined(enqueue, ()))
    assert None not in claims
    assert plan(one_off) == (False, None, one_off.next_run)
    assert Job.objects.get(pk=other.pk).enabled


def test_a_one_off_that_is_to_come_is_left_alone(make_one_off):
    job = make_one_off(ago=-3600)
    tick()
    assert plan(job) == (True, job.next_run, None)


@pytest.mark.parametrize(
    ("columns", "ago"), [({"catch_up": "none"}, 300), ({"grace": 60}, 90), ({"catch_up": "all", "grace": 60}, 90)]
)
def test_one_that_is_too_late_is_missed_and_disabled(make_one_off, columns, ago):
    job = make_one_off(ago=ago, **columns)
    tick()
    log = Log.objects.get()
    assert (log.status, log.slot, log.missed) == (Status.MISSED, job.next_run, 0)
    assert "older than the grace" in log.reason
    assert plan(job) == (False, None, job.next_run)


@pytest.mark.parametrize("policy", ["latest", "all"])
def test_without_a_grace_it_runs_however_late(make_one_off, policy):
    job = make_one_off(ago=86400, catch_up=policy)
    tick()
    assert Log.objects.get().status == Status.SUCCEEDED
    assert plan(job) == (False, None, job.next_run)


def test_one_that_fails_is_tried_again_as_any_other_although_it_is_disabled(make_one_off):
    job = make_one_off("app.jobs.fail", retries=2, retry_delay=100)
    tick()
    for attempt in (2, 3):
        assert Job.objects.get().retry_attempt == attempt
        Job.objects.all().write(retry_at=clock.now("default"))
        tick()
    tick()
    assert list(Log.objects.order_by("pk").values_list("slot", "attempt", "status")) == [
        (job.next_run, attempt, Status.FAILED) for attempt in (1, 2, 3)
    ]
    fresh = Job.objects.get()
    assert (fresh.enabled, fresh.retry_at) == (False, None)


def test_one_whose_run_is_lost_is_tried_again_if_it_may_run_twice(make_one_off, settings):
    settings.CRONKITE_LOCK_TIMEOUT = 60
    job = make_one_off(retries=1, on_lost="retry")
    read = Job.objects.queue().get()
    assert claiming.claim(read, decide(read), "dead")
    past = clock.now("default") - timedelta(seconds=90)
    Job.objects.all().write(locked_at=past, retry_at=past + timedelta(seconds=60))
    tick()
    assert list(Log.objects.order_by("pk").values_list("slot", "attempt", "status")) == [
        (job.next_run, 1, Status.LOST),
        (job.next_run, 2, Status.SUCCEEDED),
    ]


def test_one_whose_run_is_gone_is_stuck_until_a_person_unlocks_it_where_locks_are_never_cleared(make_one_off):
    make_one_off()
    read = Job.objects.queue().get()
    assert claiming.claim(read, decide(read), "dead")
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(days=1))
    assert orphans.record("b") == 0
    job = Job.objects.with_now().get()
    assert job.is_stuck
    assert holding.unlock(job, "a person")
    assert Log.objects.get().status == Status.LOST
    assert not Job.objects.with_now().get().is_stuck


def test_one_whose_run_is_gone_is_recorded_as_lost_by_whoever_ticks_and_stays_disabled(make_one_off, lock_timeout):
    lock_timeout(60)
    job = make_one_off()
    read = Job.objects.queue().get()
    assert claiming.claim(read, decide(read), "dead")
    tick()
    assert Log.objects.get().status == Status.RUNNING
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(seconds=90))
    assert not Job.objects.with_now().get().is_stuck
    tick()
    tick()
    log = Log.objects.get()
    assert (log.status, log.slot) == (Status.LOST, job.next_run)
    assert log.reason.startswith("the lock was stale, no claim was to come, and ")
    assert plan(job) == (False, None, job.next_run)
    fresh = Job.objects.get()
    assert (fresh.lock, fresh.locked_at, fresh.locked_by, fresh.is_done) == (None, None, "", True)
    assert [(each.name, each.count) for each in vitals.failing("default")] == [(job.name, 1)]


def test_so_is_a_run_of_a_job_that_was_disabled_meanwhile(make_job, lock_timeout):
    lock_timeout(60)
    job = make_job()
    claiming.claim_by_hand(job, "dead")
    Job.objects.update(enabled=False)
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(seconds=90))
    assert orphans.record("b") == 1
    assert Log.objects.get().status == Status.LOST
    assert not Job.objects.get().is_locked


@pytest.mark.parametrize("what", ["enabled", "asked", "retried"])
def test_a_stale_lock_that_a_claim_is_to_clear_is_left_to_that(make_one_off, lock_timeout, what):
    lock_timeout(60)
    make_one_off(**({"retries": 1, "on_lost": "retry"} if what == "retried" else {}))
    read = Job.objects.queue().get()
    assert claiming.claim(read, decide(read), "dead")
    past = clock.now("default") - timedelta(seconds=90)
    more = {"enabled": {"enabled": True, "next_run": past}, "asked": {"asked_at": past}, "retried": {}}[what]
    Job.objects.all().write(locked_at=past, **more)
    assert orphans.record("b") == 0
    assert Log.objects.get().status == Status.RUNNING


def test_of_two_that_find_the_same_run_gone_one_records_it_and_a_newer_run_is_left_alone(make_one_off, lock_timeout):
    lock_timeout(60)
    job = make_one_off()
    read = Job.objects.queue().get()
    assert claiming.claim(read, decide(read), "dead")
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(seconds=90))
    assert orphans._clear(job.pk, "a", "default")
    assert not orphans._clear(job.pk, "b", "default")
    claim = claiming.claim_by_hand(Job.objects.get(), "c")
    assert not orphans._clear(job.pk, "b", "default")
    assert Job.objects.get().lock == claim.token
    assert list(Log.objects.order_by("fence").values_list("status", flat=True)) == [Status.LOST, Status.RUNNING]


def test_to_look_for_runs_that_are_gone_takes_one_query_and_none_without_a_timeout(
    make_one_off, lock_timeout, django_assert_num_queries
):
    make_one_off()
    with django_assert_num_queries(0):
        orphans.record("a")
    lock_timeout(60)
    with django_assert_num_queries(1):
        orphans.record("a")


def test_a_node_that_can_not_look_for_runs_that_are_gone_goes_on(make_one_off, monkeypatch, caplog):
    make_one_off()

    def fail(node):
        raise DatabaseError("out of order")

    monkeypatch.setattr(orphans, "record", fail)
    tick()
    tick()
    assert Log.objects.get().status == Status.SUCCEEDED
    assert "can't look for runs that are gone. It goes on with its jobs. out of order" in caplog.text


def test_a_job_that_was_disabled_while_it_ran_is_not_tried_again(make_job):
    make_job("app.jobs.fail", due=0, retries=2)
    read = Job.objects.queue().get()
    claim = claiming.claim(read, decide(read), "a")
    job = Job.objects.get()
    job.enabled = False
    job.save()
    assert holding.finish(claim, Outcome(Status.FAILED))
    assert Job.objects.get().retry_at is None


def test_whoever_disables_many_jobs_takes_their_retries_away(make_job):
    made = [make_job("app.jobs.fail", retries=2), make_job("app.jobs.fail", retries=2)]
    now = clock.now("default")
    Job.objects.all().write(retry_at=now, retry_slot=now, retry_attempt=2)
    switches.switch(made, on=False, using="default")
    assert set(Job.objects.values_list("enabled", "retry_at")) == {(False, None)}


def test_health_tells_of_one_that_failed_until_it_is_run_again(make_one_off):
    job = make_one_off("app.jobs.fail")
    tick()
    assert [each.name for each in vitals.failing("default")] == [job.name]
    read = Job.objects.get()
    claim = claiming.claim_by_hand(read, "a")
    holding.finish(claim, Outcome(Status.SUCCEEDED))
    assert vitals.failing("default") == []


def test_one_that_is_missed_is_never_brief(make_one_off):
    make_one_off(ago=5, grace=1)
    tick()
    (found,) = vitals.missed("default", clock.now("default"), 60)
    assert (found.count, found.brief) == (1, 0)


def test_people_are_told_that_it_is_done(make_one_off, capsys, admin_client):
    make_one_off()
    tick()
    call_command("cron", "list")
    assert "done" in capsys.readouterr().out
    (said,) = moments.standing(Job.objects.with_now().get(), "UTC")
    assert said.startswith("It is done, as its one slot has been.")
    assert "done: it was to run once" in admin_client.get("/admin/cronkite/job/").content.decode()


def test_a_dry_run_says_that_it_is_done_then(make_one_off, capsys):
    job = make_one_off()
    call_command("cron", "--dry-run")
    assert f"would run slot {job.next_run:%Y-%m-%d %H:%M:%S} UTC; then it is done" in capsys.readouterr().out


# -- People --


def test_one_that_is_done_can_not_be_enabled_again(make_one_off):
    job = make_one_off()
    tick()
    job.refresh_from_db()
    job.enabled = True
    with pytest.raises(OneOffIsOver, match="write a time that is yet to come"):
        job.save()
    with pytest.raises(ValidationError, match="over") as refusal:
        job.full_clean()
    assert set(refusal.value.message_dict) == {"schedule"}
    switched = switches.switch([Job.objects.get()], on=True, using="default")
    assert [type(error) for _, error in switched.refused] == [OneOffIsOver]
    assert not Job.objects.get().enabled


def test_one_that_is_done_stays_valid_and_can_be_edited(make_one_off):
    make_one_off()
    tick()
    job = Job.objects.get()
    job.description = "Done."
    job.full_clean()
    job.save()
    assert Job.objects.get().description == "Done."


def test_with_another_time_it_can_be_enabled_again(make_one_off):
    make_one_off()
    tick()
    job = Job.objects.get()
    job.schedule, job.enabled = "@at 9000-01-01T00:00Z", True
    job.full_clean()
    job.save()
    assert f"{Job.objects.get().next_run:%Y}" == "9000"


@pytest.mark.parametrize("enabled", [True, False])
def test_a_past_one_is_refused_when_it_is_made_or_edited(make_job, enabled):
    past = "@at 2020-01-01T00:00"
    with pytest.raises(ValidationError, match="over"):
        Job(name="late", function="app.jobs.ok", schedule=past, enabled=enabled).full_clean()
    job = make_job()
    job.schedule, job.enabled = past, enabled
    if enabled:
        with pytest.raises(ValidationError, match="over"):
            job.full_clean()
        with pytest.raises(OneOffIsOver):
            job.save()
        with pytest.raises(OneOffIsOver):
            Job(name="late", function="app.jobs.ok", schedule=past).save()
    else:
        with pytest.raises(ValidationError, match="over"):
            job.full_clean()


def test_it_is_the_database_s_clock_that_tells_whether_it_has_been(make_job, clock_stands):
    clock_stands(clock.now("default").replace(year=2036))
    with pytest.raises(ValidationError, match="over"):
        Job(name="late", function="app.jobs.ok", schedule="@at 2035-01-01T00:00").full_clean()


def test_an_edit_that_has_not_seen_the_claim_does_not_enable_it_again(make_one_off):
    """A person has the page open while a node takes the slot, and saves all of it."""
    job = make_one_off()
    tick()
    assert job.enabled
    job.description = "New."
    with pytest.raises(OneOffIsOver):
        job.save()
    job.save(update_fields=["description"])
    assert plan(job) == (False, None, job.get_schedule().latest_at(clock.now("default")))
    assert Job.objects.get().description == "New."


def test_an_edit_that_the_claim_overtakes_starts_anew(make_one_off, monkeypatch):
    """The claim comes between what the edit reads and what it writes: no row is enabled without a next run."""
    from cronkite.models import edits

    job = make_one_off()
    committed = edits._committed

    def claimed_meanwhile(rows, using):
        before = committed(rows, using)
        monkeypatch.setattr(edits, "_committed", committed)
        tick()
        return before

    monkeypatch.setattr(edits, "_committed", claimed_meanwhile)
    job.description = "New."
    with pytest.raises((OneOffIsOver, DatabaseError)) as refusal:
        job.save()
    assert refusal.type is OneOffIsOver
    assert plan(job)[:2] == (False, None)


def test_a_slot_that_is_owed_is_missed_when_somebody_disables_it_in_time(make_one_off):
    job = make_one_off(ago=5)
    job.enabled = False
    job.save()
    assert Log.objects.get().reason == "the job was disabled"
    assert plan(job) == (False, None, job.get_schedule().latest_at(clock.now("default")))


# -- Code --


@pytest.fixture
def declared(monkeypatch):
    def declare(schedule):
        monkeypatch.setattr(jobs.ok, "schedule", schedule, raising=False)
        auto_discover("app.jobs", delete_first=True)
        return Job.objects.get(function="app.jobs.ok")

    return declare


def test_one_that_code_declares_is_not_enabled_again_by_each_start(declared):
    job = declared("@at 9000-01-01T00:00Z")
    assert job.enabled
    slot = clock.now("default").replace(microsecond=0)
    Job.objects.all().write(schedule=at(slot), next_run=slot)
    declared(at(slot))
    tick()
    assert Log.objects.get().status == Status.SUCCEEDED
    for _ in range(2):
        assert not declared(at(slot)).enabled


def test_one_that_is_done_begins_anew_when_code_gives_it_another_time(declared):
    declared("@at 9000-01-01T00:00Z")
    slot = clock.now("default").replace(microsecond=0)
    Job.objects.all().write(schedule=at(slot), next_run=slot)
    tick()
    job = declared("@at 9001-01-01T00:00Z")
    assert job.enabled
    assert f"{job.next_run:%Y}" == "9001"


def test_one_that_a_person_has_disabled_stays_so_when_code_gives_it_another_time(declared):
    declared("@at 9000-01-01T00:00Z")
    Job.objects.update(enabled=False)
    assert not declared("@at 9001-01-01T00:00Z").enabled


def test_one_that_code_declares_for_a_time_that_has_been_is_a_job_that_is_disabled(declared, caplog):
    with caplog.at_level("INFO", logger="cronkite"):
        job = declared("@at 2020-01-01T00:00")
    assert (job.enabled, job.next_run) == (False, None)
    assert "is disabled: '@at 2020-01-01T00:00' is over" in caplog.text
    assert "can't be one" not in caplog.text
    declared("0 3 * * *")
    assert not declared("@at 2020-01-02T00:00").enabled
