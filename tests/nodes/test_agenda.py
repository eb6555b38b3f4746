"""What a node looks for, when, and in which order."""

from __future__ import annotations

import random
import time
from datetime import timedelta

import pytest
from conftest import yearly
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cronkite.claims import rows, skips
from cronkite.code import commands
from cronkite.database import clock
from cronkite.models import Job
from cronkite.nodes.agenda import Agenda

pytestmark = pytest.mark.django_db


@pytest.fixture
def agenda(make_job):
    """A loop's agenda that has looked: three jobs whose slot has come, and one whose slot is still to come."""
    for seconds in (3, 2, 1):
        make_job(schedule="* * * * * *", due=seconds)
    later = make_job("app.jobs.say", schedule="* * * * * *", due=0)
    type(later).objects.filter(pk=later.pk).write(next_run=later.next_run + timedelta(seconds=600))
    found = Agenda(stays=True, ahead=timedelta(hours=1))
    found.look(set())
    assert found.waiting() == 3
    return found


@pytest.mark.parametrize(("due", "readings"), [(0, 0), (-600, 1)])
def test_a_loop_reads_the_clock_once_more_if_the_next_slot_is_still_to_come(make_job, due, readings):
    """To be on it; what has come already needs no clock."""
    job = make_job(due=0)
    Job.objects.filter(pk=job.pk).write(next_run=clock.Now() - timedelta(seconds=due))
    found = Agenda(stays=True, ahead=timedelta(hours=1))
    found.look(set())
    with CaptureQueriesContext(connection) as queries:
        found.look(set())
    assert len(queries) == 1 + readings
    # SQLite cuts what its clock says to milliseconds, so a later answer may seem to be that much earlier.
    assert found.now() <= clock.now("default") + timedelta(milliseconds=1)


def names(agenda):
    return [job.name for job in agenda._runs.jobs]


def test_a_slot_that_has_come_waits_its_turn_behind_the_others(agenda):
    """No look for each run of a burst: one when those that wait are taken."""
    agenda.look_at = None
    agenda.look_for(agenda.now() - timedelta(seconds=1))
    taken = []
    while agenda.look_at is None and agenda.waiting():
        taken.append(agenda.take().name)
    # What is still to come is not waited for.
    assert taken == ["ok", "ok 2", "ok 3"]
    assert agenda.look_at is not None


def test_a_slot_that_has_come_is_looked_for_at_once_if_nothing_waits(agenda):
    for _ in range(3):
        agenda.take()
    agenda.look_at = None
    agenda.look_for(agenda.now() - timedelta(seconds=1))
    assert agenda.look_at is not None


def test_after_a_lost_race_what_waits_is_taken_in_any_order(agenda, monkeypatch):
    """Or all nodes that work off a burst would want the same job next. What is still to come stays behind."""
    monkeypatch.setattr(random, "shuffle", lambda jobs: jobs.reverse())
    agenda.look_at = None
    agenda.lost_race()
    assert agenda.look_at is not None
    assert names(agenda) == ["ok 3", "ok 2", "ok", "say"]
    agenda.look(set())
    assert names(agenda) == ["ok 3", "ok 2", "ok", "say"], "who was in the way is still there"
    agenda.look(set())
    assert names(agenda) == ["ok", "ok 2", "ok 3", "say"]


def test_a_node_looks_again_only_when_too_many_races_are_lost(make_job):
    """A look costs as much as many races."""
    for _ in range(50):
        make_job(due=0)
    agenda = Agenda()
    agenda.look(set())
    for _ in range(40):
        agenda.take()
    for _ in range(2):
        agenda.lost_race()
        assert agenda.look_at is None
    agenda.lost_race()
    assert agenda.look_at is not None


def test_in_a_burst_jobs_of_the_same_slot_are_taken_in_any_order(make_job, monkeypatch):
    """Or all nodes would meet at the first. An earlier slot still comes first."""
    monkeypatch.setattr("cronkite.nodes.agenda.PAGE", 4)
    monkeypatch.setattr(random, "shuffle", lambda jobs: jobs.reverse())
    first = yearly()
    second = first.replace("0 0 1 ", "0 0 2 ")
    for schedule in (second, first, second, first, second):
        make_job(schedule=schedule, due=0)
    agenda = Agenda()
    agenda.look(set())
    assert names(agenda) == ["ok 4", "ok 2", "ok 3", "ok"]


def test_nodes_that_are_in_each_others_way_begin_at_different_pages(make_job, monkeypatch):
    """And all of them come by every job in the end."""
    monkeypatch.setattr("cronkite.nodes.agenda.PAGE", 4)
    monkeypatch.setattr(random, "randrange", random.Random(1).randrange)
    every = sorted(make_job(due=0).pk for _ in range(18))
    agenda, seen, begun = Agenda(), set(), set()
    for _ in range(50):
        agenda.look(set())
        found = {job.pk for job in agenda._runs.jobs}
        begun.add(every.index(min(found)))
        seen |= found
        agenda.lost_race()
    assert seen == set(every)
    assert begun == {0, 4, 8, 12, 16}


def test_a_page_that_others_have_worked_off_is_no_end(make_job, monkeypatch):
    monkeypatch.setattr("cronkite.nodes.agenda.PAGE", 2)
    monkeypatch.setattr(random, "randrange", lambda places: places - 1)
    jobs = [make_job(due=0) for _ in range(5)]
    agenda = Agenda()
    for _ in range(2):
        agenda.look(set())
        agenda.lost_race()
    Job.objects.filter(pk__in=[job.pk for job in jobs[1:]]).delete()
    agenda.look(set())
    assert [job.pk for job in agenda._runs.jobs] == [jobs[0].pk]


def test_a_page_of_what_is_not_to_be_taken_hides_nothing_for_long(make_job, monkeypatch):
    """As of tasks that nobody can ask about, since a transaction of the project's has locked their jobs' rows."""
    monkeypatch.setattr("cronkite.nodes.agenda.PAGE", 2)
    for _ in range(5):
        job = make_job(due=10)
        Job.objects.filter(pk=job.pk).write(follow_at=job.next_run, enabled=False, next_run=None)
    make_job("app.jobs.say", due=0)
    agenda = Agenda()
    for _ in range(100):
        agenda.look(set())
        if names(agenda):
            break
        assert agenda.look_at is not None
    assert names(agenda) == ["say"]


@pytest.mark.parametrize("why", ["the import of their module hangs", "their group is full"])
def test_a_page_whose_jobs_are_struck_off_is_no_end(make_job, monkeypatch, why):
    """Or a tick would end without what stands behind them, and so would the next."""
    monkeypatch.setattr("cronkite.nodes.agenda.PAGE", 3)
    struck = {make_job("app.alerted.hang", due=10, group="reports").pk for _ in range(3)}
    make_job("app.jobs.say", due=0)
    agenda = Agenda()
    agenda.look(set())
    first = agenda.take()
    if why == "their group is full":
        agenda.wait_for_room(first)
    else:
        agenda.leave_alone(first, longer=True)
        struck = set()
    assert agenda.is_empty() is False
    for _ in range(2):
        # The first may bring the same once more, which are known now.
        agenda.look(struck)
    assert names(agenda) == ["say"]


def test_a_module_that_was_imported_since_is_left_alone_as_after_its_first_refusal(make_job, stopwatch):
    """A refusal a month is no reason to leave its jobs alone for half an hour."""
    job = make_job("app.alerted.hang", due=0)
    agenda = Agenda(stays=True)
    pauses = []

    def refuse():
        stopwatch[0] += rows.LONGEST_PAUSE + 3600
        agenda.leave_alone(job, longer=True)
        pauses.append(agenda._avoided["app.alerted"] - time.monotonic())

    for _ in range(3):
        refuse()
    agenda.trust(job)
    refuse()
    assert pauses == [60, 120, 240, 60]


def test_however_often_a_module_is_refused_the_time_is_a_number(make_job, stopwatch):
    """In a loop that goes on for weeks."""
    job = make_job("app.alerted.hang", due=0)
    agenda = Agenda(stays=True)
    for _ in range(1100):
        stopwatch[0] += 3600
        agenda.leave_alone(job, longer=True)
    assert agenda._avoided["app.alerted"] - time.monotonic() == 1800


def test_several_jobs_that_find_it_out_together_are_one_refusal(make_job, stopwatch):
    jobs = [make_job("app.alerted.hang", name=f"hang {n}", due=0) for n in range(4)]
    agenda = Agenda(stays=True)
    for job in jobs:
        agenda.leave_alone(job, longer=True)
    assert agenda._refusals["app.alerted"] == 1
    assert {until - time.monotonic() for until in agenda._left_alone.values()} == {60}


def test_a_command_that_cannot_be_imported_is_left_alone_by_itself(make_job):
    """All are called by the same function of ours; each is a module of its own."""
    broken, healthy = (
        make_job(commands.CALL, name=name, args=[name], due=due) for due, name in enumerate(["broken", "clearsessions"])
    )
    agenda = Agenda()
    agenda.look(set())
    agenda.leave_alone(broken, longer=True)
    assert names(agenda) == ["clearsessions"]
    agenda.look(set())
    assert names(agenda) == ["clearsessions"]
    agenda.leave_alone(healthy, longer=True)
    assert {*agenda._refusals} == {f"{commands.CALL} broken", f"{commands.CALL} clearsessions"}


def test_a_race_that_is_lost_for_the_only_job_is_no_reason_to_look(agenda):
    for _ in range(3):
        agenda.take()
    agenda.look_at = None
    agenda.lost_race()
    assert agenda.look_at is None


def test_jobs_that_are_skipped_take_no_place_on_the_page(make_job, monkeypatch):
    """However many there are: a page that is full of them would hide the others for ever."""
    monkeypatch.setattr("cronkite.nodes.agenda.PAGE", 2)
    skipped = {make_job(due=10).pk for _ in range(5)}
    make_job("app.jobs.say", due=0)
    found = Agenda()
    found.look(skipped)
    assert names(found) == ["say"]


# How long a job is left alone whose row another transaction has locked.


@pytest.fixture
def stopwatch(monkeypatch):
    """A stopwatch that is put forward by hand."""
    hands = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: hands[0])
    return hands


def test_the_pauses_grow_and_people_are_told_once(stopwatch, caplog):
    waiting, job, now = rows.HeldRows(stays=True), Job(pk=1, name="held"), clock.as_utc("2026-01-01 03:04:05")
    pauses = []
    for _ in range(12):
        assert waiting.put_off(job, now, held=skips.ROW)
        assert waiting.left_alone() == {1}
        pauses.append(round(waiting.rest(), 3))
        stopwatch[0] += waiting.rest()
        assert waiting.left_alone() == set()
        assert waiting.rest() is None
    assert pauses == sorted(pauses)
    assert pauses[0] <= 2 * rows.FIRST_PAUSE
    assert pauses[-1] <= rows.LONGEST_PAUSE + 1 / rows.INSTANTS
    assert [record.getMessage() for record in caplog.records] == [
        "Job 'held' waits: its row is locked by another transaction since 03:04:05 UTC."
    ]


def test_a_pause_that_ends_while_a_tick_looks_calls_for_another_look(make_job, stopwatch, monkeypatch):
    """The look has left the job out, so nobody has asked for it since."""
    job = make_job(due=0)
    found = Agenda()
    found.look(set())
    found.put_off(found.take(), held=skips.NOTHING)
    read = Agenda._page

    def slowly(agenda, most):
        page = read(agenda, most)
        stopwatch[0] += 1
        return page

    with monkeypatch.context() as patch:
        patch.setattr(Agenda, "_page", slowly)
        found.look(set())
    assert not found.is_empty()
    assert found.look_at <= time.monotonic()
    found.look(set())
    assert found.take() == job


def test_so_does_a_pause_that_ends_before_it_is_asked_for(stopwatch):
    """As where a machine stands still between two lines."""
    waiting, job, now = rows.HeldRows(stays=False), Job(pk=1, name="held"), clock.as_utc("2026-01-01 03:04:05")
    waiting.put_off(job, now, held=skips.ROW)
    stopwatch[0] += 1
    assert waiting.rest() == 0
    assert waiting.left_alone() == set()
    assert waiting.rest() is None


def test_a_row_that_is_edited_again_and_again_is_not_locked_by_one_that_keeps_it(stopwatch, caplog):
    waiting, job, now = rows.HeldRows(stays=True), Job(pk=1, name="busy"), clock.as_utc("2026-01-01 03:04:05")
    for _ in range(12):
        waiting.put_off(job, now, held=skips.ROW)
        assert waiting.rest() <= 2 * rows.FIRST_PAUSE
        stopwatch[0] += waiting.rest()
        job.revision += 1
    assert not caplog.records


def test_who_waits_for_another_node_only_is_not_told_of(stopwatch, caplog):
    waiting, job, now = rows.HeldRows(stays=True), Job(pk=1, name="held"), clock.as_utc("2026-01-01 03:04:05")
    for _ in range(3):
        waiting.put_off(job, now, held=skips.ROW)
        waiting.forget(job)
        stopwatch[0] += 1
    waiting.put_off(job, now, held=skips.NOTHING)
    stopwatch[0] += 60
    waiting.put_off(job, now, held=skips.NOTHING)
    assert not caplog.records


def test_who_waits_for_the_row_of_a_group_is_tried_again_when_another_job_of_it_was_had(stopwatch, caplog):
    waiting, now = rows.HeldRows(stays=True), clock.as_utc("2026-01-01 03:04:05")
    first, second, own = (Job(pk=key, name=f"{key}", group="reports") for key in (1, 2, 3))
    for _ in range(4):
        for job, held in ((first, skips.GROUP), (second, skips.GROUP), (own, skips.ROW)):
            waiting.put_off(job, now, held=held)
        stopwatch[0] += 1
    assert waiting.left_alone() == {1, 2, 3}
    assert waiting.forget(first)
    assert waiting.left_alone() == {3}
    said = "the row of its group was locked by another transaction since 2026-01-01 03:04:05 UTC"
    assert waiting.reason(second) == said
    assert "Job '2' waits: the row of its group is locked by another transaction since 03:04:05 UTC." in caplog.text
    assert not waiting.forget(own)


def test_a_job_that_is_due_no_more_is_forgotten(stopwatch):
    waiting, job, now = rows.HeldRows(stays=True), Job(pk=1, name="held"), clock.as_utc("2026-01-01 03:04:05")
    waiting.put_off(job, now, held=skips.ROW)
    stopwatch[0] += rows.LONGEST_PAUSE + 1
    assert waiting.left_alone() == set()
    assert not waiting._waits
