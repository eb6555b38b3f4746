"""What of the database has code of others left behind in a thread?"""

from __future__ import annotations

import logging

from django.db import connections

from cronkite.database import quirks

logger = logging.getLogger("cronkite")


def close(*, everything: bool = False) -> None:
    """Roll back and close this thread's connections that somebody left inside a transaction, or all of them."""
    for connection in connections.all(initialized_only=True):
        if everything or connection.in_atomic_block or quirks.has_open_transaction(connection):
            try:
                connection.close()
            except Exception:
                logger.debug("Connection %s could not be closed.", connection.alias, exc_info=True)
            # The wrapper still believes in the atomic block that nobody will leave. A new one takes its place.
            del connections[connection.alias]


def give_back(using: str) -> None:
    """Keep none of a pool's few connections while code of others takes its time."""
    connection = connections[using]
    if quirks.is_of_pool(connection) and not quirks.is_borrowed(connection):
        connection.close()
