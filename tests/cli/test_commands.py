"""What holds for each command: names that are odd, colours, and where the output goes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import make_due
from django.db import connection
from nodes import HERE, PATIENCE
from nodes import cron as run_cron
from terminals import Terminal, cron, time_of

from cronkite.database import clock
from cronkite.models import Job, Log, primary
from cronkite.nodes import ticks

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.django_db
def test_nothing_that_a_job_is_called_moves_the_cursor(make_job):
    job = make_job("app.jobs.fail", name="evil\x1b[2J\nname", due=0)
    ticks.tick(workers=0)
    for command in (("list",), ("why", str(job.pk), "03:00"), ("unlock", str(job.pk)), ("health",)):
        said = cron(*command)
        assert "\x1b" not in said.out + said.err
        assert "evil" not in said.out or "evil\\x1b[2J\\nname" in said.out


@pytest.mark.django_db
def test_at_a_terminal_there_are_colours(make_job, monkeypatch):
    make_job().run()
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in cron("list", out=Terminal()).out
    assert "\x1b[" not in cron("list", "--no-color", out=Terminal()).out


@pytest.mark.django_db(transaction=True)
def test_the_commands_work_as_real_processes(make_job):
    job = make_job(name="nightly", due=0)
    assert run_cron("--workers", "1") == ""
    assert "nightly" in run_cron("list")
    assert "succeeded" in run_cron("why", "nightly", time_of(Log.objects.get().slot))
    assert run_cron("health").startswith("CRON OK")
    make_due(job)
    run_cron("run", "nightly")
    assert Log.objects.count() == 2


# Where output goes


def ended(command, stdout, shell=()):
    """Give a command in a process of its own that has this stdout; return its code and what it wrote to stderr."""
    done = subprocess.run(
        [*shell, sys.executable, "manage.py", "cron", *command],
        cwd=HERE,
        env={**os.environ, "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"])},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stderr


#: Commands that tell in few words or in many, with their exit codes: as it is, and if that can't be told.
TELLING = pytest.mark.parametrize(
    ("command", "code", "untold"),
    [(["next", "@daily"], 0, 1), (["next", "* * * * *", "-n", "1000"], 0, 1), (["list"], 0, 1), (["health"], 2, 3)],
)


@pytest.mark.single
@pytest.mark.django_db(transaction=True)
@TELLING
def test_where_nobody_reads_any_more_nothing_is_said(command, code, untold, make_job):
    make_job()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(command, writing) == (code, "")
    finally:
        os.close(writing)


@pytest.mark.single
@pytest.mark.django_db(transaction=True)
@TELLING
def test_a_disk_that_is_full_is_told_of(command, code, untold, make_job):
    make_job()
    with open("/dev/full", "wb") as full:
        told = "CommandError: The output cannot be written: No space left on device.\n"
        assert ended(command, full) == (untold, told)


@pytest.mark.single
@pytest.mark.django_db(transaction=True)
@TELLING
def test_without_a_stdout_the_exit_code_is_all_there_is(command, code, untold, make_job):
    make_job()
    assert ended(command, None, ["sh", "-c", 'exec "$0" "$@" >&-']) == (code, "")


@pytest.mark.django_db
def test_nothing_that_is_said_moves_the_cursor(make_job):
    job = make_job(name="odd")
    log = Log.objects.create(
        job=job,
        job_name="odd",
        function=job.function,
        fence=1,
        created=clock.now(primary.alias()),
        status="strange\x1b[1m",
    )
    columns = {"function": "a\x1b[2Jb.c", "schedule": "0 3\x1b[0m * *", "timezone": "Mars\x07/X"}
    Job.objects.filter(pk=job.pk).write(**columns)
    for command in (["list"], ["why", str(job.pk)], ["why", str(job.pk), "now"], ["log", str(log.pk)], ["health"]):
        said = cron(*command)
        assert said.code in {0, 1, 2}, said.err
        text = (said.out + said.err).replace("\n", "")
        assert text.isprintable(), (command, text)
