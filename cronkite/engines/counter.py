"""How are jobs handed over? In batches, in one transaction with the claim where that can be."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import chain
from socket import gaierror

from django.db import DatabaseError

from cronkite.claims import claiming, handing, holding, skips
from cronkite.claims.handing import Handed
from cronkite.claims.verdicts import Claim, NotHandedOver, OutcomeUnknown, Receipt
from cronkite.code import functions, modules, tasks
from cronkite.code.outcomes import Outcome, for_logger, traceback_text
from cronkite.code.tasks import Order
from cronkite.database import quirks
from cronkite.engines import kinds
from cronkite.engines.kinds import NotSent, Unanswered
from cronkite.exceptions import FunctionError
from cronkite.models import Job, Log, primary, told
from cronkite.schedules.catch_up import Decision

logger = logging.getLogger("cronkite")

#: How far an error is looked into for the one that caused it.
MOST_CAUSES = 10
#: For how long (seconds) tasks are sent until what came of them is told; what is left is sent afterwards.
ENOUGH = 15.0


@dataclass(frozen=True)
class Sorted:
    """What is to become of a job: it is handed over by the ``order``, or run by a node, or neither, for a problem."""

    job: Job
    order: Order | None = None
    problem: str = ""
    #: Whether the engine's queue is in the jobs' own database.
    is_joined: bool = False

    @property
    def place(self) -> tuple[str, Hashable]:
        """Return what the hand-off has to do with: an engine, and which of its queues."""
        assert self.order is not None
        return self.order.engine, kinds.get(self.order.engine).place(self.order)

    @property
    def keeps_lock(self) -> bool:
        """Return whether the lock is kept until the task has ended."""
        assert self.order is not None
        return self.job.waits_for_task and kinds.get(self.order.engine).can_tell(self.order)


#: What came of hand-offs: a receipt, or why there was none.
Found = list[tuple[Sorted, Claim, Receipt | Exception]]


def sort(jobs: list[Job]) -> list[Sorted]:
    """Find out what is to become of the jobs; imports their modules, each of which is tried apart before."""
    return [_sort(job) for job in jobs]


def hand_over(wanted: list[tuple[Sorted, Decision]], node: str) -> list[Claim | None]:
    """Take the slots of jobs and hand them over, in one transaction; ``None`` for those that others were first to take.

    All have one :attr:`~Sorted.place`. One whose engine refuses its task is taken all the same, and has failed. Raises
    what :func:`cronkite.claims.claiming.claim_all` raises.
    """
    orders = {each.job.pk: each.order for each, _ in wanted}
    keeping = {each.job.pk for each, _ in wanted if each.keeps_lock}

    def enqueue(claim: Claim) -> Receipt:
        order = orders[claim.job_id]
        assert order is not None
        with kinds.bearing(), kinds.get(order.engine).line(order) as line:
            return line.enqueue(order, claim)

    def together(using: str) -> AbstractContextManager[None]:
        # All are for one place, so whichever of the orders is asked will do.
        order = wanted[0][0].order
        assert order is not None
        return kinds.get(order.engine).together(order, using)

    pairs = [(each.job, decision) for each, decision in wanted]
    try:
        return claiming.claim_all(pairs, node, handing.joined(enqueue, keeping, together))
    except NotHandedOver as refusal:
        if len(wanted) > 1:
            return [claim for each in wanted for claim in hand_over([each], node)]
        (claim,) = claiming.claim_all(pairs, node)
        if claim is not None:
            try:
                # With the transaction, the task has gone.
                if holding.finish(claim, _refused(NotSent(refusal.error))):
                    told.finished(claim.log_id)
            except DatabaseError as error:
                # It is ours, and nobody must forget it.
                raise OutcomeUnknown([claim]) from error
            _tell(claim, refusal.error)
        return [claim]


def enqueue(claimed: list[tuple[Sorted, Claim]], found: Found) -> None:
    """Hand over what was claimed before; add the receipt of each to ``found``, or why it was not handed over.

    After ``ENOUGH`` seconds, what is left is not sent: there is nothing of it in ``found``.
    """
    first, _ = claimed[0]
    began = time.monotonic()
    assert first.order is not None
    try:
        with kinds.bearing(), kinds.get(first.order.engine).line(first.order) as line:
            for each, claim in claimed:
                assert each.order is not None
                if found and time.monotonic() > began + ENOUGH:
                    return
                try:
                    with kinds.bearing():
                        found.append((each, claim, line.enqueue(each.order, claim)))
                except Unanswered as doubt:
                    found.append((each, claim, doubt.receipt))
                    raise
                except Exception as error:  # noqa: BLE001 - an engine may raise anything
                    found.append((each, claim, error))
    except Exception as error:  # noqa: BLE001
        # What is left has not been sent.
        cause = error.__cause__ if isinstance(error, Unanswered) and error.__cause__ is not None else error
        assert isinstance(cause, Exception)
        found += [(each, claim, NotSent(cause)) for each, claim in claimed[len(found) :]]


def record(found: Found) -> Found:
    """Write what became of the hand-offs; return what is left, as another transaction has locked the job or the log.

    That keeps no other from being written, and no more than one is waited for. Raises
    :class:`django.db.DatabaseError`; safe to be called again.
    """
    jobs = skips.held({claim.job_id for _, claim, _ in found})
    logs = skips.held_logs({claim.log_id for _, claim, _ in found})
    left, handed, to_do = [], [], []
    for each in found:
        _, claim, said = each
        if claim.job_id in jobs or claim.log_id in logs:
            left.append(each)
        elif isinstance(said, Receipt):
            handed.append(each)
        else:
            to_do.append([each])
    to_do.insert(0, handed)
    while to_do:
        batch = to_do.pop(0)
        try:
            _record(batch)
        except DatabaseError as error:
            if not quirks.is_conflict(error):
                raise
            # One of them is locked since, or nobody can tell that it is.
            if len(batch) == 1:
                # The others come before it, the next time.
                return [*chain(*to_do), *left, *batch]
            to_do[:0] = [[each] for each in batch]
    return left


def _record(found: Found) -> None:
    handed = [Handed(claim, said, each.keeps_lock) for each, claim, said in found if isinstance(said, Receipt)]
    if handed:
        for claim in handing.record(handed):
            logger.warning("%s: its lock was lost before it was known that it was handed over.", claim)
    for _, claim, said in found:
        if isinstance(said, Exception) and holding.finish(claim, _refused(said)):
            told.finished(claim.log_id)


def announce(found: Found) -> None:
    """Log what became of the hand-offs."""
    for _, claim, said in found:
        if isinstance(said, Exception):
            _tell(claim, said.reason if isinstance(said, NotSent) else said)
        elif said.note:
            logger.warning("%s: handed over to %s; %s.", claim, said, said.note)
        else:
            logger.info("%s: handed over to %s.", claim, said)


def _tell(claim: Claim, error: Exception) -> None:
    logger.error("%s: could not be handed over. %s", claim, modules.said(error), exc_info=for_logger(error))


def _refused(error: Exception) -> Outcome:
    is_final = True
    if isinstance(error, NotSent):
        is_final, error = False, error.reason
    elif _was_refused(error):
        is_final = False
    reason = f"could not be handed over: {modules.said(error)}"
    # What may have arrived after all must not be sent a second time: it is final.
    return Outcome(Log.Status.FAILED, exc_info=traceback_text(error), reason=reason[:1000], is_final=is_final)


def _was_refused(error: BaseException | None) -> bool:
    """Tell whether nobody listens where the engine should be, so that nothing can have arrived there."""
    # There are errors that can't be looked into.
    with suppress(Exception):
        seen = 0
        while error is not None and seen < MOST_CAUSES:
            if isinstance(error, ConnectionRefusedError | gaierror):
                return True
            error, seen = error.__context__ if error.__cause__ is None else error.__cause__, seen + 1
    return False


def _sort(job: Job) -> Sorted:
    try:
        order = tasks.order(job, functions.look_up)
        if order is None:
            return Sorted(job)
        engine = kinds.get(order.engine)
        if problem := engine.hindrance(order):
            return Sorted(job, problem=f"{job.function!r} cannot be handed over. {problem}")
        if job.group and not engine.can_tell(order):
            # Its seat would be free at once, or never.
            return Sorted(
                job,
                problem=f"its group, {job.group}, can't be kept to: {order.engine} does not tell when its task has "
                "ended. Give the engine a result backend, or have the job run here.",
            )
        return Sorted(job, order, is_joined=engine.joins(order, primary.alias()))
    except FunctionError as error:
        return Sorted(job, problem=str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an engine, and what it is configured by, may raise anything
        return Sorted(job, problem=f"{job.function!r} cannot be handed over: {modules.said(error)}")
