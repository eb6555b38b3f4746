"""How does a probe see, without starting a Python, that a loop goes round, and that it ticks?

By the age of files. A node that stays touches one whenever its loop goes round, whatever becomes of jobs and of the
database; and another whenever it has asked the database what is due. Who looks at them needs a shell, and no more.

Nothing rests on these files. Once the loop has begun, what goes wrong here is logged, and the node goes on with its
jobs: a file that is not touched any more says enough.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cronkite.exceptions import BeaconError

logger = logging.getLogger("cronkite")

#: How often (seconds) a file is touched at most; and at least, where the loop goes round.
EVERY = 10.0
#: A file that is there is opened as it is: neither is a pipe waited for, nor does a child inherit it.
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC


class Beacon:
    """A file whose age tells when something was so last. Without a path, it does nothing."""

    def __init__(self, path: str | None = None) -> None:
        # A function that is run in this process may change the folder.
        self.path = None if path is None else Path(path).absolute()
        self._at = float("-inf")
        self._fails = False

    def begin(self) -> None:
        """Make sure that the file can be written, and leave none.

        Raises :class:`BeaconError`, which says what to do, if it can't be, or if it is somebody's file.
        """
        if self.path is None:
            return
        try:
            with suppress(FileNotFoundError):
                found = self.path.lstat()
                if not stat.S_ISREG(found.st_mode) or found.st_size:
                    raise BeaconError(f"{self.path} is not an empty file. Name a file that nothing else uses.")
            _touch(self.path)
            self.path.unlink()
        except OSError as error:
            raise BeaconError(
                f"{self.path} can't be written ({error.strerror}). Name a file in a folder that is there and that this "
                "user may write to; where the root is read-only, one of a tmpfs, such as /dev/shm/cron-alive."
            ) from error

    def light(self) -> None:
        """Touch the file, unless it was a moment ago."""
        now = time.monotonic()
        if self.path is None or now < self._at + EVERY:
            return
        self._at = now
        try:
            _touch(self.path)
        except OSError as error:
            if not self._fails:
                logger.warning("Probes can't be shown that this node is well: %s. It goes on with its jobs.", error)
            self._fails = True
        else:
            if self._fails:
                logger.warning("%s can be written again.", self.path)
            self._fails = False

    def end(self) -> None:
        """Take the file away, if that is possible."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()

    def next_at(self) -> float | None:
        """Return when (monotonic seconds) to touch the file again; ``None``: there is none."""
        return None if self.path is None else self._at + EVERY


class Beacons:
    """What a loop shows: that it is alive, as it goes round; and that it is ready, as it has ticked."""

    def __init__(self, alive: str | None = None, ready: str | None = None) -> None:
        self.alive = Beacon(alive)
        self.ready = Beacon(ready)

    @contextmanager
    def given(self) -> Iterator[None]:
        """Begin with a process that is alive and not ready yet, and leave no file behind.

        Raises :class:`BeaconError` if a file can't be written.
        """
        if self.alive.path is not None and self.alive.path == self.ready.path:
            raise BeaconError(f"{self.alive.path} can't tell two things. Name two files.")
        self.alive.begin()
        self.ready.begin()
        self.alive.light()
        try:
            yield
        finally:
            self.alive.end()
            self.ready.end()


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        os.close(os.open(path, FLAGS, 0o644))
