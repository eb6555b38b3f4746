"""Who reads what a run writes when its nursery, which does that else, has died?

Its worker's clerk: or the function would fail where it prints, and a program that it has started would be killed.
"""

from __future__ import annotations

import os
from contextlib import suppress

from cronkite.processes.descriptors import identity
from cronkite.runs import channels
from cronkite.runs.capture import Kept, Piece
from cronkite.runs.nurse import unread


class Heir:
    """Reads a pipe, at the end of it that is ``reader``, so that nobody who writes into it fails or waits."""

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._identity = identity(reader)
        self._kept = Kept()

    def fileno(self) -> int:
        """Return the descriptor to wait for; -1 if the function has closed it."""
        return self._reader if identity(self._reader) == self._identity else -1

    def read(self) -> None:
        """Keep what has been written until now; not what is written meanwhile, which may go on for ever."""
        rest = 0 if self.fileno() < 0 else unread(self._reader)
        # A nursery that lives reads, too: only the channel to it is closed then.
        with suppress(BlockingIOError):
            while rest > 0 and (data := os.read(self._reader, min(rest, channels.CHUNK))):
                self._kept.add(data)
                rest -= len(data)

    def take(self) -> Piece:
        """Return what has been written, and begin anew."""
        self.read()
        return self._kept.take()
