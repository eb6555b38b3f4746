"""Which isolation level has the transaction that is open? The server's answer, in the words of SQL."""

from __future__ import annotations

from django.db import connection


def isolation_level() -> str | None:
    """Return the level of this process's connection; ``None`` for SQLite, which has no other than its own."""
    if connection.vendor == "sqlite":
        return None
    question = "SHOW transaction_isolation"
    if connection.vendor == "mysql":
        question = f"SELECT @@{'tx_isolation' if connection.mysql_is_mariadb else 'transaction_isolation'}"
    with connection.cursor() as cursor:
        cursor.execute(question)
        (answer,) = cursor.fetchone()
    return str(answer).lower().replace("-", " ")
