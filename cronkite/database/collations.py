"""Which names does a database take for one, so that only one of them can be in a unique column?

On MySQL and MariaDB the column's collation says so, and there are hundreds. So the database itself is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, models

OF_COLUMN = (
    "SELECT character_set_name, collation_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = %s"
)


def alike(names: Sequence[str], field: models.Field[Any, Any], using: str) -> list[list[str]]:
    """Return those of the names that are one in the column of ``field``, together.

    None where databases tell all names apart, or while the table is not there. Raises
    :class:`django.db.DatabaseError`.
    """
    connection = connections[using]
    if connection.vendor != "mysql" or not names:
        return []
    with connection.cursor() as cursor:
        cursor.execute(OF_COLUMN, [field.model._meta.db_table, field.column])  # noqa: SLF001 - documented
        of_column = cursor.fetchone()
        if of_column is None:
            return []
        # What names these are comes from the database; its own words, which no parameter can stand for.
        name = "CONVERT(%s USING {}) COLLATE {}".format(*of_column)
        every = " UNION ALL ".join(f"SELECT {place} AS place, {name} AS name" for place in range(len(names)))
        cursor.execute(
            f"SELECT GROUP_CONCAT(place ORDER BY place) FROM ({every}) AS names"  # noqa: S608
            " GROUP BY name HAVING COUNT(*) > 1 ORDER BY MIN(place)",
            list(names),
        )
        return [[names[int(place)] for place in places.split(",")] for (places,) in cursor.fetchall()]
