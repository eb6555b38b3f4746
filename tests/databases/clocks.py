"""A clock of a process's own: its time of day can be set while it runs, and nobody else's changes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from datetime import timedelta
from pathlib import Path

from databases.processes import NoServer

SOURCE = Path(__file__).with_name("clock_shift.c")


class Clock:
    """The time of day that the processes started with :meth:`environment` see; at first it is the right one.

    Their stopwatches and timeouts stay right. It lives in a folder, where :func:`make` put it.
    """

    def __init__(self, folder: Path) -> None:
        self._library = folder / "clock_shift.so"
        self._file = folder / "clock_shift"

    def exists(self) -> bool:
        """Whether there is a clock in the folder."""
        return self._file.exists()

    def environment(self) -> dict[str, str]:
        """The variables of the environment that make a process follow this clock, and all that it starts."""
        preloaded = [str(self._library), *filter(None, [os.environ.get("LD_PRELOAD")])]
        return {"LD_PRELOAD": ":".join(preloaded), "CLOCK_SHIFT_FILE": str(self._file)}

    def set(self, shift: timedelta) -> None:
        """Set it to the right time plus ``shift``, at once, for processes that run already too."""
        nanoseconds = shift // timedelta(microseconds=1) * 1000
        # One write of the eight bytes, and not a new file: who follows the clock has this one in memory.
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, struct.pack("=q", nanoseconds))
        finally:
            os.close(descriptor)


def make(folder: Path) -> Clock:
    """Make a clock in ``folder``. Raises NoServer without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoServer("no C compiler is installed to make a clock with (Debian's packages: gcc, libc6-dev)")
    # Not libfaketime: with its monotonic clock left alone, Python's time.sleep() fails with EINVAL, and with it faked,
    # stopwatches jump; and MySQL came to a standstill.
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(folder / "clock_shift.so"), str(SOURCE), "-ldl"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise NoServer(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    clock = Clock(folder)
    clock.set(timedelta(0))
    return clock
