"""What ``cron prune`` deletes and ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from terminals import cron

from cronkite import pruning
from cronkite.claims import claiming, holding
from cronkite.cli import prune
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Log

pytestmark = pytest.mark.usefixtures("here")
Status = Log.Status


@pytest.fixture
def old_logs(make_job):
    """Of one job, a log of now and five that are 10 to 50 days old."""
    job, now = make_job(), clock.now("default")
    for number in range(6):
        created = now - timedelta(days=10 * number)
        job.logs.create(fence=number + 1, status=Status.FAILED, created=created, node="here")
    return job


@pytest.mark.django_db
def test_prune_deletes_by_age_and_by_number(old_logs):
    assert cron("prune", "--days", "35").out == "2 logs deleted.\n"
    assert cron("prune", "--days", "35", "--keep", "3").out == "1 log deleted.\n"
    assert cron("prune", "--keep", "1", "--json").json == {"deleted": 2}
    assert old_logs.logs.count() == 1


@pytest.mark.django_db
def test_prune_does_what_the_settings_say_unless_it_is_told_otherwise(old_logs, settings):
    settings.CRONKITE_LOG_MAX_PER_JOB = 4
    assert cron("prune", "--days", "45").out == "1 log deleted.\n"
    assert cron("prune").out == "1 log deleted.\n"
    assert cron("prune").out == "0 logs deleted.\n"


@pytest.mark.django_db
@pytest.mark.django_db
def test_prune_ends_logs_that_say_running_of_runs_that_hold_no_lock(make_job, settings):
    settings.CRONKITE_LOG_MAX_DAYS = 1
    for name in ("one", "other"):
        holding.finish(claiming.claim_by_hand(make_job(name=name), "node"), Outcome(Status.SUCCEEDED))
    Log.objects.filter(job_name="one").update(status=Status.RUNNING)
    assert cron("prune", "--lost").out == "1 run marked as lost.\n"
    assert cron("prune", "--lost", "--json").json == {"lost": 0}
    assert sorted(Log.objects.values_list("status", flat=True)) == [Status.LOST, Status.SUCCEEDED]


def test_prune_tells_how_far_it_is(old_logs, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 1)
    monkeypatch.setattr(prune, "BATCHES", 2)
    said = cron("prune", "--keep", "1")
    assert said.err == "2 logs deleted so far …\n4 logs deleted so far …\n"
    assert said.out == "5 logs deleted.\n"


@pytest.mark.django_db
def test_prune_wants_to_know_what_is_to_go(old_logs):
    said = cron("prune")
    assert said.code == 1
    assert "Add --days or --keep" in said.err
    for wrong in ("-1", "1.5", "many"):
        assert "it must be a whole number" in cron("prune", "--days", wrong).err
    assert old_logs.logs.count() == 6
