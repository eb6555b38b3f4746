"""What is a URL that a job's runs are told to?

Whoever knows it can tell of runs that never were: it is kept from logs, and from those who may only look at jobs.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

#: The length of the column, in characters.
LONGEST = 255


def canonical(url: object) -> str:
    """Return the URL as it is kept; the empty text stands for none.

    Raises :class:`ValueError` for what is none, in words that do not repeat it.

    >>> canonical(" https://hc-ping.com/5f0f2a50-b2ce "), canonical("")
    ('https://hc-ping.com/5f0f2a50-b2ce', '')
    """
    if not isinstance(url, str):
        raise ValueError(f"A ping is a URL, and a text, not a {type(url).__name__}.")  # noqa: TRY004 - as all else
    kept = url.strip()
    if kept and (problem := _problem(kept)):
        raise ValueError(f"This is no URL to ping: {problem}.")
    return kept


def masked(url: str) -> str:
    """Return as much of the URL as anybody may see.

    >>> masked("https://hc-ping.com/5f0f2a50-b2ce"), masked("")
    ('https://hc-ping.com/…', '')
    """
    return f"{url.partition('://')[0]}://{host(url)}/…" if url else ""


def host(url: str) -> str:
    """Return the host of the URL, with its port if it has one."""
    return urlsplit(url).netloc.rpartition("@")[2]


def shown(column: str, value: Any) -> Any:
    """Return the value of a job's column as programs and people may see it who may not see all."""
    return masked(value) if column == "ping" and isinstance(value, str) else value


def _problem(url: str) -> str:
    """Say what is wrong with it, if anything is."""
    if len(url) > LONGEST:
        return f"it has more than {LONGEST} characters"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "it has characters that stand in no URL, which writes them as in %20, and in a host as in xn--bcher-kva"
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return "its host or its port makes no sense"
    if not host or parts.scheme not in {"http", "https"}:
        return "it has to begin with https:// or http://, and a host"
    if "@" in parts.netloc:
        return "it has a user's name in it, which is not sent"
    return "it has a #, behind which nothing is sent" if "#" in url else ""
