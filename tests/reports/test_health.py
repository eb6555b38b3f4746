"""Who ticks, what is wrong with the jobs, and how bad that is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from cronkite import health, requests
from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.health import Level, Limit, Limits
from cronkite.models import Job, Log, Node
from cronkite.nodes import ticks
from cronkite.reports import findings, vitals

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
        holding.finish(claiming.claim_by_hand(job, "web-1"), Outcome(status))


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
    see("older", ago=90000)
    found = health.report()
    assert found.level == level
    assert 0 <= found.silent_for - ago < 60
    assert [problem.startswith("No node has ticked for") for problem in found.problems] == [True] * bool(level)


def test_a_node_that_is_silent_while_others_tick_is_told_for_a_day():
    see()
    see("gone", ago=3665)
    see("back in a moment", ago=100)
    see("given back", ago=25 * 3600)
    found = health.report()
    words = "1 node fell silent: gone (61 min)."
    assert (found.level, found.problems) == (Level.WARNING, [words])
    assert health.report(limits=Limits(silent=Limit(4000, None))).problems == []


def test_a_node_that_has_stopped_as_it_was_told_to_is_missed_by_nobody():
    see()
    see("gone", ago=3600, stopped_at=clock.now("default"))
    see("just gone", stopped_at=clock.now("default"))
    assert health.report().level == Level.OK
    found = health.report(limits=Limits(nodes=2))
    assert (found.level, found.problems) == (Level.WARNING, ["Only 1 of 2 nodes tick."])


def test_when_all_nodes_have_stopped_nobody_ticks():
    see(ago=400, stopped_at=clock.now("default"))
    assert health.report().level == Level.CRITICAL


@pytest.mark.parametrize(("ahead", "words"), [(120, "2 min fast"), (-7200, "2 h slow")])
def test_a_clock_that_is_wrong(ahead, words):
    see(ahead=ahead)
    found = health.report()
    assert (found.level, found.problems) == (Level.WARNING, [f"The clock of 1 node is wrong: web-1 ({words})."])


def test_a_stuck_job(make_job, lock_timeout):
    see()
    job = make_job(name="invoices")
    claiming.claim_by_hand(job, "web-9")
    assert health.report().level == Level.OK
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(hours=3))
    found = health.report()
    assert found.level == Level.CRITICAL
    assert "1 job is stuck, unlock it: invoices (locked by web-9, last seen" in found.problems[0]
    assert (found.stuck[0].id, found.stuck[0].locked_by, found.running) == (job.pk, "web-9", 1)
    # With a timeout, the next claim clears the lock.
    lock_timeout(60)
    assert health.report().stuck == []


def test_a_run_whose_machine_has_died_counts_as_lost_before_the_next_one_takes_its_lock(make_job, lock_timeout):
    see()
    lock_timeout(300)
    job = make_job(name="invoices", schedule="0 3 * * *")
    end(job, Status.FAILED)
    claiming.claim_by_hand(job, "web-9")
    assert [each.count for each in health.report().failing] == [1]
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(seconds=330))
    log = Log.objects.get(status=Status.RUNNING)
    assert [(each.name, each.count, each.log) for each in health.report().failing] == [("invoices", 2, log.pk)]
    # It was only slow.
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now())
    assert [each.count for each in health.report().failing] == [1]


@pytest.mark.parametrize(
    ("ends", "count"),
    [
        ("FAILED", 1),
        ("SUCCEEDED FAILED TIMED_OUT LOST", 3),
        ("FAILED FAILED SUCCEEDED", 0),
        # A node that was stopped is not the job's failure, nor its success.
        ("FAILED INTERRUPTED FAILED", 2),
        ("SUCCEEDED INTERRUPTED", 0),
        ("FAILED " * (vitals.RUNS + 3), vitals.RUNS),
    ],
)
def test_failures_in_a_row(make_job, ends, count):
    see()
    job = make_job(name="invoices")
    end(make_job(), Status.SUCCEEDED, Status.SUCCEEDED)
    end(job, *[Status[name] for name in ends.split()])
    found = health.report()
    assert [(each.id, each.name, each.count) for each in found.failing] == [(job.pk, "invoices", count)] * bool(count)
    for each in found.failing:
        failed = job.logs.exclude(status__in=[Status.SUCCEEDED, Status.INTERRUPTED])
        assert each.log == failed.latest("fence").pk
    assert found.level == (Level.OK if not count else Level.CRITICAL if count >= 3 else Level.WARNING)


def test_failures_are_asked_for_job_by_job_however_long_the_log_is(make_job):
    """Joined to the jobs, the log would be read from end to end on SQLite: it has no statistics that would tell."""
    make_job()
    with CaptureQueriesContext(connection) as captured:
        assert vitals.failing("default") == []
    (query,) = captured
    assert "EXISTS" in query["sql"]
    assert "JOIN" not in query["sql"]


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


@pytest.fixture
def miss(make_job):
    """Return a function that records slots of a job as missed, as many times as that is said, a while apart."""

    def record(schedule, missed, times=1, *, ran=True, age=60, **columns):
        job = make_job(name=columns.pop("name", None) or f"{schedule} {missed}", schedule=schedule, **columns)
        slot = clock.now("default").replace(second=0, microsecond=0)
        for number in range(times):
            slot = job.get_schedule().latest_at(slot - timedelta(minutes=5))
            created = slot + timedelta(seconds=0 if ran else age)
            status = {"status": Status.SUCCEEDED, "fence": number + 1} if ran else {"status": Status.MISSED}
            before = missed if ran else missed - 1
            Log.objects.create(
                job=job, job_name=job.name, slot=slot, missed=before, node="web-1", created=created, **status
            )
        return job

    return record


@pytest.mark.parametrize(
    ("schedule", "missed", "times", "ran", "level"),
    [
        # A node that starts late, or is replaced.
        ("* * * * *", 1, 1, True, Level.OK),
        ("* * * * * *", 59, 1, True, Level.OK),
        ("* * * * *", 1, 1, False, Level.OK),
        # A few seconds now and then.
        ("* * * * * *", 3, 20, True, Level.OK),
        # Longer.
        ("* * * * *", 2, 1, True, Level.WARNING),
        ("* * * * * *", 61, 1, True, Level.WARNING),
        ("0 * * * *", 1, 1, True, Level.WARNING),
        ("* * * * *", 2, 1, False, Level.WARNING),
        # Again and again, as of a job that takes longer than its period.
        ("* * * * *", 1, 11, True, Level.WARNING),
        ("* * * * * *", 50, 13, True, Level.WARNING),
    ],
)
def test_missed_slots_are_put_up_with_if_they_are_brief_and_few(miss, schedule, missed, times, ran, level):
    see()
    job = miss(schedule, missed, times, ran=ran)
    found = health.report()
    assert [(each.id, each.count) for each in found.missed] == [(job.pk, missed * times)]
    assert found.level == level
    assert found.missed_slots == (missed * times if level else 0)
    assert found.as_dict()["missed"][0]["brief"] == (0 if level else missed * times)
    assert health.report(limits=Limits(brief=0)).level == Level.WARNING


def test_what_is_known_to_be_missed_of_a_job_that_is_broken_or_gone_counts(miss):
    see()
    broken, gone = miss("* * * * *", 1, name="broken"), miss("* * * * *", 1, name="gone")
    Job.objects.filter(pk=broken.pk).write(schedule="as soon as possible")
    gone.delete()
    assert health.report().problems == ["2 slots were missed in the last 24 hours: broken (1), gone (1)."]


def test_a_job_that_no_node_takes(make_job):
    see()
    make_job(name="invoices", schedule="* * * * *", due=600)
    asked = make_job(name="asked for")
    requests.ask(asked, "anna")
    nobody = make_job("app.jobs.no_such", name="nobody's")
    requests.ask(nobody, "anna")
    Job.objects.filter(pk=nobody.pk).write(asked_at=clock.Now() - timedelta(hours=4), enabled=False)
    Job.objects.filter(pk=asked.pk).write(asked_at=clock.Now() - timedelta(hours=5))
    running = make_job(name="running", schedule="* * * * *", due=600)
    claiming.claim_by_hand(running, "web-1")
    found = health.report()
    assert [each.name for each in found.late] == ["asked for", "nobody's", "invoices"]
    assert found.level == Level.WARNING
    asked_for, due = found.problems
    words = "2 jobs were asked for, no node takes them: asked for (5 h), nobody's (4 h, cannot be run here)."
    assert asked_for == words
    assert due.startswith("1 job is due, no node takes it: invoices (1")
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


def test_however_much_is_wrong_it_is_told_in_a_few_lines_and_few_names(make_job):
    see()
    for number in range(25):
        see(f"silent {number}", ago=500)
        see(f"fast {number}", ahead=100)
        stuck = make_job(name=f"stuck {number}")
        claiming.claim_by_hand(stuck, "web-9")
        Job.objects.filter(pk=stuck.pk).write(locked_at=clock.Now() - timedelta(hours=3))
        end(make_job(name="f" * 200 + str(number)), Status.FAILED)
        make_job(name=f"late {number}", schedule="* * * * *", due=600)
    found = health.report()
    assert [finding.kind for finding in found.findings] == ["stuck", "failing", "late", "gone", "skew"]
    for finding in found.findings:
        assert (len(finding.named), finding.more) == (findings.NAMED, 22)
        assert " and 22 more." in finding.text
        assert len(finding.text) < 300
    told = found.as_dict()
    counts = {kind: told["counts"][kind] for kind in ("nodes", "stuck", "failing", "late")}
    assert counts == {"nodes": 51, "stuck": 25, "failing": 25, "late": 25}
    assert {len(told[kind]) for kind in counts} == {health.LISTED}
    assert len(told["failing"][0]["name"]) > 200


def test_a_stale_lock_that_nobody_takes_over_is_told(make_job, lock_timeout):
    see()
    lock_timeout(60)
    job = make_job(name="left", schedule="* * * * *", due=600)
    claiming.claim_by_hand(job, "web-9")
    assert health.report().late == []
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(hours=3))
    assert [each.name for each in health.report().late] == ["left"]


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
