"""What a project's own tests do with its jobs: tick, run and replace them, within a transaction."""

from __future__ import annotations

from datetime import datetime, timezone
from unittest import mock

import pytest
from conftest import yearly
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import TestCase

from app import jobs, targets
from cronkite.code import calls, functions
from cronkite.database import quirks
from cronkite.models import Job, Log


class Ticking(TestCase):
    """A project's TestCase, whose transaction no other process sees."""

    def setUp(self):
        self.job = Job(name="nightly", function="app.jobs.ok", schedule=yearly())
        self.job.save()
        Job.objects.filter(pk=self.job.pk).write(next_run=datetime(2020, 1, 1, tzinfo=timezone.utc))

    def test_a_tick_with_workers_says_at_once_what_to_write_instead(self):
        for arguments in (["cron"], ["cron", "loop"], ["cron", "--workers", "2"]):
            with pytest.raises(CommandError, match=r'call_command\("cron", workers=0\)'):
                call_command(*arguments)
        assert not Log.objects.exists()

    def test_a_tick_without_workers_runs_what_is_due_within_the_transaction(self):
        call_command("cron", workers=0)
        assert Log.objects.get().status == Log.Status.SUCCEEDED
        assert connection.in_atomic_block

    def test_process_queue_does_too(self):
        Job.process_queue()
        assert Log.objects.get().status == Log.Status.SUCCEEDED

    def test_what_takes_the_function_s_place_is_called(self):
        for options in ({}, {"autospec": True}):
            with mock.patch("app.jobs.ok", return_value=3, **options) as ok:
                assert self.job.run() == 3
                Job.objects.filter(pk=self.job.pk).write(
                    next_run=datetime(2020, 1, 1, tzinfo=timezone.utc), last_slot=None
                )
                Log.objects.all().delete()
                call_command("cron", workers=0)
            assert ok.call_count == 2
            assert Log.objects.get().result == 3

    def test_a_job_can_be_entered_while_its_function_is_replaced(self):
        with mock.patch("app.jobs.ok"):
            job = Job(name="second", function="app.jobs.ok", schedule="@daily")
            job.full_clean()
            job.save()
            assert job.run() is not None


@pytest.mark.django_db(transaction=True)
def test_a_tick_with_workers_within_a_transaction_of_anybody_s_says_so():
    with transaction.atomic(), pytest.raises(CommandError, match="within a transaction"):
        call_command("cron")


@pytest.mark.django_db(transaction=True)
def test_a_tick_with_workers_on_a_database_in_memory_says_so(monkeypatch):
    monkeypatch.setattr(quirks, "is_in_memory", lambda connection: True)
    with pytest.raises(CommandError, match="in the memory of this process"):
        call_command("cron")
    call_command("cron", workers=0)


@pytest.mark.once
@pytest.mark.parametrize("options", [{}, {"autospec": True}])
@pytest.mark.parametrize("name", ["add", "add_later", "celery_task", "django_task", "report"])
def test_whatever_is_replaced_is_called_in_its_place(name, options):
    with mock.patch(f"app.targets.{name}", **options) as replaced:
        if not callable(replaced):  # a task of django.tasks is not, nor what is like it
            with pytest.raises(functions.FunctionNotAllowed, match="NonCallableMagicMock"):
                functions.resolve(f"app.targets.{name}")
            return
        function = functions.resolve(f"app.targets.{name}")
        assert function is vars(targets)[name]
        assert calls.signature_problem(function, [1], {}) is None
        calls.call(function, [1], {})
        replaced.assert_called_once_with(1)


@pytest.mark.once
def test_a_mock_in_a_module_that_may_not_run_stays_refused():
    with mock.patch("os.system"), pytest.raises(functions.FunctionNotAllowed):
        functions.resolve("os.system")
    assert jobs.ok is functions.resolve("app.jobs.ok")
