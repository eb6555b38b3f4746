"""How is a slot handed over to an engine?

Promise P7: where the engine keeps its queue in this very database, the claim, the task and the log are one transaction.
A crash leaves all of them, or the slot still due. Several slots share it, step by step: all that can be had are taken,
each by a verdict of its own; then their tasks are enqueued; then their logs are written. Elsewhere the slot is claimed
first, as for a run, and handed over then: at most once.

The lock ends with the hand-off, unless the job waits for its task: then it stays until the engine says that the task
has ended (:mod:`cronkite.claims.concluding`), or until it is stale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections
from django.db.models.functions import Coalesce, Least

from cronkite.claims import losses, retries, seats, taking
from cronkite.claims.taking import Attempt
from cronkite.claims.verdicts import UNFIT, Claim, NotHandedOver, Receipt, raise_unclaimed
from cronkite.conf import get as get_conf
from cronkite.database import quirks, waits
from cronkite.database.batches import Each, Rows
from cronkite.database.clock import Now
from cronkite.database.statements import Update, place, stand_in
from cronkite.models import Job, Log, Task, primary
from cronkite.models.logs import also
from cronkite.models.queries import FREE, JobQuerySet

#: How long after the hand-off it is asked what became of a task.
FIRST = timedelta(seconds=1)

#: Hands over what is claimed, and returns the receipt; raises whatever it likes.
Enqueue = Callable[[Claim], Receipt]
#: Has what is handed over meanwhile, in the database that it is given, be there when it ends.
Together = Callable[[str], AbstractContextManager[object]]


class Handed(NamedTuple):
    """A claim whose task an engine has been given."""

    claim: Claim
    receipt: Receipt
    keeps_lock: bool

    @property
    def reason(self) -> str:
        """What people have to know of it."""
        return "; ".join(filter(None, [self.claim.reason, self.receipt.note]))

    @property
    def lock(self) -> UUID | None:
        """What the task keeps locked."""
        return self.claim.token if self.keeps_lock else None


class _Entry(NamedTuple):
    """What the log of a claim is about that was handed over as it was taken."""

    attempt: Attempt
    handed: Handed


def joined(
    enqueue: Enqueue, keeping: Collection[int], together: Together = nullcontext
) -> Callable[[list[Attempt], str], list[Claim]]:
    """Return what takes slots and hands them over, for :func:`cronkite.claims.claiming.claim_all`; all or nothing.

    ``enqueue`` writes the task into this database, over this connection; or, within ``together(using)``, has it written
    when that ends. ``keeping`` are the keys of the jobs whose lock is kept. Raises :class:`NotHandedOver` for what
    either raises: for the claim itself if there is only one, else for any of them.
    """

    def take(attempts: list[Attempt], using: str) -> list[Claim]:
        take_each = _ready(attempts, keeping, using)
        lost = losses.with_locks_of([attempt.job for attempt in attempts], using)
        taken: list[Handed] = []
        try:
            with waits.limited(using):
                ours = take_each(losses.lock_available([attempt.job.pk for attempt in attempts], lost, using))
                for attempt in ours:
                    if attempt.job.is_locked:
                        taking.mark_lost(attempt.job.pk, attempt.node, using, lost)
                receipts = _enqueue_all(ours, enqueue, together, using)
                for attempt, receipt in zip(ours, receipts, strict=True):
                    taken.append(Handed(attempt.claim, receipt, _keeps(attempt, keeping)))
                _NEW_LOGS.execute(using, [_Entry(*each) for each in zip(ours, taken, strict=True)])
                _expect(taken, using)
        except UNFIT:
            raise
        except DatabaseError as error:
            # Whether it was committed need not be found out: the row tells whoever looks next.
            raise_unclaimed(error, [], using)
        return [replace(claim, receipt=receipt) for claim, receipt, _ in taken]

    return take


def record(handed: list[Handed]) -> list[Claim]:
    """Write that what was claimed, as for a run, has been handed over; return those that had lost their lock before.

    Raises :class:`django.db.DatabaseError`. Safe to be called again.
    """
    using = primary.alias()
    return quirks.anew(using, lambda: _record(handed, using))


def _ready(attempts: list[Attempt], keeping: Collection[int], using: str) -> Callable[[set[int]], list[Attempt]]:
    """Return what takes the slots of those jobs whose keys it is given; it tells which it could have."""
    timeout = get_conf().lock_timeout
    groups = seats.groups_of([attempt.job for attempt in attempts], using)
    free = [attempt for attempt in attempts if not _keeps(attempt, keeping)]
    kept = [attempt for attempt in attempts if _keeps(attempt, keeping) and not attempt.job.group]
    ready = [
        (batch, _HAND_EACH_OVER.ready(using, batch, _Handing(timeout, keeps_lock)))
        for batch, keeps_lock in ((free, False), (kept, True))
        if batch
    ]

    def take(available: set[int]) -> list[Attempt]:
        taken: list[Attempt] = []
        for batch, take_each in ready:
            chosen = [n for n, attempt in enumerate(batch) if attempt.job.pk in available]
            taken += [batch[n] for n in take_each(chosen)]
        if seated := taking.seated(attempts, available, groups, using):
            take_each = _HAND_EACH_OVER.ready(using, seated, _Handing(timeout, keeps_lock=True, has_seat=True))
            taken += [seated[n] for n in take_each(range(len(seated)))]
        return taken

    return take


def _keeps(attempt: Attempt, keeping: Collection[int]) -> bool:
    """Whether the lock is kept until the task has ended: so is a seat."""
    return attempt.job.pk in keeping or bool(attempt.job.group)


def _enqueue_all(ours: list[Attempt], enqueue: Enqueue, together: Together, using: str) -> list[Receipt]:
    if len(ours) <= 1:
        # What is raised is about this one, then.
        return [_enqueue(enqueue, attempt.claim, using) for attempt in ours]
    with _refusal(ours[-1].claim, using), together(using):
        return [_enqueue(enqueue, attempt.claim, using) for attempt in ours]


def _enqueue(enqueue: Enqueue, claim: Claim, using: str) -> Receipt:
    with _refusal(claim, using):
        return enqueue(claim)


@contextmanager
def _refusal(claim: Claim, using: str) -> Iterator[None]:
    """Raise :class:`NotHandedOver` for what an engine raises."""
    try:
        yield
    except NotHandedOver:
        raise
    except Exception as error:
        # What the database has against all of us is not the task's fault.
        if isinstance(error, DatabaseError) and (quirks.is_conflict(error) or not _answers(error, using)):
            raise
        raise NotHandedOver(claim, error) from error


def _answers(error: DatabaseError, using: str) -> bool:
    connection = connections[using]
    return quirks.is_refusal(error) or connection.vendor == "sqlite" or quirks.lives(connection)


def _expect(handed: Iterable[Handed], using: str) -> None:
    """Have it asked what becomes of the tasks."""
    _NEW_TASKS.execute(using, [each for each in handed if each.receipt.is_followed])


def _record(handed: list[Handed], using: str) -> list[Claim]:
    lost = []
    steps = [
        (each, _RELEASE.ready(using, each, (each.keeps_lock, each.claim.slot is not None)), _TELL.ready(using, each))
        for each in sorted(handed, key=lambda each: each.claim.job_id)
    ]
    with waits.limited(using):
        for each, release, tell in steps:
            release()
            # Its lock may be another's by now. Who was given the task is told all the same.
            if not tell() and _tell_late(each, using):
                lost.append(each.claim)
        _expect([each for each in handed if each.claim not in lost], using)
    return lost


def _tell_late(each: Handed, using: str) -> int:
    logs = Log.objects.using(using).of_run(each.claim.log_id, each.claim.job_id, each.claim.fence)
    return logs.filter(status=Log.Status.LOST).update(
        engine=each.receipt.engine,
        backend=each.receipt.backend,
        queue=each.receipt.queue,
        task_id=each.receipt.task_id,
        reason=also("its lock was lost before it was known that the engine has the task"),
    )


# What is said again and again.


def _soon() -> Coalesce:
    """Return when to ask of the tasks of a job that has one more."""
    return Coalesce(Least("follow_at", Now() + FIRST), Now() + FIRST)


class _Handing(NamedTuple):
    lock_timeout: timedelta | None
    keeps_lock: bool
    has_seat: bool = False


def _hand_over(using: str, variant: _Handing) -> tuple[JobQuerySet, dict[str, Any]]:
    rows, slots = taking.slot_taken(using)
    lock = taking.lock_taken(variant.has_seat) if variant.keeps_lock else FREE
    return rows, {**lock, **slots, **retries.NONE, "follow_at": _soon()}


_HAND_EACH_OVER = Each(Update(_hand_over), "job.pk")


def _new_log() -> Log:
    names = ("job_id", "job_name", "function", "slot", "fence", "attempt")
    claim = vars(stand_in(Log, "handed.claim", **{name: name for name in names}))
    return Log(
        **claim,
        **_receipt("handed.receipt", Log),
        args=place(Log, "args", "handed.claim.kept_args"),
        kwargs=place(Log, "kwargs", "handed.claim.kept_kwargs"),
        reason=place(Log, "reason", "handed.reason"),
        queue=place(Log, "queue", "handed.receipt.queue"),
        node=place(Log, "node", "attempt.node"),
        missed=place(Log, "missed", "attempt.missed"),
        status=Log.Status.HANDED_OVER,
        created=Now(),
    )


def _new_task() -> Task:
    claim = vars(stand_in(Task, "claim", job_id="job_id", fence="fence"))
    row = {**claim, **_receipt("receipt", Task), "lock": place(Task, "lock", "lock")}
    return Task(**row, created=Now(), ask_at=Now() + FIRST)


def _receipt(path: str, model: type[Log | Task]) -> dict[str, Any]:
    columns = stand_in(model, path, engine="engine", backend="backend", task_id="task_id")
    return dict(vars(columns))


_NEW_LOGS = Rows(_new_log)
# They may be there already: what is recorded may be recorded again.
_NEW_TASKS = Rows(_new_task, ignore_conflicts=True)


def _release(using: str, variant: tuple[bool, bool]) -> tuple[JobQuerySet, dict[str, Any]]:
    keeps_lock, has_slot = variant
    held = stand_in(Job, "claim", job_id="id", token="lock", fence="fence")  # noqa: S106 - columns
    rows = Job.objects.using(using).filter(pk=held.job_id, lock=held.token, fence=held.fence)
    lock = {"locked_at": Now()} if keeps_lock else FREE
    # What becomes of the task is its engine's business.
    return rows, {**lock, **(retries.NONE if has_slot else {}), "follow_at": _soon()}


_RELEASE = Update(_release)


def _tell(using: str, variant: None) -> tuple[Any, dict[str, Any]]:
    claim = stand_in(Log, "claim", log_id="id", job_id="job", fence="fence")
    running = Log.objects.using(using).filter(status=Log.Status.RUNNING)
    rows = running.of_run(claim.log_id, claim.job_id, claim.fence)
    receipt = {name: name for name in ("engine", "backend", "queue", "task_id")}
    return rows, {
        "status": Log.Status.HANDED_OVER,
        "started_at": None,
        "reason": place(Log, "reason", "reason"),
        **vars(stand_in(Log, "receipt", **receipt)),
    }


_TELL = Update(_tell)
