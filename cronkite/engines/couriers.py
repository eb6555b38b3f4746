"""How does a node wait for nobody, though an engine, or a module's import, may take its time?

What may take long is done by a thread, one for each place that it has to do with, one thing after another. What came of
it is told in the node's own thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from django.db import connections

from cronkite.database import quirks, waits
from cronkite.models import primary

logger = logging.getLogger("cronkite")

#: How long (seconds) one errand may take before the node goes on without it.
PATIENCE = 60.0
#: How long (seconds) a courier keeps its connections while there is nothing to do.
IDLE = 1.0

#: What is called with what gives the errand's result, or raises what it raised.
Then = Callable[[Callable[[], Any]], None]


class Overdue(Exception):
    """An errand has taken too long. It may still come about."""


@dataclass(eq=False)
class _Errand:
    action: Callable[[], Any]
    then: Then
    began: float | None = None
    result: Callable[[], Any] | None = None
    is_over: bool = False


class Couriers:
    """Does errands, each place's in the order in which they were given; ``wake`` is called when one is done.

    Without threads (``at_once``) each is done when it is given, for processes in which everything is.
    """

    def __init__(self, wake: Callable[[], None], *, at_once: bool = False) -> None:
        self._wake = wake
        self._at_once = at_once
        self._threads: dict[Hashable, _Courier] = {}
        self._errands: deque[_Errand] = deque()

    def send(self, place: Hashable, action: Callable[[], Any], then: Then) -> None:
        """Have ``action`` done, and then :meth:`tell` call ``then``."""
        errand = _Errand(action, then)
        self._errands.append(errand)
        if self._at_once:
            _do(errand)
            return
        self._give(place, errand)

    def _give(self, place: Hashable, errand: _Errand) -> None:
        try:
            if place not in self._threads:
                self._threads[place] = _Courier(place, self._wake)
        except RuntimeError as error:
            # The machine has no room for another thread.
            errand.result = _raising(error)
        else:
            self._threads[place].errands.put(errand)

    def is_idle(self) -> bool:
        """Tell whether there is nothing that is not told yet."""
        return not self._errands

    def has_news(self) -> bool:
        """Tell whether something is done, and not told yet."""
        return any(errand.result is not None for errand in self._errands)

    def overdue_at(self) -> float | None:
        """Return when (monotonic seconds) to :meth:`tell` at the latest, or ``None``."""
        begun = [errand.began for errand in self._errands if errand.began is not None and errand.result is None]
        return min(begun) + PATIENCE if begun else None

    def tell(self) -> None:
        """Tell what came of errands that are done, or overdue."""
        self._give_up_overdue()
        for errand in [errand for errand in self._errands if errand.result is not None]:
            self._errands.remove(errand)
            assert errand.result is not None
            errand.then(errand.result)

    def close(self) -> None:
        """Have the threads end when they have nothing left to do. Who hangs does not keep the process from ending."""
        for courier in self._threads.values():
            courier.errands.put(None)

    def _give_up_overdue(self) -> None:
        now = time.monotonic()
        for place, courier in list(self._threads.items()):
            errand = courier.errand
            if errand is None or errand.result is not None or errand.began is None or now < errand.began + PATIENCE:
                continue
            logger.error("What was to be done with %s takes longer than %g s. The node goes on.", place, PATIENCE)
            errand.is_over, errand.result = True, _raising(Overdue(f"it took longer than {PATIENCE:g} s"))
            # Another one takes its place, and what was not begun.
            del self._threads[place]
            for waiting in courier.dismiss():
                self._give(place, waiting)


class _Courier(threading.Thread):
    def __init__(self, place: Hashable, wake: Callable[[], None]) -> None:
        super().__init__(name=f"cronkite courier, {place}", daemon=True)
        self.errands: SimpleQueue[_Errand | None] = SimpleQueue()
        self.errand: _Errand | None = None
        self._wake = wake
        self._dismissed = False
        self.start()

    def run(self) -> None:
        """Do errands until there is none to come."""
        with waits.impatient(primary.alias()):
            while not self._dismissed and (errand := self._next()) is not None:
                self.errand = errand
                _do(errand)
                _give_back()
                self.errand = None
                self._wake()
        connections.close_all()

    def _next(self) -> _Errand | None:
        """Return what is to be done next; nothing where nothing is to come."""
        with suppress(Empty):
            return self.errands.get(timeout=IDLE)
        # Whoever ends connections that are idle, as a server does that is restarted, would have the next errand fail.
        connections.close_all()
        return self.errands.get()

    def dismiss(self) -> list[_Errand]:
        """Have it do nothing more after what it does now; return what it has not begun."""
        self._dismissed = True
        left = []
        # What it does may end just now: then it may be this thread's or its own that has the last one.
        with suppress(Empty):
            while True:
                if (errand := self.errands.get_nowait()) is not None:
                    left.append(errand)
        self.errands.put(None)
        return left


def _give_back() -> None:
    """Keep no connection for the next errand that is of a pool, or that may be dead.

    A pool of Django's has four, and there may be more couriers.
    """
    for connection in connections.all(initialized_only=True):
        if quirks.is_of_pool(connection) or connection.errors_occurred:
            connection.close()


def _do(errand: _Errand) -> None:
    errand.began = time.monotonic()
    try:
        value = errand.action()
    except BaseException as error:  # noqa: BLE001 - the node's thread raises it
        result = _raising(error)
    else:
        result = _returning(value)
    if not errand.is_over:
        errand.result = result


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


def _raising(error: BaseException) -> Callable[[], Any]:
    def result() -> Any:
        raise error

    return result
