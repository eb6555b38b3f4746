"""What does a worker process do?

Two threads share it, so that a function may do as it likes with the one it runs in:

- the *main thread* calls functions, one after another, and nothing else;
- the *clerk* listens to the node, writes how runs ended over a connection of its own, and ends the run when told to.

When the node dies, the clerk renews the lock in its place until the run has ended and is recorded. Then it exits.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from types import FrameType
from typing import Any, BinaryIO
from uuid import UUID

from django.db import DatabaseError, connections
from django.utils import timezone, translation

from cronkite import capture, conf, functions, holding, runner
from cronkite.exceptions import FunctionError, RunEnded
from cronkite.locks import Claim
from cronkite.models import Log
from cronkite.runner import Ending

logger = logging.getLogger("cronkite")

#: How many runs a worker makes before a new one takes its place: what leaks does not leak for ever.
RUNS_PER_WORKER = 1000
#: The main thread and the clerk.
OWN_THREADS = 2
#: How long (seconds) a run that was told to end has until its process is killed.
KILL_AFTER = 5.0


@dataclass(frozen=True)
class Resolve:
    """The node asks: can this function be run here?"""

    function: str


@dataclass(frozen=True)
class Resolved:
    """The worker answers: yes, or no, with the reason."""

    problem: str | None


@dataclass(frozen=True)
class End:
    """The node says: end the run, and record this status for this reason."""

    status: str
    reason: str


@dataclass(frozen=True)
class Recorded:
    """The worker says: the run has ended, and that is in its log. If it ``retires``, it takes no other."""

    token: UUID
    retires: bool


def serve(node: Connection, others: list[Connection], output: BinaryIO) -> None:
    """Run what ``node`` sends until it hangs up. This is the worker process, from its first line to its last.

    ``others`` are ends of other workers' pipes, inherited by the fork. They are closed at once: while anyone holds
    them, those workers would not notice that their node has died.
    """
    for connection in others:
        connection.close()
    # Inherited, too: a signal to this process would wake the node.
    signal.set_wakeup_fd(-1)
    # The node decides when a run is ended. Ctrl-C reaches the whole process group, and service managers signal it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clerk = _Clerk(node, output)
    signal.signal(signal.SIGTERM, clerk.on_sigterm)
    clerk.start()
    process = _Process()
    runs = 0
    while (task := clerk.tasks.get()) is not None:
        if isinstance(task, Resolve):
            clerk.take(Resolved(_problem(task.function)))
            continue
        runs += 1
        with capture.into_file(output):
            ending = runner.execute(task, clerk)
            runner.close_left_over(everything=True)
            process.put_back()
        # A thread that the function left behind may hold anything. The process goes, and the thread with it.
        retires = runs >= RUNS_PER_WORKER or threading.active_count() > OWN_THREADS
        clerk.take((task, ending, retires))
    clerk.join()
    logging.shutdown()
    os._exit(0)


def _problem(function: str) -> str | None:
    try:
        functions.resolve(function)
    except FunctionError as error:
        return str(error)
    return None


class _Clerk(threading.Thread):
    """The second thread. As a context manager, it marks the time in which the function may be interrupted."""

    def __init__(self, node: Connection, output: BinaryIO) -> None:
        super().__init__(name="cronkite clerk", daemon=True)
        self.tasks: SimpleQueue[Claim | Resolve | None] = SimpleQueue()
        self._node = node
        self._output = output
        self._taken: SimpleQueue[Resolved | tuple[Claim, Ending, bool]] = SimpleQueue()
        self._wake_reader, self._wake_writer = os.pipe()
        self._claim: Claim | None = None
        self._end: End | None = None
        self._interruptible = False
        self._orphaned = False
        self._closing = False
        # Instants (monotonic) that matter once the node is gone, which sees to them else.
        self._overdue_at: float | None = None
        self._renew_at = 0.0

    # Called in the main thread.

    def take(self, done: Resolved | tuple[Claim, Ending, bool]) -> None:
        """Take what the main thread has done, to pass it on."""
        self._taken.put(done)
        os.write(self._wake_writer, b".")

    def __enter__(self) -> None:
        self._interruptible = True
        self._interrupt()

    def __exit__(self, *exc_info: object) -> None:
        self._interruptible = False

    def on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        """End the run if the node said so; a signal from anybody else is the node's business."""
        self._interrupt()

    def _interrupt(self) -> None:
        if self._interruptible and self._end is not None:
            self._interruptible = False
            raise RunEnded(self._end.status, self._end.reason)

    # Called in the clerk's own thread.

    def run(self) -> None:
        """Attend to both sides until there is nothing left to do."""
        while not self._closing:
            listening: list[Connection | int] = [self._wake_reader]
            if not self._orphaned:
                listening.append(self._node)
            ready = wait(listening, timeout=self._pause() if self._orphaned else None)
            if self._wake_reader in ready:
                os.read(self._wake_reader, 1)
                self._pass_on(self._taken.get())
            if self._node in ready and not self._closing:
                self._receive()
            if self._orphaned and not self._closing:
                self._stand_in()
        self.tasks.put(None)
        connections.close_all()

    def _receive(self) -> None:
        try:
            message = self._node.recv()
        except (EOFError, OSError):
            self._orphaned = True
            self._closing = self._claim is None
            if not self._closing:
                logger.warning("The node is gone. %s goes on, and then its worker ends.", self._claim)
            return
        if isinstance(message, End):
            self._end_run(message)
            return
        if isinstance(message, Claim):
            self._claim, self._end = message, None
            self._overdue_at = time.monotonic() + message.timeout if message.timeout else None
        self.tasks.put(message)

    def _pass_on(self, done: Resolved | tuple[Claim, Ending, bool]) -> None:
        if isinstance(done, Resolved):
            self._send(done)
            return
        claim, ending, retires = done
        # The order matters. Once the node is told, the next run may begin, and stderr be its output.
        runner.record(claim, replace(ending.outcome, output=capture.text_of(self._output)))
        runner.announce(claim, ending)
        self._claim = None
        self._closing = retires or self._orphaned
        self._send(Recorded(claim.token, retires))

    def _send(self, message: Resolved | Recorded) -> None:
        try:
            self._node.send(message)
        except OSError:
            self._orphaned = True
            self._closing = self._claim is None

    # What the node did for the run while it was there.

    def _pause(self) -> float:
        at = self._renew_at if self._overdue_at is None else min(self._renew_at, self._overdue_at)
        return max(0.0, at - time.monotonic())

    def _stand_in(self) -> None:
        now = time.monotonic()
        if self._overdue_at is not None and now >= self._overdue_at:
            self._overdue_at = now + KILL_AFTER
            self._end_run(End(Log.Status.TIMED_OUT, "its time was up, and its node gone"))
        if now >= self._renew_at:
            self._renew_at = now + conf.get().renewal_interval.total_seconds()
            self._renew()

    def _renew(self) -> None:
        assert self._claim is not None
        try:
            gone = holding.renew([self._claim])
        except DatabaseError as error:
            logger.warning("%s: the lock can't be renewed; trying again. %s", self._claim, error)
            connections.close_all()
        else:
            if gone:
                self._overdue_at = time.monotonic() + KILL_AFTER
                self._end_run(End(Log.Status.LOST, "its lock was lost"))

    def _end_run(self, end: End) -> None:
        if self._end is not None:
            # It was told before and has not heeded. Nobody is left to write its end: its lock will be found stale.
            logger.error("%s: does not end, so its process is killed.", self._claim)
            os.kill(os.getpid(), signal.SIGKILL)
        self._end = end
        # To interrupt the main thread, wherever it may be: only a signal does that.
        os.kill(os.getpid(), signal.SIGTERM)


class _Process:
    """What a function may change of its process, as it was at first, for the next one to find it so."""

    def __init__(self) -> None:
        self._directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        # Compared in bytes, which is cheaper, after each run.
        self._environment, self._environment_in_bytes = dict(os.environ), dict(os.environb)
        self._handlers = {number: _handler(number) for number in map(int, signal.valid_signals())}

    def put_back(self) -> None:
        os.fchdir(self._directory)
        os.umask(self._umask)
        if dict(os.environb) != self._environment_in_bytes:
            os.environ.clear()
            os.environ.update(self._environment)
        # Also where the environment is the same: a function may have called it with another TZ, and put that back.
        time.tzset()
        timezone.deactivate()
        translation.deactivate()
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            if handler is not None and _handler(number) is not handler:
                signal.signal(number, handler)


#: ``signal.getsignal()`` without its wrapper, which makes two enums of each number: 60 are asked for after each run.
_handler: Callable[[int], Any] = getattr(signal.getsignal, "__wrapped__", signal.getsignal)
