"""What do the rows of django-apscheduler become?"""

from __future__ import annotations

from collections.abc import Iterator

from cronkite.importing import tables, triggers
from cronkite.importing.planned import Given, Planned

TITLE = "django-apscheduler"
WHERE = ""
TAKES: tuple[str, ...] = ()
AWAY = "Delete the rows in the admin, under Django APScheduler, and take `add_job` out of the code, or they come back."

MODEL = "django_apscheduler.DjangoJob"


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each row."""
    rows = tables.rows(MODEL).values_list("pk", "job_state")
    for key, state in rows.iterator(chunk_size=tables.CHUNK):
        yield triggers.planned(TITLE, key, bytes(state), given.now)
