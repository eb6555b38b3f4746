"""Random histories of a cluster, held after each step to a model of promises P1 to P4.

``CRONKITE_PROOF_EXAMPLES`` says how many histories to try; with it, they are others each time.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from cronkite import catch_up
from proof.model.machine import CAP, Histories

pytestmark = pytest.mark.django_db(transaction=True)

ASKED = os.environ.get("CRONKITE_PROOF_EXAMPLES")
HISTORIES = int(ASKED or 100)
STEPS = 50


@pytest.fixture(autouse=True)
def small_cap(monkeypatch):
    """Let ``all`` catch up on few slots only, so that histories get there."""
    monkeypatch.setattr(catch_up, "ALL_CAP", CAP)


def explore(histories, **kwargs):
    """Try so many histories; return what was counted, or raise what was found."""
    machine = type("Histories", (Histories,), {"counts": Counter()})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            database=None,
            suppress_health_check=list(HealthCheck),
            **kwargs,
        ),
    )
    return machine.counts


def test_no_history_breaks_a_promise(tally, say):
    counts = explore(HISTORIES, derandomize=ASKED is None)
    vendor = connection.display_name
    say(
        f"\n    {vendor}: {counts['histories']} histories of {counts['steps']} steps, {counts['slots']} slots started,"
        f" {counts['takeovers']} takeovers, {counts['crashes']} crashes"
    )
    tally.add(slots=counts["slots"], takeovers=counts["takeovers"])
    # Hypothesis breaks a few off, when it has seen them before or they grow too large.
    assert counts["ends"] > 0.9 * counts["histories"]
    assert counts["takeovers"] > 0
