"""How are the rows of another app read?"""

from __future__ import annotations

from django.apps import apps
from django.db import router
from django.db.models import Model, QuerySet

from cronkite.importing.planned import NothingToRead

#: How many rows are read at a time.
CHUNK = 500


def rows(label: str) -> QuerySet[Model]:
    """Return the rows of the model of that label, where they are written: jobs are made of them, and a replica lags.

    Raises :class:`NothingToRead` if its app is not one of the project's.
    """
    try:
        model = apps.get_model(label)
    except LookupError:
        app = label.partition(".")[0]
        raise NothingToRead(
            f"{app} is not in INSTALLED_APPS. Import while it is there, and take it out afterwards."
        ) from None
    found: QuerySet[Model] = model._base_manager.using(router.db_for_write(model))  # noqa: SLF001 - documented
    return found.order_by("pk")
