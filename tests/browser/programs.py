"""Where is a browser? Only the standard library is used here: ``tests/run`` asks before anything is installed."""

from __future__ import annotations

import os
import shutil

#: As Debian, others, and GitHub's machines call it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowser(Exception):
    """There is none; the message says how to get one."""


def find_chromium() -> str:
    """Return the path of a Chromium; raise :class:`NoBrowser` without one."""
    asked = os.environ.get("CRONKITE_CHROMIUM")
    for name in [asked] if asked else NAMES:
        if path := shutil.which(name):
            return path
    raise NoBrowser(
        f"There is no {asked or 'Chromium'} on this machine. Install Debian's package chromium, or give a program's "
        "path in CRONKITE_CHROMIUM."
    )
