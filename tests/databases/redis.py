"""Where is the server that the engines of the tests have their queues in? It is no database of the matrix."""

from __future__ import annotations

import shutil

from databases.processes import NoServer


def find_program() -> str:
    """The path of Redis's server, to be started under the name ``redis-server``. Raises NoServer if there is none.

    Debian's redis-server is a service on the usual port, at once and at every boot, and a link to the program itself,
    which redis-tools has: it goes by the name under which it is started.
    """
    found = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if found is None:
        raise NoServer("Redis is not installed (Debian's package: redis-tools)")
    return found
