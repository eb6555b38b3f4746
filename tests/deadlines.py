"""How long may a test wait for what a process says?"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds until a wait is given up: far more than a busy machine needs, so that only a hang reaches it.
PATIENCE = 120


@contextmanager
def in_time(*processes: subprocess.Popen, patience: float = PATIENCE) -> Iterator[None]:
    """Kill the processes if the block lasts longer (seconds): who reads what they say then reads the end of it."""
    late = threading.Timer(patience, lambda: [process.kill() for process in processes])
    late.start()
    try:
        yield
    finally:
        late.cancel()
