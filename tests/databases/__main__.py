"""``python -m databases NAME [OPTION…] -- COMMAND…`` runs a command with a database server and ends as it ended.

NAME is ``sqlite``, ``pg``, ``mysql`` or ``mariadb``. The command finds the server's URL in ``DATABASE_URL`` and the
name in ``CRONKITE_TEST_DB``. The server is, in this order:

1. the one whose URL is in ``CRONKITE_PG_URL``, ``CRONKITE_MYSQL_URL`` or ``CRONKITE_MARIADB_URL``, or in
   ``DATABASE_URL`` where that is a URL of the database asked for;
2. a container of ``docker/compose.yaml``, when an engine answers;
3. one started from the binaries on this machine, in a temporary folder and on a free port of 127.0.0.1.

What was started is stopped at the end. Without a server the command does not run, and the exit code is 3. The servers
trade durability for speed, as nobody needs a test's data after a power cut. The options are for who is going to break
the server:

``--durable`` leaves its settings as they come;
``--own`` takes the third way in any case: what is going to be killed has to be ours;
``--restart`` starts it again, on its port and its data, when it dies. The command finds its folder in
    ``CRONKITE_TEST_SERVER``: the file ``pid`` is there while it accepts connections, and as long as the command keeps a
    file ``hold`` there, it is not started again;
``--clock`` gives it a clock that can be set (:class:`databases.clocks.Clock`), in the same folder.

The last two need a server that was started here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

from databases import containers, mariadb, mysql, postgres
from databases.processes import NoServer, Server, temporary_folder

BINARIES = {"pg": postgres.server, "mysql": mysql.server, "mariadb": mariadb.server}
SCHEMES = {"sqlite": "sqlite", "pg": "postgresql", "mysql": "mysql", "mariadb": "mariadb"}
OPTIONS = {"--durable", "--own", "--restart", "--clock"}
NO_SERVER = 3
#: How often (seconds) it is looked after a server that is started again when it dies.
ATTENTION = 0.05


@contextlib.contextmanager
def server(name: str, environment: Mapping[str, str], options: set[str]) -> Iterator[tuple[str, Server | None]]:
    """The URL of a server of the database ``name`` during the block, and the server itself where it was started here.

    Raises NoServer if none can be had.
    """
    own = "--own" in options
    given = None if own else url_given(name, environment)
    if given:
        yield given, None
    elif name == "sqlite":
        with temporary_folder() as folder:
            yield f"sqlite:///{folder}/cronkite.sqlite3", None
    elif not own and containers.engine_answers():
        with containers.server(name) as url:
            yield url, None
    else:
        with BINARIES[name]("--durable" in options, "--clock" in options) as started:
            yield started.url, started


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


def run(command: list[str], environment: Mapping[str, str], attend: Callable[[], None] | None = None) -> int:
    """Run the command to its end, whatever signal asks this process to stop; return its exit code.

    Meanwhile ``attend`` is called all the time.
    """
    child = subprocess.Popen(command, env=dict(environment))
    # Ctrl-C reaches the child by itself, being of the same terminal; a SIGTERM is sent to this process alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    if attend is not None:
        # In this thread, not in another: the server is to die with the thread that has started it.
        while child.poll() is None:
            attend()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(ATTENTION)
    code = child.wait()
    return 128 - code if code < 0 else code


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    (name, *options), command = arguments[:end] or [""], arguments[end + 1 :]
    if name not in SCHEMES or not command or not OPTIONS.issuperset(options):
        print(__doc__, file=sys.stderr)
        return 2
    # Until the child runs, a request to stop has to unwind the blocks that started the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with server(name, os.environ, set(options)) as (url, started):
            environment = {**os.environ, "DATABASE_URL": url, "CRONKITE_TEST_DB": name}
            # One that was inherited would be somebody else's.
            environment.pop("CRONKITE_TEST_SERVER", None)
            if started is None or not {"--restart", "--clock"} & set(options):
                return run(command, environment)
            environment["CRONKITE_TEST_SERVER"] = str(started.folder)
            return run(command, environment, started.attend if "--restart" in options else None)
    except NoServer as reason:
        print(explain(name, reason), file=sys.stderr)
        return NO_SERVER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
