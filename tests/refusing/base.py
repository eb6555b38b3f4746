"""The backend, as Django looks for it."""

from __future__ import annotations

from typing import NoReturn

from django.db import DatabaseError
from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """SQLite, to which nobody gets through."""

    def connect(self) -> NoReturn:
        """Refuse, and say what was wrong about asking."""
        raise DatabaseError(
            "The replica was asked. What rests on a write, or is to be one, is read where it is written."
        )
