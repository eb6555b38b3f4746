"""What type checkers say of code that declares jobs: mypy, of what is right and of what is not."""

from __future__ import annotations

import pytest
import typed

pytestmark = pytest.mark.once

RIGHT = """
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import cronkite

if TYPE_CHECKING:
    from cronkite import Scheduled


def ask_carriers() -> None: ...


cast("Scheduled", ask_carriers).schedule = "@daily"


@cronkite.cron("0 3 * * *", catch_up="all", grace=timedelta(hours=1), timeout=1800, enabled=False)
def pay(amount: int = 1) -> int:
    return amount


total: int = pay(2)
run = cronkite.current_run()
if run is not None and run.slot is not None:
    print(run.slot.isoformat(), run.fence + 1)
"""

#: A line that is wrong, and what is said of it.
WRONG = {
    '@cronkite.cron("0 3 * * *", catch_up="lastest")\ndef f() -> None: ...': "catch_up",
    '@cronkite.cron("0 3 * * *", grace="1h")\ndef f() -> None: ...': "grace",
    '@cronkite.cron("0 3 * * *", timezone=None)\ndef f() -> None: ...': "timezone",
    '@cronkite.cron("0 3 * * *", enabled="no")\ndef f() -> None: ...': "enabled",
    '@cronkite.cron("0 3 * * *")\ndef f() -> None: ...\nf.shedule': "shedule",
    "cronkite.current_run().slot": "slot",
    'def g() -> None: ...\ncast("cronkite.Scheduled", g).schedule = 5': "expression has type",
    'def g() -> None: ...\ncast("cronkite.Scheduled", g).shedule = "@daily"': "shedule",
}


def checked(folder, files):
    """Return what mypy says of these files' texts, by the name of the file."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    done = typed.check(folder, "--strict", *(f"{name}.py" for name in files), cache=folder / "cache")
    lines = done.stdout.splitlines()
    return {name: [line for line in lines if line.startswith(f"{name}.py:")] for name in files}, done


def test_what_is_right_is_taken_and_what_is_wrong_is_told(tmp_path):
    typed.demand_mypy()
    files = {
        f"wrong_{number}": f"from typing import cast\n\nimport cronkite\n\n{text}\n"
        for number, text in enumerate(WRONG)
    }
    said, done = checked(tmp_path, {"right": RIGHT, **files})
    assert said["right"] == [], done.stdout + done.stderr
    for name, (text, word) in zip(files, WRONG.items(), strict=True):
        assert any("error:" in line and word in line for line in said[name]), (text, said[name], done.stderr)
