"""A database URL becomes the entry of Django's ``DATABASES`` that django-cronkite recommends.

>>> parse_url("postgresql://cronkite:secret@127.0.0.1:5432/cronkite")["HOST"]
'127.0.0.1'

``python -m databases pg -- COMMAND`` gets a server and runs a command with its URL; see ``databases/__main__.py``.
Only the standard library is used, and no Django: settings modules import this.

A server in another time zone
    The servers that ``databases`` starts stand at +05:00, so that code which mistakes the server's local time for UTC
    fails in every test. To ask for a zone explicitly, whatever server it is, add ``?time_zone=%2B05:00`` to the URL:
    each connection then finds what it would find on a server that was set up so. SQLite has no zone and ignores it.
"""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}


def parse_url(url: str) -> dict[str, Any]:
    """Return the ``DATABASES`` entry for a ``sqlite``, ``postgresql``, ``mysql`` or ``mariadb`` URL.

    The query's parameters become ``OPTIONS`` (but for ``time_zone``, see above). An ``isolation_level`` is said in the
    words of SQL, whatever the driver. ``sqlite:///`` is a file in the temporary folder. Raises ValueError for any other
    scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in ENGINES:
        # The URL itself is not repeated: it may hold a password, and messages end up in logs.
        raise ValueError(f"{parts.scheme or 'no scheme'!r} is not one of {', '.join(ENGINES)}")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if parts.scheme == "sqlite":
        return _sqlite(unquote(parts.path.removeprefix("/")), options)
    if parts.scheme == "postgresql" and "isolation_level" in options:
        options["isolation_level"] = _isolation_level(options["isolation_level"])
    if "time_zone" in options:
        options |= _server_zone(parts.scheme, options.pop("time_zone"))
    if parts.scheme != "postgresql":
        options.setdefault("charset", "utf8mb4")
    name = unquote(parts.path.removeprefix("/")) or "cronkite"
    test = {"NAME": f"test_{name}"}
    if parts.scheme != "postgresql":
        test["CHARSET"] = "utf8mb4"  # the server's default may be latin1
    return {
        "ENGINE": ENGINES[parts.scheme],
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        "TEST": test,
    }


def _sqlite(path: str, options: dict[str, Any]) -> dict[str, Any]:
    """SQLite as several processes can share it: a write-ahead log, and writers that queue instead of failing."""
    options.pop("time_zone", None)
    temporary = os.path.join(tempfile.gettempdir(), f"cronkite-{os.getuid()}")
    return {
        "ENGINE": ENGINES["sqlite"],
        "NAME": path or f"{temporary}.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            **options,
        },
        # A file and not memory, Django's default: tests start nodes, which have to join this database. Without a name
        # the file carries the process id, so that two runs of the tests do not meet in it.
        "TEST": {"NAME": f"{path}-test" if path else f"{temporary}-{os.getpid()}-test.sqlite3"},
    }


def _isolation_level(words: str) -> Any:
    """Return what PostgreSQL's driver, the one that Django takes, has for it: 3 is not the same to both of them."""
    name = words.upper().replace(" ", "_")
    try:
        return import_module("psycopg").IsolationLevel[name]
    except ImportError:
        return getattr(import_module("psycopg2.extensions"), f"ISOLATION_LEVEL_{name}")


def _server_zone(scheme: str, zone: str) -> dict[str, str]:
    """The options with which a connection begins as on a server whose zone is this offset (``+05:00``)."""
    if scheme == "postgresql":
        # POSIX counts offsets westward; Django sets the session's zone afterwards, as it does on a real server.
        flipped = zone.translate(str.maketrans("+-", "-+"))
        return {"options": f"-c TimeZone=<{zone}>{flipped}"}
    return {"init_command": f"SET time_zone = '{zone}'"}
