"""The promises hold under every order in which the statements of several nodes can meet, and whoever is killed."""

from __future__ import annotations

from functools import partial

import pytest

from proof.interleavings.explorer import LITERALLY
from proof.interleavings.meetings import OF_THREE, OF_TWO, three_claims
from proof.interleavings.world import Violation

pytestmark = pytest.mark.django_db(transaction=True)
#: The other meetings of three have too many orders for that in a proof of minutes.
KILLS = dict.fromkeys((*OF_TWO, three_claims) if not LITERALLY else (*OF_TWO, *OF_THREE), 1)


@pytest.mark.parametrize("meeting", OF_TWO + OF_THREE, ids=lambda meeting: meeting.__name__)
def test_every_order_keeps_the_promises(world, meeting, try_all, tally):
    kills, twins = KILLS.get(meeting, 0), getattr(meeting, "twins", ())
    try:
        try_all(meeting, partial(meeting, world), world.check, kills=kills, twins=twins, literally=LITERALLY)
    except Violation as violation:
        tally.add(**violation.counts)
        raise
