"""What ``cron list`` says of the jobs."""

from __future__ import annotations

import pytest
from conftest import hold
from django.db import connection
from django.test.utils import CaptureQueriesContext
from terminals import Terminal, cron

from cronkite import requests
from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.models import Job, Log

pytestmark = pytest.mark.usefixtures("here")
Status = Log.Status


@pytest.mark.django_db
def test_list_shows_what_comes_next_and_how_it_ended_last(make_job):
    job = make_job(name="nightly", schedule="0 3 * * *", timezone="Europe/Berlin")
    job.run()
    make_job("app.jobs.fail", name="failing")
    holding.finish(claiming.claim_by_hand(Job.objects.get(name="failing"), "x"), Outcome(Status.TIMED_OUT))
    said = cron("list")
    heads, failing, nightly = said.lines
    assert heads.split() == ["ID", "NAME", "SCHEDULE", "NEXT", "LAST", "STATE"]
    assert nightly.startswith(f"{job.pk}")
    assert "At 03:00, every day (Europe/Berlin)" in nightly
    assert " 03:00 (in " in nightly
    assert "succeeded" in nightly
    assert nightly.endswith("enabled")
    assert "timed out" in failing
    # Each column begins where its head does.
    assert heads.index("STATE") == nightly.index("enabled")


@pytest.mark.django_db
def test_list_tells_the_states(make_job):
    hold(make_job(name="a"), 970)
    hold(make_job(name="b"), 1, node="web-1")
    make_job("app.jobs.gone", name="c")
    requests.ask(make_job(name="d"), "anna")
    Job.objects.filter(pk=make_job(name="e").pk).update(enabled=False)
    states = [line.partition("  ")[2] for line in cron("list").lines[1:]]
    assert "stuck: locked by web-9, last seen alive 16 min ago" in states[0]
    assert "running: on web-1, last seen alive" in states[1]
    assert "cannot run on this machine: 'app.jobs.gone' was not found" in states[2]
    assert "asked for: by anna" in states[3]
    assert states[4].endswith("disabled")


@pytest.mark.django_db
def test_list_fits_a_terminal_and_says_the_rest_below(make_job, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    hold(make_job(name="a job with quite a long name"), 970)
    make_job("app.jobs.gone", name="c")
    lines = cron("list", "--no-color", out=Terminal()).lines
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith("stuck")
    assert lines[2] == "    locked by web-9, last seen alive 16 min ago"
    assert lines[3].endswith("cannot run")
    problem = "on this machine: 'app.jobs.gone' was not found: on this node the module 'app.jobs' has no 'gone'."
    assert " ".join(" ".join(lines[4:]).split()) == problem


@pytest.mark.django_db
def test_list_shows_a_part(make_job):
    make_job(name="one")
    make_job("app.jobs.say", name="two")
    assert len(cron("list", "jobs.say").lines) == 2
    assert "No job has 'three' in it." in cron("list", "three").err


@pytest.mark.django_db
def test_list_without_jobs_says_how_to_have_some():
    said = cron("list")
    assert (said.out, said.code) == ("", 0)
    assert "cron sync" in said.err


@pytest.mark.django_db
def test_list_for_programs(make_job):
    make_job(name="nightly", args=[1]).run()
    (job,) = cron("list", "--json").json
    assert (job["name"], job["args"], job["state"], job["problem"]) == ("nightly", [1], "enabled", None)
    assert job["last"]["status"] == "succeeded"


@pytest.mark.django_db
def test_list_takes_a_constant_number_of_queries(make_job):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            cron("list")
        return len(captured)

    make_job().run()
    few = queries()
    for _ in range(5):
        make_job().run()
    assert queries() == few


@pytest.mark.django_db
def test_list_and_why_show_what_was_chosen_for_a_job(make_job):
    job = make_job(name="bill", schedule="H 3 * * *", declared_as="shop.crontab.bill")
    words = "At 03:25, every day (H 3 * * * = 25 3 * * *)"
    assert words in cron("list").out
    assert words in cron("why", str(job.pk)).lines[0]
    (told,) = cron("list", "--json").json
    assert (told["schedule"], told["words"]) == ("H 3 * * *", words)
