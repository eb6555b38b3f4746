"""Monitors that the project names: connected when Django is ready; what is wrong with one is told, and harms nobody."""

from __future__ import annotations

import logging
import sys
from types import ModuleType

import pytest
from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from cronkite.checks import setting_checks
from cronkite.monitors import connecting

pytestmark = pytest.mark.once


@pytest.fixture
def monitor(monkeypatch):
    """Return a function that makes a module with a function ``connect``."""

    def make(name, connect):
        module = ModuleType(name)
        module.connect = connect
        monkeypatch.setitem(sys.modules, name, module)

    return make


def test_each_named_monitor_is_connected_once(settings, monitor):
    connected = []
    monitor("mine", lambda: connected.append("mine"))
    monitor("theirs", lambda: connected.append("theirs"))
    settings.CRONKITE_MONITORS = ["mine", "theirs", "mine"]
    apps.get_app_config("cronkite").ready()
    assert connected == ["mine", "theirs"]


def test_a_monitor_that_fails_keeps_no_other_from_being_connected_and_is_told_of(settings, monitor, caplog):
    connected = []
    monitor("broken", lambda: 1 / 0)
    monitor("mine", lambda: connected.append("mine"))
    settings.CRONKITE_MONITORS = ["broken", "nowhere", "os", "mine"]
    with caplog.at_level(logging.WARNING, "cronkite"):
        connecting.connect()
    assert connected == ["mine"]
    assert [record.getMessage() for record in caplog.records] == [
        "The monitor broken is not connected, and told nothing. ZeroDivisionError: division by zero.",
        "The monitor nowhere is not connected, and told nothing. ModuleNotFoundError: No module named 'nowhere'.",
        "The monitor os is not connected, and told nothing. AttributeError: module 'os' has no attribute 'connect'.",
    ]


def test_a_check_tells_what_is_missing_and_connects_nothing(settings, monitor, monkeypatch):
    monitor("mine", lambda: pytest.fail("connected by a check"))

    def lacks(name):
        raise ImproperlyConfigured("It needs the package lacking.")

    monkeypatch.setattr(connecting, "import_module", lambda name: sys.modules.get(name) or lacks(name))
    settings.CRONKITE_MONITORS = ["mine", "lacking.monitor"]
    (error,) = setting_checks.check_monitors()
    assert (type(error), error.id) == (checks.Error, "cronkite.E006")
    assert error.msg == (
        "CRONKITE_MONITORS names lacking.monitor, which can't be connected. It needs the package lacking."
    )
    assert error.hint == "It is told nothing by this process. Jobs run all the same."


def test_no_node_is_kept_from_its_jobs_by_a_monitor(settings, monkeypatch):
    settings.CRONKITE_MONITORS = ["nowhere"]
    monkeypatch.setattr(setting_checks, "is_asked", lambda: False)
    assert setting_checks.check_monitors() == []


def test_a_setting_that_makes_no_sense_is_for_the_check_of_settings(settings):
    settings.CRONKITE_MONITORS = "cronkite.monitors.sentry"
    connecting.connect()
    assert connecting.problems() == {}
    assert [error.id for error in setting_checks.check_settings()] == ["cronkite.E002"]


def test_nothing_of_monitors_is_loaded_where_none_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "cronkite.monitors.opentelemetry", raising=False)
    monkeypatch.setattr(connecting, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    connecting.connect()
