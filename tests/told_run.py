"""A run that monitors are told of in tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cronkite.signals import Run

NOON = datetime(2026, 3, 3, 12, tzinfo=timezone.utc)
START = NOON + timedelta(seconds=2)
RUN = Run(
    job_id=7,
    job_name="send_invoices",
    function="shop.crontab.send_invoices",
    slot=NOON,
    due_at=NOON,
    attempt=1,
    fence=41,
    log_id=99,
    node="blue",
    started_at=START,
    schedule="0 12 * * *",
    timezone="Europe/Berlin",
    grace=300,
    timeout=1800,
)
