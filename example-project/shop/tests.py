"""What the shop's jobs do, and when: ``python manage.py test shop``.

No node has to tick, no process is started, and nothing waits: what is due at an instant is run in the test's own
transaction, whatever the day on which the test itself is run.
"""

import logging
from datetime import datetime, timedelta, timezone
from unittest import mock

from django.test import TestCase

from cronkite.models import Job
from cronkite.testing import CronMixin
from shop import crontab
from shop.models import Order, Product, Report

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


class ShopTests(CronMixin, TestCase):
    """The jobs are there: ``migrate`` has made them, as it does anywhere."""

    def setUp(self):
        super().setUp()
        # That the supplier is away is told as an error, each time.
        logging.disable(logging.ERROR)
        self.addCleanup(logging.disable, logging.NOTSET)
        # What the jobs only wait for.
        for pause in ("shop.crontab.time.sleep", "shop.crontab.asyncio.sleep"):
            patch = mock.patch(pause)
            patch.start()
            self.addCleanup(patch.stop)
        Product.objects.create(name="green tea", price=5)

    def run_due(self, at):
        """Return how the shop's runs of an instant have ended, by the names of the jobs."""
        logs = self.cron.run_due(at=at)
        return {log.job_name: log.status for log in logs if log.function.startswith("shop.")}

    def test_at_noon_each_job_is_due_and_the_supplier_is_away(self):
        ended = self.run_due(NOON)
        self.assertEqual(ended.pop("import_prices"), "failed")
        self.assertEqual(set(ended.values()), {"succeeded"})
        jobs = Job.objects.filter(function__startswith="shop.")
        self.assertEqual(ended.keys(), {job.name for job in jobs} - {"import_prices"})

    def test_nothing_runs_twice(self):
        self.assertTrue(self.run_due(NOON))
        self.assertEqual(self.run_due(NOON), {})

    def test_an_order_is_taken_tracked_and_reported(self):
        self.run_due(NOON)
        # The shop's own time is the real one, and a test sets it where that matters.
        Order.objects.update(ordered_at=NOON + SECOND)
        self.run_due(NOON + 2 * SECOND)
        self.assertIsNotNone(Order.objects.get(ordered_at=NOON + SECOND).delivered_at)
        self.run_due(NOON + 5 * SECOND)
        self.assertEqual([report.orders for report in Report.objects.order_by("until")], [0, 1])

    def test_each_report_is_written_however_late(self):
        self.run_due(NOON)
        self.run_due(NOON + 60 * SECOND)
        self.assertEqual(Report.objects.count(), 13)

    def test_prices_are_not_imported_late(self):
        self.run_due(NOON + 3 * SECOND)
        self.assertEqual(Product.objects.count(), 4)
        (log,) = [log for log in self.cron.run_due(at=NOON + 14 * SECOND) if log.job_name == "import_prices"]
        self.assertEqual((log.slot, log.status, log.missed), (NOON + 12 * SECOND, "succeeded", 2))

    def test_a_job_s_error_can_be_the_test_s(self):
        with self.assertRaises(crontab.SupplierIsAway):
            self.cron.run_due(at=NOON, raises=True)

    def test_parcels_are_tracked_every_other_second(self):
        slots = self.cron.next_slots(crontab.track_parcels, 3, after=NOON)
        self.assertEqual(slots, [NOON + 2 * SECOND, NOON + 4 * SECOND, NOON + 6 * SECOND])
