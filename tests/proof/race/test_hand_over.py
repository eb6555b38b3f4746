"""Storms of hand-offs: nodes put tasks into django-tasks-db, ``db_worker`` works on them, and both are killed.

Promise P7: whatever dies, each slot has one task, and each task one log.
"""

from __future__ import annotations

import random

import pytest
from django_tasks_db.models import DBTaskResult
from nodes import turn_of_tasks, until

from app.sabotage import STEPS_OF_HAND_OVER
from cronkite.engines import following
from cronkite.models import Job, Log, Task
from cronkite.models.logs import Status
from proof.race import tasks
from proof.race.storm import LOCK_TIMEOUT, assert_kept, fleet, is_long

pytestmark = pytest.mark.django_db(transaction=True)

#: A worker of the engine that looks for tasks again and again.
WORKER = ("db_worker", "--backend", "db", "--queue-name", "*", "--interval", "0.1", "--no-startup-delay", "--no-reload")
#: How many slots a storm is to hand over. Each second has some, whatever the proof was asked for.
SLOTS = 5000 if is_long() else 250
#: After how many slots somebody is killed.
SLOTS_PER_KILL = 200 if is_long() else 20


@pytest.fixture
def engine(storm):
    """Two workers of the engine's, which stay."""
    folder = storm.folder / "engine"
    folder.mkdir()
    with fleet(folder, 2, *WORKER) as workers:
        yield workers


def hand_over_each_second(storm, number, **columns):
    """Add jobs that are handed over each second."""
    evidence = [str(storm.evidence), 0.02]
    columns = {"function": "app.handed.leave", "args": evidence, "engine": "django.tasks", "catch_up": "all", **columns}
    storm.jobs_each_second(number, **columns)


def handed():
    return Log.objects.exclude(task_id="").count()


def audit(storm, nodes, engine):
    """Once all nodes have ended: have the engine do what is left, have the logs learn of it, and judge."""
    deadline = storm.settle()
    # What a worker was at that was killed stays as it is.
    storm.drive(engine, lambda: not DBTaskResult.objects.filter(status="READY").exists())
    engine.stop()
    until(learn)
    verdict = tasks.audit(storm.jobs, storm.evidence, deadline)
    storm.count(verdict, nodes)
    storm.tally.add(kills=engine.kills, nodes=engine.started)
    return verdict


def learn():
    """Ask what became of all tasks; tell whether that is known of all that have ended."""
    turn_of_tasks()
    following.follow(list(Job.objects.filter(follow_at__isnull=False).with_now()))
    ended = DBTaskResult.objects.finished().values_list("id", flat=True)
    return not Task.objects.filter(task_id__in=[str(each) for each in ended]).exists()


def test_nodes_and_workers_are_killed_at_random_moments(storm, engine, say):
    dice, killed_at = random.Random(7), 0
    hand_over_each_second(storm, 12)

    def kill():
        nonlocal killed_at
        engine.tend()
        if handed() > killed_at + SLOTS_PER_KILL:
            killed_at = handed()
            dice.choice([nodes, nodes, engine]).kill_node(dice)

    with fleet(storm.folder, 3, "cron", "loop", options={"lock_timeout": LOCK_TIMEOUT}) as nodes:
        # However few chances there were to kill: both kinds have to be had.
        storm.drive(nodes, lambda: handed() >= SLOTS and nodes.kills and engine.kills, kill)
        nodes.stop()
    verdict = audit(storm, nodes, engine)
    say(f"{nodes.kills} nodes and {engine.kills} workers killed: {verdict}")
    assert_kept(verdict)
    assert nodes.kills
    assert engine.kills


def test_nodes_are_killed_at_each_step_of_a_hand_off(storm, engine, say):
    steps = list(STEPS_OF_HAND_OVER)
    hand_over_each_second(storm, 12)

    def options(n):
        return {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SABOTAGE": f"die={steps[n - 1]}:0.1"}

    with fleet(storm.folder, len(steps), "cron", "loop", options=options) as nodes:
        storm.drive(nodes, lambda: len(nodes.deaths) == len(steps) and handed() >= SLOTS, engine.tend)
        nodes.stop()
    verdict = audit(storm, nodes, engine)
    say(f"killed at steps, {dict(nodes.deaths)}: {verdict}")
    assert_kept(verdict)


def test_of_a_task_whose_worker_was_killed_the_log_goes_on_saying_handed_over(storm, engine, tally):
    """What the engine does with it is the engine's promise: this one leaves it as running for ever."""
    hand_over_each_second(storm, 1, args=[str(storm.evidence), 3600])
    with fleet(storm.folder, 1, "cron", "loop") as nodes:
        until(lambda: DBTaskResult.objects.filter(status="RUNNING").count() == 2)
        nodes.stop()
    for worker in engine.nodes.values():
        engine.kill(worker)
    tally.add(kills=2)
    running = {str(task.pk) for task in DBTaskResult.objects.filter(status="RUNNING")}
    assert len(running) == 2
    assert learn()
    assert set(Log.objects.filter(task_id__in=running).values_list("status", flat=True)) == {Status.HANDED_OVER}
    assert Job.objects.get().lock is None


@pytest.mark.saboteur
def test_with_the_slot_committed_before_its_task_is_enqueued_a_death_loses_the_task(storm, tally):
    """The saboteur."""
    hand_over_each_second(storm, 8)
    # In this order: the later one stands around the earlier one, and who dies is to have committed its slot before.
    options = {"lock_timeout": LOCK_TIMEOUT, "CRONKITE_TEST_SABOTAGE": "die=before-enqueue:0.1 early-commit"}
    with fleet(storm.folder, 1, "cron", "loop", options=options) as nodes:
        storm.drive(nodes, lambda: nodes.kills >= 3)
        nodes.stop()
    verdict = tasks.audit(storm.jobs, storm.evidence, storm.settle())
    assert verdict.unaccounted, verdict
    tally.add(saboteurs=1)
