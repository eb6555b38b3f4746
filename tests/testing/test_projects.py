"""A project that knows nothing of this suite has its jobs tested: by pytest, over processes, and by unittest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as own_settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = """
import os

from databases import parse_url

SECRET_KEY = "a stranger's"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "shop", "cronkite"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
if "STRANGER_DATABASE" in os.environ:
    name, server = os.environ["STRANGER_DATABASE"], parse_url(os.environ["DATABASE_URL"])
    DATABASES = {"default": {**server, "NAME": name, "TEST": {**server["TEST"], "NAME": f"test_{name}"}}}
if "WITHOUT_MIGRATIONS" in os.environ:
    MIGRATION_MODULES = {"cronkite": None, "auth": None, "contenttypes": None}
"""
CRONTAB = """
from django.contrib.auth.models import Group

import cronkite


@cronkite.cron("0 3 * * *", timezone="Europe/Berlin")
def bill():
    Group.objects.create(name=f"billed {cronkite.current_run().slot:%Y-%m-%d %H:%M}")


@cronkite.cron("0 4 * * *", retries=1, retry_delay=60)
async def fail():
    await Group.objects.acreate(name=f"attempt {cronkite.current_run().attempt}")
    raise LookupError("no such customer")
"""
COMMON = """
from datetime import datetime, timedelta, timezone

from django.contrib.auth.models import Group

from cronkite.models import Job

TWO = datetime(2026, 3, 1, 2, tzinfo=timezone.utc)
FOUR = datetime(2026, 3, 1, 4, tzinfo=timezone.utc)


def bill(cron):
    assert {job.name for job in Job.objects.all()} == {"bill", "fail"}
    assert [log.status for log in cron.run_due(at=TWO)] == ["succeeded"]
    assert cron.run_due(at=TWO) == []
    assert [group.name for group in Group.objects.all()] == ["billed 2026-03-01 02:00"]


def fail(cron):
    assert [(log.status, log.attempt) for log in cron.run_due(at=FOUR)] == [("failed", 1)]
    assert [(log.status, log.attempt) for log in cron.run_due(at=FOUR + timedelta(minutes=1))] == [("failed", 2)]
    assert {group.name for group in Group.objects.all()} == {"attempt 1", "attempt 2"}
"""
BY_PYTEST = """
import pytest

import common


@pytest.mark.parametrize("number", range(3))
def test_bill(cron, number):
    common.bill(cron)


@pytest.mark.parametrize("number", range(2))
@pytest.mark.django_db(transaction=True)
def test_bill_without_a_transaction(cron, number):
    common.bill(cron)


def test_fail(cron):
    common.fail(cron)


def test_fail_without_a_transaction(transactional_db, cron):
    common.fail(cron)


def test_raises(cron):
    with pytest.raises(LookupError, match="no such customer"):
        cron.run_due(at=common.FOUR, raises=True)
"""
BY_UNITTEST = """
from django.test import TestCase, TransactionTestCase

import common
from cronkite.testing import CronMixin


class Both(CronMixin):
    def test_bill(self):
        common.bill(self.cron)

    def test_fail(self):
        common.fail(self.cron)


class WithinATransaction(Both, TestCase):
    pass


class WithoutATransaction(Both, TransactionTestCase):
    pass


del Both
"""


@pytest.fixture
def run(tmp_path):
    """Make the project, and return what runs a module in it; the tests are as many as are told to have passed."""
    for name, text in {
        "settings_of_strangers.py": SETTINGS,
        "shop/__init__.py": "",
        "shop/crontab.py": CRONTAB,
        "common.py": COMMON,
        "test_by_pytest.py": BY_PYTEST,
        "test_by_unittest.py": BY_UNITTEST,
        "pytest.ini": "[pytest]\nfilterwarnings = error\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    # Where this is tested as it is installed, it is not the checkout that is meant.
    homes = [tmp_path, ROOT / "tests", *([] if "CRONKITE_TEST_INSTALLED" in os.environ else [ROOT])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, homes)),
        "DJANGO_SETTINGS_MODULE": "settings_of_strangers",
    }
    if connection.vendor != "sqlite":
        environment["STRANGER_DATABASE"] = f"{own_settings.DATABASES['default']['NAME']}_stranger"[-40:]

    def run(*arguments, **more):
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env={**{name: value for name, value in environment.items() if not name.startswith("PYTEST_")}, **more},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


PYTEST = ("pytest", "-q", "-p", "pytest_cronkite", "-p", "no:cacheprovider")


def test_by_pytest_over_two_processes(run):
    assert "12 passed" in run(*PYTEST, "-n", "2")


def test_by_pytest_without_migrations(run):
    assert "12 passed" in run(*PYTEST, "--nomigrations")


def test_by_unittest(run):
    assert "Ran 4 tests" in run("django", "test", "test_by_unittest")


def test_by_unittest_without_migrations(run):
    assert "Ran 4 tests" in run("django", "test", "test_by_unittest", WITHOUT_MIGRATIONS="1")


@pytest.mark.once
def test_who_does_not_ask_for_the_fixture_pays_nothing(run, tmp_path):
    (tmp_path / "test_by_pytest.py").unlink()
    (tmp_path / "test_by_unittest.py").unlink()
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\n\n"
        "def test_plain(request):\n"
        "    assert request.config.pluginmanager.has_plugin('pytest_cronkite')\n"
        "    assert not {'cronkite', 'django', 'croniter'} & {name.partition('.')[0] for name in sys.modules}\n"
    )
    assert "1 passed" in run(*PYTEST, "-p", "no:django")
