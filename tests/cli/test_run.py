"""What ``cron run`` does and says, and how it exits."""

from __future__ import annotations

import signal

import pytest
from conftest import hold
from deadlines import in_time
from nodes import nodes, until
from terminals import cron

from cronkite.claims import verdicts
from cronkite.models import Job, Log
from cronkite.nodes import ticks

pytestmark = pytest.mark.usefixtures("here")
Status = Log.Status


@pytest.mark.django_db
def test_run_shows_the_output_and_keeps_it(make_job, capsys):
    job = make_job("app.jobs.say", name="hello", args=["hello there"])
    said = cron("run", "hello")
    assert said.code == 0
    assert capsys.readouterr().out == "hello there\n"
    assert "hello: succeeded after " in said.err
    log = Log.objects.get(job=job)
    assert (log.status, log.output, log.slot) == (Status.SUCCEEDED, "hello there\n", None)
    assert "at the command line of here" in log.reason


@pytest.mark.django_db
def test_run_of_a_job_that_fails_exits_with_1(make_job):
    make_job("app.jobs.fail")
    said = cron("run", "fail")
    assert said.code == 1
    assert "fail: failed after" in said.err
    assert said.err.strip().endswith("ValueError: it went wrong")


@pytest.mark.django_db
def test_run_of_a_job_that_is_locked_exits_with_3(make_job):
    job = make_job(name="busy")
    hold(job, 970)
    said = cron("run", "busy")
    assert said.code == 3
    assert "running on web-9" in said.err
    assert f"last seen alive 16 min ago; if it is gone, say `manage.py cron unlock {job.pk}`" in said.err


@pytest.mark.django_db
def test_run_of_what_may_not_run_exits_with_1(make_job):
    make_job("os.system", name="evil", args=["true"])
    said = cron("run", "evil")
    assert said.code == 1
    assert "cannot be run here. 'os.system' is refused" in said.err
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_run_that_cannot_get_its_lock_for_conflicts(make_job, monkeypatch):
    def conflict(*_):
        raise verdicts.Contention

    monkeypatch.setattr("cronkite.runs.runner.claim_by_hand", conflict)
    make_job(name="wanted")
    assert (cron("run", "wanted").code, cron("run", "wanted").err) == (1, "Others keep changing the job. Try again.")


@pytest.mark.django_db
def test_run_for_programs_leaves_stdout_to_the_json(make_job, capsys):
    make_job("app.jobs.say", name="hello", args=["hello there"])
    said = cron("run", "hello", "--json")
    assert (said.json["status"], said.json["output"]) == ("succeeded", "hello there\n")
    assert capsys.readouterr() == ("", "hello there\n")


@pytest.mark.django_db
def test_run_that_is_asked_for_is_left_to_a_node(make_job):
    make_job(name="later")
    assert "The next node that looks runs it." in cron("run", "later", "--ask").out
    assert "It waits already, asked for by" in cron("run", "later", "--ask").out
    assert cron("run", "later", "--ask", "--json").json["asked"] is False
    assert not Log.objects.exists()
    ticks.tick(workers=0)
    assert Log.objects.get().reason.startswith("asked for by ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_run_that_is_told_to_end_leaves_no_lock(make_job, tmp_path, number):
    begun = tmp_path / "begun"
    job = make_job("app.jobs.hang", args=[str(begun)])
    with nodes(("cron", "run", "hang")) as (each,):
        until(begun.exists)
        each.signal(number)
        assert each.wait() == 1, each.output
    assert Log.objects.get().status == Status.INTERRUPTED
    assert Job.objects.get(pk=job.pk).lock is None


@pytest.mark.django_db(transaction=True)
def test_run_shows_the_output_as_it_comes(make_job, tmp_path):
    go = tmp_path / "go"
    make_job("app.jobs.say_and_wait", args=["first", str(go)])
    with nodes(("cron", "run", "say_and_wait")) as (each,):
        with in_time(each.process):
            assert each.process.stdout.readline() == "first\n"
        go.touch()
        assert each.wait() == 0
    assert "succeeded" in each.output
