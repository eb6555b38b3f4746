"""How fast are jobs handed over to engines that are all due in one slot?

On tables just made and never analysed. Measured in turn:

- one node that runs as many no-op jobs by itself, as :mod:`benchmarks.measures.burst` does: from the first claim to the
  last end, by the logs;
- one node that hands them over to django-tasks-db in its own database: from when the first task was put into the queue,
  by this machine's clock, which is the database's too, to the last log. All logs have to say so, and as many tasks to
  be in the queue;
- one node that hands them over to Celery, by a Redis of its own: from the last look at the queue that found nothing
  there to the first that found all of them (``LLEN``, a few hundred times a second);
- django-celery-beat's DatabaseScheduler, alone, that sends as many periodic tasks to the same kind of Redis, and is
  measured in the same way. They ran last two days ago, by a crontab whose slot was an hour ago, so all of them are due
  when it has read them. It compares all its tasks each time that it sends one, so ten thousand may take it half an
  hour: after some minutes, the pace is that of those which are there.

Nobody works on the tasks. Where there is no ``redis-server``, or no django-celery-beat, what needs it is left out.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from django.db.models import Max, Min
from django_tasks_db.models import DBTaskResult

from benchmarks import project
from benchmarks.bench import TESTS, Bench, Reading
from benchmarks.beside import databases
from benchmarks.measures.burst import race
from benchmarks.peers import celery_beat
from benchmarks.peers.declared import Jobs
from benchmarks.processes import Failed, Process, TooLate, running, until
from cronkite.database import clock
from cronkite.models import Log

#: The node that runs the jobs by itself has so many workers.
WORKERS = 8
#: How long (seconds) starting may take, and how slow (jobs per second) a burst is too slow.
PATIENCE = 120.0
SLOWEST = 20.0
#: For how long (seconds) celery beat is watched.
WATCHED = 240.0
#: How often (seconds) it is looked into the queue.
PAUSE = 0.003
#: Celery's own.
QUEUE = "celery"


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    number = bench.sizes.burst
    workers = min(WORKERS, max(bench.sizes.workers))
    pace, _, _ = race(bench, 1, workers)
    yield Reading("hand.run", f"one node of {workers} workers, {number:,} jobs run", pace, "jobs/s")
    yield Reading("hand.tasks", "one node, handed over to django-tasks-db", _to_tasks(bench), "jobs/s")
    if not (shutil.which("redis-server") and find_spec("redis")):
        bench.say("  Celery and celery beat are left out: there is no redis-server, or no redis for Python")
        return
    yield Reading("hand.celery", "one node, handed over to Celery", _to_celery(bench), "jobs/s")
    if not find_spec("django_celery_beat"):
        bench.say("  celery beat is left out: there is no django-celery-beat")
        return
    yield Reading("hand.beat", "celery beat, sent", _by_beat(bench), "jobs/s")


def _to_tasks(bench: Bench) -> float:
    number = bench.sizes.burst
    project.fresh()
    project.empty(DBTaskResult)
    project.add_due_jobs(number, "app.handed.bill", engine="django.tasks")
    bench.run("cron").wait(PATIENCE + number / SLOWEST)
    _check(number)
    tasks = DBTaskResult.objects.aggregate(first=Min("enqueued_at"))
    logs = Log.objects.aggregate(last=Max("created"))
    if (there := DBTaskResult.objects.count()) != number:
        raise Failed(f"of {number} jobs, {there} are in the queue")
    return float(number / (logs["last"] - tasks["first"]).total_seconds())


def _to_celery(bench: Bench) -> float:
    number = bench.sizes.burst
    project.fresh()
    project.add_due_jobs(number, "app.celery_app.double", engine="celery")
    with _redis(bench) as queue:
        node = bench.run("cron", environment={"CRONKITE_TEST_BROKER": queue.url})
        with running(node):
            pace, _ = queue.watch(number, PATIENCE + number / SLOWEST, node)
            node.wait(PATIENCE + number / SLOWEST)
        queue.check(number)
    _check(number)
    return pace


def _by_beat(bench: Bench) -> float:
    number, now = bench.sizes.burst, clock.now("default")
    slot, last = now - project.FAR, now - timedelta(days=2)
    jobs = Jobs(number, f"0 {slot.hour} * * *", str(bench.file("marks")), last.isoformat())
    with databases("beat") as (database,), _redis(bench) as queue:
        url = urlsplit(bench.environment()["DATABASE_URL"])._replace(path=f"/{database.name}").geturl()
        environment = bench.environment(
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="benchmarks.peers.settings",
            CRONKITE_BENCH_PEER="celery-beat",
            CRONKITE_BENCH_FOLDER=str(queue.folder),
            PYTHONPATH=f"{TESTS}:{bench.environment().get('PYTHONPATH', '')}",
            **jobs.as_environment(),
        )

        def process(*command: str) -> Process:
            return Process([sys.executable, "-m", *command], environment, bench.file("beat.log"), folder=queue.folder)

        process("benchmarks.peers.declare").wait(PATIENCE + number / SLOWEST)
        with running(process(*celery_beat.BEAT)) as (beat,):
            pace, sent = queue.watch(number, WATCHED, beat)
            # It would take its time to write down when each of them ran.
            beat.process.kill()
        if sent == number:
            queue.check(number)
        else:
            bench.say(f"  celery beat had sent {sent:,} of {number:,} tasks after {WATCHED:g} s")
    return pace


class _Queue:
    """The queue of Celery's in the Redis of a folder."""

    def __init__(self, folder: Path) -> None:
        import redis

        self.folder = folder
        self.url = f"redis+socket://{celery_beat.socket(folder)}"
        self._client = redis.Redis(unix_socket_path=str(celery_beat.socket(folder)))
        self._errors = (redis.ConnectionError, redis.BusyLoadingError)

    def answers(self) -> bool:
        """Tell whether there is a server already."""
        try:
            return bool(self._client.ping())
        except self._errors:
            return False

    def watch(self, number: int, patience: float, sender: Process) -> tuple[float, int]:
        """Return the messages per second with which so many arrive, or as many as do so in time, and their number.

        Raises :class:`Failed` if the sender ends before, and :class:`TooLate` if none arrives.
        """
        began = empty_at = time.monotonic()
        there = 0
        while there < number:
            is_alive = sender.is_alive()
            now, there = time.monotonic(), int(self._client.llen(QUEUE))
            if not there:
                empty_at = now
            if now - began > patience:
                break
            if not is_alive and there < number:
                raise Failed(f"of {number} jobs, {there} are in the queue. {sender.said()}")
            time.sleep(PAUSE)
        if not there:
            raise TooLate(f"no message came within {patience:g} s. {sender.said()}")
        return there / (time.monotonic() - empty_at), there

    def check(self, number: int) -> None:
        """Raise :class:`Failed` unless there are exactly so many messages."""
        if (there := int(self._client.llen(QUEUE))) != number:
            raise Failed(f"of {number} jobs, {there} are in the queue")


@contextmanager
def _redis(bench: Bench) -> Iterator[_Queue]:
    folder = bench.file("redis")
    folder.mkdir()
    (command,) = celery_beat.services(folder)
    queue = _Queue(folder)
    with running(Process(command, bench.environment(), bench.file("redis.log"), folder=folder)) as (server,):
        until(queue.answers, PATIENCE, "Redis answered", server)
        yield queue


def _check(number: int) -> None:
    """Raise :class:`Failed` unless exactly so many slots were handed over."""
    logs = Log.objects.all()
    good = logs.filter(status=Log.Status.HANDED_OVER).count()
    if good != number or logs.count() != number:
        raise Failed(f"of {number} jobs, {good} were handed over, with {logs.count()} logs")
