"""What ``cron enable`` and ``cron disable`` do, and refuse."""

from __future__ import annotations

import pytest
from conftest import hold
from terminals import cron

from cronkite import requests
from cronkite.cli.instants import absolute
from cronkite.models import Job, Log

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.django_db
def test_a_job_is_disabled_and_enabled(make_job):
    job = make_job(name="nightly", due=0)
    assert cron("disable", "nightly").out == "nightly is disabled.\n"
    assert (Job.objects.get().enabled, Log.objects.get().reason) == (False, "the job was disabled")
    assert cron("disable", "nightly").out == "nightly is disabled already.\n"
    said = cron("enable", "nightly")
    job = Job.objects.get()
    assert said.out.startswith(f"nightly is enabled. Its next slot is {absolute(job.next_run, 'UTC')}, in ")
    assert said.err == ""
    assert cron("enable", "nightly").out.startswith("nightly is enabled already. Its next slot is ")
    assert cron("disable", "nightly", "--json").json == {
        "job": job.pk,
        "name": "nightly",
        "enabled": False,
        "was": True,
        "next_run": None,
    }


@pytest.mark.django_db
def test_disabling_tells_that_a_run_goes_on_or_is_asked_for(make_job):
    hold(make_job(name="running"), 1)
    assert cron("disable", "running").out == "running is disabled. Its run on node web-9 goes on.\n"
    requests.ask(make_job(name="wanted"), "anna")
    assert "It still runs when somebody asks for it." in cron("disable", "wanted").out


@pytest.mark.django_db
def test_a_job_that_is_broken_can_be_disabled_and_says_why_it_cannot_be_enabled(make_job):
    broken = make_job(name="broken")
    Job.objects.filter(pk=broken.pk).write(schedule="nonsense")
    assert cron("disable", "broken").code == 0
    said = cron("enable", "broken")
    assert (said.code, said.err.startswith("Job 'broken' cannot be enabled: ")) == (1, True)
    Job.objects.filter(pk=make_job("app.jobs.gone", name="gone").pk).update(enabled=False)
    assert "It cannot be run here, but perhaps on other nodes." in cron("enable", "gone").err


def test_enable_refuses_a_one_off_that_is_done(make_job):
    job = make_job(schedule="@at 9000-01-01T00:00Z")
    past = "@at 2020-01-01T00:00Z"
    Job.objects.filter(pk=job.pk).write(schedule=past, enabled=False, next_run=None)
    said = cron("enable", str(job.pk))
    assert said.code == 1
    assert "cannot be enabled: '@at 2020-01-01T00:00Z' is over" in said.err
