"""Handlers of the log as no project wants them."""

import logging
import os
from contextlib import suppress

#: A pipe that is full, and that nobody reads.
_reader, _writer = os.pipe()


class Down(logging.Handler):
    """Lets through that its server is away, as many do."""

    def emit(self, record):
        raise ConnectionError("the log server is away")


class Stuck(logging.StreamHandler):
    """Writes into a pipe that nobody reads, which is full."""

    def __init__(self):
        os.set_blocking(_writer, False)
        try:
            while True:
                os.write(_writer, bytes(4096))
        except BlockingIOError:
            os.set_blocking(_writer, True)
        super().__init__(os.fdopen(_writer, "w", buffering=1, closefd=False))


def drain():
    """Read all that is in the pipe."""
    os.set_blocking(_reader, False)
    with suppress(BlockingIOError):
        while os.read(_reader, 1 << 20):
            pass
