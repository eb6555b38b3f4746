"""Who is at the command line?"""

from __future__ import annotations

import getpass

from cronkite import conf


def name() -> str:
    """Return who is at the command line, and where, for records."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container may run under a number that has no name.
        user = "somebody"
    return f"{user}, at the command line of {conf.get().node}"
