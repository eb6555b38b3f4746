"""What a process has started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from nodes import until

import families
from cronkite.processes import kin

#: It starts another child when one has been killed, and not by itself: who looks twice sees the same.
STUBBORN = "trap '' TERM; while true; do sleep 600; done"
#: Has a child, and that has one, and waits for the end of the world.
FAMILY = f"sh -c \"{STUBBORN}\" & sh -c '(sleep 600 &) ; sleep 600' & sleep 600"


@pytest.fixture
def leader():
    """A process that leads a session, with a family."""
    process = subprocess.Popen(["sh", "-c", FAMILY], start_new_session=True)
    yield process
    families.end(process.pid)
    process.wait(60)


def alive(pids):
    return [pid for pid in pids if kin.is_alive(pid)]


def test_descendants_are_all_that_come_of_a_process(leader):
    def are_all():
        found = kin.descendants(leader.pid)
        return len(found) >= 4 and set(found) == set(families.descendants(leader.pid))

    # While the family grows, a shell may end between the two looks.
    until(are_all)
    assert kin.descendants(2**22) == []


def test_a_process_is_killed_with_its_family(leader):
    found = until(lambda: len(kin.descendants(leader.pid)) >= 4 and kin.descendants(leader.pid))
    kin.kill(leader.pid)
    assert leader.wait(60) == -signal.SIGKILL
    until(lambda: not alive(found))


def test_nobody_is_killed_who_is_not_there():
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait(60)
    kin.kill(process.pid)
    kin.kill_group(process.pid)


SCRIPT = """
import os, subprocess, sys, time
from cronkite.processes import kin
kin.adopt_orphans()
assert not kin.have_children()
for command in sys.argv[1:]:
    subprocess.run(["sh", "-c", f"({command}) > /dev/null 2>&1 &"], check=True)
assert kin.have_children(), "they have become ours"
kin.end_children()
# All have been killed, which takes them a moment.
deadline = time.monotonic() + 60
while kin.have_children():
    assert time.monotonic() < deadline
print("ended")
"""


@pytest.mark.parametrize("command", ["sleep 600", STUBBORN, "exec setsid sleep 600"])
def test_children_are_ended_whatever_they_do(command):
    """In a process of its own: the test's has others."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stdout == "ended\n", done.stderr
