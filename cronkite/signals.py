"""What is told to whoever listens, of what happens to jobs?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.dispatch import Signal

run_started = Signal()
run_finished = Signal()
slots_missed = Signal()


@dataclass(frozen=True)
class Run:
    """A run, as receivers of signals are told of it; instants are UTC, durations seconds."""

    job_id: int
    job_name: str
    function: str
    slot: datetime | None
    due_at: datetime | None
    attempt: int
    fence: int
    log_id: int
    node: str
    started_at: datetime | None
    schedule: str
    timezone: str
    grace: int | None
    timeout: int | None
