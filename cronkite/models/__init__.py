"""What is kept? Jobs, the logs of their runs, and the nodes.

Rows, and what an edit does to a job's plan.

- ``primary``: where rows are read and written.
- ``rhythm``: what of a job's columns says when it runs.
- ``definition``, ``kept``: what is decided of a job, and what is kept of it.
- ``fields``: columns that Django lacks.
- ``validation``: what is wrong with a job.
- ``ways``: who runs a job.
- ``logs``, ``nodes``, ``tasks``, ``groups``, ``alerts``, ``jobs``: the six tables.
- ``queries``: which jobs are due, and which locks are free.
- ``edits``, ``switches``: what an edit does to the plan.
- ``restores``: what if a row knows less than its logs.
- ``told``: who is told of what was written.
- ``fixtures``: what becomes of a job that a fixture tells of.
- ``verbs``: what a job can do whose code stands above.
"""

from cronkite.models.alerts import Alert
from cronkite.models.groups import Group
from cronkite.models.jobs import Job
from cronkite.models.logs import Log, status_label
from cronkite.models.nodes import Node
from cronkite.models.tasks import Task

#: What other wings may use.
__all__ = [
    "Alert",
    "Group",
    "Job",
    "Log",
    "Node",
    "Task",
    "alerts",
    "edits",
    "fields",
    "fixtures",
    "logs",
    "primary",
    "queries",
    "restores",
    "status_label",
    "switches",
    "told",
    "validation",
    "verbs",
    "ways",
]
