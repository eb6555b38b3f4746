"""How does a test tell the database what time it is?

What ``cronkite.database.clock.Now`` compiles to is replaced by an instant that the test holds. So the queries are
cronkite's own, with all their arithmetic in SQL, and only their clock is the test's.
"""

from __future__ import annotations

from contextlib import contextmanager
from unittest.mock import patch

from cronkite.database import statements
from cronkite.database.clock import Now
from proof.model.slots import at

#: The type that makes the database calculate with the parameter as it does with its own clock.
TYPES = {"postgresql": "timestamp with time zone", "mysql": "datetime(6)"}


@contextmanager
def held_clock(read):
    """Have the database's clock say what ``read()`` returns (seconds since 1970) while the block runs."""

    def as_sql(self, compiler, connection, **extra_context):
        text = str(at(read()).replace(tzinfo=None))
        if connection.vendor == "sqlite":
            # Text as Django writes it, and cronkite's own.
            return "%s", (text,)
        if connection.vendor == "postgresql":
            text += "+00"
        return f"CAST(%s AS {TYPES[connection.vendor]})", (text,)

    names = ["as_sql", "as_postgresql", "as_mysql", "as_sqlite"]
    own = {name: vars(Now)[name] for name in names if name in vars(Now)}
    for name in names:
        setattr(Now, name, as_sql)
    # What is put together once would keep the first instant for ever.
    anew = patch.object(statements, "made", lambda connection, key, make: make())
    try:
        with anew:
            yield
    finally:
        for name in names:
            delattr(Now, name)
        for name, method in own.items():
            setattr(Now, name, method)
