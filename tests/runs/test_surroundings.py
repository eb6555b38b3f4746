"""What a run leaves of its process to the next one, where the process may do little itself; the rest: test_edges.py."""

import faulthandler
import os
from multiprocessing import get_context

import pytest
from nodes import PATIENCE

from cronkite.code import modules
from cronkite.runs.surroundings import Surroundings

pytestmark = pytest.mark.once

NOBODY = 65534


def in_a_process(function, *args):
    """Call the function in a process of its own; return what it returns."""
    # Its thread does not come along, and who cancels it there would wait for that.
    faulthandler.cancel_dump_traceback_later()
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=lambda: theirs.send(function(*args)))
    process.start()
    try:
        assert ours.poll(PATIENCE), "nothing came of it"
        return ours.recv()
    finally:
        process.kill()
        process.join(PATIENCE)


def lose_sight_of(folder):
    """Be in a directory to which this process has no right."""
    folder.mkdir(mode=0o700)
    os.chdir(folder)
    if os.getuid():
        folder.chmod(0)
    else:
        os.setuid(NOBODY)


def wander(folder, *, forbidden):
    if forbidden:
        lose_sight_of(folder / "private")
    else:
        os.chdir(folder)
    surroundings = Surroundings()
    stayed = surroundings.put_back()
    os.chdir("/")
    return modules.open_directory() is not None, stayed, surroundings.put_back(), os.getcwd() == str(folder)


def test_a_run_that_goes_elsewhere_is_brought_back(tmp_path):
    assert in_a_process(lambda: wander(tmp_path, forbidden=False)) == (True, True, True, True)


def test_a_directory_that_a_worker_has_no_right_to_is_no_reason_to_run_nothing(tmp_path):
    """As of ``sudo -u www-data`` in root's own: who goes elsewhere can't come back, and has to end."""
    assert in_a_process(lambda: wander(tmp_path, forbidden=True)) == (True, True, False, False)
