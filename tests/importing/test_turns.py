"""Imports at the same moment, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import connection

from cronkite.importing import turns
from cronkite.models import Group, Job

HERE = Path(__file__).parent.parent
#: Seconds until what hangs is ended.
PATIENCE = 60
RACERS = 2
#: What libpq, and so PostgreSQL alone, is told.
STRICTLY = r"-c default_transaction_isolation=repeatable\ read"
#: More than are added in a turn.
MANY = turns.BATCH + 5


class Importer:
    """A process that imports what it is told to."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "importer.py")],
            cwd=HERE,
            # Where a transaction sees only what was committed when it began; the others' default is no looser.
            env={**os.environ, "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"]), "PGOPTIONS": STRICTLY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline().strip()

    def end(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture(scope="module")
def started(django_db_setup):
    """Return processes that are ready; they are ended at the end, or when patience is, so that no wait lasts longer."""
    started = []
    deadline = threading.Timer(PATIENCE, lambda: [each.process.kill() for each in started])
    deadline.start()
    try:
        started.extend(Importer() for _ in range(RACERS))
        assert [each.hear() for each in started] == ["ready"] * RACERS
        yield started
    finally:
        deadline.cancel()
        for each in started:
            each.end()


def race(started, *words):
    """Have all of them import the same at once, when each has seen what is here."""
    for word, answer in ((" ".join(words), "looked"), ("go", "done")):
        for each in started:
            each.say(word)
        assert [each.hear() for each in started] == [answer] * RACERS


@pytest.fixture
def crontab(tmp_path):
    path = tmp_path / "crontab"
    path.write_text("".join(f"{number} 3 * * * ./manage.py clearsessions\n" for number in range(MANY)))
    return str(path)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "jobs.json"
    jobs = [{"name": f"job {n}", "function": "app.jobs.ok", "schedule": "0 3 * * *"} for n in range(MANY)]
    path.write_text(json.dumps({"cronkite": 1, "groups": [{"name": "g", "max_running": 2}], "jobs": jobs}))
    return str(path)


@pytest.mark.django_db(transaction=True)
def test_imports_at_the_same_moment_add_each_job_once(started, crontab, export):
    race(started, "crontab", crontab)
    assert len({job.name for job in Job.objects.all()}) == Job.objects.count() == MANY
    Job.objects.all().delete()
    race(started, "exported", export)
    assert len({job.name for job in Job.objects.all()}) == Job.objects.count() == MANY
    assert [group.name for group in Group.objects.all()] == ["g"]


@pytest.mark.django_db(transaction=True)
def test_without_turns_they_add_each_job_twice(started, crontab):
    race(started, "crontab", crontab, "unprotected")
    assert Job.objects.count() == MANY * RACERS
