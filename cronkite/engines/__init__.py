"""Who else does the work? Engines that a job is handed over to, and that tell what became of it.

- ``kinds``: which engines there are, and what each has to know.
- ``django_tasks``, ``celery``: the engines.
- ``identity``: which id a task has.
- ``counter``: jobs are handed over, in batches.
- ``following``: what became of tasks.
- ``couriers``: threads, as an engine may take its time.
"""

#: What other wings may use.
__all__ = ["counter", "couriers", "django_tasks", "following", "kinds"]
