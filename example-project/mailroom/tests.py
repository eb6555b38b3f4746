"""What the mail room hands over to its engine: ``SHOP_ENGINE=1 python manage.py test mailroom``."""

import logging
from datetime import datetime, timedelta, timezone
from unittest import mock

from django.test import TestCase
from django_tasks_db.models import DBTaskResult

from cronkite.testing import CronMixin

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


class MailRoomTests(CronMixin, TestCase):
    """Nobody takes the tasks from the queue but the test."""

    def setUp(self):
        super().setUp()
        logging.disable(logging.ERROR)
        self.addCleanup(logging.disable, logging.NOTSET)

    def mail(self, at):
        """Return the logs of what is handed over at an instant, by the names of the jobs."""
        with mock.patch("shop.crontab.time.sleep"), mock.patch("shop.crontab.asyncio.sleep"):
            logs = self.cron.run_due(at=at)
        return {log.job_name: log for log in logs if log.function.startswith("mailroom.")}

    def test_each_job_is_handed_over_once(self):
        self.assertEqual({log.status for log in self.mail(NOON).values()}, {"handed_over"})
        self.assertEqual(self.mail(NOON), {})
        self.assertEqual(DBTaskResult.objects.count(), 3)

    def test_a_log_follows_its_task(self):
        log = self.mail(NOON)["send_invoices"]
        DBTaskResult.objects.get(id=log.task_id).set_successful("sent")
        self.mail(NOON + timedelta(minutes=1))
        log.refresh_from_db()
        self.assertEqual((log.status, log.result), ("succeeded", "sent"))

    def test_parcels_wait_for_those_that_are_being_packed(self):
        self.assertIn("pack_parcels", self.mail(NOON))
        self.assertNotIn("pack_parcels", self.mail(NOON + timedelta(seconds=2)))
