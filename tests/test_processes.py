"""A test server lives as long as what it was started for, and no longer."""

import os
import signal
import subprocess
import sys
import time

import pytest
from deadlines import in_time

from databases.processes import NoServer, accepts_connections, free_port, prepare, running

LISTEN = "import socket, sys, time; server = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
# The process that a test kills: it starts the listener as a test run starts its database.
RUNNER = """
import pathlib, signal, sys, time
from databases.processes import accepts_connections, running
port = int(sys.argv[1])
command = [sys.executable, "-c", sys.argv[3], str(port)]
with running(command, pathlib.Path(sys.argv[2]), signal.SIGTERM, lambda: accepts_connections(port)):
    print("ready", flush=True)
    time.sleep(600)
"""


def wait_until_closed(port):
    deadline = time.monotonic() + 60
    while accepts_connections(port):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.02)


def test_a_server_answers_during_the_block_and_is_gone_afterwards(tmp_path):
    port = free_port()
    command = [sys.executable, "-c", LISTEN, str(port)]
    with running(command, tmp_path, signal.SIGTERM, lambda: accepts_connections(port)):
        assert accepts_connections(port)
    assert not accepts_connections(port)


def test_a_server_is_stopped_when_the_block_fails(tmp_path):
    port = free_port()
    command = [sys.executable, "-c", LISTEN, str(port)]
    with (
        pytest.raises(KeyboardInterrupt),
        running(command, tmp_path, signal.SIGTERM, lambda: accepts_connections(port)),
    ):
        raise KeyboardInterrupt
    assert not accepts_connections(port)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a child's life to its parent's")
def test_a_server_is_stopped_when_its_runner_is_killed(tmp_path):
    port = free_port()
    runner = [sys.executable, "-c", RUNNER, str(port), str(tmp_path), LISTEN]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
    with subprocess.Popen(runner, stdout=subprocess.PIPE, env=environment) as process:
        with in_time(process):
            assert process.stdout.readline() == b"ready\n"
        process.kill()
    wait_until_closed(port)


def test_who_waits_for_words_that_never_come_reads_their_end():
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(silent, stdout=subprocess.PIPE) as process, in_time(process, patience=0.1):
        assert process.stdout.readline() == b""


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('the disk is full')"]
    with (
        pytest.raises(NoServer, match="the disk is full"),
        running(command, tmp_path, signal.SIGTERM, lambda: False),
    ):
        pass


def test_a_preparation_that_fails_shows_its_output(tmp_path):
    with pytest.raises(NoServer, match="ended with 1:\nno space"):
        prepare([sys.executable, "-c", "raise SystemExit('no space')"], tmp_path)


@pytest.fixture
def attended(tmp_path):
    """A server that is attended to as often as the test asks something, and a function to ask with."""
    port = free_port()
    command = [sys.executable, "-c", LISTEN, str(port)]
    with running(command, tmp_path, signal.SIGTERM, lambda: accepts_connections(port)) as server:
        pid = tmp_path / "pid"

        def wait_for(condition):
            deadline = time.monotonic() + 60
            while not condition(pid.read_text() if pid.exists() else None):
                assert time.monotonic() < deadline, "it did not happen"
                server.attend()
                time.sleep(0.02)

        yield tmp_path, wait_for


def test_a_server_that_dies_is_started_again_on_its_port_if_it_is_attended_to(attended):
    folder, wait_for = attended
    died = (folder / "pid").read_text()
    os.kill(int(died), signal.SIGKILL)
    wait_for(lambda pid: pid not in (None, died))


def test_a_server_on_hold_stays_down_until_it_is_let_go(attended):
    folder, wait_for = attended
    (folder / "hold").touch()
    died = (folder / "pid").read_text()
    os.kill(int(died), signal.SIGKILL)
    wait_for(lambda pid: pid is None)
    for _ in range(3):
        wait_for(lambda pid: pid is None)
    (folder / "hold").unlink()
    wait_for(lambda pid: pid not in (None, died))


def test_a_server_that_dies_unattended_stays_dead(tmp_path):
    port = free_port()
    command = [sys.executable, "-c", LISTEN, str(port)]
    with running(command, tmp_path, signal.SIGTERM, lambda: accepts_connections(port)):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        wait_until_closed(port)
    assert not accepts_connections(port)


TELL = "import os, pathlib; pathlib.Path('told').write_text(os.environ['TMPDIR'])"


def test_the_set_up_of_a_server_has_temporary_files_of_its_own(tmp_path):
    # A MariaDB that starts removes all temporary tables in its folder for such files, those of others included.
    prepare([sys.executable, "-c", TELL], tmp_path)
    assert (tmp_path / "told").read_text() == str(tmp_path)


def test_a_server_has_temporary_files_of_its_own(tmp_path):
    command = [sys.executable, "-c", f"{TELL}; import time; time.sleep(600)"]
    with running(command, tmp_path, signal.SIGTERM, (tmp_path / "told").exists):
        deadline = time.monotonic() + 60
        while (tmp_path / "told").read_text() != str(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.02)
