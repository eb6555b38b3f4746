"""What do the rows of django-apscheduler become?"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps

from cronkite.importing import triggers
from cronkite.importing.planned import Given, NothingToRead, Planned

TITLE = "django-apscheduler"
WHERE = ""
TAKES: tuple[str, ...] = ()
AWAY = "Delete the rows in the admin, under Django APScheduler, and take `add_job` out of the code, or they come back."

#: Not a literal to the type checker, which would look for it among the tests' apps.
MODEL: str = "django_apscheduler.DjangoJob"
#: How many rows are read at a time.
CHUNK = 500


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each row."""
    try:
        model = apps.get_model(MODEL)
    except LookupError:
        raise NothingToRead(
            "django_apscheduler is not in INSTALLED_APPS. Import while it is there, and take it out afterwards."
        ) from None
    rows = model._base_manager.order_by("pk").values_list("pk", "job_state")  # noqa: SLF001 - documented
    for key, state in rows.iterator(chunk_size=CHUNK):
        yield triggers.planned(TITLE, key, bytes(state), given.now)
