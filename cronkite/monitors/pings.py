"""A service such as Healthchecks is told of a job's runs, by the URL that the job has for it.

A run that begins is told to ``URL/start``, one that has succeeded to ``URL``, and one that has not to ``URL/fail``,
each by a POST; those that tell of an end have the last part of what the log holds as their body. Where the slot is to
be tried again, its failure is not told: the attempt that comes is.

What does not answer is asked once more. A host that has cost too much time is left alone for the rest of a minute, as
whoever else is told of runs waits that long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cronkite import signals
from cronkite.code import pings
from cronkite.code.outcomes import Outcome
from cronkite.models import Job, Log, primary
from cronkite.monitors import posting
from cronkite.monitors.posting import Unanswered
from cronkite.signals import Run

logger = logging.getLogger("cronkite")

#: For how long (seconds) an answer is waited for, how often, and how long after the first attempt the second is made.
TIMEOUT, ATTEMPTS, PAUSE = 4.0, 2, 0.5
#: How much time (seconds) a host may cost, within how long, by not answering. A tick waits for 10 s when it ends.
PATIENCE, WINDOW = 8.0, 60.0
#: How much is told of a log, in bytes: as much as any such service keeps.
TAIL = 10_000

#: What is told as a success; of a task whose engine can't tell, that it was handed over is all.
OK = frozenset([Log.Status.SUCCEEDED, Log.Status.HANDED_OVER])
START, SUCCESS, FAIL = "/start", "", "/fail"


def connect() -> None:
    """Connect the receivers; ``CRONKITE_MONITORS`` has it called."""
    signals.run_started.connect(started, dispatch_uid=__name__)
    signals.run_finished.connect(finished, dispatch_uid=__name__)


def started(run: Run, **_: Any) -> None:
    """Tell that the run has begun."""
    for url in _jobs(run).values_list("ping", flat=True):
        tell(url, START, b"", run.job_name)


def finished(run: Run, outcome: Outcome, **_: Any) -> None:
    """Tell how it has ended."""
    for url, slot, attempt in _jobs(run).values_list("ping", "retry_slot", "retry_attempt"):
        if outcome.status in OK:
            tell(url, SUCCESS, tail(outcome), run.job_name)
        elif not (attempt and slot == run.slot and attempt > run.attempt):
            tell(url, FAIL, tail(outcome), run.job_name)


def _jobs(run: Run) -> Any:
    return Job.objects.using(primary.alias()).filter(pk=run.job_id, ping__gt="")


def tail(outcome: Outcome) -> bytes:
    """Return the last of what the log holds: what was written, what was raised, and why it ended."""
    text = "\n".join(filter(None, [outcome.output.rstrip(), outcome.exc_info.rstrip(), outcome.reason]))
    data = text.encode(errors="replace")
    # The first character may have been cut.
    return data if len(data) <= TAIL else data[-TAIL:].decode(errors="ignore").encode()


def addressed(url: str, end: str) -> str:
    """Return the URL with ``end`` added to its path.

    >>> addressed("https://hc-ping.com/key/slug/?create=1", "/start")
    'https://hc-ping.com/key/slug/start?create=1'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + end)) if end else url


def tell(url: str, end: str, body: bytes, name: str) -> None:
    """Ping the URL of the job of this name; what goes wrong is logged, without the URL."""
    try:
        url = pings.canonical(url)
    except ValueError as error:
        logger.warning("Job %r: its ping is not sent. %s", name, error)
        return
    host = pings.host(url)
    if _patience.left(host) <= 0:
        if _patience.is_news(host):
            logger.warning("%s has not answered for long, and gets no pings for up to %d s.", host, WINDOW)
        return
    if problem := _sent(addressed(url, end), body, host):
        logger.warning("Job %r: its ping to %s was not taken: %s.", name, host, problem)


def _sent(url: str, body: bytes, host: str) -> str:
    """Send it, a second time if there is no answer; return why it was not taken, or nothing."""
    problem = ""
    for attempt in range(ATTEMPTS):
        left = _patience.left(host)
        if left <= 0:
            break
        if attempt:
            time.sleep(PAUSE)
        began = time.monotonic()
        try:
            status = posting.post(url, body, min(TIMEOUT, left))
        except Unanswered as error:
            problem = str(error)
        else:
            problem = _judged(status)
            if not _is_passing(status):
                _patience.forgive(host)
                break
        _patience.spend(host, time.monotonic() - began)
    return problem


def _is_passing(status: int) -> bool:
    """Whether it may be well in a moment."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS


def _judged(status: int) -> str:
    """Return what is wrong with an answer of this code, or nothing."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return ""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"it answered {status}, that it is elsewhere; enter the address where it is, as no redirect is followed"
    return f"it answered {status}"


class Patience:
    """What time hosts have cost by not answering: each by itself, since it began to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[str, tuple[float, float]] = {}
        self._said: dict[str, float] = {}

    def left(self, host: str) -> float:
        """Return for how many seconds the host may be waited for."""
        since, spent = self._spent.get(host, (0.0, 0.0))
        if spent and self._clock() >= since + WINDOW:
            del self._spent[host]
            return PATIENCE
        return PATIENCE - spent

    def spend(self, host: str, seconds: float) -> None:
        """Note that it did not answer for so long."""
        since, spent = self._spent.get(host, (self._clock(), 0.0))
        self._spent[host] = since, spent + seconds

    def forgive(self, host: str) -> None:
        """Note that it has answered."""
        self._spent.pop(host, None)

    def is_news(self, host: str) -> bool:
        """Whether nobody was told yet that it is left alone, this time; somebody is now."""
        since, _ = self._spent[host]
        is_news = self._said.get(host) != since
        self._said[host] = since
        return is_news


_patience = Patience()
