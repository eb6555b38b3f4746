"""A storm with a folder of its own, and a server to break."""

from __future__ import annotations

import pytest
from django.db import connection

from proof.race.faults import servers
from proof.race.storm import Storm


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
