"""Who ticks, what is wrong with the jobs, and how bad that is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from cronkite import clock, health, holding, locks, requests, ticks
from cronkite.health import Level, Limit, Limits
from cronkite.models import Job, Log, Node
from cronkite.outcomes import Outcome

pytestmark = pytest.mark.django_db
Status = Log.Status


def see(name="web-1", ago=0, ahead=0.0, **columns):
    """Have a node tick so many seconds ago."""
    at = clock.now("default") - timedelta(seconds=ago)
    defaults = {"ticked_at": at, "started_at": at, "clock_at": at + timedelta(seconds=ahead), **columns}
    return Node.objects.create(name=name, **defaults)


def end(job, *statuses):
    """Have the job run by hand, and end so, once for each of the statuses."""
    for status in statuses:
        holding.finish(locks.claim_by_hand(job, "web-1"), Outcome(status))


def test_all_is_well(make_job):
    see(stays=True, ahead=2)
    job = make_job()
    end(job, Status.SUCCEEDED)
    found = health.report()
    assert (found.level, found.problems) == (Level.OK, [])
    assert (found.jobs, found.enabled, found.running) == (1, 1, 0)
    (node,) = found.nodes
    assert (node.name, node.stays, node.skew) == ("web-1", True, 2)
    assert 0 <= node.age == found.silent_for < 60


def test_no_node_ever(make_job):
    found = health.report()
    assert (found.level, found.silent_for) == (Level.CRITICAL, None)
    assert "No node has ever ticked." in found.problems[0]


@pytest.mark.parametrize(("ago", "level"), [(100, Level.OK), (200, Level.WARNING), (400, Level.CRITICAL)])
def test_silence_of_all_nodes(ago, level):
    see(ago=ago)
    see("older", ago=5000)
    found = health.report()
    assert found.level == level
    assert 0 <= found.silent_for - ago < 60
    assert [problem.startswith("No node has ticked for") for problem in found.problems] == [True] * bool(level)


def test_a_node_that_is_gone_is_no_problem_unless_so_many_are_wanted():
    see()
    see("gone", ago=3600)
    assert health.report().level == Level.OK
    found = health.report(limits=Limits(nodes=2))
    assert (found.level, found.problems) == (Level.WARNING, ["Only 1 of 2 nodes tick."])


@pytest.mark.parametrize(("ahead", "words"), [(120, "2 min fast"), (-7200, "2 h slow")])
def test_a_clock_that_is_wrong(ahead, words):
    see(ahead=ahead)
    found = health.report()
    assert (found.level, found.problems) == (Level.WARNING, [f"The clock of node web-1 is {words}."])


def test_a_stuck_job(make_job, lock_timeout):
    see()
    job = make_job(name="invoices")
    locks.claim_by_hand(job, "web-9")
    assert health.report().level == Level.OK
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(hours=3))
    found = health.report()
    assert found.level == Level.CRITICAL
    assert "Job invoices is stuck: locked by web-9" in found.problems[0]
    assert (found.stuck[0].id, found.stuck[0].locked_by, found.running) == (job.pk, "web-9", 1)
    # With a timeout, the next claim clears the lock.
    lock_timeout(60)
    assert health.report().stuck == []


@pytest.mark.parametrize(
    ("ends", "count"),
    [
        ("FAILED", 1),
        ("SUCCEEDED FAILED TIMED_OUT LOST", 3),
        ("FAILED FAILED SUCCEEDED", 0),
        # A node that was stopped is not the job's failure, nor its success.
        ("FAILED INTERRUPTED FAILED", 2),
        ("SUCCEEDED INTERRUPTED", 0),
        ("FAILED " * (health.RUNS + 3), health.RUNS),
    ],
)
def test_failures_in_a_row(make_job, ends, count):
    see()
    job = make_job(name="invoices")
    end(make_job(), Status.SUCCEEDED, Status.SUCCEEDED)
    end(job, *[Status[name] for name in ends.split()])
    found = health.report()
    assert [(each.id, each.name, each.count) for each in found.failing] == [(job.pk, "invoices", count)] * bool(count)
    assert found.level == (Level.OK if not count else Level.CRITICAL if count >= 3 else Level.WARNING)


def test_failures_of_a_job_that_is_disabled_trouble_nobody(make_job):
    see()
    job = make_job()
    end(job, Status.FAILED)
    Job.objects.filter(pk=job.pk).update(enabled=False)
    assert health.report().failing == []


def test_missed_slots_of_the_last_day(make_job, settings):
    settings.CRONKITE_LOOKAHEAD = 0
    see()
    # Five slots: four missed before the one that is run.
    latest = make_job(name="latest", schedule="0 * * * *", due=4.5 * 3600)
    gone = make_job(name="gone", schedule="0 * * * *", due=2.5 * 3600, grace=0, catch_up="none")
    ticks.tick(workers=0)
    counts = {log.job_name: log.missed + (log.status == Status.MISSED) for log in Log.objects.all()}
    assert counts["latest"] >= 4
    found = health.report()
    assert {each.name: each.count for each in found.missed} == counts
    assert found.level == Level.WARNING
    assert f"{sum(counts.values())} slots were missed in the last 24 hours: latest (" in found.problems[0]
    gone.delete()
    assert {each.id for each in health.report().missed} == {latest.pk, None}
    assert health.report(limits=Limits(missed=Limit(1000, None))).level == Level.OK
    Log.objects.update(created=clock.Now() - timedelta(hours=25))
    assert health.report().missed == []


def test_a_job_that_no_node_takes(make_job):
    see()
    make_job(name="invoices", schedule="* * * * *", due=600)
    asked = make_job(name="asked for")
    requests.ask(asked, "anna")
    Job.objects.filter(pk=asked.pk).write(asked_at=clock.Now() - timedelta(hours=5))
    running = make_job(name="running", schedule="* * * * *", due=600)
    locks.claim_by_hand(running, "web-1")
    found = health.report()
    assert [each.name for each in found.late] == ["asked for", "invoices"]
    assert found.level == Level.WARNING
    assert "These are due, and no node has taken them: asked for (5 h), invoices (1" in found.problems[0]
    assert health.report(limits=Limits(late=Limit(None, None))).late == []


def test_while_no_node_ticks_that_is_the_reason_for_what_is_late(make_job):
    see(ago=4000)
    make_job(schedule="* * * * *", due=600)
    found = health.report()
    assert len(found.late) == 1
    assert [problem.startswith("No node has ticked") for problem in found.problems] == [True]


def test_the_worst_comes_first(make_job):
    see(ahead=100)
    end(make_job(), Status.FAILED, Status.FAILED, Status.FAILED)
    found = health.report()
    assert [finding.level for finding in found.findings] == [Level.CRITICAL, Level.WARNING]


def test_a_long_list_of_names_is_cut(make_job):
    see()
    for number in range(health.NAMED + 2):
        make_job(name=str(number), schedule="* * * * *", due=600)
    assert health.report().problems[0].endswith("…).") or health.report().problems[0].endswith("….")


def test_the_number_of_queries_is_constant(make_job):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            health.report()
        return len(captured)

    see()
    end(make_job(schedule="* * * * *", due=600), Status.FAILED)
    few = queries()
    for number in range(5):
        see(f"more {number}")
        job = make_job(name=f"more {number}", schedule="* * * * *", due=600)
        end(job, Status.FAILED, Status.FAILED)
    assert queries() == few <= 9


def test_it_speaks_the_language_of_who_asks():
    for language, begins in (("en", "No node has ever ticked."), ("de", "Noch hat kein Knoten getickt.")):
        with translation.override(language):
            assert health.report().problems[0].startswith(begins)
