"""Which kinds of columns does Django lack?"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.db.models import GeneratedField


class KeptByDatabase(GeneratedField):
    """A generated column that connects to no database when it is checked.

    Django's own asks the server, at the start of each command, whether it knows such columns. All that Django supports
    do; a tick would connect twice, and with the server out of reach it would not come to wait for it.
    """

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Check what needs no database."""
        return super().check(**{**kwargs, "databases": []})

    def deconstruct(self) -> Any:
        """Be one of Django's own to migrations, which need not know of this."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.GeneratedField", args, kwargs
