"""Nodes whose clocks are wrong, and change while they run.

On SQLite, which has no server, the database's clock is that of the process that asks: there, a node that is misled
misleads its database.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from databases import clocks
from databases.clocks import Clock


@contextmanager
def clock(shift: timedelta = timedelta(0)) -> Iterator[Clock]:
    """A clock, at first at the right time plus ``shift``, for nodes: ``Node(…, **clock.environment())``.

    All that follow it see at once when it is ``set`` to another shift. It has to outlive them.
    """
    with tempfile.TemporaryDirectory(prefix="cronkite-clock-") as folder:
        made = clocks.make(Path(folder))
        made.set(shift)
        yield made
