"""How is it that no more jobs of a group run at a time than it lets?

A group has as many seats as jobs may run. A claim takes one with the lock, in the same UPDATE, and whatever frees the
lock frees it. UNIQUE (group, seat) would turn a second claim of a seat into an error.

Who takes a seat locks the group's row first, and reads only then which seats are taken. So of two claims one comes
after the other, and reads what that has committed. No claim waits for a group whose row another transaction has locked,
where the database can skip it.

A run that shows no life keeps its seat for as long as its lock. When that is stale, and no seat is free, the next claim
clears it, and the run is marked ``lost``, as if its own job had been taken over: if it lives after all, it is ended.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.models import F

from cronkite.claims import losses
from cronkite.code.groups import DEFAULT_RUNNING
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.models import Group, Job, Log, primary
from cronkite.models.queries import FREE, is_free

logger = logging.getLogger("cronkite")

PLACE_TAKEN = "the lock was stale and {node} took its place in the group"
#: What databases say, in an error, of the constraint that a second claim of a seat comes to.
CONSTRAINT = ("cronkite_job_one_per_seat", "cronkite_job.seated_in, cronkite_job.seat")


class Seat(NamedTuple):
    """A seat: the key of its group's row, and which one it is, from 1."""

    group: int
    number: int

    @property
    def columns(self) -> dict[str, int]:
        """Return what the row of the job says whose run has it."""
        return {"seated_in": self.group, "seat": self.number}


def groups_of(jobs: Collection[Job], using: str) -> dict[str, int]:
    """Return the groups of the jobs: the keys of their rows, by name.

    Before the transaction of the claim, in which nothing is to be read before the group's row is locked. A group that
    has no row gets one here; it is left out if another transaction has made one that is not committed.
    """
    names = {job.group for job in jobs if job.group}
    if not names:
        return {}
    rows = Group.objects.using(using)
    found = dict(rows.filter(name__in=names).values_list("name", "pk"))
    if missing := names - found.keys():
        for name in sorted(missing):
            _make(name, using)
        found |= dict(rows.filter(name__in=missing).values_list("name", "pk"))
    return found


def free(groups: Mapping[str, int], node: str, using: str) -> dict[str, list[Seat]]:
    """Return the free seats of these groups, by name, of which nobody else takes any before the transaction ends.

    A group whose row another transaction has locked, or that was just deleted, has none.
    """
    if not groups:
        return {}
    rows = Group.objects.using(using).filter(pk__in=groups.values()).order_by("pk")
    if waits.skips(connections[using]):
        rows = waits.available(rows)
    else:
        # Where rows can't be locked so, who writes first keeps others from writing.
        rows.update(max_running=F("max_running"))
    most = dict(rows.values_list("pk", "max_running"))
    return {name: _free(key, most[key], node, using) for name, key in groups.items() if key in most}


def full(jobs: Collection[Job]) -> set[str]:
    """Return the names of those groups of the jobs that have no room now. Raises :class:`django.db.DatabaseError`."""
    names = {job.group for job in jobs if job.group}
    if not names:
        return set()
    using = primary.alias()
    found = Job.objects.using(using).full_groups().filter(name__in=names).values_list("name", flat=True)
    return quirks.anew(using, lambda: set(found))


def is_taken(error: DatabaseError) -> bool:
    """Tell whether ``error`` says that a seat was taken which seemed to be free."""
    return any(words in str(error) for words in CONSTRAINT)


def _make(name: str, using: str) -> None:
    """Give the group a row, unless another transaction has done so, and may yet take it back: nobody waits for that.

    Each group for itself, as one that can't have its row now is in no other's way.
    """
    rows = Group.objects.using(using)
    try:
        # MySQL and MariaDB can't be told to wait for less than a second, but this finds the row that is not committed.
        # By itself: that there is none may be locked, too, and then two nodes would wait for each other.
        with transaction.atomic(using=using):
            waits.lock_at_once(rows.filter(name=name))
        with waits.limited(using, waits.INSTANT, reads_latest=True):
            rows.ensure({name: DEFAULT_RUNNING})
    except DatabaseError as error:
        if not quirks.has_waited_in_vain(error):
            raise


def _free(group: int, most: int, node: str, using: str) -> list[Seat]:
    taken = _taken(group, using)
    if len(taken) >= most and _clear_stale(group, node, using):
        taken = _taken(group, using)
    room = [Seat(group, number) for number in range(1, most + 1) if number not in taken]
    # More may run than there are seats, since the number was made smaller.
    return room[: max(0, most - len(taken))]


def _taken(group: int, using: str) -> set[int]:
    seats = Job.objects.using(using).filter(seated_in=group).order_by().values_list("seat", flat=True)
    return {seat for seat in seats if seat is not None}


def _clear_stale(group: int, node: str, using: str) -> int:
    """Free what is held by locks that are stale, and mark their runs as lost; return how many those were."""
    stale = Job.objects.using(using).filter(is_free(get_conf().lock_timeout), seated_in=group)
    locks = dict(stale.values_list("pk", "lock"))
    lost = losses.running(locks, using)
    available = losses.lock_available(sorted(locks), lost, using)
    cleared = [key for key in sorted(available) if stale.filter(pk=key, lock=locks[key]).write(**FREE)]
    logs = [key for key, job_id in lost.items() if job_id in cleared]
    if logs and Log.objects.using(using).filter(pk__in=logs).lose(PLACE_TAKEN.format(node=node)):
        logger.warning("Jobs %s: their locks were stale, and their places in the group are taken.", cleared)
    return len(cleared)
