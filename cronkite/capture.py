"""How is what a function writes kept?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOBase
from typing import BinaryIO, TextIO

from cronkite.outcomes import OUTPUT_LIMIT, keep_file, keep_text

#: How many pieces a :class:`Tee` keeps before it joins and cuts them.
PIECES = 1000


class Tee(TextIOBase):
    """A text stream that passes on what is written to it, and keeps the beginning and the end.

    Two of them that share ``kept`` keep what is written to both, in its order.
    """

    def __init__(self, stream: TextIO, kept: list[str] | None = None) -> None:
        self.stream = stream
        self.kept: list[str] = [] if kept is None else kept

    def write(self, text: str) -> int:
        self.kept.append(text)
        if len(self.kept) > PIECES:
            # Joined and cut now and then, so that an endless stream takes no endless memory.
            whole = "".join(self.kept)
            self.kept[:] = [whole if len(whole) <= 2 * OUTPUT_LIMIT else keep_text(whole)]
        return self.stream.write(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    def text(self) -> str:
        """Return what was kept, cut to size."""
        return keep_text("".join(self.kept))


@contextmanager
def into_file(file: BinaryIO) -> Iterator[None]:
    """Send stdout and stderr of this process and its children into ``file``, opened for appending, meanwhile."""
    streams = sys.stdout, sys.stderr
    saved = os.dup(1), os.dup(2)
    _flush(*streams)
    os.ftruncate(file.fileno(), 0)
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    # Streams of our own: those of the process may be something else than the descriptors 1 and 2, or closed.
    out, err = (_stream(descriptor) for descriptor in (1, 2))
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        _flush(*streams, out, err)
        sys.stdout, sys.stderr = streams
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


def text_of(file: BinaryIO) -> str:
    """Return what was written into ``file``, cut to size."""
    return keep_file(file)


def _stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush(*streams: TextIO | None) -> None:
    for stream in streams:
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # The function closed it, or the disk is full: what could be kept was kept.
            continue
