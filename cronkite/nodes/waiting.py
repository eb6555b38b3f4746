"""What does a node wait for, and until when?"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from cronkite.nodes.agenda import Agenda
from cronkite.runs.events import Runs

waiting = logging.getLogger("cronkite.waiting")

#: How long (seconds) a node waits for events when nothing is planned.
IDLE = 60.0


class Waiting:
    """Finds out what comes first of all that is planned, and says so to who asks with ``-v 2``; not the same twice."""

    def __init__(self, runs: Runs, agenda: Agenda) -> None:
        self._runs = runs
        self._agenda = agenda
        #: What was told last that this node waits for.
        self._told = ""

    @staticmethod
    def first(plans: Iterable[tuple[float | None, str]]) -> tuple[float, str]:
        """Return the seconds until the first of the plans, and what it is; each has its time (monotonic), or none."""
        now = time.monotonic()
        known = [(at, what) for at, what in plans if at is not None]
        at, what = min(known, default=(now + IDLE, ""))
        return max(0.0, at - now), what

    def tell(self, pause: float, plan: str) -> None:
        """Say what is waited for, unless that was said already."""
        if not (pause and waiting.isEnabledFor(logging.DEBUG)):
            return
        if self._runs.offered():
            # Whoever is asked if he is ready says so at once, or the log tells that he does not.
            return
        awaited = [f"the end of {claim}" for claim in self._runs.claims()]
        if (coming := self._agenda.first()) is not None:
            # A one-off that is tried again has no next slot.
            what, at = ("retry", coming.retry_at) if coming.is_retry else ("slot", coming.next_run)
            awaited.append(f"job {coming.name!r}, whose {what} is {at:%Y-%m-%d %H:%M:%S} UTC")
        told = "; ".join(awaited or filter(None, [plan]))
        if told and told != self._told:
            self._told = told
            waiting.debug("Waits for %s (%.1f s until there is anything else to do).", told, pause)
