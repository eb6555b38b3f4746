"""Every order in which the statements of several nodes can meet, tried one by one against the real database.

Each node is a thread with a connection of its own, which stops before every statement, COMMIT and ROLLBACK, and before
it ends. One at a time is let go on. An order is the list of who went on; all orders are found by changing one choice
after the other in the orders tried before. A choice may also be to kill a node: its connection closes, and it does
nothing more.

A statement that waits for another node's lock is recognised by asking the database, and the order goes on with the
others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any

from django.db import DatabaseError, connection, connections

#: Seconds until a wait is given up: reached only if something hangs for good.
PATIENCE = 30.0
#: How long (seconds) a statement may take before the database is asked whether it waits for a lock. InnoDB answers from
#: a cache, and does not renew that while it is read more often than each tenth of a second.
PACE = {"sqlite": 0.5, "postgresql": 0.005, "mysql": 0.12}

#: How to ask whether a connection waits for a lock.
WAITS = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
    "mysql": "SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = %s AND trx_state = 'LOCK WAIT'",
}


class Killed(BaseException):
    """Raised in a node that is killed."""


class Actor(threading.Thread):
    """A node: ``action`` in a thread that goes from statement to statement as it is told."""

    def __init__(self, name: str, action: Callable[[], Any]) -> None:
        super().__init__(name=name, daemon=True)
        self.action = action
        self.stops: Queue[str] = Queue()
        self.orders: Queue[str] = Queue()
        self.at: str | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.identity: Any = None

    def run(self) -> None:
        """Do the action, and stop whenever a statement is about to be sent."""
        own = connections["default"]
        try:
            own.ensure_connection()
            self.identity = identity(own)
            if own.vendor == "sqlite":
                # SQLite has one lock, and waits for it by sleeping, which nobody can see. So it sends away at once.
                own.connection.execute("PRAGMA busy_timeout = 0")
            with own.execute_wrapper(self._before_statement):
                own._commit = self._before(own._commit, "COMMIT")
                own._rollback = self._before(own._rollback, "ROLLBACK")
                self.result = self.action()
                self._halt("end")
        except Killed:
            self.result = None
        except Exception as error:
            self.error = error
        finally:
            # No word to the server: whatever was open is rolled back by it.
            if own.connection is not None:
                own.connection.close()
            del connections["default"]
            self.stops.put("gone")

    def _before_statement(self, execute, sql, params, many, context):
        self._halt(sql.split(None, 1)[0])
        return execute(sql, params, many, context)

    def _before(self, method, name):
        def stopping():
            self._halt(name)
            return method()

        return stopping

    def _halt(self, what: str) -> None:
        self.stops.put(what)
        if self.orders.get(timeout=PATIENCE) == "kill":
            raise Killed


def identity(own) -> Any:
    """Return how the server calls this connection; ``None`` where nobody can wait for a lock."""
    if own.vendor == "sqlite":
        return None
    with own.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if own.vendor == "postgresql" else "SELECT CONNECTION_ID()")
        return cursor.fetchone()[0]


def is_blocked(actor: Actor) -> bool:
    """Ask the database whether the actor's statement waits for a lock."""
    if actor.identity is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(WAITS[connection.vendor], [actor.identity])
        return cursor.fetchone() is not None


@dataclass
class Order:
    """What was done, and what could have been done instead at each point."""

    choices: list[str] = field(default_factory=list)
    open: list[list[str]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(self.statements)


def play(actors: Sequence[Actor], prefix: Sequence[str], *, kills: int) -> Order:
    """Run the actors in the order that ``prefix`` says, and on in any order; return what was done."""
    order = Order(actors=list(actors))
    by_name = {actor.name: actor for actor in actors}
    blocked: set[str] = set()
    for actor in actors:
        actor.start()
        arrive(actor, blocked)
    while True:
        for name in list(blocked):
            arrive(by_name[name], blocked)
        ready = [actor.name for actor in actors if actor.at not in (None, "gone")]
        if not ready:
            if not blocked:
                return order
            continue
        killed = sum(choice.startswith("kill") for choice in order.choices)
        choices = ready + ([f"kill {name}" for name in ready] if killed < kills else [])
        position = len(order.choices)
        wanted = prefix[position] if position < len(prefix) else choices[0]
        if wanted not in choices:
            # Blocked when this order was first seen, and now not any more, or the other way round: the database's own
            # pace. What was to be tried here is tried by another order.
            wanted = choices[0]
        order.choices.append(wanted)
        order.open.append(choices)
        actor = by_name[wanted.removeprefix("kill ")]
        order.statements.append(f"{actor.name}:{'KILLED' if wanted.startswith('kill') else actor.at}")
        actor.at = None
        actor.orders.put("kill" if wanted.startswith("kill") else "go")
        arrive(actor, blocked)


def arrive(actor: Actor, blocked: set[str]) -> None:
    """Wait until the actor stops again, or waits for a lock."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            actor.at = actor.stops.get(timeout=PACE[connection.vendor])
        except Empty:
            if is_blocked(actor):
                blocked.add(actor.name)
                return
        else:
            blocked.discard(actor.name)
            return
    raise AssertionError(f"{actor.name} neither comes back nor waits for a lock")


def explore(
    set_up: Callable[[], Sequence[tuple[str, Callable[[], Any]]]],
    check: Callable[[Order], None],
    *,
    kills: int = 0,
) -> int:
    """Try all orders; call ``check`` after each. Return how many there were.

    ``set_up`` puts the tables into their first state and returns the nodes: a name and what it does.
    """
    todo: list[list[str]] = [[]]
    count = 0
    while todo:
        prefix = todo.pop()
        actors = [Actor(name, action) for name, action in set_up()]
        order = play(actors, prefix, kills=kills)
        for actor in actors:
            actor.join(PATIENCE)
        check(order)
        count += 1
        for position in range(len(prefix), len(order.choices)):
            chosen = order.choices[position]
            todo += [[*order.choices[:position], other] for other in order.open[position] if other != chosen]
    return count


def expected(error: BaseException | None) -> bool:
    """Whether a node may end so: well, or sent away by the database."""
    from cronkite import databases, locks

    return (
        error is None
        or isinstance(error, locks.Contention)
        or (isinstance(error, DatabaseError) and databases.is_conflict(error))
    )
