"""Backends of django.tasks: one that takes nothing, and one whose queue is not in the jobs' database."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import django

if django.VERSION >= (6, 0):
    from django.tasks import TaskResult, TaskResultStatus
    from django.tasks.backends.base import BaseTaskBackend
else:
    from django_tasks import TaskResult, TaskResultStatus
    from django_tasks.backends.base import BaseTaskBackend


class BrokenBackend(BaseTaskBackend):
    """Its broker is away."""

    def enqueue(self, task, args, kwargs):
        """Raise what a client raises whose server does not answer."""
        raise ConnectionError("nobody listens there")


class ElsewhereBackend(BaseTaskBackend):
    """Keeps its queue in a file, a line per task: ``CRONKITE_TEST_QUEUE`` names it."""

    def enqueue(self, task, args, kwargs):
        """Write the line."""
        task_id = uuid.uuid4().hex
        with Path(os.environ["CRONKITE_TEST_QUEUE"]).open("a") as queue:
            queue.write(f"{task_id} {task.module_path} {list(args)} {kwargs} {task.queue_name}\n")
        return TaskResult(
            task=task,
            id=task_id,
            status=TaskResultStatus.READY,
            enqueued_at=None,
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=list(args),
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
