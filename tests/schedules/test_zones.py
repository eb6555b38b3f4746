"""Time zones: which there are, what this machine lacks, and what was meant by a name that is none."""

import zoneinfo
from datetime import datetime, timezone

import pytest
from conftest import ZONE_DATA

from cronkite import schedules
from cronkite.exceptions import ScheduleError, ZoneDataMissing
from cronkite.schedules import zonehints, zonenames, zones

pytestmark = pytest.mark.once

NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


def said_of(name):
    with pytest.raises(ScheduleError) as caught:
        zones.get(name)
    assert caught.value.field == "timezone"
    return str(caught.value)


def test_an_old_name_that_the_data_lack_is_a_zone_and_it_is_said_what_to_do(sparse_zones):
    for name, today in [("Asia/Calcutta", "Asia/Kolkata"), ("US/Pacific", "America/Los_Angeles")]:
        with pytest.raises(ZoneDataMissing) as caught:
            schedules.get("0 3 * * *", name)
        said = str(caught.value)
        assert f"'{name}' is a time zone, but this machine has no data for it; write {today}" in said
        assert "tzdata-legacy" in said


def test_a_new_name_that_the_data_lack_wants_newer_data(sparse_zones):
    said = said_of("America/Coyhaique")
    assert "'America/Coyhaique' is a time zone, but this machine has no data for it; upgrade" in said
    assert "which has the same clock" not in said


def test_a_machine_without_any_data_says_so(no_zones):
    assert said_of("Europe/Berlin") == (
        "this machine has no time zone data; install the tzdata package, the system's or Python's"
    )
    assert "Europe/Berlin" in said_of("europe/berlin")


def test_utc_needs_no_data(no_zones):
    for name in sorted(zonenames.UTC_NAMES):
        assert schedules.get("0 3 * * *", name).next_after(NOON) == datetime(2026, 7, 2, 3, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("EUROPE/BERLIN", "Europe/Berlin"),
        ("utc", "UTC"),
        ("Utc", "UTC"),
        ("z", "UTC"),
        ("America/New York", "America/New_York"),
        ("America/São_Paulo", "America/Sao_Paulo"),
        (" Europe/Berlin", "Europe/Berlin"),
        ("Europe/Berlin\n", "Europe/Berlin"),
        ("Europe\\Berlin", "Europe/Berlin"),
        ("right/Europe/Berlin", "Europe/Berlin"),
        ("posix/Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("Tokyo", "Asia/Tokyo"),
        ("Europe/Tokyo", "Asia/Tokyo"),
        ("Europe/Berln", "Europe/Berlin"),
        ("UTC+2", "Etc/GMT-2, whose sign is the other way round"),
        ("-05:00", "Etc/GMT+5, whose sign is the other way round"),
        ("GMT+00:00", "UTC"),
    ],
)
def test_what_was_meant_is_suggested(name, meant):
    assert said_of(name).endswith(f"is not a time zone; write an IANA name, as it is spelled there: {meant}")


@pytest.mark.parametrize(
    "name",
    ["Factory", "localtime", "posixrules", "AEST", "PST", "+05:30", "UTC+15", "Mars/Phobos", "Europe", "", "é" * 99],
)
def test_what_is_none_and_like_none_is_refused_without_a_guess(name):
    assert said_of(name).endswith("write an IANA name, as it is spelled there, such as Europe/Berlin or UTC")


def test_a_file_system_that_takes_small_letters_for_capitals_does_not_make_it_a_zone(tmp_path, monkeypatch):
    """As on macOS: what works there would fail on the nodes."""
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    monkeypatch.setattr(zones, "ZoneInfo", lambda name: berlin)
    assert said_of("europe/berlin").endswith(": Europe/Berlin")


def test_a_zone_that_is_newer_than_the_list_is_taken_where_there_are_data(tmp_path, tzpath):
    (tmp_path / "Mars").mkdir()
    (tmp_path / "Mars" / "Phobos").write_bytes((ZONE_DATA / "Europe" / "Berlin").read_bytes())
    tzpath(tmp_path)
    assert zones.get("Mars/Phobos").utcoffset(NOON.replace(tzinfo=None)) is not None


def test_all_that_the_test_s_own_data_have_is_on_the_list():
    names = {path.relative_to(ZONE_DATA).as_posix() for path in ZONE_DATA.rglob("*") if path.is_file()}
    assert names
    assert names <= zonenames.every()


def test_each_old_name_has_one_of_today_and_no_two_names_look_alike():
    assert set(zonenames.old().values()) <= zonenames.today()
    assert not zonenames.old().keys() & zonenames.today()
    assert {zonehints.suggestions(name)[0] for name in zonenames.every()} == zonenames.every()
    assert not any(zonehints.spelling(name) for name in zonenames.every())
