"""Processes that do the same at the same moment, each when it is told to by a line on its stdin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from deadlines import in_time
from django.db import connection

HERE = Path(__file__).parent


class Racer:
    """A process of a script in this folder, on this test's database; it says a line when it is ready, and for each."""

    def __init__(self, script, *arguments, **environment):
        database = str(connection.settings_dict["NAME"])
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            cwd=HERE,
            env={**os.environ, "CRONKITE_TEST_DATABASE": database, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def say(self, line="go"):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self):
        return self.process.stdout.readline().strip()

    def end(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@contextmanager
def racers(count, patience, *arguments, **environment):
    """Start so many; end them at the end of the block, or after so many seconds, so that no wait lasts longer."""
    started = []
    try:
        started.extend(Racer(*arguments, **environment) for _ in range(count))
        with in_time(*(racer.process for racer in started), patience=patience):
            assert [racer.hear() for racer in started] == ["ready"] * count
            yield started
    finally:
        for racer in started:
            racer.end()
