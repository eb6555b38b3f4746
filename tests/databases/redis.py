"""Where is the server that the engines of the tests have their queues in? It is no database of the matrix."""

from __future__ import annotations

import shutil

from databases.processes import NoServer


def find_program() -> str:
    """The path of Redis's server. Raises NoServer if there is none."""
    found = shutil.which("redis-server")
    if found is None:
        raise NoServer("redis-server is not installed (Debian's package: redis-server)")
    return found
