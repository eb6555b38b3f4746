"""System checks: each mistake has its message, and a good project has none. No database is asked unnamed."""

from __future__ import annotations

from enum import IntEnum

import pytest
from django.core import checks as django_checks
from django.core.checks import registry, run_checks
from django.db import IntegrityError, connections, router, transaction

from cronkite.checks import declared_checks, job_checks, setting_checks
from cronkite.code.declarations import Declaration
from cronkite.declared import discovery
from cronkite.models import Job


@pytest.fixture(autouse=True)
def good_settings(settings):
    settings.CRONKITE_LOCK_TIMEOUT = 300


@pytest.fixture
def database(monkeypatch):
    """Return a function that pretends that django-cronkite's database has these settings."""

    def pretend(*, vendor="postgresql", supports_timezones=True, zone=None, options=None):
        connection = connections["default"]
        monkeypatch.setattr(connection, "vendor", vendor)
        monkeypatch.setattr(connection.features, "supports_timezones", supports_timezones)
        changed = {**connection.settings_dict, "TIME_ZONE": zone, "OPTIONS": options or {}}
        monkeypatch.setattr(connection, "settings_dict", changed)

    return pretend


def found():
    return [(type(message), message.id) for message in run_checks(tags=[setting_checks.TAG])]


def test_the_test_project_is_without_fault():
    assert run_checks(tags=[setting_checks.TAG]) == []


def test_the_checks_are_among_those_that_manage_py_check_runs():
    modules = (setting_checks, declared_checks, job_checks)
    ours = {check for module in modules for name, check in vars(module).items() if name.startswith("check_")}
    assert len(ours) == 18
    assert ours <= set(registry.registry.get_checks(include_deployment_checks=True))


def test_local_times_are_refused(settings):
    settings.USE_TZ = False
    (message,) = setting_checks.check_time_zone_support()
    assert isinstance(message, django_checks.Error)
    assert message.id == "cronkite.E001"
    assert message.hint == "Write USE_TZ = True in your settings."


def test_nonsense_in_a_setting_is_an_error_with_a_hint(settings):
    settings.CRONKITE_WORKERS = "four"
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Error)
    assert message.id == "cronkite.E002"
    assert message.msg == "CRONKITE_WORKERS must be a whole number, 0 or more, not 'four' (str)."
    assert message.hint


def test_a_lock_timeout_that_cannot_be_renewed_in_time_is_told_once(settings):
    settings.CRONKITE_LOCK_TIMEOUT = 0.5
    assert found() == [(django_checks.Error, "cronkite.E002")]


def test_a_risky_lock_timeout_is_a_warning(settings):
    settings.CRONKITE_LOCK_TIMEOUT = 29.5
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Warning)
    assert message.id == "cronkite.W001"
    assert message.msg.startswith("CRONKITE_LOCK_TIMEOUT is 29.5 seconds.")
    assert message.hint.startswith("Write CRONKITE_LOCK_TIMEOUT = 30 or more.")


@pytest.mark.parametrize("timeout", [None, 30, 3600])
def test_other_lock_timeouts_are_fine(settings, timeout):
    settings.CRONKITE_LOCK_TIMEOUT = timeout
    assert found() == []


def test_stored_local_times_are_refused_where_the_database_has_no_zones(database):
    database(vendor="mysql", supports_timezones=False, zone="Europe/Berlin")
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Error)
    assert message.id == "cronkite.E003"
    assert message.msg.startswith("The database 'default' stores the local times of Europe/Berlin.")
    assert "DATABASES['default']" in message.hint


@pytest.mark.parametrize("zone", [None, "UTC", "Etc/UTC"])
def test_utc_is_fine_where_the_database_has_no_zones(database, zone):
    database(vendor="mysql", supports_timezones=False, zone=zone)
    assert found() == []


def test_a_database_with_zones_may_have_any(database):
    database(vendor="postgresql", supports_timezones=True, zone="Europe/Berlin")
    assert found() == []


@pytest.mark.parametrize("options", [{}, {"transaction_mode": None}, {"transaction_mode": "DEFERRED"}, {"timeout": 20}])
def test_sqlite_transactions_that_begin_as_readers_are_a_warning(database, options):
    database(vendor="sqlite", supports_timezones=False, options=options)
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Warning)
    assert message.id == "cronkite.W002"


def test_the_lines_in_the_hint_make_the_sqlite_warning_go_away(database):
    database(vendor="sqlite", supports_timezones=False)
    (message,) = run_checks(tags=[setting_checks.TAG])
    lines = message.hint.partition("\n")[2]
    written = {"DATABASES": {"default": {}}}
    exec(lines, written)
    database(vendor="sqlite", supports_timezones=False, options=written["DATABASES"]["default"]["OPTIONS"])
    assert found() == []


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "EXCLUSIVE"])
def test_sqlite_transactions_that_begin_as_writers_are_fine(database, mode):
    database(vendor="sqlite", supports_timezones=False, options={"transaction_mode": mode})
    assert found() == []


class IsolationLevel(IntEnum):
    """As either driver has it."""

    SERIALIZABLE = 3


def test_an_isolation_level_that_is_a_bare_number_is_a_warning(database):
    database(vendor="postgresql", options={"isolation_level": 3})
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Warning)
    assert message.id == "cronkite.W005"
    assert "the bare number 3" in message.msg
    assert "IsolationLevel.READ_COMMITTED" in message.hint


@pytest.mark.parametrize(
    ("vendor", "level"), [("postgresql", IsolationLevel.SERIALIZABLE), ("postgresql", None), ("mysql", "serializable")]
)
def test_an_isolation_level_that_has_its_name_is_fine(database, vendor, level):
    database(vendor=vendor, options={"isolation_level": level} if level else {})
    assert found() == []


@pytest.mark.parametrize("pool", [{"min_size": 1, "max_size": 1}, {"min_size": 0, "max_size": 1}, {"min_size": 1}])
def test_a_pool_of_one_connection_is_a_warning(database, pool):
    database(vendor="postgresql", options={"pool": pool})
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Warning)
    assert message.id == "cronkite.W015"
    assert "max_size" in message.hint


@pytest.mark.parametrize("pool", [True, False, {"min_size": 1, "max_size": 2}, {"min_size": 2}, {"timeout": 3}])
def test_a_pool_of_more_is_fine(database, pool):
    database(vendor="postgresql", options={"pool": pool})
    assert found() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bill", "Bill"),
        ("menu", "menü"),
        ("strasse", "STRASSE"),
        ("sok", "søk"),
        ("aero", "ærø"),
        ("job1", "job\u0661"),
    ],
)
def test_declared_functions_that_differ_by_case_or_accents_only_are_a_warning(monkeypatch, one, other):
    declared = [Declaration(f"app.jobs.{name}", name, "", "@daily") for name in (one, "send", other)]
    monkeypatch.setattr(discovery, "declared_by_apps", lambda: declared)
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Warning)
    assert message.id == "cronkite.W003"
    assert f"app.jobs.{one}, app.jobs.{other}" in message.msg
    assert message.hint


#: Which of these are one depends on the collation.
PAIRS = [("か", "カ"), ("\U00020bb7", "\U00020b9f"), ("bill", "send"), ("a", "\u0430")]


@pytest.mark.django_db
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_database_is_asked_which_names_are_one_if_it_is_named(monkeypatch, one, other):
    names = [f"app.jobs.{name}" for name in (one, "pay", other)]
    declared = [Declaration(name, name, "", "@daily") for name in names]
    monkeypatch.setattr(discovery, "declared_by_apps", lambda: declared)
    monkeypatch.setattr(job_checks, "is_asked", lambda: True)
    told = job_checks.check_declared_names(databases=["default"])
    assert job_checks.check_declared_names(databases=[]) == []
    try:
        with transaction.atomic():
            Job.objects.bulk_create(
                [Job(name="j", function="f", schedule="@daily", declared_as=name) for name in names]
            )
    except IntegrityError:
        (message,) = told
        assert message.id == "cronkite.W003"
        assert f"{names[0]}, {names[2]}" in message.msg
    else:
        assert told == []


def test_seconds_that_seem_to_come_first_are_a_warning(monkeypatch):
    schedules = ["0 */5 * * * *", "* * * * * */5", "5 *"]
    declared = [Declaration(f"app.jobs.f{number}", "", "", each) for number, each in enumerate(schedules)]
    monkeypatch.setattr(discovery, "declared_by_apps", lambda: declared)
    (message,) = run_checks(tags=[setting_checks.TAG])
    assert isinstance(message, django_checks.Warning)
    assert message.id == "cronkite.W007"
    assert "'0 */5 * * * *'" in message.msg
    assert message.hint.endswith("write '*/5 * * * *'.")


def test_only_the_databases_that_hold_our_tables_are_judged(database, monkeypatch):
    database(vendor="sqlite", supports_timezones=False, zone="Europe/Berlin")
    monkeypatch.setattr(setting_checks, "_aliases", list)
    assert found() == []


def test_the_router_says_which_database_holds_our_tables(monkeypatch):
    monkeypatch.setattr(router, "db_for_write", lambda model, **hints: "jobs")
    assert setting_checks._aliases() == ["jobs"]


def test_a_lock_timeout_that_nobody_has_decided_on_is_a_warning_before_a_deployment(settings):
    settings.CRONKITE_LOCK_TIMEOUT = None
    assert run_checks(tags=[setting_checks.TAG], include_deployment_checks=True) == []
    del settings.CRONKITE_LOCK_TIMEOUT
    assert found() == []
    (message,) = run_checks(tags=[setting_checks.TAG], include_deployment_checks=True)
    assert (type(message), message.id) == (django_checks.Warning, "cronkite.W006")
    assert "CRONKITE_LOCK_TIMEOUT = 300" in message.hint
