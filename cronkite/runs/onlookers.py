"""Who looks at a run while it goes on, and what has it written until now?

Whoever looks at a run leaves a mark on its log. The node asks for marks every few seconds while it has runs, and writes
what those have written that somebody looks at. A run that nobody looks at costs nothing but that question.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.db.models import Q

from cronkite.claims.verdicts import Claim
from cronkite.database import quirks, waits
from cronkite.database.clock import Now
from cronkite.models import Log, logs
from cronkite.models.primary import alias as database

#: How often (seconds) it is asked who looks at a run.
EVERY = 5.0
#: For how long a mark counts. Pages that refresh themselves leave one at least as often, unless they are slow.
LASTS = timedelta(minutes=1)
#: How old a mark is before another one is left.
FRESH = timedelta(seconds=15)


def look(log: Log) -> None:
    """Leave a mark that somebody looks at ``log``, if its run goes on. Where that can't be done, it is not."""
    if log.status != Log.Status.RUNNING:
        return
    try:
        unseen = Q(watched_at__isnull=True) | Q(watched_at__lt=Now() - FRESH)
        _write(log.pk, unseen, watched_at=Now())
    except DatabaseError:
        # Such as a page's connection that may only read. What there is to see is seen all the same.
        return


def watched(claims: Sequence[Claim]) -> list[Claim]:
    """Return those of the runs that somebody looks at. One query. Raises :class:`django.db.DatabaseError`."""
    if not claims:
        return []
    using = database()
    logs = Log.objects.using(using).filter(pk__in=[claim.log_id for claim in claims], watched_at__gt=Now() - LASTS)
    looked_at = quirks.anew(using, lambda: set(logs.order_by().values_list("pk", flat=True)))
    return [claim for claim in claims if claim.log_id in looked_at]


def show(claim: Claim, output: str) -> None:
    """Write what the run has written until now, if it goes on; raises :class:`django.db.DatabaseError` in an outage.

    What somebody else has locked is left as it is: there is a next time.
    """
    try:
        of_run = logs.is_of_run(claim.job_id, claim.fence)
        quirks.anew(database(), lambda: _write(claim.log_id, of_run, output=output))
    except DatabaseError as error:
        if not quirks.is_conflict(error):
            raise


def _write(key: int, *conditions: Q, **values: Any) -> None:
    """Write into the log of a run that goes on, if no other transaction has locked it."""
    using = database()
    with waits.limited(using):
        if waits.lock_available(Log, [key], using):
            running = Log.objects.using(using).filter(*conditions, pk=key, status=Log.Status.RUNNING)
            running.update(**values)
