"""What tests of the command line share."""

from __future__ import annotations

import pytest


@pytest.fixture
def here(settings):
    """Be the node of this name."""
    settings.CRONKITE_NODE = "here"
    # Or the next minute might begin while a tick looks ahead.
    settings.CRONKITE_LOOKAHEAD = 0
