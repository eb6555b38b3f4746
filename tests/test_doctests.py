"""Every example in a docstring and in the documents does what it says."""

import doctest
import importlib
import pkgutil

import pytest
from documents import ROOT, TEXTS

import cronkite
import databases

PACKAGES = (cronkite, databases)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]

#: The packages of extras that these modules can't be imported without.
NEEDED = {"cronkite.monitors.opentelemetry": "opentelemetry", "cronkite.monitors.sentry": "sentry_sdk"}


@pytest.mark.parametrize("name", [*(package.__name__ for package in PACKAGES), *MODULES])
def test_the_examples_in_docstrings_hold(name):
    if name in NEEDED:
        pytest.importorskip(NEEDED[name], reason=f"{NEEDED[name]}, which {name} needs, is not installed")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_some_documents_have_examples():
    assert any(">>> " in text for text in TEXTS.values())


@pytest.mark.parametrize("name", TEXTS)
def test_the_examples_in_a_document_hold(name):
    assert doctest.testfile(str(ROOT / name), module_relative=False).failed == 0
