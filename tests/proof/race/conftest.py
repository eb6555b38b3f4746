"""A storm, with a folder of its own."""

from __future__ import annotations

import pytest

from proof.race.storm import Storm


@pytest.fixture
def storm(db, tmp_path, tally):
    return Storm(tmp_path, tally)
