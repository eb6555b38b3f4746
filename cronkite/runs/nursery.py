"""Where does a node get worker processes from?

From its nursery, which is forked from it before it has opened any connection, and which forks the workers. What it does
is in :mod:`cronkite.runs.nurse`; this is how its node talks to it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable

from cronkite.database import teller
from cronkite.processes import forks
from cronkite.runs import channels, farewell, nurse
from cronkite.runs.channels import Channel, HungUp
from cronkite.runs.messages import ASK, FORK, HEARS, KILL, PEEK, REQUEST, WARM, Died, Written
from cronkite.runs.nurse import FOR_THE_NODE, Birth

logger = logging.getLogger("cronkite")

#: How long (seconds) a node waits for its nursery to have ended.
PATIENCE = 1.0
#: How often (seconds) to ask whether it hears; how long to wait for the answer until it is told to go on, as it may
#: have been stopped: less, together, than a worker waits for what its run has written; and how long until it is killed.
ASK_EVERY = 2.0
WAKE_AFTER = 2.0
KILL_AFTER = 10.0
#: How long (seconds) receivers of signals may take before it is forked.
TELLER_PATIENCE = 2.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.0002, 0.01


class Nursery:
    """The nursery as its node sees it. ``load`` returns what a worker does; it is called in the nursery.

    It does not get the node's ``private`` channels, whose other sides are to hear it when the node is gone.
    """

    def __init__(self, load: Callable[[], Callable[[Birth], None]], private: Iterable[Channel] = ()) -> None:
        # Nothing that it holds goes over the fork, unless a receiver does not come back.
        teller.wait(TELLER_PATIENCE)
        _tell_of_threads()
        # Its thread does not come along either, and who cancels it there, as is done after each run, waits for that.
        faulthandler.cancel_dump_traceback_later()
        ours, theirs = channels.pair()
        with forks.signals_held(FOR_THE_NODE) as release, warnings.catch_warnings():
            # Of threads of C libraries, too, which can't hold anything of ours.
            warnings.filterwarnings("ignore", message=".*multi-threaded", category=DeprecationWarning)
            self.pid = os.fork()
            if not self.pid:
                ours.close()
                for channel in private:
                    channel.close()
                nurse.be(theirs, load, release)
        theirs.close()
        self._channel = Channel(ours)
        self._control = ours
        self._load = load
        self._count = 0
        self._is_reaped = False
        self.is_gone = False
        #: When (monotonic) it is to be asked whether it hears, or has to have answered.
        self.attend_at = time.monotonic() + ASK_EVERY
        self._is_asked = False
        self._is_woken = False

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._channel.fileno()

    def warm_up(self) -> None:
        """Have it get ready: workers will be wanted."""
        self._say(WARM, 0)

    def fork(self) -> tuple[int, Channel]:
        """Have it fork a worker; return its number, and the node's end of the channel to it."""
        self._count += 1
        ours, theirs = channels.pair()
        self._say(FORK, self._count, theirs)
        theirs.close()
        return self._count, Channel(ours)

    def kill(self, number: int) -> None:
        """Have it kill a worker, with all that this has started."""
        self._say(KILL, number)

    def peek(self, number: int) -> None:
        """Have it tell what a worker has written until now."""
        self._say(PEEK, number)

    def receive(self) -> list[Died | Written]:
        """Return which workers have died, and what others have written.

        When the nursery itself has died, ``is_gone`` is true.
        """
        try:
            messages = self._channel.receive()
        except HungUp:
            self.is_gone = True
            return []
        if messages:
            self._is_asked, self._is_woken = False, False
            self.attend_at = time.monotonic() + ASK_EVERY
        return [message for message in messages if message != HEARS]

    def attend(self) -> None:
        """See whether it hears, which is to be asked now and then while it has something to do.

        Any process of the user's may have stopped it, a job's too: then it is told to go on. If that does not help, it
        is killed. To be called after :meth:`receive`: who was stopped himself has answers to hear.
        """
        now = time.monotonic()
        if self.is_gone or now < self.attend_at:
            return
        if not self._is_asked:
            self._is_asked, self.attend_at = True, now + WAKE_AFTER
            self._say(ASK, 0)
        elif not self._is_woken:
            self._is_woken, self.attend_at = True, now + KILL_AFTER
            logger.info("The process that workers are forked from does not answer. It is told to go on.")
            self.signal(signal.SIGCONT)
        else:
            self.attend_at = now + KILL_AFTER
            logger.error("The process that workers are forked from does not answer, so it is killed.")
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to it, if it lives."""
        if not self._has_ended():
            os.kill(self.pid, number)

    def anew(self, private: Iterable[Channel]) -> Nursery:
        """Return another one, where this one is gone; it does not get the node's ``private`` channels."""
        self.close()
        return Nursery(self._load, private)

    def close(self) -> None:
        """Hang up. It ends when the last of its workers has."""
        self._channel.close()
        if not self._count:
            # It has nobody to see to, and a tick with nothing to do is in a hurry.
            self.signal(signal.SIGKILL)
        deadline, pause = time.monotonic() + PATIENCE, SHORTEST_PAUSE
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _has_ended(self) -> bool:
        try:
            self._is_reaped = self._is_reaped or os.waitpid(self.pid, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            self._is_reaped = True
        return self._is_reaped

    def _say(self, word: bytes, number: int, end: socket.socket | None = None) -> None:
        message = REQUEST.pack(word, number)
        deadline, pause = time.monotonic() + PATIENCE, SHORTEST_PAUSE
        while not self.is_gone:
            try:
                socket.send_fds(self._control, [message], [] if end is None else [end.fileno()])
            except BlockingIOError:
                # A socket takes some hundreds at a time, and it reads what is as short as this at once.
                self.is_gone = time.monotonic() > deadline
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except OSError:
                self.is_gone = True
            else:
                return


def _tell_of_threads() -> None:
    # Not of those of monitoring services, which know of forks.
    others = [thread.name for thread in farewell.strangers() if thread is not threading.current_thread()]
    if others:
        logger.warning(
            "Threads are alive while workers are prepared: %s. What they hold at this moment stays locked in each "
            "worker. Start them later than at import or in AppConfig.ready().",
            ", ".join(others),
        )
