"""What probes see of a loop: files whose age tells."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from nodes import nodes, until

from cronkite.exceptions import BeaconError
from cronkite.nodes import beacons
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.beacons import Beacon, Beacons
from cronkite.nodes.node import Node
from cronkite.runs.here import Here

LONG_AGO = 1_000_000_000
#: What the manifest of the documents asks a shell.
PROBE = "test $(($(date +%s) - $(stat -c %Y {}))) -lt {}"


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "alive", tmp_path / "ready"


@pytest.fixture
def always(monkeypatch):
    """Have a file touched each time."""
    monkeypatch.setattr(beacons, "EVERY", 0.0)


def make_old(path):
    os.utime(path, (LONG_AGO, LONG_AGO))


def is_fresh(path):
    return path.exists() and path.stat().st_mtime > LONG_AGO + 1


@pytest.mark.once
def test_a_file_is_touched_made_anew_and_taken_away(paths, always):
    alive, ready = paths
    given = Beacons(str(alive), str(ready))
    with given.given():
        assert (is_fresh(alive), ready.exists()) == (True, False)
        make_old(alive)
        given.alive.light()
        assert is_fresh(alive)
        # As by what cleans up temporary folders.
        alive.unlink()
        given.alive.light()
        given.ready.light()
        assert is_fresh(alive)
        assert is_fresh(ready)
    assert not alive.exists()
    assert not ready.exists()


@pytest.mark.once
def test_what_a_killed_loop_has_left_does_not_pass_for_readiness(paths):
    alive, ready = paths
    alive.touch()
    ready.touch()
    with Beacons(str(alive), str(ready)).given():
        assert (alive.exists(), ready.exists()) == (True, False)


@pytest.mark.once
def test_a_file_is_touched_no_more_often_than_probes_need(paths, monkeypatch):
    beacon = Beacon(str(paths[0]))
    monkeypatch.setattr(beacons, "EVERY", 3600)
    beacon.begin()
    beacon.light()
    make_old(paths[0])
    beacon.light()
    assert not is_fresh(paths[0])
    assert 0 < beacon.next_at() - time.monotonic() <= beacons.EVERY
    assert Beacon().next_at() is None


@pytest.mark.once
def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch, always):
    monkeypatch.chdir(tmp_path)
    beacon = Beacon("alive")
    monkeypatch.chdir("/")
    beacon.light()
    assert is_fresh(tmp_path / "alive")


@pytest.mark.once
@pytest.mark.parametrize("kind", ["no folder", "folder", "pipe", "link", "no file", "of somebody", "device"])
def test_a_path_that_is_of_no_use_is_refused_at_the_start_and_left_as_it_is(tmp_path, kind):
    path = tmp_path / "alive"
    if kind == "no folder":
        path /= "below"
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        # Nobody reads it: to open it for writing would last for ever.
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/nowhere/at/all")
    elif kind == "no file":
        path = Path("/proc/alive")
    elif kind == "device":
        path = Path("/dev/null")
    else:
        path.write_text("mine")
    with pytest.raises(BeaconError, match="Name a file") as caught, Beacons(alive=str(path)).given():
        pass
    assert str(path) in str(caught.value)
    assert kind != "of somebody" or path.read_text() == "mine"


@pytest.mark.once
def test_one_file_can_not_tell_two_things(paths):
    path = str(paths[0])
    with pytest.raises(BeaconError, match="Name two files"), Beacons(path, path).given():
        pass


@pytest.mark.once
def test_a_file_that_can_not_be_touched_any_more_is_said_once_and_ends_nothing(tmp_path, always, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    with Beacons(alive=str(folder / "alive")).given():
        given = Beacon(str(folder / "alive"))
        (folder / "alive").unlink()
        folder.rename(tmp_path / "elsewhere")
        given.light()
        given.light()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "It goes on with its jobs." in caplog.text
        folder.mkdir()
        with caplog.at_level(logging.WARNING):
            given.light()
        assert "can be written again" in caplog.text


# What a node does with them.


@pytest.fixture
def rounds(monkeypatch):
    """Have a node go round, and stop, as if that had taken it no time."""

    def go(given, times=1):
        node = Node("here", Here(), Agenda(stays=True), given)
        for _ in range(times):
            assert node._go_on()
        return node

    return go


@pytest.mark.django_db(transaction=True)
def test_a_round_makes_a_loop_alive_and_a_look_makes_it_ready(paths, always, rounds):
    given = Beacons(*map(str, paths))
    with given.given():
        make_old(paths[0])
        node = rounds(given)
        assert [is_fresh(path) for path in paths] == [True, True]
        # It does not look again so soon: at set times, of which one may be just now.
        node._agenda.look_at += 3600
        for path in paths:
            make_old(path)
        assert node._go_on()
        assert [is_fresh(path) for path in paths] == [True, False]


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_a_loop_is_alive_and_not_ready(paths, always, rounds, monkeypatch):
    def away(*_):
        raise OperationalError("no route to host")

    monkeypatch.setattr(Agenda, "look", away)
    given = Beacons(*map(str, paths))
    with given.given():
        make_old(paths[0])
        rounds(given, times=2)
        assert [is_fresh(path) for path in paths] == [True, False]


@pytest.mark.django_db(transaction=True)
def test_a_loop_with_nothing_to_do_comes_round_in_time(paths, rounds):
    given = Beacons(*map(str, paths))
    with given.given():
        node = rounds(given)
        # As when it stops, and waits for its runs only.
        node._agenda.close()
        assert node._next()[0] <= beacons.EVERY
        node = rounds(Beacons())
        node._agenda.close()
        node._beat_at = None
        assert node._next()[0] > beacons.EVERY


@pytest.mark.django_db(transaction=True)
def test_a_loop_that_hangs_is_seen_by_a_shell_and_one_that_ends_leaves_nothing(paths):
    alive, ready = paths

    def passes(path, seconds):
        command = PROBE.format(path, seconds)
        return subprocess.run(["sh", "-c", command], stderr=subprocess.DEVNULL, check=False).returncode == 0

    assert not passes(alive, 60)
    with nodes(("cron", "loop", "--alive-file", str(alive), "--ready-file", str(ready))) as (loop,):
        until(ready.exists)
        assert passes(alive, 60)
        assert passes(ready, 60)
        loop.signal(signal.SIGSTOP)
        make_old(alive)
        assert not passes(alive, 60)
        loop.signal(signal.SIGCONT)
        until(lambda: passes(alive, 60))
        loop.signal(signal.SIGTERM)
        assert loop.wait() == 0
    assert not alive.exists()
    assert not ready.exists()


@pytest.mark.once
def test_the_probes_of_the_manifest_ask_for_the_files_that_its_command_names():
    manifest = (Path(__file__).parents[2] / "docs" / "guides" / "containers.rst").read_text()
    alive, ready = "/dev/shm/cron-alive", "/dev/shm/cron-ready"
    assert f"loop, --alive-file, {alive}, --ready-file, {ready}]" in manifest
    asked = [PROBE.format(*each) for each in ((alive, 60), (alive, 180), (ready, 60))]
    assert [manifest.count(f'[sh, -c, "{command}"]') for command in asked] == [1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_the_command_says_what_can_not_be(tmp_path):
    with pytest.raises(CommandError, match="Name a file"):
        call_command("cron", "loop", "--alive-file", str(tmp_path))
    with pytest.raises(CommandError, match="without workers"):
        call_command("cron", "loop", "--workers", "0", "--ready-file", str(tmp_path / "ready"))
