"""What ``cron health`` says to people, monitors and Prometheus."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from nodes import manage
from prometheus_client.parser import text_string_to_metric_families
from terminals import cron

from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Log, Node
from cronkite.nodes import ticks

pytestmark = pytest.mark.usefixtures("here")
Status = Log.Status


@pytest.mark.django_db(transaction=True)
def test_health_is_one_line_first_and_an_exit_code(make_job):
    said = cron("health")
    assert said.code == 2
    assert said.lines[0].startswith("CRON CRITICAL - No node has ever ticked.")
    ticks.tick(workers=0)
    make_job()
    said = cron("health")
    assert said.code == 0
    assert said.lines[0].startswith("CRON OK - 1 job, 1 enabled, 0 running. The last tick was ")
    assert " | silent=" in said.lines[0]
    assert said.lines[1].split() == ["NODE", "TICKED", "CLOCK", "KIND"]
    assert said.lines[2].startswith("here ")


@pytest.mark.django_db(transaction=True)
def test_health_takes_limits(make_job):
    ticks.tick(workers=0)
    job = make_job("app.jobs.fail", name="a | b")
    holding.finish(claiming.claim_by_hand(job, "x"), Outcome(Status.FAILED))
    said = cron("health")
    assert (said.code, said.lines[1]) == (1, "WARNING: 1 job fails: a / b (at its last run).")
    assert said.lines[0].count("|") == 1
    assert cron("health", "--failing", "1", "1").code == 2
    assert cron("health", "--failing", "never", "never").code == 0
    assert cron("health", "--failing", "2", "3", "--nodes", "2").lines[1] == "WARNING: Only 1 of 2 nodes tick."
    assert cron("health", "--silent", "x", "2").code == 1  # an error of the arguments, as call_command() has it
    for nonsense in ("x", "-1", "nan", "90000"):
        assert "a number of seconds from 0 to 86400" in cron("health", "--brief", nonsense).err


@pytest.mark.django_db(transaction=True)
def test_health_of_this_node_has_nothing_to_do_with_jobs_nor_with_other_nodes(make_job):
    now = clock.now("default")
    Node.objects.create(name="other", ticked_at=now, started_at=now)
    said = cron("health", "--here")
    assert (said.code, said.lines) == (2, ["CRON CRITICAL - Node here has not ticked yet."])
    ticks.tick(workers=0)
    job = make_job("app.jobs.fail", schedule="* * * * *", due=9000)
    for _ in range(3):
        holding.finish(claiming.claim_by_hand(job, "x"), Outcome(Status.FAILED))
    assert cron("health").code == 2
    said = cron("health", "--here")
    assert said.code == 0
    assert said.lines[0].startswith("CRON OK - Node here ticked ")
    assert (cron("health", "--here", "--json").json["level"], len(said.lines)) == ("OK", 1)
    # It hangs, say, while the other ticks.
    for ago, code in ((200, 1), (400, 2)):
        Node.objects.filter(name="here").update(ticked_at=clock.Now() - timedelta(seconds=ago))
        assert cron("health", "--here").code == code
        assert cron("health", "--here", "--silent", "500", "500").code == 0
    Node.objects.filter(name="here").update(ticked_at=clock.Now(), stopped_at=clock.Now())
    assert "Node here was stopped" in cron("health", "--here").lines[0]
    assert cron("health", "--here").code == 2


@pytest.mark.django_db(transaction=True)
def test_health_shows_few_of_many_nodes():
    now = clock.now("default")
    Node.objects.create(name="a", ticked_at=now, started_at=now, stopped_at=now)
    Node.objects.bulk_create(Node(name=f"node {number}", ticked_at=now, started_at=now) for number in range(40))
    said = cron("health")
    assert said.lines[-1] == "and 21 more nodes"
    assert "then stopped" in said.lines[2]
    assert len(said.lines) == 1 + 1 + 20 + 1


@pytest.mark.django_db(transaction=True)
def test_health_for_programs():
    ticks.tick(workers=0)
    said = cron("health", "--json").json
    assert (said["level"], said["findings"], said["nodes"][0]["name"]) == ("OK", [], "here")


@pytest.mark.django_db(transaction=True)
def test_health_for_prometheus(make_job):
    ticks.tick(workers=0)
    job = make_job("app.jobs.fail", name='the "worst"\n\x1bone')
    for code, level in ((1, 1), (1, 1), (2, 2)):
        holding.finish(claiming.claim_by_hand(job, "x"), Outcome(Status.FAILED))
        said = cron("health", "--format", "prometheus")
        families = {family.name: family for family in text_string_to_metric_families(said.out)}
        assert (said.code, families["cronkite_health_level"].samples[0].value) == (code, level)
    (sample,) = families["cronkite_job_failures"].samples
    assert (sample.labels["job_name"], sample.value) == ('the "worst"\n\\x1bone', 3)
    assert cron("health", "--format", "prometheus", "--failing", "never", "never").code == 0
    assert cron("health", "--format", "json").json["level"] == cron("health", "--json").json["level"] == "CRITICAL"
    assert cron("health", "--format", "text").out.startswith("CRON CRITICAL")


@pytest.mark.django_db(transaction=True)
def test_health_for_prometheus_is_of_all_nodes_or_says_why_not():
    said = cron("health", "--here", "--format", "prometheus")
    assert (said.code, said.out) == (3, "")
    assert "--here in text and json" in said.err


def test_health_of_a_database_that_does_not_answer_is_unknown(tmp_path):
    done = manage("cron", "health", "--format", "prometheus", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    (family,) = text_string_to_metric_families(done.stdout)
    assert (done.returncode, family.name, family.samples[0].value) == (3, "cronkite_health_level", 3)
    assert "The database says: " in done.stderr
    done = manage("cron", "health", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert done.returncode == 3
    assert done.stdout.startswith("CRON UNKNOWN - The database says: ")
    done = manage("cron", "health", "--json", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert (done.returncode, json.loads(done.stdout)["level"]) == (3, "UNKNOWN")
