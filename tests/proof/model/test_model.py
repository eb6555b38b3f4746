"""Random histories of a cluster, held after each step to a model of promises P1 to P4.

They are the same each time. ``CRONKITE_PROOF_EXAMPLES`` says how many others to try, however long that takes, and has a
history that breaks a promise made as short as can be.
"""

from __future__ import annotations

import faulthandler
import os
import re
from collections import Counter

import pytest
from django.db import DatabaseError, connection
from django.db.models import Q
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from cronkite.claims import conditions, holding
from cronkite.conf import get as get_conf
from cronkite.models import Job, Log, edits
from cronkite.models.queries import is_free
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import Decision
from proof.model.cluster import CAP
from proof.model.histories import Histories

pytestmark = pytest.mark.django_db(transaction=True)

ASKED = os.environ.get("CRONKITE_PROOF_EXAMPLES")
HISTORIES = int(ASKED or 80)
STEPS = 50
#: How many histories a saboteur has at most to be found out.
SABOTAGED = 100


@pytest.fixture(autouse=True)
def small_cap(monkeypatch):
    """Let ``all`` catch up on few slots only, so that histories get there."""
    monkeypatch.setattr(catch_up, "ALL_CAP", CAP)


def explore(histories, phases=(Phase.generate,), **kwargs):
    """Try so many histories; return what was counted, or raise what was found: as it is, or made short."""
    machine = type("Histories", (Histories,), {"counts": Counter()})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=phases,
            **kwargs,
        ),
    )
    return machine.counts


def test_no_history_breaks_a_promise(tally, say):
    phases = [Phase.generate]
    if ASKED is not None:
        # To make a history short takes minutes, longer than any other test may hang.
        phases.append(Phase.shrink)
        faulthandler.cancel_dump_traceback_later()
    counts = explore(HISTORIES, phases, derandomize=ASKED is None)
    vendor = connection.display_name
    say(
        f"\n    {vendor}: {counts['histories']} histories of {counts['steps']} steps, {counts['slots']} slots started,"
        f" {counts['takeovers']} takeovers, {counts['crashes']} crashes, {counts['one-offs']} one-offs done,"
        f" {counts['refused']} refused"
    )
    tally.add(slots=counts["slots"], takeovers=counts["takeovers"])
    # Hypothesis breaks some off that grow too large; they don't count.
    assert counts["ends"] >= HISTORIES
    assert counts["takeovers"] > 0
    assert counts["orphans"] > 0
    assert counts["refused"] > 0
    assert counts["one-offs"] > 0


# The saboteurs: a protection is taken out, and the histories must find what it kept from happening.


def find(histories):
    """Return what the histories find, in the words of the first violation."""
    with pytest.raises((AssertionError, DatabaseError)) as found:
        explore(histories, derandomize=True)
    return str(found.value)


def test_without_the_condition_and_the_constraints_a_slot_is_started_twice(monkeypatch, without_constraints, tally):
    def claimable(job, decision, using):
        return Job.objects.filter(is_free(get_conf().lock_timeout), conditions.is_due(decision.slot), pk=job.pk)

    monkeypatch.setattr(conditions, "claimable", claimable)
    assert re.search("P1: .* was started twice", find(SABOTAGED))
    tally.add(saboteurs=1)


def test_with_locks_that_are_always_free_a_live_run_is_overtaken(monkeypatch, tally):
    monkeypatch.setattr(conditions, "is_free", lambda lock_timeout: Q())
    assert "P3: " in find(SABOTAGED)
    tally.add(saboteurs=1)


def test_with_an_end_that_ignores_the_fence_the_newer_holder_loses_its_lock(monkeypatch, tally):
    honest = holding._finish

    def finish(claim, outcome):
        Job.objects.filter(pk=claim.job_id).write(lock=None, locked_by="", locked_at=None)
        return honest(claim, outcome)

    monkeypatch.setattr(holding, "_finish", finish)
    assert "P3: the lock was taken from its holder" in find(SABOTAGED)
    tally.add(saboteurs=1)


def test_with_missed_slots_that_nobody_records_slots_vanish(monkeypatch, tally):
    monkeypatch.setattr(Log, "record_missed", lambda *args, **kwargs: None)
    assert "P2: " in find(SABOTAGED)
    tally.add(saboteurs=1)


def test_with_edits_that_forget_what_is_owed_slots_vanish(monkeypatch, tally):
    monkeypatch.setattr(edits, "_owed", lambda job, now, reason: Decision(None, 0, None, now))
    assert "P2: " in find(SABOTAGED)
    tally.add(saboteurs=1)


def test_with_a_claim_that_trusts_the_estimate_a_slot_is_started_too_early(monkeypatch, tally):
    def claimable(job, decision, using):
        return conditions.as_read(job, using).filter(is_free(get_conf().lock_timeout))

    monkeypatch.setattr(conditions, "claimable", claimable)
    assert re.search("P5: .* was started before it was due", find(SABOTAGED))
    tally.add(saboteurs=1)


def test_with_one_offs_that_stay_enabled_their_slots_are_never_accounted_for(monkeypatch, tally):
    # The schema refuses the end of such a one, which would be enabled without a slot to come.
    monkeypatch.setattr(Decision, "goes_on", True)
    assert re.search("P[24]: ", find(SABOTAGED))
    tally.add(saboteurs=1)
