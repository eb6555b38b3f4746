"""How does a project test its jobs, and the times at which they run?

In the test's own process and transaction, by a clock that stands: no process is started, and nothing waits. pytest has
the fixture ``cron`` of this, from :mod:`pytest_cronkite`.

- ``standing``: what has the database's clock stand, for cronkite alone.
- ``plans``: from when on the slots of jobs count that were planned by the real clock.
- ``savepoints``: what keeps a function that fails from breaking the test's transaction.
- ``due``: what is run at an instant.
- ``slots``: which slots come next.
- ``cases``: what a test has of it all.
"""

from cronkite.testing.cases import Cron, CronMixin
from cronkite.testing.due import run_due
from cronkite.testing.slots import next_slots
from cronkite.testing.standing import freeze

#: What users may import.
__all__ = ["Cron", "CronMixin", "freeze", "next_slots", "run_due"]
