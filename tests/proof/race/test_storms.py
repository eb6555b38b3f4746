"""Promises P1 to P3 in storms: each slot is run by one of many nodes, or by none, never twice, and all are accounted for.

Each storm has its saboteur, at the end.
"""

from __future__ import annotations

import pytest

from proof.race.storm import MOST_DUE, all_of, fleet


def kept(verdict):
    """All promises were kept."""
    assert not verdict.faults, "\n".join(verdict.faults[:20])
    assert verdict.duplicates == verdict.unaccounted == 0
    return True


@pytest.mark.parametrize(("number", "workers"), [(2, 2), (8, 0), (8, 1)])
def test_loops_share_many_jobs(storm, say, number, workers):
    storm.jobs_in_arrears(200, 4)
    with fleet(storm.folder, number, "cron", "loop", "--workers", str(workers)) as nodes:
        storm.drive(nodes, storm.all_taken)
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"{number} loops, {workers} workers each: {verdict.slots} slots raced, {dict(verdict.winners)}")
    assert kept(verdict)
    assert verdict.slots == 800
    assert verdict.winners.keys() == all_of(nodes)


@pytest.mark.parametrize("number", [2, 8])
def test_ticks_share_many_jobs(storm, say, number):
    storm.jobs_in_arrears(200, 3)
    with fleet(storm.folder, number, "cron", "--workers", "1") as nodes:
        nodes.wait()
        verdict = storm.audit(nodes)
    say(f"{number} ticks: {verdict.slots} slots raced, {dict(verdict.winners)}")
    assert kept(verdict)
    assert verdict.slots == 600
    assert verdict.winners.keys() >= all_of(nodes)


def test_thirty_two_loops_want_one_hot_job(storm, say):
    """One job after the other, each with all the slots that can be due, until every node has had one."""
    with fleet(storm.folder, 32, "cron", "loop", "--workers", "0") as nodes:
        while storm.winners() != all_of(nodes):
            storm.jobs_in_arrears(1, MOST_DUE)
            storm.drive(nodes, storm.all_taken)
            assert len(storm.jobs) < 50, f"only {sorted(storm.winners())} have won"
        nodes.stop()
        verdict = storm.audit(nodes)
    say(f"32 loops, one hot job: {verdict.slots} slots raced")
    assert kept(verdict)
