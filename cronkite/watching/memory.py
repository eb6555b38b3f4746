"""What has been seen and told, and who has the right to tell? Rows of the table of alerts say it.

Each thing that is wrong has a row. Each step is one conditional UPDATE, as a slot is claimed, whose row count is the
verdict; so however many nodes look, one tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Q

from cronkite import conf
from cronkite.database import quirks
from cronkite.database.clock import Now
from cronkite.models import Alert, told
from cronkite.models.alerts import AlertQuerySet
from cronkite.watching.troubles import Wrong

T = TypeVar("T")

#: The row of the turn to look, and how often it comes.
TURN, EVERY = "turn", timedelta(seconds=50)
#: For how long one may take to tell before another does so; twice that the next time, and so on.
LEASE = timedelta(minutes=5)
#: For how long a thing is well until it is forgotten that it was wrong; and how long it is kept back at most that it is
#: wrong again.
REST = timedelta(hours=1)
#: Of how many something is written in one transaction: after an outage, all jobs may be wrong at once.
CHUNK = 200


def is_our_turn(using: str) -> bool:
    alerts = Alert.objects.using(using)
    # One that is further away was planned by a clock which has been set back since.
    has_come = Q(try_at__lte=Now()) | Q(try_at__gt=Now() + 2 * EVERY)
    try:
        is_ours = alerts.filter(has_come, about=TURN).update(try_at=Now() + EVERY)
    except DatabaseError as error:
        if not quirks.is_conflict(error):
            raise
        # Another node was first, and the isolation level does not let us see that.
        return False
    if is_ours:
        return True
    if alerts.filter(about=TURN).exists():
        return False
    return _insert(Alert(about=TURN, since=Now(), try_at=Now() + EVERY), using)


def _insert(row: Alert, using: str) -> bool:
    try:
        with transaction.atomic(using=using):
            row.save(using=using, force_insert=True)
    except IntegrityError:
        # Another node was first.
        return False
    return True


def begin(new: Mapping[str, Wrong], using: str) -> None:
    """Note what is wrong that was not noted yet; where another node was first, that is as good."""
    for about, wrong in new.items():
        # Whoever makes the row tells by the signal, too.
        if wrong.node is not None and _insert(_row(about, wrong), using):
            told.silent(wrong.node)
    rows = [_row(about, wrong) for about, wrong in sorted(new.items()) if wrong.node is None]
    with quirks.reading_latest(using):
        Alert.objects.using(using).bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)


def _row(about: str, wrong: Wrong) -> Alert:
    return Alert(about=about, name=wrong.name, since=Now(), try_at=Now())


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield some of the items, as long as there are any; what is written of them is one transaction.

    They come in the order of what they are about, so that two nodes don't wait for each other.
    """
    left = iter(items)
    while some := list(islice(left, CHUNK)):
        yield some


def _is_left() -> Q:
    """Return the condition that nobody is just telling it: then it is the next look's."""
    return Q(attempts=0) | Q(try_at__isnull=True) | Q(try_at__lte=Now())


def go_on(row: Alert, wrong: Wrong, using: str) -> None:
    """Note that it is still wrong; or again, where it was over."""
    if row.over_at is None:
        return
    rows = Alert.objects.using(using).filter(_is_left(), pk=row.pk, over_at=row.over_at, attempts=row.attempts)
    if row.try_at is None and row.told_at is not None:
        # People know that it was over, and are told again; later, if it comes and goes.
        lasted = row.told_at - row.since
        again = row.told_at + (min(lasted, REST) if lasted > EVERY else timedelta(0))
        is_noted = rows.filter(try_at__isnull=True).update(over_at=None, try_at=again)
    else:
        # They still think that it is wrong.
        is_noted = rows.update(over_at=None, try_at=None, attempts=0)
    if is_noted and wrong.node is not None:
        told.silent(wrong.node)


def end(row: Alert, *, is_well: bool, using: str) -> None:
    """Note that it is over. Where nobody knows of it, or nobody can tell that all is well, it is forgotten."""
    rows = Alert.objects.using(using).filter(pk=row.pk, over_at__isnull=True)
    known = rows.filter(told_at__isnull=False)
    if is_well and known.filter(try_at__isnull=True).update(over_at=Now(), try_at=Now(), attempts=0):
        return
    if is_well and known.filter(_is_left()).update(over_at=Now(), try_at=None, attempts=0):
        # It came and went before people were told again.
        return
    rows.filter(_is_left(), **({"told_at__isnull": True} if is_well else {})).delete()


def forget(using: str) -> None:
    """Forget what has been well for a while, and people know; or nobody is to know any more."""
    over = Alert.objects.using(using).filter(over_at__lt=Now() - REST)
    (over.filter(try_at__isnull=True) if conf.get().alert else over).delete()


def claim(rows: Sequence[Alert], using: str) -> set[int]:
    """Take the right to tell people of ``rows``, as they were read; return the keys of those no other has taken."""
    ours: set[int] = set()
    # Of each for itself: a number for many would not tell which.
    for some in chunks([(row, _claimable(row, using)) for row in rows]):
        with transaction.atomic(using=using):
            won = [row.pk for row, rights in some if rights.update(**_lease(row))]
        ours |= {*won}
    return ours


def _lease(row: Alert) -> dict[str, Any]:
    return {"try_at": Now() + LEASE * 2**row.attempts, "attempts": row.attempts + 1}


def _claimable(row: Alert, using: str) -> AlertQuerySet:
    """Return the query for ``row``, if people are still to be told, and nobody is just telling: the condition."""
    return Alert.objects.using(using).filter(
        pk=row.pk, attempts=row.attempts, over_at__isnull=row.over_at is None, try_at__lte=Now()
    )


def settle(row: Alert, using: str) -> None:
    """Note that people know of ``row``, which was claimed as it was read; unless another has claimed it since."""
    rows = Alert.objects.using(using).filter(pk=row.pk, attempts=row.attempts + 1, over_at=row.over_at)
    rows.update(told_at=Now(), try_at=None, attempts=0)
