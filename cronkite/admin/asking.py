"""How is a run asked for? By a request that the next tick takes: never in the web server's own process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cronkite.models import Job


@dataclass(frozen=True)
class Waiting:
    """A request that no node has taken yet: who asked, and when (UTC)."""

    asked_by: str
    asked_at: datetime


def is_possible() -> bool:
    """Whether there are requests in this version."""
    return find_spec("cronkite.requests") is not None


def ask(job: Job, by: str) -> bool:
    """Ask for a run of ``job`` for the person ``by``; return ``False`` if one was waiting already."""
    return bool(_requests().ask(job, by))


def waiting(jobs: Collection[Job]) -> dict[int, Waiting]:
    """Return the requests that wait, by the job's key."""
    rows: list[Any] = [job for job in jobs if getattr(job, "asked_at", None) is not None]
    return {row.pk: Waiting(row.asked_by, row.asked_at) for row in rows}


def _requests() -> Any:
    return import_module("cronkite.requests")
