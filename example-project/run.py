#!/usr/bin/env python3
"""Three nodes share a shop's jobs for some seconds; then a table shows which node ran what.

    python run.py [--seconds 15] [--engine]

It needs Django and django-cronkite. The database is made for the occasion and dropped at the end: a SQLite file, or one
on the server that ``DATABASE_URL`` names, whose user must be allowed to create databases. The exit code is 0 if each
slot that was due was run once, or is recorded as missed.

With ``--engine``, the nodes run nothing: they hand other jobs over to an engine, whose two workers run them, and the
table shows which node handed over what, and which worker ran it. That needs django-tasks-db as well, which ``pip
install django-cronkite[tasks]`` brings.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import accounts
import tables
from accounts import Window

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from cronkite.models import Job

FOLDER = Path(__file__).resolve().parent
NODES = ("node-1", "node-2", "node-3")
#: The engine's.
WORKERS = ("worker-1", "worker-2")
#: How long (seconds) a node may take to begin, and to end when it is told to.
START_PATIENCE = 60
STOP_PATIENCE = 40
#: How long (seconds) it may take until the nodes know what became of the last tasks.
TASK_PATIENCE = 60
OLD_LOGS = 1000
#: What is said if all is as it should be.
FINE = "Each slot was run once, by one of the nodes, or is recorded as missed. None was run twice."
FINE_TASKS = (
    "Each slot was handed over once, by one of the nodes, and run once, by one of the workers, or is recorded as\n"
    "missed. Run twice: 0."
)


class NodeFailed(Exception):
    """A node did not begin, or ended by itself."""


@dataclass
class Node:
    """A ``manage.py cron loop`` in a process of its own, as on a machine of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    @contextlib.contextmanager
    def running(cls, name: str, folder: Path, url: str) -> Iterator[Node]:
        """Start it, without waiting for it to begin; it does not outlive the block."""
        log = folder / f"{name}.log"
        environment = {
            **os.environ,
            "CRONKITE_NODE": name,
            "DATABASE_URL": url,
            "SHOP_JOURNAL": str(folder / "journal"),
        }
        command = [sys.executable, str(FOLDER / "manage.py"), *cls.command(name)]
        with log.open("wb") as output:
            # In a session of its own: Ctrl-C is for this program, which then ends the nodes in good order.
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield cls(name, log, process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    @classmethod
    def command(cls, name: str) -> list[str]:
        """What manage.py is told."""
        return ["cron", "loop"]

    @property
    def beginning(self) -> str:
        """What its log says when it has begun."""
        return f"Node {self.name} ticks."

    def has_begun(self) -> bool:
        """Whether its log says so."""
        return self.beginning in self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raise NodeFailed if it has ended."""
        code = self.process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise NodeFailed(f"{self.name} ended by itself, with exit code {code}. Its log ends like this:\n{tail}")


class Worker(Node):
    """One of the engine's own workers: a ``manage.py db_worker``."""

    @classmethod
    def command(cls, name: str) -> list[str]:
        """What manage.py is told: how often (seconds) to look for work, and not to wait for changes of the code."""
        return ["db_worker", "--worker-id", name, "--interval", "0.2", "--no-startup-delay", "--no-reload"]

    @property
    def beginning(self) -> str:
        """What its log says when it has begun."""
        return f"Starting worker worker_id={self.name}"


def prepare(folder: Path) -> str:
    """Make the database with its tables and jobs, all disabled; return its URL for the nodes."""
    import django
    from django.db import connection

    os.environ["DJANGO_SETTINGS_MODULE"] = "website.settings"
    url = os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder / 'shop.sqlite3'}")
    django.setup()
    # The nodes' logs are in files of their own; what this process would say, it says by itself.
    logging.getLogger("cronkite").setLevel(logging.WARNING)
    # What Django does for tests serves here, on each of the databases: a database of its own, which is dropped at the
    # end. The one that DATABASE_URL names is not touched.
    is_sqlite = connection.vendor == "sqlite"
    name = str(folder / "example.sqlite3") if is_sqlite else f"cronkite_example_{os.getpid()}"
    connection.settings_dict["TEST"]["NAME"] = name
    say(f"migrate: a {connection.display_name} database for the occasion, with the tables of cronkite and shop")
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    create_jobs()
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}{'?' if parts.query else ''}{parts.query}"


def clean_up() -> None:
    """Drop the database that :func:`prepare` has made, if it came so far."""
    from django.db import connection

    # Django drops whatever the connection is to; that must never be the database that DATABASE_URL names.
    name = connection.settings_dict["NAME"]
    if name == connection.settings_dict["TEST"]["NAME"]:
        connection.creation.destroy_test_db(verbosity=0)


def create_jobs() -> None:
    """Show the jobs that ``migrate`` has found in ``shop/crontab.py``, disabled as yet, and give the shop a past."""
    from django.utils import timezone
    from shop.models import Product

    from cronkite.models import Job, Log

    Job.objects.update(enabled=False)
    for job in jobs():
        say(f"  job {job.name:<22}{job.schedule}")
    Product.objects.bulk_create(Product(name=name, price=2) for name in ("tea", "coffee", "cocoa"))
    long_ago = timezone.now() - timedelta(days=40)
    Log.objects.bulk_create(
        Log(job_name="retired", function="shop.crontab.retired", fence=i, status="succeeded", created=long_ago)
        for i in range(OLD_LOGS)
    )


def jobs() -> QuerySet[Job]:
    """Return the jobs that are shared: the shop's or, with an engine, those that are handed over to it."""
    from django.conf import settings

    from cronkite.models import Job

    app = "mailroom" if settings.HAS_ENGINE else "shop"
    return Job.objects.filter(function__startswith=f"{app}.").order_by("pk")


def clock() -> datetime:
    """Return the database's now."""
    from cronkite.models import Job

    return Job.objects.with_now().earliest("pk").now


def set_enabled(value: bool) -> tuple[datetime, datetime]:
    """Enable or disable the jobs; return instants right before and right after.

    Jobs are enabled just before the nodes look for new ones: a slot that came earlier would be missed, for no better
    reason than that nobody knew of it.
    """
    from cronkite.nodes.agenda import POLL

    # In the middle of a second, so that no slot falls in between.
    period = POLL if value else 1.0
    time.sleep((period - 0.7 - clock().timestamp()) % period)
    before = clock()
    jobs().update(enabled=value)
    return before, clock()


def await_start(nodes: list[Node]) -> None:
    """Wait until the nodes have begun; raise NodeFailed if they do not."""
    began = time.monotonic()
    while not all(node.has_begun() for node in nodes):
        time.sleep(0.1)
        for node in nodes:
            node.check()
        if time.monotonic() - began > START_PATIENCE:
            raise NodeFailed(f"Not all of them began within {START_PATIENCE} s.")
    say(f"  all {len(nodes)} have begun, after {time.monotonic() - began:.1f} s")


def watch(nodes: list[Node], seconds: float) -> None:
    """Wait for so many seconds; tell how it goes."""
    since = time.monotonic()
    last = 0.0
    while time.monotonic() - since < seconds:
        time.sleep(0.1)
        for node in nodes:
            node.check()
        if time.monotonic() - last > (1 if sys.stdout.isatty() else 5):
            last = time.monotonic()
            progress(f"  {last - since:>3.0f} of {seconds:g} s: {_so_far()}")
    progress("")


def _so_far() -> str:
    from django.db.models import Count

    from cronkite.models import Log

    logs = Log.objects.exclude(slot=None)
    counts = dict(logs.order_by().values_list("status").annotate(Count("pk")))
    missed = counts.pop("missed", 0)
    return f"{sum(counts.values())} runs began, {counts.get('failed', 0)} failed, {missed} logs of missed slots"


def await_tasks(nodes: list[Node]) -> None:
    """Wait until the nodes know what became of all tasks, or it takes too long: the accounts tell then."""
    from cronkite.models import Log

    deadline = time.monotonic() + TASK_PATIENCE
    while Log.objects.filter(status=Log.Status.HANDED_OVER).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
        for node in nodes:
            node.check()


def stop(nodes: list[Node]) -> bool:
    """Tell the nodes to end, let their runs finish, and return whether all ended in good order and time."""
    for node in nodes:
        node.process.terminate()
    deadline = time.monotonic() + STOP_PATIENCE
    for node in nodes:
        try:
            node.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"  {node.name} did not end within {STOP_PATIENCE} s, and is killed")
            node.process.kill()
            node.process.wait()
    return all(node.process.returncode == 0 for node in nodes)


def show(folder: Path, window: Window) -> bool:
    """Print what happened; return whether all is as it should be."""
    from django.conf import settings

    from cronkite.models import Log

    schedules = dict(jobs().values_list("name", "schedule"))
    # Other logs are of before the jobs were enabled, or have no slot.
    entries = accounts.read_logs(Log.objects.filter(slot__gt=window.opened[0]), schedules)
    if settings.HAS_ENGINE:
        ran, problems = accounts.read_tasks(folder / "journal", entries)
    else:
        ran, problems = accounts.read_journal(folder / "journal"), []
    settled = accounts.settle(schedules, window, entries, ran)
    (tables.show_tasks if settings.HAS_ENGINE else tables.show)(entries, settled, window)
    if not any(account.due for account in settled):
        problems.append("no slot was due")
    problems += [f"{account.job}: {what}" for account in settled for what in (*account.twice, *account.unaccounted)]
    print()
    for problem in problems:
        print(f"WRONG  {problem}")
    if not problems:
        print(FINE_TASKS if settings.HAS_ENGINE else FINE)
    return not problems


def run(seconds: float, folder: Path, *, has_engine: bool) -> int:
    """Do it all; return the exit code."""
    if has_engine:
        say("Three nodes hand the jobs of a mail room over to an engine. Each slot is to be run by one of its workers.")
    else:
        say("Three nodes share the jobs of a little shop. Each slot is to be run by one of them.")
    workers_too = f", and {len(WORKERS)} workers (`manage.py db_worker`)" if has_engine else ""
    try:
        url = prepare(folder)
        say(f"start: {len(NODES)} nodes (`manage.py cron loop`){workers_too}, before the first slot")
        interrupted = False
        with contextlib.ExitStack() as stack:
            nodes = [stack.enter_context(Node.running(name, folder, url)) for name in NODES]
            names = WORKERS if has_engine else ()
            workers = [stack.enter_context(Worker.running(name, folder, url)) for name in names]
            await_start([*nodes, *workers])
            opened = set_enabled(True)
            say(f"run: the jobs are enabled, and the nodes share them for {seconds:g} s")
            try:
                watch([*nodes, *workers], seconds)
            except KeyboardInterrupt:
                progress("")
                say("stopped early, on request")
                interrupted = True
            closed = set_enabled(False)
            if has_engine:
                say("stop: the jobs are disabled; workers finish, and nodes get to know what became of the tasks")
                await_tasks([*nodes, *workers])
                in_order = stop(nodes) and stop(workers)
            else:
                say("stop: the jobs are disabled, and the nodes get SIGTERM; runs may finish")
                in_order = stop(nodes)
        fine = show(folder, Window(opened, closed))
        if not in_order:
            print("WRONG  A node did not end as it should.")
        if interrupted:
            return 130
        return 0 if fine and in_order else 1
    finally:
        clean_up()


def say(text: str) -> None:
    """Print a line at once, also where the output is a file."""
    print(text, flush=True)


def progress(text: str) -> None:
    """Print a line that the next one replaces, where there is a terminal; an empty one leaves no trace."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)
    elif text:
        say(text)


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="how long the nodes run (default: 15)")
    parser.add_argument(
        "--engine", action="store_true", help="hand jobs over to an engine, and have its workers run them"
    )
    options = parser.parse_args()
    if options.engine:
        os.environ["SHOP_ENGINE"] = "1"
    # A SIGTERM ends it as Ctrl-C does: nodes and database go with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="cronkite-example-") as folder:
        try:
            return run(options.seconds, Path(folder), has_engine=options.engine)
        except KeyboardInterrupt:
            return 130
        except NodeFailed as error:
            print(f"\n{error}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
