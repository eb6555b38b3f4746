"""The package's parts stand where the documents say, and are used through what they export."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

import cronkite

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(cronkite.__file__).parent

sys.path.append(str(ROOT / "docs"))
import wings  # noqa: E402

pytestmark = pytest.mark.single

PARTS = [name for layer in wings.layers() for name in layer]
WINGS = [name for name in PARTS if wings.is_wing(name)]

#: What users may import, and where from; these names stay.
PUBLIC = {
    "cronkite": ["cron", "current_run"],
    "cronkite.alerts": ["Notice", "mail"],
    "cronkite.commands": ["call"],
    "cronkite.exceptions": ["CronkiteError", "ScheduleError", "FunctionError", "JobIsLocked", "RunEnded"],
    "cronkite.health": ["report"],
    "cronkite.models": ["Job", "Log", "Node"],
    "cronkite.pruning": ["prune"],
    "cronkite.requests": ["ask", "ask_with", "withdraw"],
    "cronkite.schedules": ["Schedule"],
    "cronkite.signals": ["Run"],
    "cronkite.testing": ["Cron", "CronMixin", "freeze", "next_slots", "run_due"],
    "cronkite.views": ["health"],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_what_users_import_has_a_stable_home(module):
    found = importlib.import_module(module)
    for name in PUBLIC[module]:
        assert getattr(found, name).__doc__, f"{module}.{name} says nothing of itself"


def test_the_picture_of_the_wings_is_what_the_contract_says():
    assert wings.PICTURE.read_text() == wings.draw(), "draw it anew: python docs/wings.py"


@pytest.mark.parametrize("name", PARTS)
def test_each_part_says_first_what_it_knows(name):
    assert re.search(r"[.?]$", wings.question(name)), f"the first line of cronkite.{name} is no sentence"


@pytest.mark.parametrize("name", WINGS)
def test_each_wing_lists_its_rooms_and_what_it_exports(name):
    wing = importlib.import_module(f"cronkite.{name}")
    assert wings.question(name).endswith("?") or "? " in wings.question(name)
    rooms = sorted(path.stem for path in (PACKAGE / name).glob("[a-z]*.py"))
    listed = [
        room for line in re.findall(r"^- (.*?):", wing.__doc__, re.MULTILINE) for room in re.findall(r"\w+", line)
    ]
    assert sorted(listed) == rooms
    for exported in wing.__all__:
        assert exported in rooms or hasattr(wing, exported)


def imports_of(path):
    """Yield what a module imports of the package, for its types alone included: where from, and the name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and re.match(r"cronkite\b", node.module or ""):
            for each in node.names:
                yield node.module, each.name
        elif isinstance(node, ast.Constant) and re.fullmatch(r"cronkite(?:\.\w+)+", str(node.value)):
            # What is imported late, by its name.
            where, _, what = node.value.rpartition(".")
            yield where, what


@pytest.mark.parametrize("name", WINGS)
def test_a_wing_is_used_through_what_it_exports(name):
    exported = set(importlib.import_module(f"cronkite.{name}").__all__)
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE).parts
        if inside[0] in {name, "migrations"}:
            continue
        for where, what in imports_of(path):
            if f"{where}.".startswith(f"cronkite.{name}."):
                room = where.split(".")[2] if where.count(".") > 1 else what
                assert room in exported, f"{'/'.join(inside)} uses cronkite.{name}.{room}, which is not exported"


def test_the_tests_of_a_module_are_found_by_its_path():
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").glob("*/test_*.py")}
    assert {*WINGS, "admin", "cli"} <= folders | {"benchmarks", "proof", "browser"}
