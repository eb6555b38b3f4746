"""The promises hold under every order in which the statements of several nodes can meet, and whoever is killed."""

from __future__ import annotations

import os
import time
from functools import partial

import pytest

from proof.interleavings import server
from proof.interleavings.explorer import explore
from proof.interleavings.meetings import OF_THREE, OF_TWO, three_claims
from proof.interleavings.world import Violation

pytestmark = pytest.mark.django_db(transaction=True)
#: Also the orders that differ from others only in neighbours that commute, and kills in all meetings of three.
LITERALLY = os.environ.get("CRONKITE_PROOF_ORDERS") == "all"
#: The other meetings of three have too many orders for that in a proof of minutes.
KILLS = dict.fromkeys((*OF_TWO, three_claims) if not LITERALLY else (*OF_TWO, *OF_THREE), 1)


@pytest.mark.parametrize("meeting", OF_TWO + OF_THREE, ids=lambda meeting: meeting.__name__)
def test_every_order_keeps_the_promises(world, meeting, tally, say):
    kills = KILLS.get(meeting, 0)
    began = time.monotonic()
    try:
        count = explore(
            partial(meeting, world), world.check, kills=kills, twins=getattr(meeting, "twins", ()), literally=LITERALLY
        )
    except Violation as violation:
        tally.add(**violation.counts)
        raise
    tally.add(interleavings=count)
    say(f"{server.name()}: {meeting.__name__}: {count} orders in {time.monotonic() - began:.1f} s")
    assert count > 1
