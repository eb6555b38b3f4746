"""What the parts of the proof share: a tally of what was raced, and a way to say how far it is."""

from __future__ import annotations

import pytest

from proof.tally import Tally


@pytest.fixture
def tally(request):
    """Count what is raced, for the table: ``tally.add(slots=1000)``."""
    return Tally(request.node.nodeid)


@pytest.fixture
def say(capsys):
    """Print a line at once, for whoever watches: a proof of minutes must not look like one that hangs."""

    def say(text):
        with capsys.disabled():
            print(text, flush=True)

    return say
