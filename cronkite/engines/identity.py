"""Which id does a task have that is handed over for a slot? Always the same."""

from __future__ import annotations

from uuid import UUID

from django.utils.crypto import salted_hmac

from cronkite.claims.verdicts import Claim


def of(claim: Claim) -> str:
    """Return the id of the task for the slot of ``claim``: a UUID as a text.

    It is made of the job's key and the slot, and of the project's secret key, as projects may share a broker. A run
    that was asked for has no slot, but a fencing token of its own.
    """
    when = f"slot {claim.slot.isoformat()}" if claim.slot else f"claim {claim.fence}"
    digest = salted_hmac("cronkite.task", f"{claim.job_id} {when}", algorithm="sha256").digest()
    return str(UUID(bytes=digest[:16], version=4))
