"""Nodes run so many jobs of a group at a time as it lets, and the others in their turn."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from nodes import cron, nodes, until

from cronkite import cron as declare
from cronkite import health, requests
from cronkite.claims import claiming
from cronkite.code import declarations, groups
from cronkite.code.outcomes import Outcome
from cronkite.models import Group, Job, Log
from cronkite.nodes import agenda, unsettled

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


def most_at_a_time():
    """Return how many of the runs went on at a time, by their logs, at most."""
    events = []
    for log in Log.objects.exclude(finished_at=None):
        events += [(log.started_at, 1), (log.finished_at, -1)]
    most = now = 0
    for _, step in sorted(events):
        now += step
        most = max(most, now)
    return most


def reports(make_job, number, group="reports", function="app.jobs.nap", **columns):
    return [make_job(function, name=f"{group} {n}", due=0, group=group, **columns) for n in range(number)]


@pytest.mark.parametrize("workers", ["0", "8"])
def test_a_tick_runs_all_jobs_of_a_group_one_after_the_other(make_job, workers):
    reports(make_job, 5, kwargs={"seconds": 0.05})
    cron(CRONKITE_TEST_WORKERS=workers)
    assert Log.objects.filter(status=Status.SUCCEEDED).count() == 5
    assert most_at_a_time() == 1


@pytest.mark.parametrize("hopeless", ["can't be imported", "is too late", "was asked for, and can't be imported"])
def test_room_is_not_lost_with_a_job_that_has_no_use_for_it(make_job, hopeless):
    """It goes to the next of the group, in the same tick."""
    first, second, bad, last = reports(make_job, 4, kwargs={"seconds": 0.3})
    if hopeless == "is too late":
        Job.objects.filter(pk=bad.pk).write(grace=1, catch_up="latest")
    else:
        Job.objects.filter(pk=bad.pk).write(function="app.nowhere.nap")
    if "asked for" in hopeless:
        requests.ask(bad, "anna")
    cron(CRONKITE_TEST_WORKERS="2")
    ran = Log.objects.filter(status=Status.SUCCEEDED).values_list("job_name", flat=True)
    assert set(ran) == {first.name, second.name, last.name}


def test_room_is_had_when_an_end_is_written_and_not_before(make_job):
    """Where the node writes it, as the run's process has died."""
    told = []
    agenda = SimpleNamespace(look_for=told.append, have_room=told.append)
    todo = unsettled.Unsettled(None, agenda, lambda **_: nullcontext())
    (job,) = reports(make_job, 1)
    taken = claiming.claim_by_hand(job, "here")
    todo.end(taken, Outcome(Status.LOST))
    assert told == []
    todo.go_on(stopping=False)
    assert told[-1] == "reports"
    assert Log.objects.get().status == Status.LOST


def test_a_tick_runs_as_many_at_a_time_as_the_group_lets(make_job):
    Group.objects.create(name="reports", max_running=3)
    reports(make_job, 9, kwargs={"seconds": 0.3})
    cron(CRONKITE_TEST_WORKERS="8")
    assert Log.objects.filter(status=Status.SUCCEEDED).count() == 9
    assert most_at_a_time() == 3


def test_jobs_that_wait_for_room_hide_no_others(make_job, monkeypatch):
    monkeypatch.setattr(agenda, "PAGE", 2)
    holder, *_ = reports(make_job, 7, function="app.jobs.ok")
    taken = Job.objects.agenda().get(pk=holder.pk)
    claiming.claim_by_hand(taken, "elsewhere")
    make_job(name="mine", due=0)
    call_command("cron", workers=0)
    assert set(Log.objects.filter(status=Status.SUCCEEDED).values_list("job_name", flat=True)) == {"mine"}


def test_two_loops_share_the_seats(make_job):
    Group.objects.create(name="reports", max_running=2)
    reports(make_job, 6, schedule="* * * * * *", kwargs={"seconds": 0.1})
    with nodes(("cron", "loop", "--skip-checks"), ("cron", "loop", "--skip-checks"), CRONKITE_TEST_WORKERS="4"):
        until(lambda: Log.objects.filter(status=Status.SUCCEEDED).count() >= 40)
        until(lambda: {0, 1, 2, 3, 4, 5} <= {int(name[-1]) for name in names()})
    assert most_at_a_time() == 2


def names():
    return Log.objects.filter(status=Status.SUCCEEDED).values_list("job_name", flat=True)


def test_slots_that_were_missed_for_want_of_room_say_so(make_job):
    (holder,) = reports(make_job, 1)
    claiming.claim_by_hand(holder, "elsewhere")
    job = make_job(name="late", schedule="* * * * * *", due=5, group="reports")
    assert claiming.why_missed(job) == "other jobs of its group, reports, were running"


def test_why_and_health_tell_of_jobs_that_wait_for_their_group(make_job, capsys):
    holder, waits = reports(make_job, 2, function="app.jobs.ok")
    Job.objects.filter(pk=waits.pk).write(next_run=waits.next_run - timedelta(days=365), planned_at=None)
    assert "reports 1" in [late.name for late in health.overdue()]
    claiming.claim_by_hand(holder, "elsewhere")
    call_command("cron", "why", waits.name, f"{waits.next_run - timedelta(days=365):%Y-%m-%dT%H:%MZ}")
    said = "Its group, reports, has no room: as many of its jobs run as may (reports 0 on elsewhere)."
    assert said in capsys.readouterr().out
    assert health.overdue() == []


def test_code_says_which_group_a_job_is_in_and_how_many_of_it_run(monkeypatch):
    monkeypatch.setattr(declarations, "_declared", {})

    def one():
        pass

    def two():
        pass

    for function in (one, two):
        function.__qualname__ = function.__name__
    declare("@daily", group=" Reports ", max_running=2)(one)
    assert (declarations.of(one).group, declarations.of(one).max_running) == ("reports", 2)
    assert "max_running" not in declarations.of(one).columns()
    with pytest.raises(ValueError, match="A group has one number"):
        declare("@daily", group="reports", max_running=3)(two)
    declare("@daily", group="reports")(two)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"group": "a b"}, "is no name of a group"),
        ({"group": 3}, "A group is a text"),
        ({"max_running": 2}, "name one"),
        ({"group": "x", "max_running": 0}, "from 1 to 1000"),
        ({"group": "x", "max_running": True}, "from 1 to 1000"),
    ],
)
def test_what_is_no_group_is_refused_where_it_is_declared(options, said):
    with pytest.raises(ValueError, match=said):
        declare("@daily", **options)


def test_what_is_no_group_is_refused_where_it_is_saved(make_job):
    job = make_job(group="Reports")
    job.refresh_from_db()
    assert job.group == "reports"
    job.group = "a/b"
    with pytest.raises(ValueError, match="is no name of a group"):
        job.save()
    with pytest.raises(ValidationError, match="is no name of a group"):
        job.full_clean()
    with pytest.raises(ValueError, match="is no name of a group"):
        Job.objects.update(group="a/b")
    assert groups.canonical("") == ""
