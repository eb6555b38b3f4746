"""Where are jobs, logs and nodes read? Where they are written."""

from __future__ import annotations

from typing import TypeVar

from django.apps import apps
from django.db import models, router

M = TypeVar("M", bound=models.Model)


class PrimaryQuerySet(models.QuerySet[M]):
    """Rows of the database that the routers name for writing, unless ``using()`` names another.

    A replica lags behind, or is empty. What is read of these tables is there to be acted on, by a node or a person; and
    what an edit, a claim or a check rests on must be what is.
    """

    @property
    def db(self) -> str:
        """Return the alias of the database, for reads as for writes."""
        # As in Django's own, but for which of its two questions the routers are asked.
        return self._db or router.db_for_write(self.model, **self._hints)  # type: ignore[attr-defined]


def alias() -> str:
    """Return the alias of the database that jobs, logs and nodes are in: where they are written."""
    return router.db_for_write(apps.get_model("cronkite", "Job"))
