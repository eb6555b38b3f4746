"""Imports at the same moment, in processes of their own."""

from __future__ import annotations

import json

import pytest
from racers import racers

from cronkite.importing import turns
from cronkite.models import Group, Job

#: Seconds until what hangs is ended, in all tests together: less than pytest gives one of them.
PATIENCE = 280
RACERS = 2
#: What libpq, and so PostgreSQL alone, is told.
STRICTLY = r"-c default_transaction_isolation=repeatable\ read"
#: More than are added in a turn.
MANY = turns.BATCH + 5


@pytest.fixture(scope="module")
def started(django_db_setup):
    """Return processes that import what they are told to."""
    # Where a transaction sees only what was committed when it began; the others' default is no looser.
    with racers(RACERS, PATIENCE, "importer.py", PGOPTIONS=STRICTLY) as started:
        yield started


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
