"""A process can be misled about the time of day, but not about how long something takes."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from deadlines import in_time

from proof.race.faults.clocks import clock

# For each line, it says the time of day by Python's and by SQLite's clock, and of its stopwatch; and it sleeps.
TELL_TIME = """
import datetime, os, sqlite3, sys, time
for line in sys.stdin:
    time.sleep(0.01)
    child = os.popen("date +%s").read().strip()
    (lite,) = sqlite3.connect(":memory:").execute("SELECT strftime('%s', 'now')").fetchone()
    print(time.time(), lite, child, time.monotonic(), flush=True)
"""
CLOSE = 60


@pytest.fixture
def misled():
    """A clock, and a function that asks a process that follows it: seconds of its clocks, and its stopwatch's."""
    with clock() as its_clock:
        environment = {**os.environ, **its_clock.environment()}
        command = [sys.executable, "-c", TELL_TIME]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:

            def ask():
                process.stdin.write("\n")
                process.stdin.flush()
                with in_time(process):
                    *clocks, stopwatch = map(float, process.stdout.readline().split())
                return clocks, stopwatch

            yield its_clock, ask
            process.stdin.close()


def right_time():
    return datetime.now(timezone.utc).timestamp()


def test_a_clock_is_right_at_first(misled):
    clocks, _ = misled[1]()
    assert clocks == pytest.approx([right_time()] * 3, abs=CLOSE)


def test_a_clock_jumps_while_its_process_runs_and_the_stopwatch_does_not(misled):
    its_clock, ask = misled
    _, begin = ask()
    for hours in (-1.5, 26, 0):
        its_clock.set(timedelta(hours=hours))
        clocks, _ = ask()
        assert clocks == pytest.approx([right_time() + hours * 3600] * 3, abs=CLOSE)
    _, end = ask()
    assert 0 < end - begin < CLOSE


def test_everybody_else_keeps_the_right_time(misled):
    before = right_time()
    misled[0].set(timedelta(hours=-10))
    assert before <= right_time() < before + CLOSE
