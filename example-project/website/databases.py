"""Which database is the shop's? One of four, with the options that django-cronkite works best with.

sqlite:////var/lib/shop/shop.sqlite3
postgresql://shop:secret@db.example.com/shop
mysql://shop:secret@db.example.com/shop
mariadb://shop:secret@db.example.com/shop
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def database(url: str) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for a URL; its query, if it has one, adds to the options."""
    parts = urlsplit(url)
    if parts.scheme not in _DATABASES:
        # The URL itself is not repeated: it may hold a password.
        raise ValueError(f"DATABASE_URL begins with {parts.scheme!r}; write one of {', '.join(_DATABASES)}.")
    entry = _DATABASES[parts.scheme]
    return {
        "ENGINE": entry["ENGINE"],
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": {**entry["OPTIONS"], **dict(parse_qsl(parts.query))},
        "TEST": entry.get("TEST", {}),
    }


_SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "OPTIONS": {
        # A transaction takes the right to write when it begins. Otherwise it asks for it at its first write, and if
        # another process wrote in between, it fails with "database is locked" at once, whatever the timeout.
        "transaction_mode": "IMMEDIATE",
        # Seconds that a writer waits for its turn; Django's default of 5 is short for a busy disk.
        "timeout": 20,
        # With a write-ahead log readers and the writer don't wait for each other. It is safe with NORMAL: what was
        # committed survives a crash of the process, and only a power cut may cost the newest transactions.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    },
}

_POSTGRESQL = {
    "ENGINE": "django.db.backends.postgresql",
    # PostgreSQL needs no options; every isolation level will do, and so will pgbouncer in transaction mode (for which
    # Django wants DISABLE_SERVER_SIDE_CURSORS).
    "OPTIONS": {},
}

_MYSQL = {
    "ENGINE": "django.db.backends.mysql",
    "OPTIONS": {
        # All of Unicode: MySQL's older "utf8" has no room for 4-byte characters, such as those in a job's output.
        "charset": "utf8mb4",
        # Django's default, named because a server's default is REPEATABLE READ, under which more claims collide and
        # have to be tried again. It would work as well.
        "isolation_level": "read committed",
    },
    "TEST": {"CHARSET": "utf8mb4"},
}

_DATABASES: dict[str, dict[str, Any]] = {
    "sqlite": _SQLITE,
    "postgresql": _POSTGRESQL,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
