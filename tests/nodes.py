"""Real nodes for the tests: processes of the test project's ``manage.py`` that join the test's own database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from deadlines import PATIENCE
from django.db import OperationalError, connection

import families
from cronkite.database import clock
from cronkite.models import Job, Task
from cronkite.models import Node as Seen
from databases.processes import die_with_parent
from launcher import Launcher

HERE = Path(__file__).parent
#: For a node whose main thread is in a C library when a signal comes, and stays there: while Python 3.11 traces, as it
#: does to measure coverage, no other thread calls a function any more until the main one has seen to the signal.
UNTRACED = {"COVERAGE_PROCESS_CONFIG": None}


def manage(*arguments, **environment):
    """Give ``manage.py`` these arguments, in a process of its own, and wait until it has ended."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=HERE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


@cache
def launcher():
    """Return the one launcher of this process."""
    return Launcher()


class Node:
    """A node's process. It is ended when the test is over, with all the workers it made.

    What it says goes into the file ``log``, if that is given: a pipe that nobody reads would stop it before long. Then
    it is also started quickly (see :mod:`launcher`), for the storms. It has no variable of ``environment`` that is
    ``None``.
    """

    def __init__(
        self,
        *arguments,
        script="manage.py",
        name="node",
        lock_timeout=None,
        stdin=None,
        log=None,
        pass_fds=(),
        wrapper=(),
        **environment,
    ):
        environment = {
            **os.environ,
            "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "CRONKITE_TEST_NODE": name,
            "CRONKITE_TEST_LOCK_TIMEOUT": "" if lock_timeout is None else str(lock_timeout),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        environment = {name: value for name, value in environment.items() if value is not None}
        self.name = name
        self.log = log
        command = [str(HERE / script), *arguments]
        if log and not {"LD_PRELOAD", "CRONKITE_TEST_DRIVER"} & environment.keys():
            with log.open("ab") as output:
                self.process = launcher().start(command, environment, output.fileno(), pass_fds)
        else:
            self.process = self._interpret([*wrapper, sys.executable, *command], environment, stdin, pass_fds)
        self.output = ""

    def _interpret(self, command, environment, stdin, pass_fds):
        """Have an interpreter of its own run the command."""
        with ExitStack() as stack:
            return subprocess.Popen(
                command,
                cwd=HERE,
                env=environment,
                stdin=stdin,
                stdout=stack.enter_context(self.log.open("ab")) if self.log else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=pass_fds,
                # A process group of its own: whatever it starts can be ended with it.
                start_new_session=True,
                # Also if the tests are killed, or a test hangs for so long that they end themselves.
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, patience=PATIENCE):
        """Wait until the process has ended; return its exit code. Its output is in ``output`` then."""
        try:
            out, _ = self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"{self.name} did not end in {patience} s. It said:\n{self.output}") from None
        self._keep(out)
        return self.process.returncode

    def end(self):
        """End the process and its family, whatever state they are in."""
        families.end(self.process.pid)
        out, _ = self.process.communicate(timeout=PATIENCE)
        self._keep(out)

    def _keep(self, out):
        self.output = self.log.read_text(errors="replace") if self.log else self.output + (out or "")


@contextmanager
def nodes(*all_arguments, **options):
    """Start a node for each of the argument lists, and end them all at the end of the block."""
    started = []
    try:
        for number, arguments in enumerate(all_arguments, start=1):
            defaults = {"name": f"node-{number}", "CRONKITE_TEST_UNHURRIED": "1"}
            started.append(Node(*arguments, **{**defaults, **options}))
        yield started
    finally:
        for node in started:
            node.end()


def cron(*arguments, expect=0, **options):
    """Run ``manage.py cron`` to its end; return what it printed."""
    with nodes(("cron", *arguments), **options) as (node,):
        code = node.wait()
        assert code == expect, f"exit code {code}, and it said:\n{node.output}"
        return node.output


def until_seen(number):
    """Wait until so many nodes have shown themselves: SIGTERM would end one that is only starting."""
    until(lambda: Seen.objects.count() >= number, what=f"{number} nodes have shown themselves")


def turn_of_tasks():
    """Have it be time to ask what became of all tasks."""
    Task.objects.update(ask_at=clock.Now())
    Job.objects.filter(follow_at__isnull=False).write(follow_at=clock.Now())


def until(condition, patience=PATIENCE, what=None):
    """Wait until ``condition()`` is true, and return its value. The pause only paces the asking."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"It did not happen in {patience} s: {what or condition}")
        time.sleep(0.02)
    return value


def cut_connections():
    """End all connections to this test's database but our own."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        for process in processes(cursor):
            # One may have ended by itself meanwhile.
            with suppress(OperationalError):
                cursor.execute(f"KILL {process['Id']:d}")


def processes(cursor):
    """Return what MySQL or MariaDB tells of the connections to this test's database but our own.

    Not by asking ``information_schema``: on MySQL 9, it answers with an error while anybody's statement has a character
    of four bytes.
    """
    cursor.execute("SELECT DATABASE(), CONNECTION_ID()")
    database, number = cursor.fetchone()
    cursor.execute("SHOW PROCESSLIST")
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [row for row in rows if row["db"] == database and row["Id"] != number]
