"""Who meets whom: each meeting puts the tables into their first state, and says what each node does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from django.db import connection

from app import jobs
from cronkite.claims import claiming, holding, losses
from cronkite.claims.verdicts import Retry
from cronkite.code.outcomes import Outcome
from cronkite.declared import discovery
from cronkite.declared.discovery import auto_discover
from cronkite.exceptions import JobIsLocked
from proof.interleavings.explorer import Actions
from proof.interleavings.world import Status, World

FUNCTION = "app.jobs.ok"
Meeting = Callable[[World], Actions]


def twins(*names: str) -> Callable[[Meeting], Meeting]:
    """Say which nodes of a meeting do the same, in their names' order."""

    def decorate(meeting: Meeting) -> Meeting:
        meeting.twins = names  # type: ignore[attr-defined]
        return meeting

    return decorate


@twins("a", "b")
def claim_against_claim(world: World) -> Actions:
    """Two nodes tick at the same time."""
    world.reset()
    return {"a": lambda: world.claim("a"), "b": lambda: world.claim("b")}


@twins("a", "b")
def takeover_against_takeover(world: World) -> Actions:
    """Two nodes find the same stale lock."""
    world.reset_held("dead")
    return {"a": lambda: world.claim("a"), "b": lambda: world.claim("b")}


def claim_against_run_by_hand(world: World) -> Actions:
    """A node ticks while somebody runs the job by hand, and the lock is stale."""
    world.reset_held("dead")
    return {"a": lambda: world.claim("a"), "hand": lambda: by_hand(world)}


def renewal_against_takeover(world: World) -> Actions:
    """A node that had stalled shows that it lives, while another takes its lock."""
    held = world.reset_held("a")
    return {"a": lambda: holding.renew([held]), "b": lambda: world.claim("b")}


def end_against_takeover(world: World) -> Actions:
    """A run ends whose lock has become stale, while another node takes it."""
    held = world.reset_held("a")
    return {"a": lambda: holding.finish(held, Outcome(Status.SUCCEEDED)), "b": lambda: world.claim("b")}


def end_against_deletion(world: World) -> Actions:
    """A run ends while somebody deletes its job."""
    held = world.reset_held("a")
    return {"a": lambda: holding.finish(held, Outcome(Status.SUCCEEDED)), "delete": world.delete}


@twins("a", "b")
def request_against_request(world: World) -> Actions:
    """Two nodes have read the same request."""
    read = world.reset_asked()
    return {name: partial(world.claim_asked, name, read) for name in "ab"}


def request_against_claim(world: World) -> Actions:
    """Somebody asked for a job that is due: one node takes the request, another the slot."""
    read = world.reset_asked()
    return {"a": lambda: world.claim_asked("a", read), "b": lambda: world.claim("b")}


def request_against_edit(world: World) -> Actions:
    """Somebody changes the job while a node takes somebody's request for it."""
    read = world.reset_asked()
    return {"a": lambda: world.claim_asked("a", read), "edit": lambda: world.edit(schedule="0 0 2 1 *")}


def claim_against_edit(world: World) -> Actions:
    """Somebody changes the schedule while a node ticks."""
    world.reset()
    return {"a": lambda: world.claim("a"), "edit": lambda: world.edit(schedule="0 0 2 1 *")}


def claim_against_disabling(world: World) -> Actions:
    """Somebody disables the job while a node ticks."""
    world.reset()
    return {"a": lambda: world.claim("a"), "edit": lambda: world.edit(enabled=False)}


@twins("a", "b")
def claim_against_claim_of_a_one_off(world: World) -> Actions:
    """Two nodes tick at the same time, and the job is done with this slot."""
    world.reset_one_off()
    return {"a": lambda: world.claim("a"), "b": lambda: world.claim("b")}


def claim_of_a_one_off_against_edit(world: World) -> Actions:
    """Somebody saves the whole of a one-off, which was enabled when it was read, while a node ticks."""
    world.reset_one_off()
    return {"a": lambda: world.claim("a"), "edit": world.save_as_read}


def claim_of_a_one_off_against_another_time(world: World) -> Actions:
    """Somebody gives a one-off another time while a node ticks."""
    world.reset_one_off()
    return {"a": lambda: world.claim("a"), "edit": lambda: world.edit(schedule="@at 9000-01-01T00:00Z", enabled=True)}


def claim_against_deletion(world: World) -> Actions:
    """Somebody deletes the job while a node ticks."""
    world.reset()
    return {"a": lambda: world.claim("a"), "delete": world.delete}


def claim_against_discovery_that_keeps(world: World) -> Actions:
    """A node starts, whose code declares the job as it is, while another ticks."""
    world.reset(declared_as=FUNCTION)
    return {"a": lambda: world.claim("a"), "start": lambda: discover(world.job.schedule)}


def claim_against_discovery_that_changes(world: World) -> Actions:
    """A node starts, whose code declares another schedule, while another ticks."""
    world.reset(declared_as=FUNCTION)
    return {"a": lambda: world.claim("a"), "start": lambda: discover("0 0 2 1 *")}


def claim_against_discovery_that_deletes(world: World) -> Actions:
    """A node starts, whose code declares the job no more, while another ticks."""
    world.reset(declared_as=FUNCTION)
    return {"a": lambda: world.claim("a"), "start": lambda: discover(None)}


@twins("a", "b")
def retry_against_retry(world: World) -> Actions:
    """Two nodes have read that a slot is to be tried again."""
    read = world.reset_retry()
    return {name: partial(world.claim_retry, name, read) for name in "ab"}


def retry_against_claim(world: World) -> Actions:
    """A node tries a slot again while another, which has read the row when there was none to try, takes the next."""
    world.reset_retry(retry_at=None)
    due = world.read()
    read = world.reset_retry(retry_until="next slot")
    return {"a": lambda: world.claim_retry("a", read), "b": lambda: world.claim("b", due)}


def retry_against_edit(world: World) -> Actions:
    """Somebody changes the schedule while a node tries a slot again."""
    read = world.reset_retry()
    return {"a": lambda: world.claim_retry("a", read), "edit": lambda: world.edit(schedule="0 0 2 1 *")}


def end_that_fails_against_takeover(world: World) -> Actions:
    """A run fails whose lock has become stale, and is to be tried again, while another node takes the lock."""
    held = world.reset_held("a")
    held = replace(held, retry=Retry(delay=0, of=3))
    return {"a": lambda: holding.finish(held, Outcome(Status.FAILED)), "b": lambda: world.claim("b")}


@twins("a", "b")
def hand_over_against_hand_over(world: World) -> Actions:
    """Two nodes tick at the same time, and the job is handed over."""
    world.hands_over = True
    world.reset()
    return {name: partial(world.hand_over, name) for name in "ab"}


def hand_over_against_edit(world: World) -> Actions:
    """Somebody changes the schedule while a node hands the job over."""
    world.hands_over = True
    world.reset()
    return {"a": lambda: world.hand_over("a"), "edit": lambda: world.edit(schedule="0 0 2 1 *")}


def hand_over_against_deletion(world: World) -> Actions:
    """Somebody deletes the job while a node hands it over."""
    world.hands_over = True
    world.reset()
    return {"a": lambda: world.hand_over("a"), "delete": world.delete}


def hand_over_against_question(world: World) -> Actions:
    """A node asks what became of a job's task, which is its to ask about, while another hands over the next one."""
    world.reset_handed()
    (group,) = world.look(world.read_to_follow())
    read = world.read()
    return {"a": lambda: world.hand_over("a", read), "b": lambda: world.ask(group)}


def hand_over_against_look(world: World) -> Actions:
    """A node finds out which tasks are its to ask about while another hands over the next one."""
    world.reset_handed()
    asks = world.read_to_follow()
    read = world.read()
    return {"a": lambda: world.hand_over("a", read), "b": lambda: world.look(asks)}


@twins("a", "b")
def look_against_look(world: World) -> Actions:
    """Two nodes find out which of them is to ask what became of a job's task."""
    world.reset_handed()
    asks = world.read_to_follow()
    return {name: lambda: world.look(asks) for name in "ab"}


@twins("a", "b", "c")
def three_claims(world: World) -> Actions:
    """Three nodes have read the same row."""
    world.reset()
    read = world.read()
    return {name: partial(world.claim, name, read) for name in "abc"}


@twins("a", "b", "c")
def three_takeovers(world: World) -> Actions:
    """Three nodes have read the same stale lock."""
    world.reset_held("dead")
    read = world.read()
    lost = losses.with_locks_of([read], connection.alias)
    return {name: partial(world.take_over, name, read, lost) for name in "abc"}


@twins("b", "c")
def end_against_two_takeovers(world: World) -> Actions:
    """A run ends whose stale lock two other nodes have read."""
    held = world.reset_held("a")
    read = world.read()
    lost = losses.with_locks_of([read], connection.alias)
    ends = {"a": lambda: holding.finish(held, Outcome(Status.SUCCEEDED))}
    return ends | {name: partial(world.take_over, name, read, lost) for name in "bc"}


@twins("b", "c")
def renewal_against_two_takeovers(world: World) -> Actions:
    """A node that had stalled shows that it lives, while two others have read its stale lock."""
    held = world.reset_held("a")
    read = world.read()
    lost = losses.with_locks_of([read], connection.alias)
    return {"a": lambda: holding.renew([held])} | {name: partial(world.take_over, name, read, lost) for name in "bc"}


def by_hand(world: World) -> None:
    """What ``Job.run()`` does, up to the call of the function."""
    with suppress(JobIsLocked):
        claiming.claim_by_hand(world.job, "hand")


def discover(schedule: str | None) -> None:
    """What a node does at its start; the module declares one job, or none.

    It waits for no row at all: how often it looked would depend on the time, and so would the orders.
    """
    declared = patch.object(jobs.ok, "schedule", schedule, create=True) if schedule else nullcontext()
    with declared, patch.object(discovery, "PATIENCE", 0.0):
        auto_discover("app.jobs", delete_first=True)


#: What two nodes, or a node and a person, may do to each other.
OF_TWO = (
    claim_against_claim,
    takeover_against_takeover,
    claim_against_run_by_hand,
    request_against_request,
    request_against_claim,
    request_against_edit,
    renewal_against_takeover,
    end_against_takeover,
    claim_against_edit,
    claim_against_disabling,
    claim_against_claim_of_a_one_off,
    claim_of_a_one_off_against_edit,
    claim_of_a_one_off_against_another_time,
    claim_against_deletion,
    end_against_deletion,
    claim_against_discovery_that_keeps,
    claim_against_discovery_that_changes,
    claim_against_discovery_that_deletes,
    retry_against_retry,
    retry_against_claim,
    retry_against_edit,
    end_that_fails_against_takeover,
    hand_over_against_hand_over,
    hand_over_against_edit,
    hand_over_against_deletion,
    hand_over_against_question,
    hand_over_against_look,
    look_against_look,
)
#: These begin with rows that were read before, or there would be too many orders.
OF_THREE = (three_claims, three_takeovers, end_against_two_takeovers, renewal_against_two_takeovers)
