"""What ``cron why`` tells of a slot."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import hold, hourly
from terminals import cron, time_of

from cronkite import requests
from cronkite.claims import claiming
from cronkite.cli.instants import absolute
from cronkite.database import clock
from cronkite.models import Job, Log, Node
from cronkite.nodes import ticks

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.django_db
def test_why_tells_which_node_took_a_slot(make_job):
    job = make_job("app.jobs.fail", name="nightly", schedule="0 0 1 1 *", due=0)
    slot = job.next_run
    ticks.tick(workers=0)
    said = cron("why", "nightly", time_of(slot))
    assert said.lines[0] == "nightly (app.jobs.fail): At 00:00, every year on January 1, in UTC"
    assert said.lines[1].endswith("+00:00: failed")
    assert "Node here took it, " in said.out
    assert "ValueError: it went wrong" in said.out


@pytest.mark.django_db
def test_why_tells_of_a_run_that_goes_on(make_job):
    job = make_job(due=0)
    from conftest import due

    from cronkite.schedules.catch_up import CatchUp, decide

    read = due(job)
    claiming.claim(read, decide(job.get_schedule(), CatchUp.LATEST, None, read.pending, read.now), "web-1")
    said = cron("why", "ok", time_of(job.next_run))
    assert said.lines[1].endswith(": running")
    assert "It runs since" in said.out


@pytest.mark.django_db
def test_why_tells_of_missed_slots_also_within_a_stretch(make_job):
    job = make_job(schedule=hourly(), due=5 * 3600, catch_up="none", grace=0)
    first = job.next_run
    ticks.tick(workers=0)
    log = Log.objects.get()
    assert log.slot > first + timedelta(hours=3)
    for slot in (first, first + timedelta(hours=2), log.slot):
        said = cron("why", "ok", time_of(slot))
        assert said.lines[1].endswith(": missed"), said.out
        assert "older than the grace of 0 s" in said.out
        assert f"one of {log.missed + 1} missed slots, log {log.pk}" in said.out
    before = cron("why", "ok", time_of(first - timedelta(hours=1)))
    assert "missed" not in before.lines[1]


@pytest.mark.django_db
def test_why_tells_of_slots_that_were_missed_before_one_that_ran(make_job):
    job = make_job(schedule=hourly(), due=5 * 3600)
    first = job.next_run
    ticks.tick(workers=0)
    said = cron("why", "ok", time_of(first))
    assert said.lines[1].endswith(": missed")
    assert "only the newest is run" in said.out


@pytest.mark.django_db
def test_why_tells_that_a_slot_is_still_to_come(make_job):
    job = make_job()
    said = cron("why", "ok", time_of(job.next_run))
    assert said.lines[1].endswith(": not due")
    assert "It falls due in " in said.out


@pytest.mark.django_db
def test_why_tells_what_keeps_nodes_from_a_slot(make_job, lock_timeout):
    job = make_job(due=0)
    slot = time_of(job.next_run)
    said = cron("why", "ok", slot).out
    assert ": waiting" in said
    assert "No node has ever ticked." in said
    at = job.next_run - timedelta(hours=1)
    Node.objects.create(name="web-1", ticked_at=at, started_at=at)
    assert "No node has ticked since: the last was web-1" in cron("why", "ok", slot).out
    Node.objects.update(ticked_at=clock.Now())
    hold(job, 970)
    said = cron("why", "ok", slot).out
    assert "locked by web-9, whose run was last seen alive 16 min ago" in said
    assert f"It is stuck. If the run is gone, say `manage.py cron unlock {job.pk}`" in said
    assert "No node has ticked" not in said
    lock_timeout(60)
    assert "The lock is stale: the next tick takes it over." in cron("why", "ok", slot).out
    Job.objects.filter(pk=job.pk).write(function="app.jobs.gone")
    assert "Its function cannot be run here. 'app.jobs.gone' was not found" in cron("why", "ok", slot).out


@pytest.mark.django_db
def test_why_tells_that_a_job_is_disabled(make_job):
    job = make_job()
    slot = job.get_schedule().latest_at(clock.now("default"))
    Job.objects.filter(pk=job.pk).update(enabled=False)
    Job.objects.filter(pk=job.pk).write(planned_at=slot - timedelta(hours=1))
    said = cron("why", "ok", time_of(slot))
    assert said.lines[1].endswith(": disabled")
    assert "The job is disabled since " in said.out
    assert cron("why", "ok", time_of(job.next_run)).lines[1].endswith(": disabled")


@pytest.mark.django_db
def test_why_tells_that_the_job_was_not_planned_then(make_job, admin_user):
    from django.contrib.admin.models import CHANGE, LogEntry

    job = make_job(schedule="0 0 * * *")
    said = cron("why", "ok", "2020-01-01 00:00")
    assert said.lines[1].endswith(": not planned")
    assert "it did not exist then, was disabled, or had another schedule" in said.out
    job.run()
    Log.objects.update(created="2019-01-01T00:00Z")
    LogEntry.objects.log_actions(admin_user.pk, [job], CHANGE, change_message=[{"changed": {"fields": ["Enabled"]}}])
    said = cron("why", "ok", "2020-01-01 00:00").out
    assert "The job was disabled then, or had another schedule." in said
    assert "by admin: Changed Enabled." in said


@pytest.mark.django_db
def test_why_tells_that_the_record_is_gone(make_job):
    job = make_job(schedule="* * * * *")
    hour = timedelta(hours=1)
    slot = clock.now("default").replace(second=0, microsecond=0) - hour
    Job.objects.filter(pk=job.pk).write(planned_at=slot - hour, last_slot=slot + hour)
    said = cron("why", "ok", time_of(slot))
    assert said.lines[1].endswith(": no record")
    assert "Its log was deleted" in said.out
    Job.objects.filter(pk=job.pk).write(planned_at=None)
    assert "There is no record of it." in cron("why", "ok", time_of(slot)).out


@pytest.mark.django_db
def test_why_tells_that_a_time_is_no_slot_and_which_are_near(make_job):
    make_job(schedule="0 3 * * *", timezone="Europe/Berlin").run()
    said = cron("why", "ok", "2026-07-01 04:00")
    assert said.lines[1:] == [
        "2026-07-01 04:00:00 +02:00: no slot of the job's schedule.",
        "  The slot before is 2026-07-01 03:00:00 +02:00.",
        "  The one after is 2026-07-02 03:00:00 +02:00.",
    ]


@pytest.mark.django_db
def test_why_tells_of_runs_by_hand(make_job):
    make_job().run()
    began = Log.objects.get().started_at
    assert "A run by hand began then on node here: succeeded" in cron("why", "ok", time_of(began)[:-4] + "Z").out


@pytest.mark.django_db
def test_why_says_that_a_time_was_skipped_or_shown_twice(make_job):
    make_job(name="night", schedule="30 2 * * *", timezone="Europe/Berlin")
    spring = cron("why", "night", "2026-03-29", "02:30")
    assert "the clock skipped that time (02:00 to 03:00)" in spring.lines[1]
    assert spring.lines[2].startswith("2026-03-29 03:00:00 +02:00: not planned")
    autumn = cron("why", "night", "2026-10-25 02:30")
    assert "showed 02:00 to 03:00 twice" in autumn.lines[1]
    assert "2026-10-25 02:30:00 +02:00: not planned" in autumn.out
    assert "2026-10-25 02:30:00 +01:00: no slot" in autumn.out


@pytest.mark.django_db
def test_why_takes_a_minute_for_all_its_slots(make_job):
    make_job(schedule="* * * * * */20")
    said = cron("why", "ok", "tomorrow 12:00")
    assert [line.split()[1] for line in said.lines if "not due" in line] == ["12:00:00", "12:00:20", "12:00:40"]
    assert len([line for line in cron("why", "ok", "tomorrow 12:00:20").lines if "not due" in line]) == 1


@pytest.mark.django_db
def test_why_for_programs(make_job):
    job = make_job(due=0)
    slot = job.next_run
    ticks.tick(workers=0)
    said = cron("why", "ok", time_of(slot), "--json").json
    (time,) = said["times"]
    assert (said["job"], time["slots"][0]["verdict"], time["slots"][0]["log"]["status"]) == (job.pk, "ran", "succeeded")


@pytest.mark.django_db
def test_why_of_a_schedule_that_is_broken_says_so(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).write(schedule="nonsense")
    said = cron("why", "ok", "03:00")
    assert said.code == 0
    assert "whether that was a slot cannot be told here: " in said.out


@pytest.mark.django_db
def test_why_refuses_what_is_no_time(make_job):
    make_job()
    said = cron("why", "ok", "soon")
    assert (said.code, "'soon' is no time." in said.err) == (2, True)


@pytest.mark.django_db
def test_why_without_a_time_is_about_the_last_slot(make_job):
    job = make_job(due=0)
    slot = job.next_run
    assert cron("why", "ok").lines[1] == f"{absolute(slot, 'UTC')}: waiting"
    ticks.tick(workers=0)
    said = cron("why", "ok")
    assert said.lines[1] == f"{absolute(slot, 'UTC')}: succeeded"
    # Its schedule is another one since then, whose last slot came a month earlier.
    edited = f"0 0 1 {(slot.month - 2) % 12 + 1} *"
    Job.objects.filter(pk=job.pk).write(schedule=edited, last_slot=slot + timedelta(seconds=1))
    assert absolute(slot + timedelta(seconds=1), "UTC") in cron("why", "ok").lines[1]


@pytest.mark.django_db
def test_why_now_is_about_the_slot_that_waits_and_how_the_job_stands(make_job):
    job = make_job(due=0)
    slot = job.next_run
    hold(job, 970)
    said = cron("why", "ok", "now")
    assert "A run of node web-9 holds its lock, last seen alive 16 min ago." in said.out
    assert f"cron unlock {job.pk}" in said.out
    assert f"{absolute(slot, 'UTC')}: waiting" in said.lines


@pytest.mark.django_db
def test_why_now_of_a_job_that_is_not_due_tells_when_it_is(make_job):
    job = make_job(name="x\x1b[2Jy", schedule="0 0 1 1 *")
    said = cron("why", "ok", "now")
    assert f"Its next slot is {absolute(job.next_run, 'UTC')}, in " in said.out
    assert "no slot of the job's schedule" in said.out
    Job.objects.update(enabled=False)
    requests.ask(job, "anna")
    said = cron("why", "ok", "now")
    assert f"It is disabled. `manage.py cron enable {job.pk}`" in said.out
    assert "A run was asked for by anna, " in said.out
    assert cron("why", "ok", "now", "--json").json["remarks"]


@pytest.mark.django_db
def test_why_without_a_time_of_a_job_that_had_no_slot_says_so(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).write(schedule="nonsense")
    said = cron("why", "ok")
    assert said.code == 2
    assert "no slot yet. Whether it should have had one cannot be told here: the expression has 1 field;" in said.err


def test_why_of_a_one_off_tells_of_its_only_slot(make_job):
    job = make_job(schedule="@at 9000-01-01T00:00Z")
    said = cron("why", str(job.pk), "2026-03-01 03:00")
    assert "2026-03-01 03:00:00 +00:00: no slot of the job's schedule. The only one is 9000-01-01 00:00:00" in said.out
    said = cron("why", str(job.pk))
    assert "has had no slot yet. Ask for a time" in said.out + said.err
