"""What can code of the project be told of? Runs, missed slots, locks, edits and nodes, as signals of Django's.

.. code-block:: python

    @receiver(run_finished)
    def note(sender, run, outcome, **kwargs):
        if outcome.status != "succeeded":
            ...

All are sent after the COMMIT of what they tell of: who is told of a run finds its log. What tells of runs, slots and
nodes is sent by a thread of its own, in the process that wrote the record, a node's nearly always, and never in a
worker; so a receiver may take its time, raise, and use the database, and the run neither waits for it nor fails with
it. :data:`job_edited` and :data:`lock_cleared` are sent by the thread that has edited or unlocked, after its COMMIT.

A process that dies takes along what it has not told yet. What must not be missed rests on the logs, as
:mod:`cronkite.alerts` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.dispatch import Signal

__all__ = [
    "Run",
    "job_edited",
    "lock_cleared",
    "lock_lost",
    "node_silent",
    "run_finished",
    "run_started",
    "slots_missed",
]


@dataclass(frozen=True)
class Run:
    """One run, as its log and its job tell of it; all instants are UTC.

    ``job_id`` is 0, and what is the job's is empty, if the job was deleted since.
    ``slot`` is ``None`` for a run by hand. ``due_at`` is when the slot was to be begun: then, or later by the job's
    jitter; ``None`` for runs by hand and retries. ``started_at`` is ``None`` for a task of an engine that did not tell.
    ``schedule``, ``timezone`` (empty: the project's), ``grace`` and ``timeout`` (seconds) are the job's, as they are
    when the signal is sent.
    """

    job_id: int
    job_name: str
    function: str
    slot: datetime | None
    due_at: datetime | None
    attempt: int
    fence: int
    log_id: int
    node: str
    started_at: datetime | None
    schedule: str
    timezone: str
    grace: int | None
    timeout: int | None


#: A run begins: ``run``. Not sent of tasks that are handed over, whose beginning is their engine's.
run_started = Signal()
#: A run has ended, whatever of: ``run``, ``outcome`` (what its log holds), ``finished_at``.
run_finished = Signal()
#: Slots were passed over: ``job_id``, ``job_name``, ``first``, ``last``, ``count``, ``reason``; once for each record.
slots_missed = Signal()
#: A run has lost its lock to another node, a person, or a restored backup: ``run``, ``reason``.
lock_lost = Signal()
#: A person has cleared a lock: ``job_id``, ``job_name``, ``by``, ``run`` (or ``None``).
lock_cleared = Signal()
#: A job was made, changed or deleted: ``job_id``, ``job_name``, ``change``, ``columns``.
job_edited = Signal()
#: A node shows no life any more: ``name``, ``ticked_at``, ``stays``; once in the cluster for each silence.
node_silent = Signal()
