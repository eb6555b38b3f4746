"""What does a worker process do?

Two threads share it, so that a function may do as it likes with the one it runs in:

- the *main thread* calls functions, one after another, and tells the log how they ended;
- the *clerk* listens to the node, writes how runs ended over a connection of its own, and ends the run when told to.

It leads a session of its own, so that a signal to its group stays within it, and what it starts can be found and ended
with it. When the node dies, the clerk renews the lock in its place until the run has ended and is recorded. Then it
exits.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from django.db import DatabaseError, connections

from cronkite import conf
from cronkite.claims import holding
from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.database import inherited, leftovers, teller
from cronkite.exceptions import RunEnded
from cronkite.models import Log, primary
from cronkite.processes import forks, kin
from cronkite.runs import capture, channels, farewell, interrupts, runner
from cronkite.runs.channels import Channel, HungUp
from cronkite.runs.heirs import Heir
from cronkite.runs.imports import Imports
from cronkite.runs.messages import (
    KILL_AFTER,
    LEAVING,
    OUTPUT,
    Born,
    End,
    Over,
    Recorded,
    Resolve,
    Resolved,
    Returned,
    Unable,
)
from cronkite.runs.nurse import Birth, unread
from cronkite.runs.runner import Ending
from cronkite.runs.surroundings import Surroundings, apart, reseed

logger = logging.getLogger("cronkite")

#: How many runs a worker makes before a new one takes its place: what leaks does not leak for ever.
RUNS_PER_WORKER = 1000
#: How often (seconds) the clerk looks around while a function runs, which may have closed what would wake it.
GLANCE = 1.0
#: How long (seconds) the clerk waits for the nursery to tell what a run has written.
OUTPUT_PATIENCE = 5.0
#: What the log says of what was written and can't be had.
LOST_OUTPUT = "[its output is lost]"
#: How long (seconds) a worker that leaves may take to tell the log how its last run ended.
LINGER = 30.0
#: How long (seconds) it may take to write the end of a run until the node is told that it is over all the same.
RECORD_PATIENCE = 1.0
#: The signals that the node heeds, and a worker by itself does not.
FOR_THE_NODE = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class _Done:
    """The main thread says: the function has ended so, and its worker takes no other if it ``retires``.

    If it ``is_whole``, its process is what it was before.
    """

    claim: Claim
    ending: Ending
    retires: bool
    is_whole: bool
    #: Set when the end is written, or left to the node.
    is_recorded: threading.Event = field(default_factory=threading.Event)


def serve(birth: Birth) -> None:
    """Run what the node sends until it hangs up. This is the worker process, from its first line to its last."""
    teller.silence()
    reseed()
    kin.adopt_orphans()
    clerk = _Clerk(birth)
    before: dict[int, Any] = {number: signal.getsignal(number) for number in FOR_THE_NODE}
    # The node decides when a run is ended. Not SIG_IGN, which programs that a function starts would inherit.
    signal.signal(signal.SIGINT, _do_nothing)
    signal.signal(signal.SIGTERM, clerk.on_sigterm)
    clerk.introduce()
    try:
        clerk.start()
    except RuntimeError as error:
        # Nobody's function is to blame for that.
        clerk.give_up(str(error))
    with forks.keeping(before, clerk.let_go):
        _work(clerk, birth.output)
    clerk.leave()
    farewell.leave()
    os._exit(0)


def _work(clerk: _Clerk, output: int) -> None:
    inherited.renew()
    surroundings = Surroundings()
    imports = Imports(surroundings)
    runs = 0
    while (task := clerk.tasks.get()) is not None:
        if isinstance(task, Resolve):
            clerk.take(imports.answer(task))
            continue
        runs += 1
        is_whole, present = True, set(threading.enumerate())
        ending: Ending | None = None
        try:
            with capture.into(output):
                ending = apart(runner.execute, task, clerk)
                if (told := clerk.told_to_end) is not None:
                    kin.end_children()
                    ending = runner.as_told(ending, told.status, told.reason)
        except OSError as error:
            # The function has closed what is ours.
            is_whole = False
            if ending is None:
                ending = Ending(Outcome(Log.Status.LOST, reason=f"its process could not begin it: {error}"))
        leftovers.close(everything=True)
        is_whole = surroundings.put_back() and is_whole
        # A thread that the function left behind may hold anything. The process goes, and the thread with it. What else
        # it has started lives on, but is not to be taken for the next run's.
        has_left = not present.issuperset(farewell.strangers()) or kin.have_children()
        retires = runs >= RUNS_PER_WORKER or not is_whole or has_left
        done = _Done(task, ending, retires, is_whole)
        clerk.take(done)
        # While the clerk records the end.
        runner.announce(task, ending)
        farewell.flush()
        # A handler of the log's may have opened some.
        leftovers.close(everything=True)
        clerk.said.set()
        clerk.see_to_record(done)


def _do_nothing(signum: int, frame: FrameType | None) -> None:
    """Leave it to the node."""


class _Clerk(threading.Thread):
    """The second thread. As a context manager, it marks the time in which the function may be interrupted."""

    def __init__(self, birth: Birth) -> None:
        super().__init__(name="cronkite clerk", daemon=True)
        self.tasks: SimpleQueue[Claim | Resolve | None] = SimpleQueue()
        #: Set when the main thread has told the log how the run ended.
        self.said = threading.Event()
        self.said.set()
        self._birth = birth
        self._node = Channel(birth.node)
        self._nursery = Channel(birth.nursery)
        self._heir, self._inherits = Heir(birth.reader), False
        self._wake, self._waker = map(Channel, channels.pair())
        self._taken: SimpleQueue[Resolved | _Done] = SimpleQueue()
        self._claim: Claim | None = None
        self._end: End | None = None
        self._interruptible = False
        self._orphaned = False
        self._closing = False
        # Kept, so that a child that the function forks does not collect it, and with it closes the server's side.
        self._connection: Any = None
        # Instants (monotonic) that matter once the node is gone, which sees to them else.
        self._overdue_at: float | None = None
        self._renew_at = 0.0

    # Called in the main thread.

    def introduce(self) -> None:
        """Tell the node which process this is: if the nursery dies, nobody else can."""
        self._send(Born(kin.Known.this()))

    def give_up(self, lack: str) -> None:
        """End the process, which can't be a worker for lack of this."""
        self._send(Unable(lack))
        os._exit(1)

    def take(self, done: Resolved | _Done) -> None:
        """Take what the main thread has done, to pass it on."""
        self._taken.put(done)
        # Where the function has closed this, the clerk looks around by itself.
        with suppress(HungUp):
            self._waker.send(None)

    def see_to_record(self, done: _Done) -> None:
        """Tell the node, where the end can't be written soon, that there is nothing left to be ended."""
        if not done.is_recorded.wait(RECORD_PATIENCE):
            with suppress(HungUp):
                self._node.send(Over(done.claim.token))

    @property
    def told_to_end(self) -> End | None:
        """With which word the run was told to end; ``None`` if it was left to end by itself."""
        return self._end

    def let_go(self) -> None:
        """Close all that is ours, in a process that the function has forked."""
        for channel in (self._node, self._nursery, self._wake, self._waker):
            channel.close()
        for descriptor in (self._birth.output, self._birth.reader, *capture.saved):
            with suppress(OSError):
                os.close(descriptor)

    def leave(self) -> None:
        """Tell the nursery that this process leaves as it should: what it has left behind is to live."""
        with suppress(HungUp):
            self._nursery.send(LEAVING)

    def __enter__(self) -> None:
        self._interruptible = True
        self._interrupt()

    def __exit__(self, *exc_info: object) -> None:
        self._interruptible = False

    def on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        """End the run if the node said so; a signal from anybody else is the node's business."""
        self._interrupt()

    def _interrupt(self) -> None:
        if self._interruptible and self._end is not None and not interrupts.puts_off(self._interrupt):
            self._interruptible = False
            raise RunEnded(self._end.status, self._end.reason)

    # Called in the clerk's own thread.

    def run(self) -> None:
        """Be the clerk. Nobody can be told anything without one, so the process ends with it, whatever ends it."""
        try:
            self._attend_to_both()
        except BaseException:
            logger.exception("The thread that sees to this worker's runs has failed, so its process ends.")
            os._exit(1)

    def _attend_to_both(self) -> None:
        """See to the node and to the main thread until there is nothing left to do."""
        while not self._closing:
            ready = channels.wait(self._listening(), self._pause())
            if self._wake.fileno() in ready:
                self._hear()
            with suppress(Empty):
                while True:
                    self._pass_on(self._taken.get_nowait())
            if self._node.fileno() in ready:
                self._receive()
            self._attend(ready)
            if self._orphaned and not self._closing:
                self._stand_in()
        self.tasks.put(None)
        connections.close_all()
        # The main thread ends the process, unless it is held up by somebody's handler, thread or lock.
        self.said.wait(LINGER)
        time.sleep(farewell.PATIENCE)
        with suppress(HungUp):
            self._nursery.send(LEAVING)
        os._exit(0)

    def _listening(self) -> list[Channel | int]:
        listening: list[Channel | int] = [self._wake] if self._orphaned else [self._wake, self._node]
        return [*listening, self._heir.fileno() if self._inherits else self._nursery]

    def _attend(self, ready: set[int]) -> None:
        """See whether the nursery has died, which never says anything unasked; read in its place, if so."""
        if self._inherits:
            if self._heir.fileno() in ready:
                self._heir.read()
        elif self._nursery.fileno() in ready:
            try:
                self._nursery.receive()
            except HungUp:
                self._inherits = True

    def _pause(self) -> float | None:
        """Return for how long (seconds) to wait."""
        if self._claim is None:
            return None
        if not self._orphaned:
            return GLANCE
        at = self._renew_at if self._overdue_at is None else min(self._renew_at, self._overdue_at)
        return min(GLANCE, max(0.0, at - time.monotonic()))

    def _hear(self) -> None:
        try:
            self._wake.receive()
        except HungUp:
            # The function has closed it, and nothing can be heard there any more.
            self._wake.close()

    def _receive(self) -> None:
        if self._closing or self._orphaned:
            return
        try:
            messages = self._node.receive()
        except HungUp:
            self._lose_node()
            return
        for message in messages:
            if isinstance(message, End):
                self._end_run(message)
                continue
            if isinstance(message, Claim):
                self._claim, self._end = message, None
                self.said.clear()
                self._overdue_at = time.monotonic() + message.timeout if message.timeout else None
                # What was written since the last run is nobody's.
                self._output()
            self.tasks.put(message)

    def _lose_node(self) -> None:
        self._orphaned = True
        self._closing = self._claim is None
        if not self._closing:
            logger.warning("The node is out of reach. %s goes on, and then its worker ends.", self._claim)

    def _pass_on(self, done: Resolved | _Done) -> None:
        if isinstance(done, Resolved):
            self._send(done)
            return
        outcome = replace(done.ending.outcome, output=self._output())
        if not done.is_whole and self._hand_over(done.claim, outcome):
            done.is_recorded.set()
            return
        # The order matters. Once the node is told, the next run may begin, and stderr be its output.
        runner.record(done.claim, outcome)
        done.is_recorded.set()
        self._connection = connections[primary.alias()]
        self._connection.queries_log.clear()
        is_said = self.said.wait(farewell.PATIENCE)
        # By what the function has closed, or written rubbish into, nobody can wake this thread for the next run.
        retires = done.retires or not is_said or self._wake.fileno() < 0
        self._claim = None
        self._closing = retires or self._orphaned
        self._send(Recorded(done.claim.token, retires))

    def _hand_over(self, claim: Claim, outcome: Outcome) -> bool:
        """Have the node write how the run ended, if it is there: bound as we are, we may not be able to.

        This process then ends as the node hangs up.
        """
        if self._orphaned:
            return False
        self.said.wait(farewell.PATIENCE)
        try:
            self._node.send(Returned(claim.token, outcome))
            while self._node.has_unsent:
                channels.wait([self._node], GLANCE)
                self._node.flush()
        except HungUp:
            return False
        self._claim = None
        return True

    def _send(self, message: Born | Unable | Resolved | Recorded) -> None:
        try:
            self._node.send(message)
        except HungUp:
            self._orphaned = True
            self._closing = self._claim is None

    def _output(self) -> str:
        """Return what the run has written; asks the nursery, but where nothing was."""
        try:
            if self._inherits:
                return self._inherited()
            # In this order: what the nursery has read, it has noted before.
            if not unread(self._birth.output) and not self._birth.written[0]:
                return ""
            piece = self._nursery.ask(OUTPUT, OUTPUT_PATIENCE)
        except HungUp:
            self._inherits = True
            return self._inherited()
        except OSError:
            piece = None
        return piece.text() if isinstance(piece, capture.Piece) else LOST_OUTPUT

    def _inherited(self) -> str:
        """Return what has been written since the nursery has read its last."""
        if self._heir.fileno() < 0:
            return LOST_OUTPUT
        is_all = not self._birth.written[0]
        self._birth.written[0] = 0
        said = self._heir.take().text()
        return said if is_all else f"{LOST_OUTPUT}\n{said}".rstrip("\n")

    # What the node did for the run while it was there.

    def _stand_in(self) -> None:
        now = time.monotonic()
        if self._overdue_at is not None and now >= self._overdue_at:
            self._overdue_at = now + KILL_AFTER
            assert self._claim is not None
            reason = f"it took longer than its timeout of {self._claim.timeout} s"
            self._end_run(End(Log.Status.TIMED_OUT, reason))
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
            for pid in kin.descendants(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        self._end = end
        # To interrupt the main thread, wherever it may be: only a signal does that.
        os.kill(os.getpid(), signal.SIGTERM)
