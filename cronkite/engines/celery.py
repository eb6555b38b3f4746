"""What does Celery take, and what does it tell?

A task's id is the slot's own. Celery hands a message to its broker, and does not know one that the broker has already:
so nothing is sent a second time. Where the broker does not answer, whether it has the task shows when the task's result
does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from celery import states
from kombu.exceptions import OperationalError

from cronkite.claims.verdicts import Claim, Receipt
from cronkite.code import calls, functions, modules, tasks
from cronkite.code.outcomes import Outcome, keep_result, keep_text
from cronkite.code.tasks import Order
from cronkite.database import clock
from cronkite.engines import identity
from cronkite.engines.kinds import Line, Told, Unanswered
from cronkite.models import Job, Log

#: It is the task that knows its app, and that its result backend.
NEEDS_CODE = True
#: What is said where the broker was told, and did not answer.
DOUBT = "the broker did not answer, so whether it has the task is not known yet"


class _Line:
    """A connection to the broker, and what sends over it."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer

    def enqueue(self, order: Order, claim: Claim) -> Receipt:
        """Send the task, once."""
        args, kwargs = order.arguments(claim.args, claim.kwargs)
        options: dict[str, Any] = {}
        if order.queue:
            options["queue"] = order.queue
        if order.priority is not None:
            options["priority"] = order.priority
        task_id = identity.of(claim)
        receipt = Receipt(calls.CELERY, task_id, "", order.queue or _queue(order.task), can_tell(order))
        try:
            # Celery's own retry would send it again where only the answer was lost.
            order.task.apply_async(args, kwargs, task_id=task_id, producer=self._producer, retry=False, **options)
        except (OperationalError, OSError, *self._producer.connection.connection_errors) as error:
            note = f"{DOUBT}: {modules.said(error)}"
            raise Unanswered(Receipt(**{**vars(receipt), "note": note})) from error
        return receipt


def place(order: Order) -> Any:
    """Return the app, which has the broker."""
    return order.task.app


def hindrance(order: Order) -> str:
    """Return nothing: what a broker is given is no transaction."""
    return ""


def joins(order: Order, using: str) -> bool:
    """Return ``False``: a broker is no database of the project's."""
    return False


def together(order: Order, using: str) -> AbstractContextManager[None]:
    """Have nothing kept back: its queue is elsewhere."""
    return nullcontext()


def can_tell(order: Order) -> bool:
    """Tell whether there is a result backend, and the task uses it."""
    return not (_is_disabled(order.task.backend) or order.task.ignore_result)


@contextmanager
def line(order: Order) -> Iterator[Line]:
    """Connect to the broker: anew, as a connection that was idle may be dead, which shows only when it is used."""
    app = order.task.app
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=app.conf.broker_connection_timeout)
        with app.amqp.Producer(connection, auto_declare=False) as producer:
            # The transport connects by itself when it is used first: that is now.
            _ = producer.channel
            yield _Line(producer)


def tell(job: Job, backend: str, task_ids: list[str]) -> Iterator[tuple[str, Told | None]]:
    """Tell what became of tasks. One that has no result yet is pending, whether there is such a task or not."""
    order = tasks.order(job, functions.look_up)
    if order is None or order.engine != calls.CELERY or not can_tell(order):
        yield from ((task_id, None) for task_id in task_ids)
        return
    for task_id in task_ids:
        meta = order.task.backend.get_task_meta(task_id)
        status, value = meta["status"], meta.get("result")
        done = meta.get("date_done")
        finished_at = None if done is None else clock.as_utc(done)
        outcome = _outcome(status, value, meta.get("traceback"))
        yield task_id, Told(status == states.STARTED, outcome, None, finished_at, str(meta.get("worker") or ""))


def _outcome(status: str, value: Any, traceback: Any) -> Outcome | None:
    if status == states.SUCCESS:
        return Outcome(Log.Status.SUCCEEDED, result=keep_result(value))
    if status in {states.FAILURE, states.REVOKED}:
        reason = "Celery was told not to run it" if status == states.REVOKED else ""
        return Outcome(Log.Status.FAILED, exc_info=keep_text(str(traceback or value or "")), reason=reason)
    return None


def _queue(task: Any) -> str:
    """Return the queue that the task goes to by itself."""
    route = task.app.amqp.router.route({}, task.name) if task.app.conf.task_routes else {}
    queue = route.get("queue") or getattr(task, "queue", None) or task.app.conf.task_default_queue
    return str(getattr(queue, "name", queue))


def _is_disabled(backend: Any) -> bool:
    return type(backend).__name__ == "DisabledBackend"
