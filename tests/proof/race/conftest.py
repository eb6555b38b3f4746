"""A storm with a folder of its own, and a server to break."""

from __future__ import annotations

import os

import pytest
from django.db import connection

from proof.race.faults import servers
from proof.race.storm import Storm


def pytest_generate_tests(metafunc):
    """Have each storm as often as the proof was asked to repeat them, one round of all after the other.

    The saboteurs, which show that a storm would see a violation, once.
    """
    rounds = int(os.environ.get("CRONKITE_PROOF_REPEAT", "1"))
    repeats = "storm" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("saboteur")
    if rounds > 1 and repeats:
        metafunc.fixturenames.append("round")
        metafunc.parametrize("round", range(1, rounds + 1), ids="round-{}".format, scope="session")


@pytest.fixture
def storm(db, tmp_path, tally):
    return Storm(tmp_path, tally)


@pytest.fixture
def server(db):
    """The server, which is ours to break."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server")
    found = servers.server()
    assert found is not None, f"The server has to be started by: {servers.COMMAND}"
    return found
