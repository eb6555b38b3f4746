"""The explorer leaves nothing out: each order is one of those that it tries, but for neighbours that commute.

And these do: orders that are the same by that rule come to the same end, whichever of them it is.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from itertools import permutations

import pytest
from django_tasks_db.models import DBTaskResult

from cronkite.models import Job, Log, Task
from proof.interleavings import meetings
from proof.interleavings.explorer import commute, explore

pytestmark = pytest.mark.django_db(transaction=True)


def normal_form(order, twins):
    """Return what is the same for all orders that differ in neighbours that commute, and in the names of twins."""
    named = [dict(zip(twins, names, strict=True)) for names in permutations(twins)]
    steps = noticed(order.steps)
    return min(sort([(names.get(step.actor, step.actor), step) for step in steps]) for names in named)


def noticed(steps):
    """Return the steps without what nobody noticed of a node before it died."""
    left, dead = [], set()
    for step in reversed(steps):
        if step.kill:
            dead.add(step.actor)
        elif step.actor in dead and step.is_local:
            continue
        else:
            dead.discard(step.actor)
        left.append(step)
    return left[::-1]


def sort(steps):
    """Put first what can come first, the first name before the others."""
    steps, done = list(steps), []
    while steps:
        free = [at for at, (_, step) in enumerate(steps) if all(commute(earlier, step) for _, earlier in steps[:at])]
        name, step = steps.pop(min(free, key=lambda at: steps[at][0]))
        done.append(f"{name}:{str(step).partition(':')[2]}")
    return tuple(done)


def end(order, world):
    """Return what an order came to, but for the instants and the names of twins."""
    errors = sorted(type(actor.error).__name__ for actor in order.actors)
    tables = (Job, ["enabled", "fence", "revision", "schedule"]), (Log, ["fence", "status", "missed", "attempt"])
    rows = [sorted(model.objects.values_list(*columns), key=repr) for model, columns in tables]
    return errors, len(world.starts), rows, DBTaskResult.objects.count(), Task.objects.count()


@pytest.mark.parametrize(
    ("meeting", "kills"),
    [
        (meetings.claim_against_claim, 0),
        (meetings.claim_of_a_one_off_against_edit, 0),
        (meetings.request_against_request, 0),
        (meetings.request_against_claim, 0),
        (meetings.retry_against_claim, 1),
        (meetings.end_against_takeover, 0),
        # Up to two thousand orders. Of others there are more, literally, than there is time for.
        (meetings.renewal_against_takeover, 0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_tried_is_the_same_as_something_that_is(world, meeting, kills, tally):
    twins = getattr(meeting, "twins", ())
    found = {}
    for literally in (False, True):
        ends = found[literally] = defaultdict(list)

        def check(order, ends=ends):
            if order.is_over:
                ends[normal_form(order, twins)].append(end(order, world))

        count = explore(partial(meeting, world), check, kills=kills, twins=twins, literally=literally)
        tally.add(interleavings=count)
    assert set(found[False]) == set(found[True])
    assert sum(map(len, found[False].values())) < sum(map(len, found[True].values()))
    for form, ends in found[True].items():
        assert all(each == ends[0] for each in ends), form
