"""How does a tick begin?

With one query. If nothing is due, it writes that it was here, and that was all; nothing is loaded that only runs need.
This happens each minute on each node, and for most projects nearly always.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import DatabaseError

from cronkite import conf, databases, heartbeat
from cronkite.agenda import Agenda

if TYPE_CHECKING:
    from cronkite.node import Node

logger = logging.getLogger("cronkite")


def tick(workers: int) -> None:
    """Run what is due, by ``workers`` processes or, with 0, in this one; return when it has been run.

    Raises :class:`cronkite.exceptions.DatabaseAway` if it had to give up, and :class:`django.db.ProgrammingError` or
    the like if the tables are not there.
    """
    agenda = Agenda()
    try:
        agenda.look(set())
    except DatabaseError as error:
        if databases.is_missing_table(error):
            raise
        # A node knows how to wait for it.
        agenda.look_within(0)
    if agenda.is_empty():
        heartbeat.beat(conf.get().node, stays=False)
    else:
        _node(workers, agenda).work()


def loop(workers: int) -> None:
    """Tick at each slot until the process is told to stop (SIGTERM or SIGINT)."""
    logger.info("Node %s ticks.", conf.get().node)
    _node(workers, Agenda(stays=True)).work()


def process_queue() -> None:
    """Run what is due in this process: the code behind :meth:`Job.process_queue`."""
    tick(workers=0)


def _node(workers: int, agenda: Agenda) -> Node:
    # Not at the top: an idle tick would take a tenth longer for what it does not use.
    from cronkite.node import Node

    return Node(conf.get().node, workers, agenda)
