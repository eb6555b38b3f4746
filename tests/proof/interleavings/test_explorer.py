"""The explorer leaves nothing out: each order is one of those that it tries, but for neighbours that commute."""

from __future__ import annotations

from functools import partial
from itertools import permutations

import pytest

from proof.interleavings import meetings
from proof.interleavings.explorer import commute, explore

pytestmark = pytest.mark.django_db(transaction=True)


def normal_form(order, twins):
    """Return what is the same for all orders that differ in neighbours that commute, and in the names of twins."""
    named = [dict(zip(twins, names, strict=True)) for names in permutations(twins)]
    return min(sort([(names.get(step.actor, step.actor), step) for step in order.steps]) for names in named)


def sort(steps):
    """Put first what can come first, the first name before the others."""
    steps, done = list(steps), []
    while steps:
        free = [at for at, (_, step) in enumerate(steps) if all(commute(earlier, step) for _, earlier in steps[:at])]
        name, step = steps.pop(min(free, key=lambda at: steps[at][0]))
        done.append(f"{name}:{str(step).partition(':')[2]}")
    return tuple(done)


@pytest.mark.parametrize(
    ("meeting", "kills"),
    [
        (meetings.claim_against_claim, 0),
        (meetings.claim_against_run_by_hand, 0),
        (meetings.renewal_against_takeover, 1),
    ],
    ids=["claim_against_claim", "claim_against_run_by_hand", "renewal_against_takeover"],
)
def test_what_is_not_tried_is_the_same_as_something_that_is(world, meeting, kills, tally):
    twins = getattr(meeting, "twins", ())
    found = {}
    for literally in (False, True):
        classes = found[literally] = []
        explore(
            partial(meeting, world),
            lambda order, classes=classes: order.is_over and classes.append(normal_form(order, twins)),
            kills=kills,
            twins=twins,
            literally=literally,
        )
        tally.add(interleavings=len(classes))
    assert set(found[False]) == set(found[True])
    assert len(found[False]) < len(found[True])
