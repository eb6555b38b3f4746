"""How does a claim become a run, and the run a record?

What is true around a function wherever it runs stands here; :mod:`cronkite.runs.worker` adds a process of its own.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from django.db import Error as DriverError

from cronkite import conf
from cronkite.claims import claiming, holding, verdicts
from cronkite.claims.verdicts import Claim
from cronkite.code import calls, current, functions, modules
from cronkite.code.current import CurrentRun
from cronkite.code.outcomes import Outcome, for_logger, keep_result, keep_text, traceback_text
from cronkite.database import commits, leftovers, quirks
from cronkite.exceptions import JobIsLocked, RunEnded
from cronkite.models import Job, Log, primary, told
from cronkite.processes import forks
from cronkite.runs import guards, interrupts, onlookers
from cronkite.runs.capture import Tee
from cronkite.runs.guards import Guard
from cronkite.runs.interrupts import Person

logger = logging.getLogger("cronkite")

#: For how long (seconds) the end of a run is tried to be written while the database is away, and how often.
RECORD_PATIENCE = 3600.0
RECORD_PAUSE = 1.0
#: For how long (seconds) it is tried still where the process has been told to end.
HURRY = 2.0
#: Pause (seconds) after another transaction came first, and how often a run by hand tries to get its lock so.
CONFLICT_PAUSE = 0.1
CLAIM_ATTEMPTS = 20
#: For how long (seconds) a run by hand tries to find out whether an unanswered claim of its lock is one.
DOUBT_PATIENCE = 30.0
#: How long (seconds) other transactions may come first before that is told.
CONFLICT_PATIENCE = 2.0
#: How many errors are looked at to find the word to end among those of task groups.
MOST_MEMBERS = 1000


#: Calls a function with its arguments and keyword arguments.
Call = Callable[[Any, list[Any], dict[str, Any]], Any]


@dataclass(frozen=True)
class Ending:
    """How a function ended: what goes into the log, and what goes to a caller in this process."""

    outcome: Outcome
    value: Any = None
    error: BaseException | None = None


def execute(
    claim: Claim,
    guard: AbstractContextManager[None] | None = None,
    person: Person | None = None,
    call: Call = calls.call,
) -> Ending:
    """Call the function of ``claim``, within ``guard``, and return how it ended; what it raises is not raised here.

    ``person`` may interrupt it; nobody does unless it is given. ``call`` calls it. Whatever it leaves open in the
    database is rolled back and closed, except within a transaction of the caller's.
    """
    borrowed = _in_transaction()
    run = CurrentRun(claim.job_id, claim.job_name, claim.slot, claim.fence, claim.log_id, claim.attempt)
    try:
        # Checked again: the row may have been edited, or the settings, since the job was saved.
        function = functions.resolve(claim.function)
        with current.entered(run), guard or nullcontext(), person or nullcontext():
            value = forks.only_here(call, function, claim.args, claim.kwargs)
        ending = Ending(Outcome(Log.Status.SUCCEEDED, result=keep_result(value)), value)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is the job's end, not ours
        is_interrupted = person is not None and person.came
        ending = Ending(_outcome_of(error, is_interrupted=is_interrupted), error=error)
    finally:
        if not borrowed:
            leftovers.close()
    return ending


def _outcome_of(error: BaseException, *, is_interrupted: bool = False) -> Outcome:
    """Return what the log is to say of a function that raised ``error``, maybe as a person has interrupted it."""
    try:
        return _outcome_by(error, is_interrupted=is_interrupted)
    except BaseException:  # noqa: BLE001 - the class is the project's, and may raise anything when it is looked into
        return Outcome(Log.Status.FAILED, exc_info=traceback_text(error))


def _outcome_by(error: BaseException, *, is_interrupted: bool) -> Outcome:
    if isinstance(error, SystemExit) and not error.code:
        # sys.exit() ends a job as it ends a script: with no code, or 0, it is a success.
        return Outcome(Log.Status.SUCCEEDED)
    status, reason = Log.Status.FAILED, _why(error)
    if (ended := _told_to_end(error)) is not None:
        status, reason = Log.Status(ended.status), modules.text(ended.reason)
    elif is_interrupted and isinstance(error, KeyboardInterrupt):
        status, reason = Log.Status.INTERRUPTED, "interrupted by a person"
    return Outcome(status, exc_info=traceback_text(error), reason=reason)


def as_told(ending: Ending, status: str, reason: str) -> Ending:
    """Return how a run ended that was told to: if it has left, with any code, by a signal handler of its own, so.

    A function that has returned, or raised anything else, has done so by itself.
    """
    # Not isinstance(), which asks the error as well what it is.
    if ending.error is None or not issubclass(type(ending.error), SystemExit):
        return ending
    return replace(ending, outcome=Outcome(status, exc_info=traceback_text(ending.error), reason=reason))


def _why(error: BaseException) -> str:
    """Return the reason of a run that ended as programs do: by an exit code, or as management commands fail."""
    if isinstance(error, SystemExit):
        return keep_text(modules.exited(error))
    if isinstance(error, CommandError):
        returncode = getattr(error, "returncode", 1)
        if not (said := keep_text(modules.text(error))):
            return f"it exited with code {returncode}"
        return said if returncode == 1 else f"{said} (exit code {returncode})"
    return ""


def _told_to_end(error: BaseException) -> RunEnded | None:
    """Return the word to end that ``error`` is, or that a task group wrapped into it."""
    left: list[BaseException] = [error]
    seen: set[int] = set()
    while left and len(seen) < MOST_MEMBERS:
        one = left.pop(0)
        if isinstance(one, RunEnded):
            return one
        seen.add(id(one))
        # An exception group has its members here; Python 3.10 has no groups, and no name for them. Others have there
        # whatever they like.
        members: Any = getattr(one, "exceptions", None)
        if type(members) in {tuple, list}:
            left += [each for each in members if isinstance(each, BaseException) and id(each) not in seen]
    return None


def announce(claim: Claim, ending: Ending) -> None:
    """Log the end of a run; at ERROR if it did not succeed, so that Django's e-mail handlers see it."""
    status, error = ending.outcome.status, ending.error
    if status == Log.Status.SUCCEEDED:
        logger.info("%s: succeeded.", claim)
    else:
        why = ending.outcome.reason or ("" if error is None else modules.said(error))
        raised = None if error is None else for_logger(error)
        # In English, as all of the log is: the status's label is in the project's language.
        logger.error("%s: %s. %s", claim, status.replace("_", " "), why, exc_info=raised)


def record(
    claim: Claim,
    outcome: Outcome,
    pause: Callable[[float], object] = time.sleep,
    is_to_leave: Callable[[], bool] = bool,
) -> bool:
    """Write how the run ended, for as long as it takes the database to be back; ``False`` if the lock was lost.

    ``pause`` waits for some seconds between two tries. After ``RECORD_PATIENCE``, or ``HURRY`` once the process
    ``is_to_leave``, the outcome is left to the logger, and the lock to its timeout.
    """
    tries = _Tries(is_to_leave)
    while True:
        try:
            kept = holding.finish(claim, outcome)
        except DatabaseError as error:
            connection = connections[primary.alias()]
            if quirks.is_borrowed(connection):
                raise
            is_conflict = quirks.is_conflict(error)
            if not is_conflict:
                connection.close()
            if tries.are_over(is_conflict=is_conflict):
                logger.critical("%s: %s, which could not be written. %s", claim, outcome.status, error)
                return False
            if not is_conflict:
                logger.error("%s: %s, which can't be written yet. Trying again. %s", claim, outcome.status, error)
            elif tries.are_many():
                logger.warning("%s: %s, which can't be written yet. Trying again. %s", claim, outcome.status, error)
            pause(CONFLICT_PAUSE if is_conflict else RECORD_PAUSE)
        else:
            if not kept:
                logger.warning("%s: %s, but its lock was lost before it ended.", claim, outcome.status)
            return kept


class _Tries:
    """For how long it is tried to write how a run ended."""

    def __init__(self, is_to_leave: Callable[[], bool]) -> None:
        self._is_to_leave = is_to_leave
        self._began = time.monotonic()
        self._hurry_ends: float | None = None
        self._are_many = False

    def are_over(self, *, is_conflict: bool) -> bool:
        """Tell whether it is not tried again; after a conflict, it is for as long as nobody is in a hurry."""
        now = time.monotonic()
        if self._hurry_ends is None and self._is_to_leave():
            self._hurry_ends = now + HURRY
        is_hurried = self._hurry_ends is not None and now > self._hurry_ends
        return is_hurried or (not is_conflict and now > self._began + RECORD_PATIENCE)

    def are_many(self) -> bool:
        """Tell, once, that others have come first for a while."""
        if self._are_many or time.monotonic() - self._began <= CONFLICT_PATIENCE:
            return False
        self._are_many = True
        return True


def run_here(claim: Claim, guard: Guard | None = None, call: Call = calls.call) -> Any:
    """Run ``claim`` in this process, its function within ``guard``; return its result, or raise what it raised.

    Whoever interrupts this before the function begins, or after it, interrupts the function, or the caller.

    The lock is renewed meanwhile. If that finds it gone, the guard ends the run; without one, only a warning tells of
    it, since whoever called us has nobody who could end the function. What it writes to stdout and stderr is shown and
    kept, in the main thread: elsewhere it could not be told from what other threads write. No timeout is enforced.
    """
    with interrupts.noted() as person:
        return run_before(person, claim, guard, call)


def run_before(person: Person, claim: Claim, guard: Guard | None = None, call: Call = calls.call) -> Any:
    """Do so where the caller has noted already whether a person interrupts it."""
    told.started(claim.log_id)
    with _shown_and_kept() as written:
        try:
            with _renewed(claim, guard, written):
                ending = execute(claim, guard, person, call)
        except RuntimeError as error:
            # No thread is to be had, so it has not begun.
            ending = Ending(Outcome(Log.Status.FAILED, reason=f"it could not begin: {error}"), error=error)

    def is_to_leave() -> bool:
        return person.waits or interrupts.is_awaited() or (guard is not None and guard.is_hurried)

    if record(claim, replace(ending.outcome, output=written()), is_to_leave=is_to_leave):
        told.finished(claim.log_id)
    announce(claim, ending)
    if ending.error is not None:
        raise ending.error
    return ending.value


def run_by_hand(job: Job) -> Any:
    """Run ``job`` now, here, without a slot: the code behind :meth:`Job.run`."""
    functions.resolve(job.callee)
    with interrupts.noted() as person:
        return run_before(person, claim_by_hand(job, heed=interrupts.hear))


def claim_by_hand(job: Job, by: str = "", heed: Callable[[], None] = lambda: None) -> Claim:
    """Claim ``job`` for a run in this process, and see to doubts and conflicts; ``by`` says who wants it, for the log.

    ``heed`` is called before each attempt, and raises if the process is to end.
    Raises :class:`cronkite.exceptions.JobIsLocked`, :class:`cronkite.claims.verdicts.Contention` if others keep coming
    first, :class:`cronkite.claims.verdicts.OutcomeUnknown` if the doubts last, :class:`django.db.DatabaseError`, or
    :class:`django.core.exceptions.ImproperlyConfigured` where no claim would ever be committed.
    """
    commits.demand()
    commits.demand_by_hand(primary.alias())
    reason = f"asked for by {by}" if by else ""
    for attempt in range(1, CLAIM_ATTEMPTS + 1):
        heed()
        try:
            return claiming.claim_by_hand(job, conf.get().node, reason)
        except verdicts.Contention as contention:
            if attempt < CLAIM_ATTEMPTS and not _in_transaction():
                time.sleep(CONFLICT_PAUSE)
            elif isinstance(contention, verdicts.RowIsHeld):
                said = "its row is locked by another transaction; try again when that has ended"
                raise JobIsLocked(f"Job {job.name!r}: {said}.") from None
            else:
                raise
        except verdicts.OutcomeUnknown as doubt:
            (claim,) = doubt.claims
            if (ours := _settled(claim)) is not None:
                return ours
    raise AssertionError("unreachable")


def _settled(claim: Claim) -> Claim | None:
    """Return the claim if it is ours, for which the database has to be back."""
    conflicts, deadline = 0, time.monotonic() + DOUBT_PATIENCE
    while conflicts < CLAIM_ATTEMPTS and time.monotonic() < deadline:
        try:
            return claiming.settle(claim)
        except verdicts.Contention:
            conflicts += 1
            time.sleep(CONFLICT_PAUSE)
        except DatabaseError:
            connections[primary.alias()].close()
            time.sleep(RECORD_PAUSE)
    raise verdicts.OutcomeUnknown([claim])


def _in_transaction() -> bool:
    return quirks.is_borrowed(connections[primary.alias()])


@contextmanager
def _shown_and_kept() -> Iterator[Callable[[], str]]:
    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    out = Tee(sys.stdout)
    with redirect_stdout(out), redirect_stderr(Tee(sys.stderr, out.kept)):
        yield out.text


@contextmanager
def _renewed(claim: Claim, guard: Guard | None, written: Callable[[], str]) -> Iterator[None]:
    """Renew the lock from a thread while the block runs."""
    connection = connections[primary.alias()]
    if quirks.is_borrowed(connection) or quirks.is_in_memory(connection):
        # No other connection could see the claim, so nobody else can take it either.
        yield
        return
    over = threading.Event()
    arguments = (claim, over, guard, written)
    thread = threading.Thread(target=_renew_until, args=arguments, name="cronkite renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew_until(claim: Claim, over: threading.Event, guard: Guard | None, written: Callable[[], str]) -> None:
    every = conf.get().renewal_interval.total_seconds()
    renew_at = time.monotonic() + every
    while _go_on(over, guard, min(onlookers.EVERY, renew_at - time.monotonic())):
        if time.monotonic() < renew_at:
            _show(claim, written)
            continue
        renew_at = time.monotonic() + every
        try:
            gone = holding.renew([claim])
        except DriverError as error:  # also the errors that are none of the database's: the connection is closed
            logger.warning("%s: the lock can't be renewed; trying again. %s", claim, error)
            # Or it would stay as it is, when the database is back.
            connections.close_all()
        else:
            if gone:
                _lose(claim, guard)
                break
    # The function may be waiting for whatever this connection holds.
    connections.close_all()
    if guard is not None and guard.is_told():
        guard.see_to_end(claim, over, written)


def _go_on(over: threading.Event, guard: Guard | None, seconds: float) -> bool:
    """Wait for so long; return whether the run goes on, and nobody has told it to end."""
    if guard is None:
        return not over.wait(max(0.0, seconds))
    deadline = time.monotonic() + seconds
    while (rest := deadline - time.monotonic()) > 0:
        if over.wait(min(rest, guards.LOOK_EVERY)) or guard.is_told():
            return False
    return not over.is_set() and not guard.is_told()


def _show(claim: Claim, written: Callable[[], str]) -> None:
    """Show what the run has written until now, if somebody looks at it. What can't be shown now is shown later."""
    try:
        if onlookers.watched([claim]):
            onlookers.show(claim, written())
    except DriverError as error:
        logger.debug("%s: what it has written can't be shown. %s", claim, error)
        connections.close_all()


def _lose(claim: Claim, guard: Guard | None) -> None:
    if guard is None:
        logger.warning("%s: its lock is lost while it runs. It can't be ended from here.", claim)
    else:
        guard.lost(claim)
