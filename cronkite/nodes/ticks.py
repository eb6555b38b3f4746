"""How does a tick begin?

With one query. If nothing is due, it writes that it was here, and that was all; nothing is loaded that only runs need.
This happens each minute on each node, and for most projects nearly always.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

from cronkite import conf
from cronkite.database import commits, quirks, waits
from cronkite.models import primary
from cronkite.nodes import greeting, heartbeat
from cronkite.nodes.agenda import Agenda
from cronkite.runs.nursery import Nursery

if TYPE_CHECKING:
    from cronkite.nodes.beacons import Beacons

#: What is waited for, which ``-v 2`` shows.
waiting = logging.getLogger("cronkite.waiting")


def tick(workers: int) -> None:
    """Run what is due, by ``workers`` processes or, with 0, in this one; return when it has been run.

    Raises :class:`cronkite.exceptions.DatabaseAway` if it had to give up, and :class:`django.db.ProgrammingError` or
    the like if the tables are not there, or :class:`django.core.exceptions.ImproperlyConfigured` where nothing would be
    committed, or workers would not see what this process sees.
    """
    commits.demand()
    if workers:
        _demand_for_workers()
    with ExitStack() as stack:
        nursery = stack.enter_context(_nursery()) if workers and not _closes_without_trace() else None
        agenda = Agenda()
        try:
            agenda.look(set())
        except DatabaseError as error:
            if quirks.is_missing_table(error):
                raise
            # A node knows how to wait for it.
            agenda.look_within(0)
        if agenda.is_empty():
            waiting.debug("Nothing is due.")
            with _impatient(workers):
                heartbeat.beat(conf.get().node, stays=False)
            return
        if workers and nursery is None:
            connections.close_all()
            nursery = stack.enter_context(_nursery())
        _work(nursery, workers, agenda)


def loop(workers: int, prepare: Callable[[], object], beacons: Beacons) -> None:
    """Tick at each slot until the process is told to stop (SIGTERM or SIGINT), and give ``beacons`` of it.

    ``prepare`` is called before, and may use the database. Raises
    :class:`django.core.exceptions.ImproperlyConfigured` as :func:`tick` does, and
    :class:`cronkite.exceptions.BeaconError` where their files can't be written.
    """
    commits.demand()
    if workers:
        _demand_for_workers()
    with beacons.given(), _nursery() if workers else nullcontext() as nursery:
        with _impatient(workers):
            prepare()
        greeting.say(workers)
        _work(nursery, workers, Agenda(stays=True), beacons)


def process_queue() -> None:
    """Run what is due in this process: the code behind :meth:`Job.process_queue`."""
    tick(workers=0)


def _demand_for_workers() -> None:
    """Raise :class:`ImproperlyConfigured` where other processes would not see the jobs, as in most projects' tests."""
    connection = connections[primary.alias()]
    if quirks.is_in_memory(connection):
        why = "The database is in the memory of this process, so worker processes would find it empty."
        instead = "have a database in a file"
    elif quirks.is_borrowed(connection):
        why = "This is within a transaction, so worker processes would not see what is written in it."
        instead = "call it outside of atomic(), in tests from a TransactionTestCase"
    else:
        return
    raise ImproperlyConfigured(
        f'{why} Run the jobs in this process, with `manage.py cron --workers 0`, call_command("cron", workers=0) or '
        f"Job.process_queue(); or {instead}."
    )


def _closes_without_trace() -> bool:
    """Whether an idle tick may do without a nursery, which would cost it a twentieth, and have it made after its look.

    What it is made from has never opened a connection, or nothing is left of those that it had open.
    """
    asked = [*connections.all(initialized_only=True), connections[primary.alias()]]
    return all(quirks.leaves_nothing(connection) for connection in asked)


def _impatient(workers: int) -> AbstractContextManager[None]:
    """Have the node wait for no row for long.

    Without workers, functions have the same connection, and how long they wait is not for us to say.
    """
    return waits.impatient(primary.alias()) if workers else nullcontext()


@contextmanager
def _nursery() -> Iterator[Nursery]:
    """Have what workers are forked from."""
    nursery = Nursery(lambda: import_module("cronkite.runs.worker").serve)
    try:
        yield nursery
    finally:
        nursery.close()


def _work(nursery: Nursery | None, workers: int, agenda: Agenda, beacons: Beacons | None = None) -> None:
    runs: Any
    # Not at the top: an idle tick would take a tenth longer for what it does not use.
    if nursery is None:
        from cronkite.runs.here import Here

        runs = Here()
    else:
        nursery.warm_up()
        from cronkite.runs.pool import Pool

        runs = Pool(workers, nursery)
    from cronkite.nodes.node import Node

    with _impatient(workers):
        Node(conf.get().node, runs, agenda, beacons, at_once=nursery is None).work()
