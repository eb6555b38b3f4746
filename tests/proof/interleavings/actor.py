"""A node that stops before every statement, BEGIN, COMMIT and ROLLBACK, and goes on, or dies, when it is told.

It is a thread with a connection of its own, and runs the real code. Thread and connection are kept for the next order,
as far as they have lived through this one: a node that was killed gets a new connection.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from django.db import OperationalError, connections

from proof.interleavings import server

#: What a database's own tables are called: what stands in them is the same in all orders.
CATALOGS = ("pg_catalog", "pg_class", "information_schema", "sqlite_master", "PRAGMA ", "SHOW ")


#: What a SELECT says that locks what it finds.
LOCKING = re.compile(r" FOR (NO KEY )?UPDATE\b")
#: And what it says if it does not wait for that.
SKIPPING = re.compile(r" (SKIP LOCKED|NOWAIT)\b")
#: What an UPDATE of jobs says that asks for nothing of what stands in another table, and takes no seat of a group, for
#: which another row's claim would have to wait.
UPDATE = re.compile(r"UPDATE .cronkite_job. SET (?!.*\bSELECT\b)(?!.*.seat. = (%s|subject))", re.DOTALL)
#: And a SELECT of jobs.
OF_JOBS = re.compile(r"\bFROM .cronkite_job. ")
#: What puts a task into an engine's queue.
QUEUE = re.compile(r"INSERT INTO .django_tasks_database_dbtaskresult. ")


class Killed(BaseException):
    """Raised in a node that is killed, to leave its code."""


@dataclass(frozen=True)
class Stop:
    """Before what a node stands.

    ``reads``: it reads only, and locks nothing. ``local``: no other node can notice it, nor change what it does, as
    long as the node's transaction is open. ``commits``: what it writes is seen by the others at once. ``has_open``: the
    server has something of the node's to roll back or to unlock, should the node die here. ``skips``: it waits for no
    lock of a row, as it passes over what is locked, or fails at once.
    """

    words: str
    reads: bool = False
    local: bool = False
    commits: bool = False
    has_open: bool = False
    skips: bool = False


#: What an actor reports besides its stops: it has ended; SQLite's lock is taken.
GONE, BUSY = Stop("gone"), Stop("busy")


class Actor(threading.Thread):
    """A node, which reports to the queue ``reports`` where it stands: pairs of itself and a :class:`Stop`."""

    def __init__(self, name: str, reports: SimpleQueue[tuple[Actor, Stop]]) -> None:
        super().__init__(name=name, daemon=True)
        self.reports = reports
        self.identity: int | None = None
        self.error: Exception | None = None
        self.stop = GONE
        self._actions: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._orders: SimpleQueue[str] = SimpleQueue()
        self._own: Any = None
        self._killed = False
        #: Whether the server has something of it to roll back or to unlock.
        self._has_open = False
        #: Whether its transaction has locked the rows of the jobs that it is about.
        self._has_jobs = False

    # What the explorer calls.

    def begin(self, action: Callable[[], Any]) -> None:
        """Have the node do ``action``; it reports when it comes to its first statement."""
        self._actions.put(action)

    def tell(self, order: str) -> None:
        """Have the node ``go`` on or ``die``; or, where the lock was taken, try ``again`` or ``give up``."""
        self._orders.put(order)

    def dismiss(self) -> None:
        """End the thread, once it has ended what it does."""
        self._actions.put(None)

    # What happens in its thread.

    def run(self) -> None:
        """Do one action after the other."""
        try:
            while (action := self._actions.get()) is not None:
                self._act(action)
                self.reports.put((self, GONE))
        finally:
            self._hang_up()

    def _act(self, action: Callable[[], Any]) -> None:
        self.error, self._killed = None, False
        self._close()
        try:
            self._connect()
            with self._own.execute_wrapper(self._statement):
                action()
        except Killed:
            pass
        except Exception as error:
            # Where an engine is asked, a death is taken for the engine's error, and the code goes on to the next
            # statement, which is refused. What a dead node makes of that is nobody's error.
            if not self._killed:
                self.error = error
        if self._killed or (self._own is not None and self._own.in_atomic_block):
            self._hang_up()

    def _connect(self) -> None:
        own = connections["default"]
        own.ensure_connection()
        # Django asks the database, once for each connection.
        assert own.features.supports_json_field
        if self._own is None:
            self._own = own
            own._commit = self._before(own._commit, "COMMIT")
            own._rollback = self._before(own._rollback, "ROLLBACK")
            own._set_autocommit = self._before_autocommit(own._set_autocommit)
        if own.vendor == "sqlite":
            # It would wait by sleeping, which nobody can see. So it comes back at once, and the waiting is up to us.
            own.connection.execute("PRAGMA busy_timeout = 0")

    def _hang_up(self) -> None:
        """Drop the connection: the next action gets a new one."""
        if self._own is not None:
            if self._own.connection is not None:
                self._own.connection.close()
            del connections["default"]
            self._own = None

    def _statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        word = sql.split(None, 1)[0]
        reads = word in ("SELECT", "PRAGMA", "SHOW") and not LOCKING.search(sql)
        stop = Stop(
            word,
            reads=reads,
            local=self._is_unnoticed(word, sql, reads),
            commits=not (reads or word == "BEGIN" or self._own.in_atomic_block),
            has_open=self._has_open,
            skips=word == "SELECT" and SKIPPING.search(sql) is not None,
        )
        result = self._pass(stop, lambda: execute(sql, params, many, context))
        # SQLite's BEGIN takes its lock, and is a statement; the others' is a word to the driver.
        if self._own.in_atomic_block or word == "BEGIN":
            self._has_open = True
            self._keep(word, sql, len(params or ()), context["cursor"].rowcount)
        return result

    def _is_unnoticed(self, word: str, sql: str, reads: bool) -> bool:
        """Whether it is the same to all others, and to this node, when in its transaction the statement is carried out.

        It says how long to wait for others, or reads how the tables are made. Or, on SQLite, it is between BEGIN and
        COMMIT, where nobody else writes, and who reads sees what was there before. Or it writes a job's row that this
        transaction has locked already: all find that row by its key, and stop at the lock as before. Or it puts a task
        into an engine's queue: who asks there asks for tasks by their keys, which are random and in no row before the
        COMMIT, and nobody locks anything there, or waits.
        """
        if word == "SET" or (reads and any(catalog in sql for catalog in CATALOGS)):
            return True
        if not self._has_open:
            return False
        if self._own.vendor == "sqlite":
            return True
        return QUEUE.match(sql) is not None or (self._has_jobs and UPDATE.match(sql) is not None)

    def _keep(self, word: str, sql: str, asked: int, found: int) -> None:
        """Remember what the transaction has locked, from a statement and how many rows it asked for and found."""
        if word == "ROLLBACK":  # to a savepoint, and some databases give up the locks since then
            self._has_jobs = False
        elif UPDATE.match(sql):
            self._has_jobs |= found > 0
        elif LOCKING.search(sql) and OF_JOBS.search(sql):
            self._has_jobs |= found > 0 and (found == asked or not SKIPPING.search(sql))

    def _close(self) -> None:
        """Forget the transaction, which has ended."""
        self._has_open = self._has_jobs = False

    def _before(self, method: Callable[[], None], words: str) -> Callable[[], None]:
        def end_transaction() -> None:
            self._pass(Stop(words, commits=words == "COMMIT", has_open=self._has_open), method)
            self._close()

        return end_transaction

    def _before_autocommit(self, method: Callable[[bool], None]) -> Callable[[bool], None]:
        def set_autocommit(autocommit: bool) -> None:
            if self._killed:
                raise Killed
            if autocommit:  # its transaction has ended before
                method(autocommit)
            else:
                # The server takes no snapshot and no lock before the first statement in the transaction.
                self._pass(Stop("BEGIN", local=True), lambda: method(autocommit))

        return set_autocommit

    def _pass(self, stop: Stop, send: Callable[[], Any]) -> Any:
        """Stop, and send the statement when told to; or die."""
        if self._killed:
            raise Killed  # what its code does on its way out, it does not do any more
        self.identity = server.identity(self._own)
        order = self._report(stop)
        while order != "die":
            try:
                return send()
            except OperationalError as error:
                if order == "give up" or not server.is_busy(error):
                    raise
            order = self._report(BUSY)
        self._killed = True
        server.sever(self._own)
        raise Killed

    def _report(self, stop: Stop) -> str:
        self.reports.put((self, stop))
        return self._orders.get()
