"""How does a node live through errors of the database?

What could not be done is tried again when the database is back. A loop waits for that as long as it takes, and a tick
for a while.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connections

from cronkite.database import quirks
from cronkite.models import primary
from cronkite.nodes.agenda import Agenda

logger = logging.getLogger("cronkite")

#: Pauses (seconds) before trying again: after a conflict with another node; while the database is away.
CONFLICT_PAUSE = 0.05
OUTAGE_PAUSE = 1.0
#: How long (seconds) a tick puts up with a database that is away before it gives up what it has not claimed.
OUTAGE_PATIENCE = 30.0


class Outages:
    """Whether the database is away, since when, and when to try again; ``give_up`` is called when a tick has to."""

    def __init__(self, agenda: Agenda, give_up: Callable[[], None]) -> None:
        self._agenda = agenda
        self._give_up = give_up
        #: When (monotonic seconds) to try again; ``None`` while nothing is wrong.
        self.retry_at: float | None = None
        self._away_since: float | None = None
        self._refuses_writes = False

    @property
    def is_away(self) -> bool:
        """Whether the database was away the last time, and is not back."""
        return self._away_since is not None

    def is_over(self) -> bool:
        """Tell whether the database may be asked: it is there, or it is time to try."""
        if self.retry_at is not None and time.monotonic() < self.retry_at:
            return False
        self.retry_at = None
        return True

    @contextmanager
    def lived_through(self, *, reads: bool = False, locks: bool = False) -> Iterator[None]:
        """Live through errors of the database: what could not be done is tried again when it is back.

        That is not so when it answers who only ``reads``, as one whose disk is full does, if it has refused a write;
        nor if it answers who only ``locks`` rows, for which not all are even asked.
        """
        try:
            yield
        except DatabaseError as error:
            if quirks.is_missing_table(error):
                raise
            if quirks.is_conflict(error):
                # Another transaction was first; no outage.
                self._agenda.look_within(CONFLICT_PAUSE)
                return
            connections[primary.alias()].close()
            now = time.monotonic()
            self.retry_at = now + OUTAGE_PAUSE
            self._agenda.look_within(0)
            self._refuses_writes |= not reads
            if self._away_since is None:
                self._away_since = now
                logger.warning("The database does not answer as it should; trying again. %s", error)
            elif not self._agenda.stays and now - self._away_since > OUTAGE_PATIENCE:
                self._give_up()
        else:
            if self._away_since is not None and not ((reads or locks) and self._refuses_writes):
                self._away_since, self._refuses_writes = None, False
                logger.warning("The database is back.")
