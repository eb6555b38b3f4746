"""What ``cron sync`` makes of what is declared."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
from terminals import cron

from cronkite.code import declarations
from cronkite.declared import discovery
from cronkite.declared.discovery import auto_discover
from cronkite.models import Group, Job

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def declared(db, monkeypatch):
    """One app's crontab module, that declares several jobs."""
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.declared"])
    return "app.declared"


def test_sync_makes_rows_of_what_is_declared(declared):
    said = cron("sync", "--check")
    assert said.code == 1
    assert "+ nightly (app.declared.nightly): to be added, 0 3 * * *" in said.lines
    assert not Job.objects.exists()
    said = cron("sync")
    assert said.code == 0
    assert "+ nightly (app.declared.nightly): added, 0 3 * * *" in said.lines
    assert Job.objects.filter(declared_as="app.declared.nightly").exists()
    said = cron("sync", "--check")
    assert (said.code, said.out) == (0, "The jobs are what the code declares.\n")


def test_sync_keeps_what_people_have_edited_unless_told_otherwise(declared):
    cron("sync")
    job = Job.objects.get(function="app.declared.nightly")
    job.schedule = "0 4 * * *"
    job.save()
    said = cron("sync")
    assert "~ nightly (app.declared.nightly): edited here, and kept" in said.lines
    assert "    schedule: '0 4 * * *' here, '0 3 * * *' in the code" in said.lines
    assert cron("sync", "--check").code == 0
    assert cron("sync", "--check", "--overwrite").code == 1
    assert "overwritten" in cron("sync", "--overwrite").out
    job.refresh_from_db()
    assert job.schedule == "0 3 * * *"
    assert job.next_run.hour == 3


def test_sync_makes_groups_and_keeps_their_numbers_unless_told_otherwise(declared, monkeypatch):
    nightly = declarations.of(import_module("app.declared").nightly)
    monkeypatch.setitem(declarations._declared, nightly.function, replace(nightly, group="reports", max_running=2))
    assert "+ group reports: to be added, 2 jobs run at a time" in cron("sync", "--check").lines
    assert "+ group reports: added, 2 jobs run at a time" in cron("sync").lines
    Group.objects.filter(name="reports", max_running=2).update(max_running=1)
    said = cron("sync")
    assert said.lines == ["~ group reports: 1 job runs at a time here, 2 in the code; edited here, and kept"]
    assert (cron("sync", "--check").code, cron("sync", "--check", "--overwrite").code) == (0, 1)
    assert cron("sync", "--json").json["groups"] == {"reports": {"here": 1, "code": 2}}
    assert "overwritten" in cron("sync", "--overwrite").out
    assert Group.objects.get().max_running == 2


def test_sync_tells_of_a_ping_that_differs_and_not_what_it_is(declared, monkeypatch):
    nightly = declarations.of(import_module("app.declared").nightly)
    pinging = replace(nightly, ping="https://hc-ping.com/s3cret")
    monkeypatch.setitem(declarations._declared, nightly.function, pinging)
    said = [cron("sync", "--check", "--json"), cron("sync")]
    Job.objects.filter(ping=pinging.ping).update(ping="https://other.example/s3cret")
    said += [cron("sync"), cron("sync", "--json"), cron("sync", "--overwrite")]
    assert "    ping: 'https://other.example/…' here, 'https://hc-ping.com/…' in the code" in said[2].lines
    assert Job.objects.filter(ping=pinging.ping).count() == 1
    assert not [each.out for each in said if "s3cret" in each.out + each.err]


@pytest.mark.parametrize("gone", ["app.declared.dropped", "app.no_such_module.job", "no_such_app.crontab.job"])
def test_sync_prunes_what_is_declared_no_more(declared, make_job, gone):
    job = make_job(name="dropped", declared_as=gone)
    by_hand = make_job("app.jobs.say")
    cron("sync")
    said = cron("sync", "--check")
    assert said.code == 1
    assert said.lines == [f"- dropped ({gone}): its declaration is gone, kept; --prune deletes it"]
    assert "deleted" in cron("sync", "--prune").out
    assert not Job.objects.filter(pk=job.pk).exists()
    assert Job.objects.filter(pk=by_hand.pk).exists()


def test_sync_leaves_the_jobs_of_a_broken_module_alone(declared, make_job):
    job = make_job(declared_as="app.broken.job")
    said = cron("sync", "--prune")
    assert said.code == 1
    assert "! app.broken can't be imported, so its jobs are left alone." in said.out
    assert Job.objects.filter(pk=job.pk).exists()


def test_sync_tells_of_what_is_declared_and_cannot_be_a_job(declared, monkeypatch):
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.declared_badly"])
    said = cron("sync")
    assert said.code == 1
    assert "+ last (app.declared_badly.last): added, 0 3 * * *" in said.lines
    assert "! app.declared_badly.unreadable is declared, but can't be a job; the log says why." in said.lines
    assert cron("sync").lines == [line for line in said.lines if line.startswith("!")]
    assert [each["name"] for each in cron("sync", "--json").json["refused"]] == ["unreadable", "_private"]


def test_sync_warns_of_seconds_that_seem_to_come_first(declared, monkeypatch):
    monkeypatch.setattr(discovery, "crontabs", lambda: ["app.declared_foreign"])
    for _ in range(2):
        said = cron("sync")
        assert said.code == 0
        (warning,) = [line for line in said.lines if line.startswith("!")]
        assert warning.startswith("! app.declared_foreign.often: The last of six fields names the seconds")
        assert warning.endswith("write */5 * * * *.")
    assert list(cron("sync", "--json").json["warnings"]) == ["app.declared_foreign.often"]


def test_sync_knows_modules_that_are_looked_at_by_a_call(declared):
    auto_discover("app.declared_extra")
    cron("sync")
    said = cron("sync", "--check", "--prune")
    assert (said.code, said.out) == (0, "The jobs are what the code declares.\n")


def test_sync_leaves_a_job_that_was_entered_before_it_was_declared(declared, make_job):
    make_job("app.declared.nightly")
    cron("sync")
    assert Job.objects.filter(function="app.declared.nightly").count() == 1


def test_sync_for_programs(declared, make_job):
    make_job(name="dropped", declared_as="app.declared.dropped")
    said = cron("sync", "--json", "--check").json
    assert "app.declared.nightly" in {new["function"] for new in said["new"]}
    assert [gone["name"] for gone in said["gone"]] == ["dropped"]
