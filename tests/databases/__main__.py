"""``python -m databases NAME [--durable] -- COMMAND…`` runs a command with a database server and ends as it ended.

NAME is ``sqlite``, ``pg``, ``mysql`` or ``mariadb``. The command finds the server's URL in ``DATABASE_URL`` and the
name in ``CRONKITE_TEST_DB``. The server is, in this order:

1. the one whose URL is in ``CRONKITE_PG_URL``, ``CRONKITE_MYSQL_URL`` or ``CRONKITE_MARIADB_URL``, or in
   ``DATABASE_URL`` where that is a URL of the database asked for;
2. a container of ``docker/compose.yaml``, when an engine answers;
3. one started from the binaries on this machine, in a temporary folder and on a free port of 127.0.0.1.

What was started is stopped at the end. Without a server the command does not run, and the exit code is 3. The servers
trade durability for speed, as nobody needs a test's data after a power cut; ``--durable`` leaves them as they come.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

from databases import containers, mariadb, mysql, postgres
from databases.processes import NoServer, temporary_folder

BINARIES = {"pg": postgres.server, "mysql": mysql.server, "mariadb": mariadb.server}
SCHEMES = {"sqlite": "sqlite", "pg": "postgresql", "mysql": "mysql", "mariadb": "mariadb"}
NO_SERVER = 3


@contextlib.contextmanager
def server(name: str, environment: Mapping[str, str], durable: bool) -> Iterator[str]:
    """The URL of a server of the database ``name`` during the block. Raises NoServer if none can be had."""
    given = url_given(name, environment)
    if given:
        yield given
    elif name == "sqlite":
        with temporary_folder() as folder:
            yield f"sqlite:///{folder}/cronkite.sqlite3"
    elif containers.engine_answers():
        with containers.server(name) as url:
            yield url
    else:
        with BINARIES[name](durable) as url:
            yield url


def url_given(name: str, environment: Mapping[str, str]) -> str | None:
    """The URL that the environment names for this database, if any."""
    url = environment.get("DATABASE_URL", "")
    return environment.get(f"CRONKITE_{name.upper()}_URL") or (url if url.startswith(f"{SCHEMES[name]}:") else None)


def explain(name: str, reason: NoServer) -> str:
    """What to tell somebody who asked for a database that cannot be had."""
    return (
        f"No server for {name!r}: {reason}\n"
        f"Either give the URL of one in CRONKITE_{name.upper()}_URL ({SCHEMES[name]}://USER:PASSWORD@HOST:PORT/NAME),\n"
        "or start Docker, whose containers are then used, or install the server's binaries on this machine."
    )


def run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end, whatever signal asks this process to stop; return its exit code."""
    child = subprocess.Popen(command, env=dict(environment))
    # Ctrl-C reaches the child by itself, being of the same terminal; a SIGTERM is sent to this process alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    return 128 - code if code < 0 else code


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    name, *rest = arguments or [""]
    durable = rest[:1] == ["--durable"]
    command = rest[durable:]
    if name not in SCHEMES or command[:1] != ["--"] or len(command) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    # Until the child runs, a request to stop has to unwind the blocks that started the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with server(name, os.environ, durable) as url:
            return run(command[1:], {**os.environ, "DATABASE_URL": url, "CRONKITE_TEST_DB": name})
    except NoServer as reason:
        print(explain(name, reason), file=sys.stderr)
        return NO_SERVER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
