"""Settings: defaults, types, and sentences for nonsense. No database."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cronkite import conf

pytestmark = pytest.mark.once

#: The same examples at each run, and no verdict by the clock: the machine may be busy with the other tests.
STEADY = hypothesis_settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
NAMES = [
    "CRONKITE_LOCK_TIMEOUT",
    "CRONKITE_LOOKAHEAD",
    "CRONKITE_WORKERS",
    "CRONKITE_ALLOWED_FUNCTIONS",
    "CRONKITE_ALLOWED_COMMANDS",
    "CRONKITE_NODE",
    "CRONKITE_SHUTDOWN_GRACE",
    "CRONKITE_LOG_MAX_DAYS",
    "CRONKITE_LOG_MAX_PER_JOB",
    "CRONKITE_MONITORS",
]


@pytest.fixture(autouse=True)
def no_settings(settings):
    """Each test begins as a project that sets nothing."""
    for name in NAMES:
        if hasattr(settings, name):
            delattr(settings, name)


def test_defaults_are_those_of_the_documentation():
    found = conf.get()
    assert found.lock_timeout is None
    assert found.lookahead == timedelta(seconds=5)
    assert found.workers == 4
    assert (found.allowed_functions, found.allows_apps) == (("INSTALLED_APPS",), True)
    assert (found.allowed_commands, found.allows_commands_of_apps) == (("INSTALLED_APPS",), True)
    assert found.node == socket.gethostname()
    assert found.shutdown_grace == timedelta(seconds=20)
    assert (found.log_max_days, found.log_max_per_job, found.prunes_logs) == (None, None, False)
    assert found.monitors == ()
    assert conf.problems() == []


@override_settings(
    CRONKITE_LOCK_TIMEOUT=2.5,
    CRONKITE_LOOKAHEAD=0,
    CRONKITE_WORKERS=0,
    CRONKITE_ALLOWED_FUNCTIONS=["app.*", "reports.tasks.send"],
    CRONKITE_ALLOWED_COMMANDS=["check", "send-*"],
    CRONKITE_NODE=" blue ",
    CRONKITE_SHUTDOWN_GRACE=0.5,
    CRONKITE_NODE_LABELS=["gpu", "gpu"],
    CRONKITE_TASK="app.tasks.call",
    CRONKITE_ALERT="app.alerts.tell",
    CRONKITE_LOG_MAX_DAYS=90,
    CRONKITE_LOG_MAX_PER_JOB=1000,
    CRONKITE_MONITORS=["cronkite.monitors.sentry", "shop.monitors", "shop.monitors"],
)
def test_settings_are_read_in_their_units():
    assert conf.get() == conf.Conf(
        lock_timeout=timedelta(seconds=2.5),
        lookahead=timedelta(0),
        workers=0,
        allowed_functions=("app.*", "reports.tasks.send"),
        allowed_commands=("check", "send-*"),
        node="blue",
        shutdown_grace=timedelta(seconds=0.5),
        node_labels=frozenset({"gpu"}),
        task="app.tasks.call",
        alert="app.alerts.tell",
        log_max_days=timedelta(days=90),
        log_max_per_job=1000,
        monitors=("cronkite.monitors.sentry", "shop.monitors"),
    )
    assert conf.problems() == []


def test_a_change_is_seen_at_the_next_call():
    with override_settings(CRONKITE_WORKERS=7):
        assert conf.get().workers == 7
    assert conf.get().workers == 4


def test_an_empty_list_allows_no_function_at_all():
    with override_settings(CRONKITE_ALLOWED_FUNCTIONS=()):
        assert conf.get().allowed_functions == ()


@pytest.mark.parametrize(
    ("lock_timeout", "interval"), [(None, 30), (1, 0.25), (2, 0.5), (30, 7.5), (60, 15), (3600, 15)]
)
def test_a_lock_is_renewed_four_times_per_timeout_and_at_least_every_15_seconds(settings, lock_timeout, interval):
    settings.CRONKITE_LOCK_TIMEOUT = lock_timeout
    assert conf.get().renewal_interval == timedelta(seconds=interval)


@STEADY
@given(seconds=st.floats(1, 366 * 86400))
def test_a_live_lock_is_always_renewed_before_it_is_stale(seconds):
    with override_settings(CRONKITE_LOCK_TIMEOUT=seconds):
        found = conf.get()
    assert found.lock_timeout is not None
    assert timedelta(0) < found.renewal_interval * 3 < found.lock_timeout


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CRONKITE_LOCK_TIMEOUT", 0, "must be None or a number of seconds from 1 to 31622400, not 0 (int)."),
        ("CRONKITE_LOCK_TIMEOUT", 0.99, "not 0.99 (float)."),
        ("CRONKITE_LOCK_TIMEOUT", "300", "not '300' (str)."),
        ("CRONKITE_LOCK_TIMEOUT", True, "not True (bool)."),
        ("CRONKITE_LOCK_TIMEOUT", float("nan"), "not nan (float)."),
        ("CRONKITE_LOCK_TIMEOUT", float("inf"), "not inf (float)."),
        ("CRONKITE_LOCK_TIMEOUT", timedelta(minutes=5), "(timedelta)."),
        ("CRONKITE_LOOKAHEAD", 60, "must be a number of seconds from 0 to 59, not 60 (int)."),
        ("CRONKITE_LOOKAHEAD", -1, "not -1 (int)."),
        ("CRONKITE_LOOKAHEAD", None, "not None (NoneType)."),
        ("CRONKITE_WORKERS", -1, "must be a whole number, 0 or more, not -1 (int)."),
        ("CRONKITE_WORKERS", 1.5, "not 1.5 (float)."),
        ("CRONKITE_WORKERS", False, "not False (bool)."),
        (
            "CRONKITE_ALLOWED_FUNCTIONS",
            "app.*",
            "must be None or a list of patterns of dotted names, not 'app.*' (str).",
        ),
        (
            "CRONKITE_ALLOWED_COMMANDS",
            "check",
            "must be None or a list of patterns of commands' names, not 'check' (str).",
        ),
        ("CRONKITE_ALLOWED_FUNCTIONS", ["app.*", 1], "not ['app.*', 1] (list)."),
        ("CRONKITE_ALLOWED_FUNCTIONS", [""], "not [''] (list)."),
        ("CRONKITE_ALLOWED_FUNCTIONS", ["app.*, lib.*"], "(list)."),
        ("CRONKITE_LOG_MAX_DAYS", 0, "must be None or a whole number, from 1 to 36525, not 0 (int)."),
        ("CRONKITE_LOG_MAX_DAYS", 0.5, "must be None or a whole number"),
        ("CRONKITE_LOG_MAX_PER_JOB", 0, "must be None or a whole number, 1 or more, not 0 (int)."),
        ("CRONKITE_LOG_MAX_PER_JOB", True, "must be None or a whole number"),
        ("CRONKITE_MONITORS", "shop.monitors", "must be a list of dotted names of modules, not 'shop.monitors' (str)."),
        ("CRONKITE_MONITORS", ["shop/monitors.py"], "a list of dotted names of modules"),
        ("CRONKITE_MONITORS", [None], "not [None] (list)."),
        ("CRONKITE_NODE", None, "must be a text of at most 255 characters"),
        ("CRONKITE_NODE", "n" * 256, "..."),
        ("CRONKITE_NODE", "a\nb", "none of them a control character"),
        ("CRONKITE_SHUTDOWN_GRACE", -0.1, "must be a number of seconds from 0 to 31622400"),
        ("CRONKITE_SHUTDOWN_GRACE", 10**400, "(int)."),
    ],
)
def test_nonsense_is_named_in_one_sentence(settings, name, value, words):
    setattr(settings, name, value)
    (problem,) = conf.problems()
    assert problem.setting == name
    assert problem.message.startswith(f"{name} must be ")
    assert words in problem.message
    assert len(problem.message) < 200
    assert problem.hint.endswith(".")
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.get()
    assert str(caught.value) == f"{problem.message} {problem.hint}"


def test_several_problems_are_told_at_once(settings):
    settings.CRONKITE_WORKERS = "many"
    settings.CRONKITE_LOOKAHEAD = "far"
    assert [problem.setting for problem in conf.problems()] == ["CRONKITE_LOOKAHEAD", "CRONKITE_WORKERS"]


def test_a_misspelt_setting_is_told_with_the_name_that_was_meant(settings):
    settings.CRONKITE_LOCKTIMEOUT = 300
    (problem,) = conf.problems()
    assert problem.message == "There is no setting CRONKITE_LOCKTIMEOUT, so it has no effect."
    assert problem.hint == "Write CRONKITE_LOCK_TIMEOUT."
    assert conf.get().lock_timeout is None


def test_a_setting_like_no_other_is_told_with_all_names(settings):
    settings.CRONKITE_X = 1
    (problem,) = conf.problems()
    assert problem.hint.startswith("Remove it. The settings are ")
    assert all(name in problem.hint for name in NAMES)
