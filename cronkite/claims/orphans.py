"""Who records that a run is gone, of a job of which nothing comes any more?

A stale lock is cleared by the next claim of its job. Of a job that is disabled, such as a one-off, which its one claim
disables, none comes: its log would say for ever that it runs, and nobody would be told that it does not. So nodes look
for such locks whenever they show that they live, where locks are cleared at all.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError
from django.db.models import Q

from cronkite.claims import losses
from cronkite.claims.taking import mark_lost
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.models import Job, primary
from cronkite.models.queries import FREE, JobQuerySet, is_stale

logger = logging.getLogger("cronkite")

#: How the log says it.
CLEARED = "the lock was stale, no claim was to come, and {node} cleared it"


def record(node: str) -> int:
    """Clear the stale locks that no claim would clear, and mark their runs as lost; return how many that were.

    The jobs stay disabled. What another transaction has locked is left for the next time. One query, if there are none,
    and none at all without a lock timeout. Raises :class:`django.db.DatabaseError` in an outage.
    """
    if get_conf().lock_timeout is None:
        return 0
    using = primary.alias()
    found = quirks.anew(using, lambda: list(_orphans(using).values_list("pk", flat=True)))
    return sum(_clear_alone(key, node, using) for key in found)


def _orphans(using: str) -> JobQuerySet:
    # What is due at no time is found by the index of what is due.
    nothing_comes = Q(enabled=False, due_at__isnull=True)
    return Job.objects.using(using).filter(nothing_comes, is_stale())


def _clear_alone(key: int, node: str, using: str) -> bool:
    """Clear it as :func:`_clear` does; what another transaction is in the way of keeps no other from being cleared."""
    try:
        return _clear(key, node, using)
    except DatabaseError as error:
        if quirks.is_conflict(error):
            return False
        raise


def _clear(key: int, node: str, using: str) -> bool:
    lost = losses.running([key], using)
    with waits.limited(using):
        # Somebody who has the row may be just about to have the job run.
        if not losses.lock_available([key], lost, using):
            return False
        if not _orphans(using).filter(pk=key).write(**FREE):
            return False
        mark_lost(key, node, using, lost, CLEARED)
    return True
