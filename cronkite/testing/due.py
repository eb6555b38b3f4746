"""What is run at an instant?

What a node would run: it is its look at what is due, its decision on slots, its claim and its record. But it is done in
the test's own process and transaction, and when there is nothing to do at that instant, that was all.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import Max

from cronkite import conf
from cronkite.claims.verdicts import Claim
from cronkite.database import clock
from cronkite.exceptions import CronkiteError, FunctionError
from cronkite.models import Job, Log, primary
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.node import Node
from cronkite.nodes.outages import Outages
from cronkite.runs import runner
from cronkite.runs.events import Ended, Event, Refused
from cronkite.runs.here import Here
from cronkite.testing import plans, savepoints, standing


def run_due(at: datetime | None = None, *, since: datetime | None = None, raises: bool = False) -> list[Log]:
    """Run what is due at an instant, here and now, and return the logs of that, in their order.

    The clock stands at ``at`` meanwhile, as by :func:`freeze`; by default, at where it stands already, or at the
    database's now. What is due is claimed and run, or handed over, as a node does it: each slot once, so that the same
    instant again runs nothing again, and a later one whatever has fallen due until then, by the job's catch-up, grace
    and jitter. So do retries, and what somebody asked for. Logs of missed slots are returned, too.

    A job that the real clock has planned, and of which no slot was taken yet, is planned anew: its newest slot is due
    if it has come in the minute before ``at``. With ``since``, it counts from then, as if it had been saved then.

    A function that raises has failed, as its log says, and the others are run all the same; with ``raises``, the first
    error is raised when all of them have been run, or could not be. Raises :class:`ValueError` for instants without a
    time zone, :class:`CronkiteError` where a node would have to wait, as for a row that another connection has locked,
    and what the database raises.
    """
    began = None if since is None else standing.instant(since, "since")
    is_told = at is not None or clock.standing is not None
    moment = clock.now(primary.alias()) if at is None else standing.instant(at)
    if began is not None and began > moment:
        raise ValueError(f"since must not be after at: {since!r} is later than {moment:%Y-%m-%d %H:%M:%S} UTC.")
    with standing.freeze(moment):
        if is_told or began is not None:
            plans.bring(moment, began)
        logs = Log.objects.using(primary.alias())
        newest = logs.aggregate(newest=Max("pk"))["newest"] or 0
        runs = _Runs()
        _Visit(conf.get().node, runs, Agenda(ahead=timedelta(0)), at_once=True).work()
        written = list(logs.filter(pk__gt=newest).order_by("pk"))
    if raises:
        _raise_first(runs.errors, written)
    return written


def _raise_first(errors: list[BaseException], logs: list[Log]) -> None:
    """Raise the first error of what was run here, or what is known of the first task that was not handed over."""
    for error in errors:
        raise error
    for log in logs:
        if log.status == Log.Status.FAILED:
            raise CronkiteError(f"Job {log.job_name!r}: {log.reason or 'failed'}.\n\n{log.exc_info}")


class _Runs(Here):
    """Runs each job when it is started, and keeps what went wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []

    def offer(self, job: Job) -> None:
        """Resolve the job's function."""
        super().offer(job)
        for event in self._events:
            if isinstance(event, Refused) and event.job is job:
                self.errors.append(FunctionError(event.problem))

    def start(self, job: Job, claim: Claim) -> None:
        """Run the claim; return when it has ended. What a person or the test's own tools raise goes through."""
        self._events.append(Ended(claim))
        try:
            runner.run_here(claim, call=savepoints.call)
        except (Exception, SystemExit, CancelledError) as error:  # noqa: BLE001 - a job may raise anything
            self.errors.append(error)

    def wait(self, timeout: float, wake: int) -> Iterator[Event]:
        """Tell what happened, and wait for nothing."""
        while self._events:
            yield self._events.popleft()


class _Surfacing(Outages):
    """No errors of the database are lived through: they are the test's."""

    @contextmanager
    def lived_through(self, *, reads: bool = False, locks: bool = False) -> Iterator[None]:
        """Do nothing about errors."""
        yield


class _Visit(Node):
    """A node that does what there is to do at this instant, and is gone. Nobody sees it, and no signal is its own."""

    OUTAGES = _Surfacing

    def work(self) -> None:
        """Do it; raise :class:`CronkiteError` where the rest would have to be waited for."""
        self._beat_at = None
        try:
            while self._go_on():
                events = list(self._runs.wait(0.0, -1))
                pause, plan = self._next()
                if not events and pause > 0.0:
                    raise CronkiteError(f"What is due can't be run now, but only after {plan or 'a while'}. {_WHY}")
                self._take_up(events)
        finally:
            self._dispatch.close()
            self._runs.close(None)


_WHY = "Has another connection, such as that of a thread or a server of the test, locked the job's row?"
