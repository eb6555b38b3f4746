"""What these tests share: no process is started, and nothing waits."""

from __future__ import annotations

import multiprocessing.connection
import os
import select
import subprocess
import time
from datetime import datetime, timezone

import pytest

from cronkite.code import trials
from cronkite.models import Job
from cronkite.runs import here
from pytest_cronkite import cron

__all__ = ["cron"]

#: Sundays.
THREE = datetime(2026, 3, 1, 3, tzinfo=timezone.utc)


@pytest.fixture
def make(db):
    """Make a job as a project does, by the real clock."""

    def make(function="app.jobs.ok", schedule="0 3 * * *", **columns):
        columns.setdefault("name", function.rpartition(".")[2])
        with trials.untried():
            return Job.objects.create(function=function, schedule=schedule, **columns)

    return make


@pytest.fixture
def alone(monkeypatch):
    """Fail where a process is started, or anything waits."""

    def refuse(name):
        def refused(*args, **kwargs):
            raise AssertionError(f"{name}{args}")

        return refused

    for module, name in [
        (os, "fork"),
        (os, "posix_spawn"),
        (subprocess, "Popen"),
        (time, "sleep"),
        (select, "select"),
        (select, "poll"),
        (multiprocessing.connection, "wait"),
        (here, "wait"),
    ]:
        monkeypatch.setattr(module, name, refuse(name))
