"""Another transaction, of a thread with a connection of its own: it does something, and stays open until it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections, transaction
from nodes import PATIENCE, until


class Rival(threading.Thread):
    """A transaction in which ``action`` is done; ``value`` is what that returned."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__(name="rival", daemon=True)
        self.value: Any = None
        self.error: BaseException | None = None
        self._action = action
        self._done = threading.Event()
        self._told = threading.Event()
        self._commits = False

    def run(self) -> None:
        """Do it, wait for the word, and end."""
        try:
            with transaction.atomic():
                self.value = self._action()
                self._done.set()
                # Who waits for it in spite of all goes on, and is found out.
                self._told.wait(PATIENCE)
                transaction.set_rollback(not self._commits)
        except BaseException as error:
            self.error = error
        finally:
            self._done.set()
            connections.close_all()

    def begin(self) -> None:
        """Return when ``action`` is done, and nothing committed."""
        self.start()
        assert self._done.wait(PATIENCE), "the other transaction waits for something"
        if self.error is not None:
            raise self.error

    def commit(self) -> None:
        """Commit, and return when that is done."""
        self._commits = True
        self.roll_back()

    def roll_back(self) -> None:
        """Roll back, unless it has ended already; return when that is done."""
        self._told.set()
        self.join(PATIENCE)
        assert not self.is_alive()


@contextmanager
def rival(action: Callable[[], Any]) -> Iterator[Rival]:
    """Have another transaction in which ``action`` was done open during the block, at the end of which it rolls back.

    The tables have to be committed: ``@pytest.mark.django_db(transaction=True)``.
    """
    other = Rival(action)
    other.begin()
    try:
        yield other
    finally:
        other.roll_back()


@contextmanager
def committed_when_waited_for(action: Callable[[], Any]) -> Iterator[None]:
    """Have another transaction, in which ``action`` was done, commit when somebody waits for it; PostgreSQL only."""

    def commit() -> None:
        try:
            until(_is_waited_for)
        finally:
            other.commit()
            connections.close_all()

    with rival(action) as other:
        thread = threading.Thread(target=commit, name="rival's end")
        thread.start()
        try:
            yield
        finally:
            thread.join()


def _is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


@contextmanager
def strictly() -> Iterator[None]:
    """Have this thread's transactions see only what was committed as they began, during the block; PostgreSQL only."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
    finally:
        connection.close()
