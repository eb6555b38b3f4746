"""Who looks at a run while it goes on, and what has it written until now?

Whoever looks at a run leaves a mark on its log. The node asks for marks every few seconds while it has runs, and writes
what those have written that somebody looks at. A run that nobody looks at costs nothing but that question.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import DatabaseError, connections
from django.db.models import Q, QuerySet

from cronkite import databases, waits
from cronkite.clock import Now
from cronkite.locks import Claim, database
from cronkite.models import Log
from cronkite.outcomes import ascii_only

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
    using = database()
    old = Q(watched_at__isnull=True) | Q(watched_at__lt=Now() - FRESH)
    try:
        with waits.limited(using):
            if waits.lock_available(Log, [log.pk], using):
                _running(using, log.pk).filter(old).update(watched_at=Now())
    except DatabaseError:
        # Such as a page's connection that may only read. What there is to see is seen all the same.
        return


def watched(claims: Sequence[Claim]) -> list[Claim]:
    """Return those of the runs that somebody looks at. One query."""
    if not claims:
        return []
    using = database()
    logs = Log.objects.using(using).filter(pk__in=[claim.log_id for claim in claims], watched_at__gt=Now() - LASTS)
    looked_at = set(logs.order_by().values_list("pk", flat=True))
    return [claim for claim in claims if claim.log_id in looked_at]


def show(claim: Claim, output: str) -> None:
    """Write what the run has written until now, if it goes on; raises :class:`django.db.DatabaseError` in an outage.

    What somebody else has locked is left as it is: there is a next time.
    """
    using = database()
    try:
        _show(claim, output, using)
    except DatabaseError as error:
        connection = connections[using]
        if databases.is_conflict(error):
            return
        # What the column's character set can't hold is written in other words, as at the end of a run.
        plain = ascii_only(output)
        if plain == output or connection.connection is None or not connection.is_usable():
            raise
        _show(claim, plain, using)


def _show(claim: Claim, output: str, using: str) -> None:
    with waits.limited(using):
        if waits.lock_available(Log, [claim.log_id], using):
            _running(using, claim.log_id).update(output=output)


def _running(using: str, key: int) -> QuerySet[Log]:
    return Log.objects.using(using).filter(pk=key, status=Log.Status.RUNNING)
