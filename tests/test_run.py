"""The script that sets a machine up can tell what the machine lacks."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest
from brokers import redis_server

from browser import programs
from databases import redis

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


def test_a_server_of_redis_that_is_missing_is_named(script, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "redis-tools" in script["missing_packages"]([])


def test_debians_tools_of_redis_are_its_server_without_the_service(monkeypatch, tmp_path):
    (tmp_path / "redis-check-rdb").symlink_to(redis.find_program())
    monkeypatch.setenv("PATH", str(tmp_path))
    with redis_server(tmp_path) as server:
        assert server.client.ping()


def test_what_failed_is_said_once_more_at_the_end(script, capsys):
    """Who reads the end of a long output alone is to know what to run."""
    report = script["Report"]()
    said = "FAILED tests/test_a.py::test_b - assert 1 == 2\\n===== 1 failed, 3 passed in 2.1s ====="
    assert not report.run("suite", [sys.executable, "-c", f"print('{said}'); raise SystemExit(1)"], dict(os.environ))
    assert report.run("lint", [sys.executable, "-c", "print('===== 1 passed in 2.1s =====')"], dict(os.environ))
    capsys.readouterr()
    assert report.finish() == 1
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "suite: FAILED tests/test_a.py::test_b - assert 1 == 2",
        "FAILED: suite",
        "4 passed, 1 failed",
    ]


OF_BOTH = """
    py311-dj52-sqlite-split py311-dj52-pg-cover py311-dj52-mariadb
    py313-dj61-pg3-pool py313-dj61-mysql
"""
OF_THE_NEWEST = """
    py313-dj61-sqlite-split py313-dj61-pg py313-dj61-pg3-pool py313-dj61-mysql py313-dj61-mariadb
"""


@pytest.mark.parametrize(
    ("versions", "named"),
    [(["3.11", "3.13"], OF_BOTH), (["3.13"], OF_THE_NEWEST), ([], "sqlite-split pg pg3-pool-cover mysql mariadb")],
)
def test_every_database_and_every_python_has_the_suite(script, versions, named):
    assert script["suites"](versions) == named.split()


@pytest.mark.parametrize("versions", [[], ["3.11"], ["3.13"], ["3.11", "3.13"]])
def test_what_no_database_changes_is_tested_once_for_each_python(script, versions):
    names = script["suites"](versions)
    said = {name: script["without"](name, names) for name in names}
    assert list(said.values()).count("") == 1
    once = [name for name in names if "once" not in said[name]]
    assert len(once) == max(1, len(versions))
    assert all(name.startswith(script["PAIRS"][version]) for name, version in zip(once, versions, strict=False))
