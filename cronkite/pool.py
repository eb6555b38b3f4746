"""How does a node have jobs run by worker processes?"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import BinaryIO

from django.db import connections

from cronkite import capture
from cronkite.locks import Claim
from cronkite.models import Job, Log
from cronkite.outcomes import Outcome
from cronkite.runs import Ended, Event, Ready, Refused
from cronkite.worker import KILL_AFTER, End, Recorded, Resolve, Resolved, serve

logger = logging.getLogger("cronkite")

#: A run that takes longer than this (seconds) no longer counts as one of the pool's size, as with cron itself, whose
#: next minute starts what is due whatever still runs: a slow job delays no other (promise P4).
LONG = 60.0
#: How long (seconds) an import may take before its function counts as one that can't be run here.
IMPORT_PATIENCE = 60.0


@dataclass(eq=False)
class Worker:
    """A worker process as its node sees it: resolving ``job``, reserved for it, running ``claim``, or idle."""

    process: ForkProcess
    pipe: Connection
    output: BinaryIO
    job: Job | None = None
    claim: Claim | None = None
    end: End | None = None
    since: float = 0.0
    #: The functions that it has resolved.
    known: set[str] = field(default_factory=set)
    #: When (monotonic) something has to be done about the run: its timeout, or the end of its patience with an End.
    deadline: float | None = None

    @property
    def is_idle(self) -> bool:
        return self.job is None and self.claim is None

    def busy(self, *, job: Job | None = None, claim: Claim | None = None, seconds: float | None = None) -> None:
        self.job, self.claim, self.end = job, claim, None
        self.since = time.monotonic()
        self.deadline = None if seconds is None else self.since + seconds


@dataclass
class Pool:
    """Up to ``size`` worker processes, made by fork when they are needed, and kept for the next run.

    The node's process has one thread, and its database connections are closed when it forks: a connection that two
    processes share is ruined by the first that closes it.
    """

    size: int
    workers: list[Worker] = field(default_factory=list)
    _reserved: list[Worker] = field(default_factory=list)
    _stillborn: list[Ended] = field(default_factory=list)

    def prepare(self, wanted: int) -> None:
        """Have as many of ``wanted`` workers idle as the size allows, with as few disconnections as can be."""
        missing = min(self.size - self._counting(), wanted - sum(worker.is_idle for worker in self.workers))
        if missing > 0:
            connections.close_all()
            for _ in range(missing):
                self._fork()

    def has_room(self) -> bool:
        """Tell whether one more job can be offered."""
        return any(worker.is_idle for worker in self.workers) or self._counting() < self.size

    def offer(self, job: Job) -> None:
        """Reserve a worker that can resolve the job's function, or ask one; :meth:`wait` will tell."""
        self.prepare(1)
        idle = [worker for worker in self.workers if worker.is_idle]
        worker = next((worker for worker in idle if job.function in worker.known), idle[0])
        if job.function in worker.known:
            worker.busy(job=job)
            self._reserved.append(worker)
        else:
            worker.busy(job=job, seconds=IMPORT_PATIENCE)
            self._send(worker, Resolve(job.function))

    def start(self, job: Job, claim: Claim) -> None:
        """Run ``claim`` on the worker that is ready for the job."""
        worker = self._ready_for(job)
        if worker is None:
            # It died while the job was claimed. The run ends as if it had died a moment later.
            self._stillborn.append(Ended(claim, Outcome(Log.Status.LOST, reason="its process had died")))
            return
        worker.busy(claim=claim, seconds=claim.timeout)
        self._send(worker, claim)

    def release(self, job: Job) -> None:
        """Let the worker that was ready for the job be idle again."""
        if (worker := self._ready_for(job)) is not None:
            worker.busy()

    def claims(self) -> list[Claim]:
        """Return what is running."""
        stillborn = [event.claim for event in self._stillborn]
        return stillborn + [worker.claim for worker in self.workers if worker.claim is not None]

    def offered(self) -> set[int]:
        """Return the ids of the jobs that were offered and are not claimed yet."""
        return {worker.job.pk for worker in self.workers if worker.job is not None}

    def end(self, claim: Claim, status: str, reason: str) -> None:
        """Tell the run to end: SIGTERM within its process, and SIGKILL if that does not help."""
        for worker in self.workers:
            if worker.claim is claim and worker.end is None:
                self._end(worker, status, reason)

    def heed_signal(self) -> None:
        """Do nothing in the signal's handler: the node sees to it that the runs end."""

    def next_deadline(self) -> float | None:
        """Return when (monotonic) :meth:`wait` has to be called at the latest."""
        return min((worker.deadline for worker in self.workers if worker.deadline is not None), default=None)

    def wait(self, timeout: float, wake: int) -> Iterator[Event]:
        """Wait for up to ``timeout`` seconds, or until ``wake`` is readable or a worker has something to say."""
        stillborn, self._stillborn = self._stillborn, []
        reserved, self._reserved = self._reserved, []
        listening: list[Connection | int] = [wake]
        for worker in self.workers:
            listening += [worker.pipe, worker.process.sentinel]
        ready = wait(listening, 0 if stillborn or reserved else timeout)
        yield from stillborn
        for worker in list(self.workers):
            if worker.pipe in ready or worker.process.sentinel in ready:
                yield from self._receive(worker)
        for worker in reserved:
            # Unless it has just died.
            if worker.job is not None:
                yield Ready(worker.job)
        now = time.monotonic()
        for worker in self.workers:
            if worker.deadline is not None and worker.deadline <= now:
                self._overdue(worker)

    def close(self) -> None:
        """Hang up, which ends idle workers, and wait for them."""
        for worker in self.workers:
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(KILL_AFTER)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.output.close()
        self.workers.clear()

    def _ready_for(self, job: Job) -> Worker | None:
        return next((worker for worker in self.workers if worker.job is job), None)

    def _counting(self) -> int:
        long_ago = time.monotonic() - LONG
        return sum(worker.claim is None or worker.since > long_ago for worker in self.workers)

    def _fork(self) -> None:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        output: BinaryIO = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115 - closed when the worker goes
        # Each write goes to the end, wherever another one has been and whatever was cut off before. The mode "a" does
        # not do it: a file without a name is not opened with the flag.
        fcntl.fcntl(output, fcntl.F_SETFL, fcntl.fcntl(output, fcntl.F_GETFL) | os.O_APPEND)
        others = [worker.pipe for worker in self.workers] + [ours]
        process = context.Process(target=serve, args=(theirs, others, output), name="cronkite worker")
        process.start()
        theirs.close()
        self.workers.append(Worker(process, ours, output))

    def _send(self, worker: Worker, message: Resolve | Claim | End) -> None:
        try:
            worker.pipe.send(message)
        except OSError:
            # It has just died; its sentinel tells the next wait().
            logger.debug("Worker %s is gone.", worker.process.pid)

    def _receive(self, worker: Worker) -> Iterator[Event]:
        try:
            message = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            message = None
        if isinstance(message, Resolved) and worker.job is not None:
            job = worker.job
            if message.problem is None:
                worker.deadline = None
                worker.known.add(job.function)
                yield Ready(job)
            else:
                worker.busy()
                yield Refused(job, message.problem)
        elif isinstance(message, Recorded) and worker.claim is not None:
            claim = worker.claim
            worker.busy()
            # The pool may have grown beyond its size while this run was a long one.
            if message.retires or self._counting() > self.size:
                self._discard(worker)
            yield Ended(claim)
        else:
            yield from self._died(worker)

    def _died(self, worker: Worker) -> Iterator[Event]:
        worker.process.join(KILL_AFTER)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        how = _in_words(worker.process.exitcode)
        if worker.claim is not None:
            status, reason = (worker.end.status, worker.end.reason) if worker.end else (Log.Status.LOST, "")
            reason = "; ".join(filter(None, [reason, f"its process {how}"]))
            yield Ended(worker.claim, Outcome(status, reason=reason, output=capture.text_of(worker.output)))
        job, worker.job = worker.job, None
        self._discard(worker)
        if job is not None and job.function in worker.known:
            self.offer(job)
        elif job is not None:
            yield Refused(job, f"{job.function} cannot be imported here: its process {how}.")

    def _discard(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.pipe.close()
        worker.process.join(KILL_AFTER)
        worker.output.close()

    def _overdue(self, worker: Worker) -> None:
        if worker.claim is None or worker.end is not None:
            worker.deadline = None
            worker.process.kill()
        else:
            self._end(worker, Log.Status.TIMED_OUT, f"it took longer than its timeout of {worker.claim.timeout} s")

    def _end(self, worker: Worker, status: str, reason: str) -> None:
        worker.end = End(status, reason)
        worker.deadline = time.monotonic() + KILL_AFTER
        self._send(worker, worker.end)


def _in_words(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return f"exited with code {exitcode}"
