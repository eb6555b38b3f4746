"""Every example in a docstring and in the README does what it says."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import cronkite
import databases

README = Path(__file__).parent.parent / "README.rst"
PACKAGES = (cronkite, databases)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", [*(package.__name__ for package in PACKAGES), *MODULES])
def test_the_examples_in_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_examples_in_the_readme_hold():
    assert doctest.testfile(str(README), module_relative=False).failed == 0
