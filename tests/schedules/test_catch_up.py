"""The rules of catch-up, without a database."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronkite import schedules
from cronkite.schedules.catch_up import ALL_CAP, CatchUp, Pending, abandon, decide

pytestmark = pytest.mark.once

UTC = timezone.utc
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVERY_MINUTE = schedules.get("* * * * *", "UTC")


def at(minutes):
    return NOON + minutes * MINUTE


def every_minute(policy, *, grace=None, next_run=0, last_slot=-1, now=0.0):
    pending = Pending(at(next_run), None if last_slot is None else at(last_slot))
    return decide(EVERY_MINUTE, policy, None if grace is None else timedelta(seconds=grace), pending, at(now))


@pytest.mark.parametrize("policy", CatchUp)
def test_a_slot_that_is_on_time_runs_and_nothing_is_missed(policy):
    decision = every_minute(policy, now=0.1)
    assert (decision.slot, decision.missed, decision.next_run) == (at(0), 0, at(1))


@pytest.mark.parametrize("policy", CatchUp)
def test_nothing_is_decided_before_the_slot(policy):
    decision = every_minute(policy, next_run=5, now=4.9)
    assert (decision.slot, decision.missed, decision.next_run) == (None, 0, at(5))


def test_latest_runs_the_newest_slot_and_counts_the_others():
    decision = every_minute(CatchUp.LATEST, now=10.5)
    assert (decision.slot, decision.missed, decision.last_missed, decision.next_run) == (at(10), 10, at(9), at(11))
    assert "11 slots were due" in decision.reason


def test_latest_with_a_grace_misses_a_newest_slot_that_is_too_old():
    daily = schedules.get("0 12 * * *", "UTC")
    decision = decide(daily, CatchUp.LATEST, timedelta(hours=1), Pending(NOON, None), NOON + timedelta(hours=2))
    assert (decision.slot, decision.missed, decision.last_missed) == (None, 1, NOON)
    assert decision.next_run == NOON + timedelta(days=1)
    assert "grace of 3600 s" in decision.reason


def test_all_runs_the_oldest_first_one_at_a_time():
    first = every_minute(CatchUp.ALL, now=2.5)
    assert (first.slot, first.missed, first.next_run) == (at(0), 0, at(1))
    second = every_minute(CatchUp.ALL, next_run=1, last_slot=0, now=2.5)
    assert (second.slot, second.next_run) == (at(1), at(2))


def test_all_never_catches_up_on_more_slots_than_the_cap():
    decision = every_minute(CatchUp.ALL, now=10_000.5)
    assert decision.slot == at(10_000 - ALL_CAP + 1)
    assert decision.missed == 10_000 - ALL_CAP + 1
    assert decision.last_missed == decision.slot - MINUTE


def test_all_with_a_grace_starts_at_the_oldest_slot_within_it():
    decision = every_minute(CatchUp.ALL, grace=120, now=10)
    assert (decision.slot, decision.missed, decision.next_run) == (at(8), 8, at(9))


def test_all_with_a_grace_misses_everything_that_is_older():
    daily = schedules.get("0 12 * * *", "UTC")
    decision = decide(daily, CatchUp.ALL, timedelta(hours=1), Pending(NOON, None), NOON + timedelta(hours=50))
    assert (decision.slot, decision.missed) == (None, 3)


def test_none_runs_no_slot_that_is_older_than_two_minutes():
    daily = schedules.get("0 12 * * *", "UTC")
    on_time = decide(daily, CatchUp.NONE, None, Pending(NOON, None), NOON + timedelta(seconds=120))
    late = decide(daily, CatchUp.NONE, None, Pending(NOON, None), NOON + timedelta(seconds=121))
    assert (on_time.slot, late.slot, late.missed) == (NOON, None, 1)


def test_a_week_of_missed_minutes_is_one_decision():
    decision = every_minute(CatchUp.NONE, grace=0, now=7 * 24 * 60 + 0.5)
    assert (decision.slot, decision.missed) == (None, 7 * 24 * 60 + 1)


def test_a_slot_that_is_accounted_for_is_never_decided_on_again():
    # The schedule was edited, or the database's clock set back: next_run lies before last_slot.
    decision = every_minute(CatchUp.ALL, next_run=0, last_slot=5, now=10)
    assert decision.slot == at(6)


def test_a_slot_that_newer_zone_rules_moved_to_earlier_runs_at_the_announced_time():
    # Announced for 03:00 under the old rules; under the new ones the slot is 02:00, which nobody saw go by.
    schedule = schedules.get("0 2 * * *", "UTC")
    announced = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
    decision = decide(schedule, CatchUp.LATEST, None, Pending(announced, announced - timedelta(days=1)), announced)
    assert (decision.slot, decision.missed) == (announced, 0)
    assert decision.next_run == datetime(2026, 5, 5, 2, 0, tzinfo=UTC)


def test_a_slot_that_newer_zone_rules_moved_to_later_is_waited_for():
    schedule = schedules.get("0 4 * * *", "UTC")
    announced = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
    yesterday = Pending(announced, announced - timedelta(hours=23))
    decision = decide(schedule, CatchUp.LATEST, None, yesterday, announced)
    assert (decision.slot, decision.missed, decision.next_run) == (None, 0, announced + timedelta(hours=1))


ONE_OFF = schedules.get("@at 2026-05-04T12:00", "UTC")


@pytest.mark.parametrize("policy", CatchUp)
@pytest.mark.parametrize("late", [0.1, 60])
def test_a_one_off_runs_and_nothing_comes_after(policy, late):
    decision = decide(ONE_OFF, policy, None, Pending(NOON, None), NOON + timedelta(seconds=late))
    assert (decision.slot, decision.missed, decision.next_run, decision.goes_on) == (NOON, 0, None, False)


@pytest.mark.parametrize("policy", CatchUp)
def test_a_one_off_that_is_too_old_is_missed_and_nothing_comes_after(policy):
    decision = decide(ONE_OFF, policy, timedelta(minutes=5), Pending(NOON, None), at(6))
    assert (decision.slot, decision.missed, decision.last_missed, decision.next_run) == (None, 1, NOON, None)


@pytest.mark.parametrize("policy", CatchUp)
def test_a_one_off_whose_slot_is_accounted_for_is_over(policy):
    decision = decide(ONE_OFF, policy, None, Pending(NOON, NOON), at(1))
    assert (decision.slot, decision.missed, decision.next_run) == (None, 0, None)
    assert abandon(ONE_OFF, Pending(NOON, NOON), at(1), "why").missed == 0


@pytest.mark.parametrize("hours", [-2, 2, -20])
@pytest.mark.parametrize("last_slot", [None, NOON - timedelta(days=1)])
def test_a_one_off_that_newer_zone_rules_moved_runs_once_at_the_later_of_both_times(hours, last_slot):
    announced = NOON - timedelta(hours=hours)
    before = decide(ONE_OFF, CatchUp.LATEST, None, Pending(announced, last_slot), announced)
    later = max(announced, NOON)
    if later == announced:
        assert (before.slot, before.next_run) == (announced, None)
    else:
        assert (before.slot, before.missed, before.next_run) == (None, 0, NOON)
        after = decide(ONE_OFF, CatchUp.LATEST, None, Pending(NOON, last_slot), NOON)
        assert (after.slot, after.next_run) == (NOON, None)


def test_what_is_abandoned_is_missed_for_the_given_reason():
    decision = abandon(EVERY_MINUTE, Pending(at(0), None), at(3.5), "the job was disabled")
    assert (decision.slot, decision.missed, decision.last_missed) == (None, 4, at(3))
    assert decision.reason == "the job was disabled"


def test_there_is_nothing_to_abandon_before_the_slot():
    assert abandon(EVERY_MINUTE, Pending(at(9), None), at(3), "why").missed == 0


@given(
    policy=st.sampled_from(CatchUp),
    grace=st.none() | st.integers(0, 100_000),
    expression=st.sampled_from(
        ["* * * * *", "*/7 * * * *", "0 3 * * *", "30 2 * * 1", "0 * * * * */13", "@every 7m", "0 3 L,LW * 5#1"]
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns"]),
    start=st.datetimes(datetime(2026, 3, 27), datetime(2026, 4, 1)).map(lambda d: d.replace(tzinfo=UTC)),
    steps=st.lists(st.integers(0, 200_000), min_size=1, max_size=30),
)
def test_runs_and_missed_slots_are_all_the_slots_there_were(policy, grace, expression, zone, start, steps):
    """Promise P2, over any sequence of ticks."""
    schedule = schedules.get(expression, zone)
    pending, now, ran, missed = Pending(schedule.next_after(start), None), start, [], 0
    for step in steps:
        now += timedelta(seconds=step)
        decision = decide(schedule, policy, None if grace is None else timedelta(seconds=grace), pending, now)
        missed += decision.missed
        accounted = decision.last_missed
        if decision.slot is not None:
            ran.append(decision.slot)
            assert decision.slot <= now
            assert decision.last_missed is None or decision.last_missed < decision.slot
            accounted = decision.slot
        assert pending.last_slot is None or accounted is None or accounted > pending.last_slot
        pending = Pending(decision.next_run, accounted or pending.last_slot)
    assert len(ran) == len(set(ran))
    assert ran == sorted(ran)
    assert len(ran) + missed == schedule.count_between(start, pending.next_run) - 1
    if policy is not CatchUp.ALL:
        assert pending.next_run > now
