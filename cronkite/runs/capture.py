"""How is what a function writes kept?"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOBase
from typing import TextIO

from cronkite.code.outcomes import HALF, OUTPUT_LIMIT, keep_ends, keep_text

#: What a stream raises whose reader has gone, as `head` does, whose disk is full, or that is closed or was never there.
#: That is no business of the function that writes: what it says is kept all the same.
NOBODY_READS = (OSError, ValueError, AttributeError)
#: How many pieces a :class:`Tee` keeps before it joins and cuts them.
PIECES = 1000


def encodable(text: str, encoding: str | None) -> str:
    """Return the text with escapes, such as ``\\xe4``, for what ``encoding`` lacks; ``None`` lacks nothing.

    >>> encodable("für", "ascii"), encodable("für", "utf-8"), encodable("für", None)
    ('f\\\\xfcr', 'für', 'für')
    """
    return text if encoding is None else text.encode(encoding, "backslashreplace").decode(encoding)


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
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            # As of a terminal that knows ASCII only. Nobody's job fails because of who looks on.
            self.stream.write(encodable(text, getattr(self.stream, "encoding", None) or "ascii"))
        except NOBODY_READS:
            pass
        return len(text)

    def flush(self) -> None:
        with suppress(*NOBODY_READS):
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


@dataclass(frozen=True)
class Piece:
    """What was written: its beginning, its end, and how many bytes it was."""

    head: bytes = b""
    tail: bytes = b""
    size: int = 0

    def text(self) -> str:
        """Return it as it is kept, cut to size."""
        return keep_ends(self.head, self.tail, self.size)


class Kept:
    """The beginning and the end of a stream of bytes, in bounded memory, however long the stream is."""

    def __init__(self) -> None:
        self._head, self._tail, self._size = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        """Take what comes next."""
        self._size += len(data)
        room = max(0, HALF - len(self._head))
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * OUTPUT_LIMIT:
            del self._tail[:-HALF]

    def peek(self) -> Piece:
        """Return what has come until now."""
        return Piece(bytes(self._head), bytes(self._tail[-HALF:]), self._size)

    def take(self) -> Piece:
        """Return what has come, and begin anew."""
        piece = self.peek()
        self.__init__()  # type: ignore[misc]
        return piece


#: Copies of the descriptors 1 and 2, as they are outside of a run, while one is going on.
saved: list[int] = []


@contextmanager
def into(descriptor: int) -> Iterator[None]:
    """Send stdout and stderr of this process and its children to ``descriptor`` meanwhile.

    Raises :class:`OSError` as :func:`kept` does.
    """
    with kept():
        streams = sys.stdout, sys.stderr
        _flush(*streams)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        # Streams of our own: those of the process may be something else than the descriptors 1 and 2, or closed.
        out, err = (_stream(number) for number in (1, 2))
        sys.stdout, sys.stderr = out, err
        try:
            yield
        finally:
            # First what the function may have put around ours.
            _flush(sys.stdout, sys.stderr, out, err, *streams)


@contextmanager
def kept() -> Iterator[None]:
    """Have stdout and stderr be what they were, after the block.

    Raises :class:`OSError` at the end if the copies were closed of what has to be put back; stdout and stderr are
    ``/dev/null`` then.
    """
    streams = sys.stdout, sys.stderr
    # None of the three that somebody expects to be something else, if it was closed.
    saved[:] = (fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (1, 2))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        _put_back()


def _put_back() -> None:
    copies = list(saved)
    saved.clear()
    try:
        for number, copy in zip((1, 2), copies, strict=True):
            os.dup2(copy, number)
            os.close(copy)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)
        raise


def _stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush(*streams: TextIO | None) -> None:
    for stream in streams:
        # The function has closed it, or has a stream of its own, or the disk is full: what could be kept was kept.
        with suppress(Exception):
            if stream is not None:
                stream.flush()
