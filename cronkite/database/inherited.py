"""What of the database does a process have from the one that it was forked from? Nothing that it could use.

Two processes that share a connection read each other's answers. A pool of Django's is let go of together with what it
belongs to; others keep connections that were closed where nobody knows. So whatever leads to a server leads nowhere in
the child, and who takes such a connection from a pool finds it dead, as if the server had ended it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import connections

from cronkite.database import quirks
from cronkite.processes import sockets

#: What is not ours to close, and must not be collected: closing it would tell the server to end the parent's session.
_abandoned: list[Any] = []
#: The databases that may have a pool which has such connections, and how many there are at most.
_pooled: set[str] = set()
_count = 0


def disown() -> None:
    """Leave what was opened before this process was forked to its parent, pools included."""
    global _count  # noqa: PLW0603 - it is about the process
    for connection in connections.all(initialized_only=True):
        if not quirks.leaves_nothing(connection) and not quirks.is_of_pool(connection):
            _pooled.add(connection.alias)
        _abandoned.append(connection)
        pools = getattr(connection, "_connection_pools", None)
        if isinstance(pools, dict):
            _abandoned.append(dict(pools))
            pools.clear()
        del connections[connection.alias]
    _count += sockets.cut()


def renew() -> None:
    """Take out of pools what is dead since then, so that code of others does not come by it."""
    for alias in sorted(_pooled) if _count else ():
        connection = connections[alias]
        for _ in range(_count + 1):
            # Backends of others raise anything.
            with suppress(Exception):
                connection.ensure_connection()
                if connection.is_usable():
                    break
            if connection.connection is None:
                break  # the database is away, and what was in the pool is not any more
            with suppress(Exception):
                connection.close()
        with suppress(Exception):
            connection.close()
    _pooled.clear()
