"""The worker of the engine that is in the database, in a test's own process."""

from __future__ import annotations

from django_tasks_db.management.commands.db_worker import Worker


def work():
    """Do what a worker of the engine does, until there is nothing left."""
    Worker(
        queue_names=["*"],
        interval=0,
        batch=True,
        backend_name="db",
        startup_delay=False,
        max_tasks=None,
        worker_id="w1",
        excluded_queue_names=[],
    ).run()
