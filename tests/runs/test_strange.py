"""What a job raises or returns may be of any class, and do anything when it is looked into."""

from __future__ import annotations

import logging
import traceback

import pytest
from nodes import cron as node
from terminals import cron

from app import strange
from cronkite.models import Job, Log
from cronkite.runs import runner

Status = Log.Status
ERRORS = sorted(strange.ERRORS)
#: Python itself can't write their tracebacks; that of Neither, 3.13.5 can and 3.13.0 can't, and it is asked below.
UNTRACEABLE = {"Closed"}
RESULTS = {"shy": "<Shy whose repr raised SystemExit>", "lazy": "Lazy"}


def untraceable():
    try:
        traceback.format_exception(strange.Neither())
    except ValueError:
        return UNTRACEABLE | {"Neither"}
    return UNTRACEABLE


@pytest.mark.django_db
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_that_is_like_no_other_is_the_end_of_its_run_and_of_nothing_else(make_job, name, caplog):
    job = make_job("app.strange.fail", args=[name])
    with pytest.raises(strange.ERRORS[name]):
        job.run()
    log = Log.objects.get()
    assert (log.status, log.output) == (Status.FAILED, "before it failed\n")
    assert name in log.exc_info
    assert "in fail" in log.exc_info
    job.refresh_from_db()
    assert not job.is_locked
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ": failed." in told.getMessage()
    assert told.exc_info is None if name in untraceable() else told.exc_info[0] is strange.ERRORS[name]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ERRORS)
def test_a_command_tells_of_it(make_job, name):
    make_job("app.strange.fail", name="odd", args=[name])
    said = cron("run", "odd")
    assert said.code == 1
    assert f" (log {Log.objects.get().pk})." in said.err
    assert "odd: failed after " in said.err


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_node_records_it_and_goes_on(make_job, workers):
    for name in ERRORS:
        make_job("app.strange.fail", name=name, args=[name], due=0)
    for name in RESULTS:
        make_job("app.strange.give", name=name, args=[name], due=0)
    make_job("app.jobs.ok", name="plain", due=0)
    node("--workers", workers)
    found = dict(Log.objects.values_list("job_name", "status"))
    assert found == dict.fromkeys(ERRORS, Status.FAILED) | dict.fromkeys([*RESULTS, "plain"], Status.SUCCEEDED)
    assert all(name in log.exc_info for name in ERRORS for log in Log.objects.filter(job_name=name))
    assert not Job.objects.exclude(lock=None).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_cannot_be_shown_is_one(make_job, name):
    make_job("app.strange.give", args=[name]).run()
    log = Log.objects.get()
    assert log.status == Status.SUCCEEDED
    assert RESULTS[name] in log.result


def test_the_word_to_end_is_not_looked_for_for_ever():
    assert runner._told_to_end(strange.Endless()) is None
