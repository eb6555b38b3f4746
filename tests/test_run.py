"""The script that sets a machine up can tell what the machine lacks."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from browser import programs

SCRIPT = Path(__file__).parent / "run"


@pytest.fixture
def script():
    return runpy.run_path(str(SCRIPT))


def test_what_is_there_is_not_missing(script, monkeypatch):
    """Debian's packages by their names, whatever is installed here."""
    lacks = script["missing_packages"]([Path(sys.executable)])
    assert all(name == name.lower() and " " not in name for name in lacks)
    # Any program will do: it is not started.
    monkeypatch.setenv("CRONKITE_CHROMIUM", sys.executable)
    assert "chromium" not in script["missing_packages"]([])


def test_a_browser_that_is_missing_is_named(script, monkeypatch):
    monkeypatch.setenv("CRONKITE_CHROMIUM", "no-such-browser")
    with pytest.raises(programs.NoBrowser, match="Install Debian's package chromium"):
        programs.find_chromium()
    assert "chromium" in script["missing_packages"]([])
