"""A slot of a job with a jitter is begun later, at a time that stays the same."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import OperationalError, connection
from nodes import nodes, until
from rivals import rival

from cronkite.database import clock
from cronkite.database.clock import Reading
from cronkite.models import Job, Log
from cronkite.nodes import jitters
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.outages import Outages
from cronkite.nodes.taker import Taker
from cronkite.schedules import chosen

SLOT = datetime(2026, 3, 1, 3, tzinfo=timezone.utc)
pytestmark = pytest.mark.django_db(transaction=True)


def tick():
    call_command("cron", workers=0)


def test_the_beginnings_of_one_slot_are_spread_over_the_jitter():
    found = [chosen.later(SLOT, 300, f"shop.crontab.job_{n}") - SLOT for n in range(3000)]
    assert min(found) >= timedelta(0)
    assert max(found) <= timedelta(seconds=300)
    for tenth in range(10):
        part = [each for each in found if 30 * tenth <= each.total_seconds() < 30 * (tenth + 1)]
        assert 200 < len(part) < 400


def test_each_slot_of_a_job_has_a_beginning_of_its_own():
    slots = [SLOT + timedelta(days=day) for day in range(100)]
    assert len({chosen.later(slot, 300, "shop.crontab.bill") - slot for slot in slots}) > 90


def test_it_is_not_begun_before_its_time(make_job, monkeypatch):
    # The slot is the first of this year, and what is chosen for it may have come.
    monkeypatch.setattr(chosen, "later", lambda slot, jitter, seed: slot + timedelta(days=400))
    job = make_job("app.jobs.ok", due=0, jitter=10**8)
    tick()
    assert not Log.objects.exists()
    fresh = Job.objects.get()
    assert fresh.jittered_slot == job.next_run
    assert fresh.jittered_to == fresh.due_at == job.begins_at > clock.now("default")
    # It is out of sight now, and no more is written.
    tick()
    assert Job.objects.get().jittered_to == fresh.jittered_to


def test_it_is_begun_when_its_time_has_come_and_its_slot_stays_the_slot(make_job):
    job = make_job("app.jobs.ok", due=0, jitter=600)
    tick()
    log = Log.objects.get()
    assert log.slot == job.next_run


def test_a_jitter_of_another_slot_is_not_this_ones(make_job):
    job = make_job("app.jobs.ok", due=0)
    day = timedelta(days=1)
    Job.objects.all().write(jittered_slot=job.next_run - day, jittered_to=job.next_run + 9 * day)
    assert Job.objects.get().due_at == job.next_run


def test_a_loop_begins_it_at_its_time(make_job):
    make_job("app.jobs.ok", schedule="* * * * * */5", jitter=3)
    with nodes(("cron", "loop")):
        until(lambda: Log.objects.filter(finished_at__isnull=False).count() >= 3)
    job = Job.objects.get()
    for log in Log.objects.filter(status="succeeded"):
        begins_at = chosen.later(log.slot, 3, "ok")
        assert log.started_at >= begins_at
        assert job.jitter == 3


def test_a_slot_that_is_to_be_begun_later_does_not_take_the_place_of_the_one_before(make_job, monkeypatch):
    """A node comes so late that the next slot has come as well."""
    job = make_job("app.jobs.ok", due=0, schedule="* * * * *", jitter=59)
    slots = [job.next_run - timedelta(minutes=1), job.next_run]
    Job.objects.all().write(next_run=slots[0])
    fresh = Job.objects.with_now().get()
    known = Agenda()
    now = max(slots[1], min(job.begins(slots[1]) - timedelta(milliseconds=1), fresh.now))
    known._reading = Reading(now)
    # Or the slot may be to be begun as this looks on.
    monkeypatch.setattr(known, "now", lambda: now)
    taker = Taker("node", None, known, Outages(known, lambda: None), None, lambda: True)
    decision = taker.decide(fresh)
    assert decision.slot == (slots[0] if job.begins(slots[1]) > now else slots[1])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows: who writes keeps others from writing")
@pytest.mark.parametrize("stays", [True, False])
def test_one_whose_row_is_locked_keeps_no_other_from_being_seen(make_job, stays):
    """Nobody waits to write when it is begun: whoever looks next does that."""
    held = make_job("app.jobs.ok", name="held", due=0, schedule="* * * * *", jitter=10**8)
    free = make_job("app.jobs.ok", name="free", due=0, schedule="* * * * *", jitter=10**8)
    other = make_job("app.jobs.ok", name="other", due=0)
    known = Agenda(stays=stays)
    with rival(lambda: Job.objects.select_for_update().get(pk=held.pk)):
        known.look(set())
        assert known.take() == other
        assert not known.waiting()
        assert Job.objects.get(pk=free.pk).jittered_to == free.begins_at
        assert Job.objects.get(pk=held.pk).jittered_to is None
    known.look({other.pk})
    assert Job.objects.get(pk=held.pk).jittered_to == held.begins_at


def test_a_conflict_about_when_it_is_begun_is_left_to_the_next_look(make_job, monkeypatch):
    """Another node may be about to write the same, and not every database can skip a row."""
    job = make_job("app.jobs.ok", due=0, schedule="* * * * *", jitter=10**8)

    def fail(jobs, using):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(jitters, "_write", fail)
        jitters.put_off([job])
    assert Job.objects.get().jittered_to is None
    jitters.put_off([job])
    assert Job.objects.get().jittered_to == job.begins_at


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"schedule": "*/5 * * * *", "jitter": 300}, "shorter than the time between two slots, which is 300 seconds"),
        ({"jitter": 121, "catch_up": "none"}, "longer than the grace of 120 seconds"),
        ({"jitter": 61, "grace": 60}, "longer than the grace of 60 seconds"),
    ],
)
def test_a_jitter_by_which_slots_would_be_missed_is_refused(columns, words):
    with pytest.raises(ValidationError) as refusal:
        Job(**{"name": "a", "function": "app.jobs.ok", "schedule": "@daily", **columns}).full_clean()
    assert words in str(refusal.value.message_dict["jitter"])
