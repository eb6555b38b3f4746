"""What is a descriptor of? Its number may be another file's by now."""

from __future__ import annotations

import os


def identity(descriptor: int) -> tuple[int, int] | None:
    """Return what tells it apart from all others that are open; ``None`` if it is closed."""
    try:
        found = os.fstat(descriptor)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
