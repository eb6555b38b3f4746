"""How does a node show that it is alive?

It writes into its own row when it was seen last: once a tick, and once a minute where it stays. Nothing rests on that,
so what goes wrong here is logged, and the node goes on with its jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db import DatabaseError, Error, IntegrityError, connections

import cronkite
from cronkite import conf
from cronkite.claims import orphans
from cronkite.database import quirks, waits
from cronkite.database.clock import Now
from cronkite.models import Node, primary

logger = logging.getLogger("cronkite")

#: How often (seconds) a node that stays shows itself.
EVERY = 60.0
#: Nodes that were not seen for so long are forgotten: containers, for one, have a new name each time.
FORGOTTEN_AFTER = timedelta(days=7)


#: What else is done whenever a node shows itself: to see to what people are to be told. The app fills it in.
watch: Callable[[], object] = bool


def beat(name: str, *, stays: bool, begins: bool = True) -> None:
    """Show that the node ``name`` is alive; ``stays`` says that it is a loop, ``begins`` that it has just started.

    One statement. Only where the node has no row yet, it gets one, and nodes that were not seen for a week lose theirs.
    Where locks are cleared by themselves, one more looks for those that no claim would clear.
    """
    using = primary.alias()
    if quirks.is_borrowed(connections[using]):
        # Within a caller's transaction the row would stay locked until that ends, for whoever else ticks.
        return
    try:
        quirks.anew(using, lambda: _beat(name, using, stays=stays, begins=begins))
    except Error as error:
        is_missing = isinstance(error, DatabaseError) and quirks.is_missing_table(error)
        advice = "Run `manage.py migrate`." if is_missing else "It goes on with its jobs."
        logger.warning("Node %s can't show that it is alive. %s %s", name, advice, error)
        connections[using].close()
        return
    try:
        orphans.record(name)
    except Error as error:
        logger.warning("Node %s can't look for runs that are gone. It goes on with its jobs. %s", name, error)
        connections[using].close()
    try:
        watch()
    except Exception:
        logger.exception("It can't be seen to what people are to be told.")


def leave(name: str) -> None:
    """Show that the loop ``name`` ends as it was told to, so that nobody misses it. One statement."""
    using = primary.alias()
    if quirks.is_borrowed(connections[using]):
        return
    try:
        nodes = Node.objects.using(using)
        quirks.anew(using, lambda: nodes.filter(waits.limit(), name=name).update(stopped_at=Now()))
    except Error as error:
        logger.warning("Node %s can't show that it ends, so that it will be taken for silent. %s", name, error)
        connections[using].close()


def _beat(name: str, using: str, *, stays: bool, begins: bool) -> None:
    nodes = Node.objects.using(using)
    clock_at = datetime.now(timezone.utc)
    signs: dict[str, Any] = {
        "ticked_at": Now(),
        "clock_at": clock_at,
        "stays": stays,
        "stopped_at": None,
        "version": cronkite.__version__,
        "labels": ",".join(sorted(conf.get().node_labels))[:1024],
    }
    if stays and begins:
        signs["started_at"] = Now()
    if nodes.filter(waits.limit(), name=name).update(**signs):
        return
    try:
        with waits.limited(using):
            nodes.create(**{"started_at": Now(), **signs, "name": name})
    except IntegrityError:
        # Another tick of the same node was first, which is as good.
        return
    with waits.limited(using):
        nodes.filter(ticked_at__lt=Now() - FORGOTTEN_AFTER).delete()
