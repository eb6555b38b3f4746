"""How are the rows of another app read?"""

from __future__ import annotations

from django.apps import apps
from django.db.models import Model

from cronkite.importing.planned import NothingToRead

#: How many rows are read at a time.
CHUNK = 500


def model(label: str) -> type[Model]:
    """Return the model of that label; raises :class:`NothingToRead` if its app is not one of the project's."""
    try:
        return apps.get_model(label)
    except LookupError:
        app = label.partition(".")[0]
        raise NothingToRead(
            f"{app} is not in INSTALLED_APPS. Import while it is there, and take it out afterwards."
        ) from None
