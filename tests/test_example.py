"""The example's tests pass, and its accounts of what was handed over find what must not be."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from launcher import HERE

pytestmark = pytest.mark.single

SLOT = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def read(tmp_path):
    """What the accounts make of the tasks' own lines, where one slot was handed over, as the task "a"."""
    accounts = runpy.run_path(str(HERE.parent / "example-project" / "accounts.py"))

    def read(*lines, worker="worker-1"):
        journal = tmp_path / "journal"
        journal.write_text("".join(f"{line}\n" for line in lines))
        handed = accounts["Entry"]("send", SLOT, "succeeded", "node-1", task="a", worker=worker)
        runs, problems = accounts["read_tasks"](journal, [handed])
        schedule = "* * * * * */2"
        before, after = SLOT.replace(hour=11, minute=59, second=59), SLOT.replace(second=1)
        window = accounts["Window"]((before, before), (after, after))
        (account,) = accounts["settle"]({"send": schedule}, window, [handed], runs)
        return [*problems, *account.twice, *account.unaccounted]

    return read


def test_a_slot_that_was_handed_over_and_run_once_is_fine(read):
    assert read("send a worker-1 7") == []


def test_a_task_that_was_run_twice_is_found(read):
    assert "12:00:00 ran 2 times" in read("send a worker-1 7", "send a worker-1 7")


def test_a_slot_that_was_handed_over_twice_has_a_task_of_which_no_log_knows(read):
    assert read("send a worker-1 7", "send b worker-2 8") == ["send: worker-2 ran the task b, and no log says so"]


def test_a_task_that_nobody_ran_is_found(read):
    assert read() == ["12:00:00 did not run, and its log says it did"]


def test_a_worker_of_whom_the_log_does_not_know_is_found(read):
    assert read("send a worker-2 8") == ["send: 12:00:00 was run by worker-2, and its log says by worker-1"]


def test_its_own_tests_pass(tmp_path):
    environment = {**os.environ, "SHOP_ENGINE": "1", "DATABASE_URL": f"sqlite:///{tmp_path / 'shop.sqlite3'}"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "manage.py", "test", "shop", "mailroom"],
        cwd=HERE.parent / "example-project",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 10 tests" in done.stderr
