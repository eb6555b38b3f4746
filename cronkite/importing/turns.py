"""How do imports at the same moment keep from adding the same job twice? They take turns at it.

Nothing in the tables keeps two jobs from being alike, as people may want two. So who adds some first enters a row that
there can be only once, and deletes it again before all of it is committed: nobody ever sees that row, and another
import waits at it until it can see what was added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, connections, transaction
from django.db.models import Count, Max, Value

from cronkite.database import quirks
from cronkite.models import Group, Job, primary

T = TypeVar("T")

#: The row that there can be only once. No group of people's has a name with spaces.
TURN = "an import adds jobs"
#: How often a turn starts anew because the database has let something else come first.
ATTEMPTS = 10
#: How many jobs are added in a turn, so that nobody waits for many.
BATCH = 25

#: How many jobs there are, and the newest one's key; see :func:`mark`.
Mark = tuple[int, int]
#: One that there never is.
NEVER: Mark = (-1, -1)


def take(action: Callable[[], T]) -> T:
    """Do ``action`` in a transaction while no other import has its turn; return what it returns.

    It reads what others have committed until then, whatever the isolation level, but for a transaction of the caller's.
    It is done anew if the database has rolled it back in favour of something else. Raises :class:`django.db.Error`.
    """
    connection = connections[primary.alias()]
    for attempt in range(1, ATTEMPTS + 1):
        is_last = attempt == ATTEMPTS or quirks.is_borrowed(connection)
        try:
            with transaction.atomic(using=connection.alias):
                if not is_last:
                    quirks.read_latest(connection)
                rows = Group.objects.using(connection.alias)
                rows.bulk_create([Group(name=Value(TURN))])
                rows.filter(name=Value(TURN))._raw_delete(connection.alias)  # noqa: SLF001 - nothing hangs on it
                return action()
        except DatabaseError as error:
            if is_last or not quirks.is_conflict(error):
                raise
    raise AssertionError("unreachable")


def mark() -> Mark:
    """Return what differs from that of rows that were read if jobs have been added since."""
    found = Job.objects.using(primary.alias()).order_by().aggregate(count=Count("pk"), newest=Max("pk"))
    return found["count"], found["newest"] or 0


def mark_of(jobs: list[Job]) -> Mark:
    """Return the mark of all jobs, in the order of their keys."""
    return len(jobs), jobs[-1].pk if jobs else 0
