"""The clock stands for all that cronkite asks of it, and for nothing else."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import functions
from django.utils import timezone as django_timezone

from cronkite import conf, health, requests
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.models.queries import is_free
from cronkite.testing import CronMixin, freeze, run_due

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("alone")]

THREE = datetime(2026, 3, 1, 3, tzinfo=timezone.utc)
#: Full seconds have another text on SQLite than others.
INSTANTS = [THREE, THREE.replace(year=1999, microsecond=120000), THREE.replace(year=2083, microsecond=123456)]


@pytest.mark.parametrize("instant", INSTANTS)
def test_it_shows_the_instant_in_each_way_of_asking(make, instant):
    make()
    with freeze(instant):
        assert clock.now("default") == instant
        assert clock.Reading(THREE + timedelta(days=5), taken_at=0.0).now() == instant
        assert Job.objects.with_now().get().now == instant
        Job.objects.update(description="new")
        assert Job.objects.annotate(later=clock.Now() + timedelta(hours=1)).get().later == instant + timedelta(hours=1)


@pytest.mark.parametrize("instant", INSTANTS)
def test_what_is_written_is_the_instant_and_is_compared_as_such(make, instant):
    job = make()
    with freeze(instant):
        requests.ask(job, "kim")
        job.refresh_from_db()
        # The database keeps the second by the first.
        assert (job.asked_at, job.due_at) == (instant, min(instant, job.next_run))
        assert Job.objects.filter(asked_at__lte=clock.Now(), asked_at__gte=clock.Now()).exists()
    with freeze(instant - timedelta(microseconds=1)):
        assert not Job.objects.filter(asked_at__lte=clock.Now()).exists()


def test_a_lock_is_as_old_as_the_clock_says(make, lock_timeout):
    lock_timeout(60)
    job = make()
    with freeze(THREE):
        Job.objects.filter(pk=job.pk).write(lock=uuid4(), locked_by="node", locked_at=clock.Now())
    for seconds, is_stale in ((60, False), (61, True)):
        with freeze(THREE + timedelta(seconds=seconds)):
            assert Job.objects.filter(is_free(conf.get().lock_timeout)).exists() == is_stale
            assert Job.objects.with_now().get().is_stale == is_stale


def test_a_stale_lock_is_taken_over(make, lock_timeout):
    lock_timeout(60)
    job = make()
    run_due(at=THREE)
    with freeze(THREE):
        Log.objects.update(status="running", finished_at=None)
        Job.objects.filter(pk=job.pk).write(lock=uuid4(), locked_by="node", locked_at=clock.Now())
    assert run_due(at=THREE + timedelta(seconds=30)) == []
    (log,) = run_due(at=THREE + timedelta(days=1))
    assert [(each.status, each.slot) for each in Log.objects.order_by("pk")] == [
        ("lost", THREE),
        ("succeeded", log.slot),
    ]


def test_jobs_are_planned_and_planned_anew_from_there_on(make):
    with freeze(THREE):
        job = make()
        assert (job.planned_at, job.next_run) == (THREE, THREE + timedelta(days=1))
        job.schedule = "0 4 * * *"
        job.save()
        assert job.next_run == THREE + timedelta(hours=1)


def test_health_is_told_by_it(make):
    with freeze(THREE):
        make()
        assert health.report().now == THREE
    with freeze(THREE + timedelta(days=2)):
        assert [late.name for late in health.report().late] == ["ok"]


def test_whatever_else_asks_is_told_the_real_time(make):
    job = make()
    with freeze(THREE.replace(year=1999)):
        now = Job.objects.annotate(real=functions.Now()).values_list("real", flat=True).get(pk=job.pk)
        assert now.year >= 2026
        assert django_timezone.now().year >= 2026
        with connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_TIMESTAMP")
            assert clock.as_utc(cursor.fetchone()[0]).year >= 2026


def test_it_goes_again_and_no_statement_remembers_the_instant(make, make_job):
    for number in range(2):
        for instant in INSTANTS:
            job = make(name=f"frozen {number}", schedule="* * * * *")
            (log,) = run_due(at=instant)
            assert (log.created, log.finished_at) == (instant, instant)
            job.delete()
        job = make_job(name=f"real {number}", due=0)
        (log,) = run_due()
        assert log.created.year >= 2026
        assert log.created not in INSTANTS
        job.delete()


def test_one_instant_stands_within_another(make):
    with freeze(THREE):
        with freeze(THREE + timedelta(hours=1)):
            assert clock.now("default") == THREE + timedelta(hours=1)
        assert clock.now("default") == THREE
    assert clock.now("default") != THREE


@freeze(THREE)
def test_a_function_can_have_it_stand():
    assert clock.now("default") == THREE


async def tell():
    await asyncio.sleep(0)
    return clock.standing


def test_an_async_function_has_it_stand_while_it_is_awaited(make):
    told = freeze(THREE)(tell)
    assert asyncio.run(told()) == THREE
    assert clock.standing is None
    assert told.__name__ == "tell"


def test_a_function_has_it_stand_in_each_call(make):
    standing = freeze(THREE)(lambda: clock.standing)
    assert (standing(), clock.standing, standing()) == (THREE, None, THREE)


def test_what_it_can_not_stand_for_is_refused_with_what_to_write():
    # A class would be gone, with all of its tests; and a generator's body is run when nothing stands any more.
    with pytest.raises(TypeError, match=r"no class: in its setUp\(\), call self.cron.freeze\(\)"):
        freeze(THREE)(Case)
    with pytest.raises(TypeError, match=r"write `with freeze\(...\):` in it"):
        freeze(THREE)(fixture)


class Case(CronMixin):
    pass


def fixture():
    yield


def test_it_goes_again_after_an_error(make):
    with pytest.raises(LookupError), freeze(THREE):
        raise LookupError
    assert clock.standing is None


def test_it_stands_in_all_threads_of_the_process():
    seen = []
    with freeze(THREE):
        thread = threading.Thread(target=lambda: seen.append(clock.now("default")))
        thread.start()
        thread.join(60)
    assert seen == [THREE]


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="at has no time zone"), freeze(datetime(2026, 3, 1)):
        pass
