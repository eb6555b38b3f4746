"""Storms in which the tables are restored from a backup: of jobs, of logs, or of both.

The nodes go on from what they find. What is held against the promises is all that the tables can still know: where the
logs are whole, that is everything. Whoever restores has ended the nodes before, some of them in the middle of a run.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest
from django.db import transaction

from cronkite import pruning
from cronkite.models import Job, Log
from proof.race.storm import LOCK_TIMEOUT, Storm, assert_kept, fleet

pytestmark = pytest.mark.django_db(transaction=True)

#: How many runs there are before a backup, between that and the restore, and after the restore; at least.
RUNS = 24
OPTIONS = {"lock_timeout": LOCK_TIMEOUT}


@dataclass
class Backup:
    """The tables as they were at one instant, while nodes claimed and ended runs."""

    jobs: list[Job]
    logs: list[Log]

    @classmethod
    def make(cls) -> Backup:
        with transaction.atomic():
            # With these locked, no claim and no end is half done.
            jobs = list(Job.objects.select_for_update().order_by("pk"))
            return cls(jobs, list(Log.objects.order_by("pk")))

    def restore(self, *, jobs: bool, logs: bool) -> None:
        with transaction.atomic():
            if logs:
                Log.objects.all()._raw_delete("default")
                Log.objects.bulk_create(self.logs)
            for job in self.jobs if jobs else []:
                values = {field.attname: getattr(job, field.attname) for field in Job._meta.concrete_fields}
                # The key stays, and the database keeps the other one.
                Job.objects.filter(pk=job.pk).write(**{k: v for k, v in values.items() if k not in ("id", "due_at")})


@contextmanager
def loops(storm: Storm, **more):
    with fleet(storm.folder, 3, "cron", "loop", "--workers", "2", options={**OPTIONS, **more}) as nodes:
        yield nodes


def storm_until_restore(storm: Storm) -> Backup:
    """Have a storm; return the backup that was made in the middle of it. At its end, no node is left."""
    storm.jobs_each_second(3, seconds=0.3, catch_up="all")
    storm.jobs_each_second(3, seconds=0.3)
    with loops(storm) as nodes:
        storm.drive(nodes, lambda: storm.progress() >= RUNS)
        backup = Backup.make()
        before = storm.progress()
        storm.drive(nodes, lambda: storm.progress() >= before + RUNS)
        for _ in range(2):
            nodes.kill_node_and_workers(random.Random(1))
        nodes.stop()
        storm.tally.add(nodes=nodes.started, kills=nodes.kills)
    return backup


def go_on(storm: Storm):
    """Have nodes go on, as after a restore; return the last of them."""
    with loops(storm) as nodes:
        before = storm.progress()
        storm.drive(nodes, lambda: storm.progress() >= before + RUNS)
        nodes.stop()
    # What else is done after a restore; see docs/guides/backups.rst.
    list(pruning.prune())
    return nodes


def forgotten(storm: Storm, backup: Backup) -> dict[int, tuple[float, float]]:
    """Return, of each job, between which slots (Unix seconds) lie those that the backup knows nothing of."""
    now = Job.objects.in_bulk()
    return {job.pk: (job.last_slot.timestamp(), now[job.pk].last_slot.timestamp()) for job in backup.jobs}


def forget(storm: Storm, spans: dict[int, tuple[float, float]], until: int) -> int:
    """Take out of the evidence what the tables can't know: the runs of these slots, of its first ``until`` lines.

    Return how many runs these were.
    """
    lines = storm.evidence.read_text().splitlines(keepends=True)

    def is_known(line: str) -> bool:
        job, slot = map(int, line.split()[:2])
        after, last = spans[job]
        return not after < slot <= last

    kept = [line for line in lines[:until] if is_known(line)]
    runs = sum(" begin " in line for line in lines[:until]) - sum(" begin " in line for line in kept)
    storm.evidence.write_text("".join(kept + lines[until:]))
    return runs


def lines_of(storm: Storm) -> int:
    return len(storm.evidence.read_text().splitlines())


def test_jobs_that_are_restored_take_from_the_logs_what_they_do_not_know(storm, say):
    """Nothing runs twice, each slot is accounted for once, and the fencing tokens go on."""
    backup = storm_until_restore(storm)
    backup.restore(jobs=True, logs=False)
    verdict = storm.audit(go_on(storm))
    say(f"jobs restored: {verdict}")
    assert_kept(verdict)
    assert not Log.objects.filter(status=Log.Status.RUNNING).exists()


def test_logs_that_are_restored_lack_what_they_never_had_and_nothing_else(storm, say):
    """Nothing runs twice, as the jobs know. Of what was going on at the backup, the logs say that it is lost."""
    backup = storm_until_restore(storm)
    spans, until = forgotten(storm, backup), lines_of(storm)
    backup.restore(jobs=False, logs=True)
    nodes = go_on(storm)
    assert storm.duplicates() == 0
    runs = forget(storm, spans, until)
    verdict = storm.verdict(storm.settle())
    say(f"logs restored: {verdict}, {runs} runs without a log")
    assert verdict.duplicates == 0
    assert runs >= RUNS / 2
    lacking = sum(job.get_schedule().count_between(*_instants(spans[job.pk])) for job in storm.jobs)
    assert verdict.unaccounted == lacking
    assert not Log.objects.filter(status=Log.Status.RUNNING).exists()
    storm.tally.add(slots=verdict.slots, nodes=nodes.started)


def test_if_both_are_restored_what_they_have_forgotten_may_run_once_more(storm, say):
    """And what they have not forgotten may not."""
    backup = storm_until_restore(storm)
    spans, until = forgotten(storm, backup), lines_of(storm)
    backup.restore(jobs=True, logs=True)
    nodes = go_on(storm)
    storm.settle()
    again = storm.duplicates()
    runs = forget(storm, spans, until)
    assert 0 < again <= runs
    verdict = storm.audit(nodes)
    say(f"jobs and logs restored: {verdict}; {runs} runs were forgotten, and {again} of their slots ran again")
    assert_kept(verdict)
    assert not Log.objects.filter(status=Log.Status.RUNNING).exists()


@pytest.mark.saboteur
def test_without_a_look_at_the_logs_restored_jobs_stand_still(storm, tally):
    """The saboteur."""
    backup = storm_until_restore(storm)
    backup.restore(jobs=True, logs=False)
    with loops(storm, CRONKITE_TEST_SABOTAGE="no-look-at-logs") as nodes:
        before = lines_of(storm)
        storm.drive(nodes, lambda: nodes.said("the database refuses to record a run of it") >= 4 * len(storm.jobs))
        assert lines_of(storm) == before
        nodes.stop()
    tally.add(saboteurs=1)


def _instants(span: tuple[float, float]):
    return tuple(datetime.fromtimestamp(at, timezone.utc) for at in span)
