"""What is run at an instant, in a test's own process and transaction."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cronkite.models import Job, Log
from cronkite.testing import run_due

pytestmark = pytest.mark.django_db

UTC = timezone.utc
THREE = datetime(2026, 3, 1, 3, tzinfo=UTC)


def make(function="app.jobs.ok", schedule="0 3 * * *", **columns):
    columns.setdefault("name", function.rpartition(".")[2])
    return Job.objects.create(function=function, schedule=schedule, **columns)


def told(logs):
    return [(log.job_name, log.slot, log.status) for log in logs]


def test_what_is_due_at_an_instant_is_run(make_job):
    make()
    make(name="later", schedule="0 4 * * *")
    assert told(run_due(at=THREE)) == [("ok", THREE, "succeeded")]
    assert told(Log.objects.all()) == [("ok", THREE, "succeeded")]


@pytest.mark.parametrize("year", [1999, 2026, 2083])
def test_it_makes_no_difference_on_which_day_the_test_is_run(year):
    make()
    slot = THREE.replace(year=year)
    assert [(log.slot, log.missed) for log in run_due(at=slot)] == [(slot, 0)]


def test_the_same_instant_again_runs_nothing_again():
    make()
    assert run_due(at=THREE)
    assert run_due(at=THREE) == []
    assert Log.objects.count() == 1


def test_a_failing_function_has_failed_and_keeps_no_other_from_being_run():
    make("app.jobs.fail", name="a")
    make(name="b")
    assert [(log.job_name, log.status) for log in run_due(at=THREE)] == [("a", "failed"), ("b", "succeeded")]
