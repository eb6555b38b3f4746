"""What becomes of claims?"""

from __future__ import annotations

from typing import Protocol

from cronkite.claims.verdicts import Claim
from cronkite.models import Job


class Starts(Protocol):
    """Starts what was claimed: :class:`cronkite.runs.events.Runs` does, and :mod:`cronkite.nodes.dispatch`."""

    def start(self, job: Job, claim: Claim) -> None:
        """Do what the claim is for."""

    def release(self, job: Job) -> None:
        """Forget a job that was not claimed."""
