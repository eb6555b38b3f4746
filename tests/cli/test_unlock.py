"""When ``cron unlock`` asks, and what it spares."""

from __future__ import annotations

import io
import sys

import pytest
from conftest import hold
from terminals import cron

from cronkite.claims import holding
from cronkite.models import Job, Log

pytestmark = pytest.mark.usefixtures("here")
Status = Log.Status


@pytest.mark.django_db
def test_unlock_asks_first(make_job, monkeypatch):
    job = make_job(name="stuck")
    hold(job, 970)
    for answer, code in [("n\n", 1), ("\n", 1), ("", 1), ("y\n", 0)]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert Job.objects.get().lock is not None
        said = cron("unlock", "stuck")
        assert said.code == code
        assert "stuck is locked by web-9, last seen alive 16 min ago." in said.err
    assert Job.objects.get().lock is None
    log = Log.objects.get()
    assert log.status == Status.LOST
    assert log.reason.startswith("unlocked by ")
    assert "at the command line of here" in log.reason


@pytest.mark.django_db
def test_unlock_warns_if_the_run_seems_alive(make_job, monkeypatch):
    hold(make_job(), 1)
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    assert "so recent that its run most likely goes on" in cron("unlock", "ok").err


@pytest.mark.django_db
def test_unlock_without_a_question(make_job):
    hold(make_job(name="stuck"), 970)
    assert "It is unlocked" in cron("unlock", "stuck", "--yes").out
    assert cron("unlock", "stuck", "--yes").out == "stuck is not locked.\n"
    assert cron("unlock", "stuck", "--yes", "--json").json["unlocked"] is False


@pytest.mark.django_db
def test_unlock_spares_a_lock_that_is_newer(make_job, monkeypatch):
    hold(make_job(), 970)
    monkeypatch.setattr(holding, "unlock", lambda job, by: False)
    said = cron("unlock", "ok", "--yes")
    assert said.code == 1
    assert "Another run has got the lock meanwhile" in said.err
