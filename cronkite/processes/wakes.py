"""How does a signal reach whoever waits, or a thread that is not to have it?"""

from __future__ import annotations

import os
from contextlib import suppress


class Wake:
    """A descriptor that becomes readable when a signal has arrived, or a thread has something to tell."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.reader

    def read(self) -> bytes:
        """Return the numbers of the signals that have arrived since it was called; 0 is a thread's."""
        try:
            return os.read(self.reader, 4096)
        except BlockingIOError:
            return b""

    def up(self) -> None:
        """Make it readable; may be called by any thread, also when nobody waits any more."""
        with suppress(BlockingIOError, OSError):
            os.write(self.writer, b"\0")

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reader)
        os.close(self.writer)
