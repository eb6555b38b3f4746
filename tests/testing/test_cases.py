"""What a test has of it: pytest's fixture, and a mixin of unittest's."""

from __future__ import annotations

import sys
import unittest
from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection
from django.test import TestCase, TransactionTestCase

from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.testing import Cron, CronMixin

THREE = datetime(2026, 3, 1, 3, tzinfo=timezone.utc)


@pytest.mark.usefixtures("alone")
def test_the_fixture_does_it_all_in_the_test_s_transaction(cron: Cron, monkeypatch):
    assert connection.in_atomic_block
    # To save it, its module has to be imported, of which nobody knows what it does.
    monkeypatch.delitem(sys.modules, "app.targets", raising=False)
    job = Job.objects.create(name="add", function="app.targets.add", args=[1, 2], schedule="0 3 * * *")
    assert [log.result for log in cron.run_due(at=THREE)] == [3]
    cron.freeze(THREE)
    assert clock.now("default") == THREE
    assert cron.next_slots(job) == [THREE + timedelta(days=1)]
    cron.freeze(THREE + timedelta(days=1))
    assert [log.slot for log in cron.run_due()] == [THREE + timedelta(days=1)]
    cron.thaw()
    assert clock.now("default").year >= 2026
    cron.freeze(THREE)


def test_the_clock_goes_again_in_the_next_test(db):
    assert clock.standing is None


@pytest.mark.django_db(transaction=True)
def test_the_fixture_works_without_a_transaction(cron):
    assert not connection.in_atomic_block
    Job.objects.create(name="ok", function="app.jobs.ok", schedule="0 3 * * *")
    assert [log.status for log in cron.run_due(at=THREE)] == ["succeeded"]


class _Both:
    """What holds for each kind of test case."""

    def test_a_job_is_run(self):
        Job.objects.create(name="ok", function="app.jobs.ok", schedule="0 3 * * *")
        assert [log.status for log in self.cron.run_due(at=THREE)] == ["succeeded"]
        self.cron.freeze(THREE)

    def test_the_clock_goes_at_the_beginning(self):
        assert clock.standing is None
        assert not Log.objects.exists()


class WithinATransaction(_Both, CronMixin, TestCase):
    def test_a_job_that_the_class_has_is_run_in_each_test(self):
        for number in range(2):
            (log,) = self.cron.run_due(at=THREE + timedelta(days=number))
            assert log.missed == 0

    test_and_again = test_a_job_that_the_class_has_is_run_in_each_test

    @classmethod
    def setUpTestData(cls):
        Job.objects.create(name="of the class", function="app.jobs.ok", schedule="0 3 * * *")

    def test_a_job_is_run(self):
        Job.objects.all().delete()
        super().test_a_job_is_run()


class WithoutATransaction(_Both, CronMixin, TransactionTestCase):
    pass


def test_the_mixin_puts_the_clock_back_when_the_test_fails():
    class Failing(CronMixin):
        def test(self):
            self.cron.freeze(THREE)
            raise AssertionError

    result = unittest.TestResult()
    Failing("test").run(result)
    assert len(result.failures) == 1
    assert clock.standing is None


def test_where_the_mixin_has_nothing_yet_it_is_said_what_to_do():
    class Forgetful(CronMixin):
        def setUp(self):
            """Forget the mixin's."""

        def test(self):
            self.cron.run_due(at=THREE)

    result = unittest.TestResult()
    Forgetful("test").run(result)
    assert "its own setUp() has to call super().setUp()" in result.errors[0][1]
    with pytest.raises(AttributeError, match=r"use freeze\(\) and run_due\(\) of cronkite.testing"):
        Forgetful.cron.freeze(THREE)
