"""When is a slot tried again, and by what is that known?

The job's row says so: which slot, as which attempt, and when. Whoever claims that takes it out of the row, as part of
the claim, and the log has UNIQUE (job, slot, attempt): promise P1 holds for each attempt. Whoever claims the next slot
takes it out, too, unless slots wait for retries.

Of a job that may run twice, the claim already says when to try again: when its lock may be stale. While the run lives
it is not, and its end takes that out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Case, DateTimeField, Q, Value, When
from django.db.models.expressions import Combinable

from cronkite.claims.verdicts import Retry
from cronkite.conf import get as get_conf
from cronkite.database.clock import Now
from cronkite.models import Job
from cronkite.models.queries import NO_RETRY, may_retry
from cronkite.models.ways import OnLost, RetryUntil

#: The columns, where nothing is to be tried again.
NONE = NO_RETRY
#: The longest delay (seconds): a month.
LONGEST = 31 * 24 * 3600


def after(job: Job, attempt: int) -> Retry | None:
    """Return what is to become of the slot of ``job`` if this attempt fails; ``None``: nothing."""
    if attempt > job.retries:
        return None
    delay = (job.retry_delay or 0) * 2 ** (attempt - 1)
    return Retry(min(delay, LONGEST), job.retries + 1, job.on_lost == OnLost.RETRY)


def planned(delay: int) -> Combinable:
    """Return, for a job's UPDATE, when to try again after so many seconds, or null if the next slot comes before.

    And null if the job was disabled meanwhile, unless it is a one-off, which its claim has disabled.
    """
    at = Now() + timedelta(seconds=delay)
    is_before = Q(next_run__isnull=True) | Q(next_run__gt=at) | Q(retry_until=RetryUntil.LAST_RETRY)
    return Case(When(may_retry() & is_before, then=at), default=Value(None), output_field=DateTimeField())


def if_lost(slot: Any, attempt: Any) -> dict[str, Any]:
    """Return, for a claim's UPDATE, what becomes of the retry: none, or this slot's if the job may run twice."""
    timeout = get_conf().lock_timeout or timedelta(0)
    may = Q(on_lost=OnLost.RETRY, retries__gte=attempt)
    return {
        "retry_at": Case(When(may, then=Now() + timeout), default=Value(None), output_field=DateTimeField()),
        "retry_slot": Case(When(may, then=slot), default=Value(None), output_field=DateTimeField()),
        "retry_attempt": Case(When(may, then=attempt + 1), default=Value(None)),
    }


def is_none_first() -> Q:
    """Return the condition that a slot need not wait for a retry."""
    return Q(retry_at__isnull=True) | Q(retry_until=RetryUntil.NEXT_SLOT)
