"""mypy, as a project has it that uses cronkite: from the checkout, or where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cronkite


def demand_mypy():
    """Skip the test where there is none."""
    pytest.importorskip("mypy", reason="mypy, which tox -e lint has, is not installed")


def check(folder, *arguments, cache):
    """Return what mypy came to that was called in ``folder``."""
    home = Path(cronkite.__file__).parent.parent
    # Where it is installed, mypy finds it by itself, and wants to.
    paths = [folder] if home.name == "site-packages" else [folder, home]
    return subprocess.run(
        # What stands around the code is checked elsewhere.
        [sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={cache}", "--follow-imports=silent", *arguments],
        cwd=folder,
        env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
    )
