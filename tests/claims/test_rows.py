"""A row that another transaction has locked holds up its own job, and no other (promise P4)."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import ExitStack, nullcontext, suppress
from datetime import timedelta

import pytest
from conftest import due, make_due
from deciding import decide, make_stale
from django.db import DatabaseError, connection, connections, transaction
from nodes import PATIENCE, nodes, processes, until
from rivals import rival

from cronkite import health, requests
from cronkite.claims import claiming, handing, holding, orphans, rows, skips, taking, verdicts
from cronkite.cli import reasons
from cronkite.code.outcomes import Outcome
from cronkite.database import clock, quirks, waits
from cronkite.declared import discovery
from cronkite.declared.deeds import Deeds
from cronkite.exceptions import JobIsLocked
from cronkite.models import Group, Job, Log, Node
from cronkite.nodes import ticks, unsettled
from cronkite.nodes.beacons import Beacons
from cronkite.reports import accounts
from cronkite.runs import runner
from cronkite.schedules.catch_up import Decision

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite",
        reason="SQLite locks no rows: who writes keeps all others from writing",
    ),
]

Status = Log.Status
DONE = Outcome(Status.SUCCEEDED)
LOG = {"CRONKITE_TEST_LOG": "1"}


def lock_row(job):
    """What a view or a job of the project does: lock the row, and go on with something else."""
    return Job.objects.select_for_update().get(pk=job.pk)


def edit_row(job):
    """Edit the job, and do something else before that is committed."""
    job = Job.objects.get(pk=job.pk)
    job.description = "edited"
    job.save()


def run_in_transaction(job):
    """As a view does under ATOMIC_REQUESTS."""
    Job.objects.get(pk=job.pk).run()


def lock_logs(job):
    """Lock the logs of the job, and those to come."""
    return list(Log.objects.select_for_update().filter(job=job))


@pytest.fixture
def job(make_job):
    return make_job(due=0)


@pytest.fixture
def impatient():
    """Have this thread's connection not wait for long, as a node has it."""
    with waits.impatient("default"):
        yield


def claim(job, node="node"):
    read = due(job)
    return claiming.claim(read, decide(read), node)


# Nodes.


@pytest.mark.parametrize("lock", [lock_row, edit_row, run_in_transaction])
def test_a_job_whose_row_is_locked_waits_alone(make_job, evidence, tmp_path, lock):
    """Others run meanwhile, and what runs is renewed; when the row is free, the job runs."""
    held = make_job("app.jobs.note", name="held", schedule="* * * * * *", args=[str(evidence), "held"])
    going = tmp_path / "going on"
    long = make_job("app.jobs.note_and_wait", name="long", due=0, args=[str(evidence), str(going)])
    other = make_job("app.jobs.note", name="other", schedule="* * * * * *", args=[str(evidence), "other"])
    if lock is run_in_transaction:
        Job.objects.filter(pk=held.pk).update(function="app.jobs.ok")
    make_due(held)

    def count(text):
        return evidence.texts().count(text)

    with (
        rival(lambda: lock(held)) as holder,
        nodes(("cron", "loop", "--workers", "2"), lock_timeout=2, **LOG) as (node,),
    ):
        until(lambda: count("other") >= 3)
        seen = until(lambda: Job.objects.get(pk=long.pk).locked_at)
        until(lambda: Job.objects.get(pk=long.pk).locked_at > seen + timedelta(seconds=2))
        seen = count("other")
        until(lambda: count("other") >= seen + 3)
        assert not count("held")
        holder.roll_back()
        until(lambda: Log.objects.filter(job=held, status=Status.SUCCEEDED).exists())
        first = Log.objects.filter(job=held, slot__isnull=False).order_by("slot").first()
        assert first.missed
        assert "its row was locked by another transaction since" in first.reason
        going.touch()
        until(lambda: Log.objects.get(job=long).status == Status.SUCCEEDED)
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
        said = node.output
    assert said.count("Job 'held' waits: its row is locked by another transaction since") == 1
    assert "can't" not in said
    assert not Log.objects.filter(job=other).exclude(status=Status.SUCCEEDED).exists()


def test_where_a_node_waits_for_rows_nothing_runs(make_job, evidence):
    """The saboteur of the test above."""
    held = make_job("app.jobs.note", name="held", due=60, args=[str(evidence), "held"])
    with (
        rival(lambda: lock_row(held)) as holder,
        nodes(("cron", "loop", "--workers", "2"), CRONKITE_TEST_SABOTAGE="patience", **LOG) as (node,),
    ):
        until(waiting_for_locks, what="the node waits for the row")
        make_job("app.jobs.note", name="other", due=0, args=[str(evidence), "other"])
        # Nothing to wait for: it does not come.
        time.sleep(3)
        ran = evidence.texts()
        holder.roll_back()
        until(lambda: len(evidence.texts()) == 2)
        node.signal(signal.SIGTERM)
        node.wait()
    assert not ran, node.output


def waiting_for_locks():
    """Tell whether somebody in this test's database waits for a lock, as far as the server tells."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            waiting = "wait_event_type = 'Lock' AND datname = current_database()"
            cursor.execute(f"SELECT COUNT(*) FROM pg_stat_activity WHERE {waiting}")
            return cursor.fetchone()[0] > 0
        # InnoDB tells of all databases at once. But nothing else takes a second here. What the server calls one may be
        # a moment, over the end of a second.
        return any(process["Command"] == "Query" and process["Time"] >= 2 for process in processes(cursor))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_tick_waits_for_a_row_when_all_else_is_done(make_job, evidence, workers):
    held = make_job("app.jobs.note", name="held", due=60, args=[str(evidence), "held"])
    make_job("app.jobs.note", name="other", due=0, args=[str(evidence), "other"])
    with rival(lambda: lock_row(held)) as holder, nodes(("cron", "--workers", workers), **LOG) as (node,):
        until(evidence.texts)
        until(lambda: Log.objects.filter(status=Status.SUCCEEDED).exists())
        holder.roll_back()
        assert node.wait() == 0
    assert evidence.texts() == ["other", "held"]


def test_a_tick_leaves_a_row_that_stays_locked_to_the_next(job, monkeypatch, caplog):
    monkeypatch.setattr(rows, "TICK_PATIENCE", 0.5)
    with rival(lambda: lock_row(job)):
        ticks.tick(workers=0)
    assert "is left to the next tick" in caplog.text
    assert not Log.objects.exists()
    ticks.tick(workers=0)
    assert Log.objects.get().status == Status.SUCCEEDED


def test_a_request_whose_job_is_locked_waits_alone(make_job, evidence):
    held = make_job("app.jobs.note", name="held", args=[str(evidence), "held"])
    other = make_job("app.jobs.note", name="other", args=[str(evidence), "other"])
    for job in (held, other):
        requests.ask(job, "ada")
    with rival(lambda: lock_row(held)) as holder, nodes(("cron", "--workers", "1"), **LOG) as (node,):
        until(evidence.texts)
        holder.roll_back()
        assert node.wait() == 0
    assert evidence.texts() == ["other", "held"]


def test_missed_slots_of_a_job_that_is_locked_wait_alone(make_job, evidence):
    held = make_job("app.jobs.note", name="held", due=3600, catch_up="none", grace=60)
    make_job("app.jobs.note", name="other", due=0, args=[str(evidence), "other"])
    with rival(lambda: lock_row(held)) as holder, nodes(("cron", "--workers", "1"), **LOG) as (node,):
        until(evidence.texts)
        assert not Log.objects.filter(job=held).exists()
        holder.roll_back()
        assert node.wait() == 0
    assert Log.objects.get(job=held).status == Status.MISSED


def test_a_node_that_is_told_to_stop_waits_for_no_row(make_job, tmp_path):
    """Nor does the end of a run that it has interrupted: its own process writes that when it can, and that is said."""
    begun, log = tmp_path / "begun", tmp_path / "log"
    job = make_job("app.jobs.hang", due=0, args=[str(begun)])
    with nodes(("cron", "loop", "--workers", "1"), log=log, CRONKITE_TEST_SHUTDOWN_GRACE="0.5", **LOG) as (node,):
        until(begun.exists)
        with rival(lambda: lock_row(job)):
            node.signal(signal.SIGTERM)
            assert node.wait() == 0
            assert "can't be written yet. Its process goes on trying, without this node." in log.read_text()
            assert Log.objects.get().status == Status.RUNNING
        until(lambda: Log.objects.get().status == Status.INTERRUPTED)


def test_a_node_that_is_told_to_stop_waits_for_no_end_that_it_would_write(make_job, tmp_path):
    """That of a run whose process has died is left to the lock's timeout, and that is said."""
    begun = tmp_path / "begun"
    job = make_job("app.jobs.note_and_wait", due=0, args=[str(begun), str(tmp_path / "never")])
    with nodes(("cron", "loop", "--workers", "1"), CRONKITE_TEST_SHUTDOWN_GRACE="0.5", **LOG) as (node,):
        # A line is written at once, but not in the moment in which its file is made.
        until(lambda: begun.exists() and begun.read_text())
        with rival(lambda: lock_row(job)):
            pid = int(begun.read_text().split()[3])
            os.kill(pid, signal.SIGKILL)
            node.signal(signal.SIGTERM)
            assert node.wait() == 0
            assert "which could not be written, as it was told to stop" in node.output
    assert Log.objects.get().status == Status.RUNNING


# Claims.


def test_of_several_jobs_the_others_are_claimed(make_job):
    reads = [due(make_job(name=name, due=0)) for name in ("first", "held", "third")]
    wanted = [(read, decide(read)) for read in reads]
    with rival(lambda: lock_row(reads[1])):
        first, held, third = claiming.claim_all(wanted, "node")
        assert (first.job_name, held, third.job_name) == ("first", None, "third")
        assert skips.unclaimed(reads) == ({reads[1].pk: skips.ROW}, set())
    assert skips.unclaimed(reads) == ({reads[1].pk: ""}, set())
    assert claim(reads[1]) is not None


def test_jobs_whose_groups_row_is_locked_wait_for_it_and_say_so(make_job, caplog, monkeypatch):
    monkeypatch.setattr(rows, "TOLD_AFTER", 0.3)
    first = make_job(name="first", due=5, group="reports", schedule="* * * * * *")
    second = make_job(name="second", due=5, group="reports", schedule="* * * * * *")
    other = make_job(name="other", due=0)
    Group.objects.create(name="reports", max_running=2)
    with rival(lambda: list(Group.objects.select_for_update())) as holder:
        found = skips.in_the_way_of([first, second, other])
        assert found == {first.pk: skips.GROUP, second.pk: skips.GROUP, other.pk: skips.NOTHING}
        read = Job.objects.with_now().get(pk=first.pk)
        why = " ".join(reasons.of(read, accounts.of(read, first.next_run, timedelta(seconds=1))[0], "UTC"))
        assert "has the group's row locked" in why

        told = set()

        def free(record):
            told.update(name for name in ("first", "second") if f"{name!r} waits" in record.getMessage())
            if len(told) == 2:
                holder.roll_back()
            return True

        monkeypatch.setattr(logging.getLogger("cronkite"), "filters", [free])
        ticks.tick(workers=0)
    assert Log.objects.get(job=other).status == Status.SUCCEEDED
    assert "Job 'first' waits: the row of its group is locked by another transaction since" in caplog.text
    for job in (first, second):
        reason = Log.objects.filter(job=job, missed__gt=0).earliest("slot").reason
        assert "the row of its group was locked by another transaction since" in reason
    assert skips.in_the_way_of([first]) == {first.pk: skips.NOTHING}


def test_a_job_that_somebody_else_has_claimed_was_not_skipped(job):
    read = due(job)
    with rival(lambda: claim(job, "another")) as other:
        assert claiming.claim(read, decide(read), "node") is None
        assert skips.unclaimed([read]) == ({job.pk: skips.ROW}, set())
        other.commit()
    assert claiming.claim(read, decide(read), "node") is None
    assert skips.unclaimed([read]) == ({}, set())


def test_who_asks_within_a_transaction_locks_no_row(job):
    """A page of the admin under ATOMIC_REQUESTS, that says what is late."""
    with transaction.atomic():
        assert skips.held({job.pk}) == set()
        with rival(lambda: lock_row(job)):
            assert skips.held({job.pk}) == set()


def test_a_job_that_was_edited_or_deleted_was_not_skipped(make_job):
    first, second = make_job(name="first", due=0), make_job(name="second", due=0)
    reads = [due(first), due(second)]
    edit_row(first)
    second.delete()
    assert skips.unclaimed(reads) == ({}, {first.pk})


def test_a_stale_lock_whose_row_is_locked_is_not_taken_over(job, lock_timeout):
    lock_timeout(60)
    claim(job, "dead")
    make_stale(job)
    make_due(job)
    read = due(job)
    with rival(lambda: lock_row(job)):
        assert claiming.claim(read, decide(read), "node") is None
        assert skips.unclaimed([read]) == ({job.pk: skips.ROW}, set())


def take_over(make_job, name="stale", **columns):
    """Return a job that is due, with the lock of a run that has shown no life for an hour."""
    job = make_job(name=name, due=0, **columns)
    claim(job, "dead")
    make_stale(job)
    Log.objects.filter(job=job).update(slot=None)
    make_due(job)
    return job


@pytest.fixture
def no_second_try(monkeypatch):
    """A batch that has waited for one of its jobs is claimed one by one: not here."""
    monkeypatch.setattr(claiming, "_one_by_one", None)


HAND_OVER = handing.joined(lambda claim: verdicts.Receipt("engine", str(claim.job_id)), ())


@pytest.mark.parametrize("take", [taking.take, HAND_OVER])
def test_a_takeover_does_not_wait_for_the_log_of_the_run_that_is_lost(make_job, lock_timeout, no_second_try, take):
    """The others of the batch are claimed meanwhile."""
    lock_timeout(60)
    stale, other = take_over(make_job), make_job(name="other", due=0)
    reads = [due(stale), due(other)]
    with rival(lambda: lock_logs(stale)):
        nothing, taken = claiming.claim_all([(read, decide(read)) for read in reads], "node", take)
        assert (nothing, taken.job_name) == (None, "other")
        assert claiming.claim(reads[0], decide(reads[0]), "node", take) is None
        assert skips.unclaimed(reads[:1]) == ({stale.pk: skips.LOG}, set())
    assert skips.unclaimed(reads[:1]) == ({stale.pk: ""}, set())
    assert claiming.claim(reads[0], decide(reads[0]), "node", take) is not None
    lost, *_ = Log.objects.filter(job=stale).order_by("pk")
    assert lost.status == Status.LOST


def test_nor_does_who_takes_over_what_was_asked_for_or_is_tried_again(make_job, lock_timeout):
    lock_timeout(60)
    asked, retried = take_over(make_job, "asked"), take_over(make_job, "retried", retries=1)
    requests.ask(asked, "ada")
    past = clock.now("default") - timedelta(seconds=9)
    Job.objects.filter(pk=retried.pk).write(retry_at=past, retry_slot=past, retry_attempt=2)
    claims = [
        (Job.objects.agenda().get(pk=job.pk), claim)
        for job, claim in ((asked, claiming.claim_asked), (retried, claiming.claim_retry))
    ]
    with rival(lambda: [lock_logs(asked), lock_logs(retried)]):
        for job, claim in claims:
            assert claim(job, "node") is None
            assert skips.unclaimed([job]) == ({job.pk: skips.LOG}, set())
    for job, claim in claims:
        assert claim(job, "node") is not None


def test_a_takeover_needs_no_other_log_of_its_job(make_job, lock_timeout, no_second_try):
    lock_timeout(60)
    stale, earlier = take_over(make_job), clock.now("default") - timedelta(days=1)
    ended = Log.objects.create(job=stale, fence=0, status=Status.SUCCEEDED, created=earlier)
    with rival(lambda: list(Log.objects.select_for_update().filter(pk=ended.pk))):
        assert claim(stale) is not None
    assert Log.objects.filter(job=stale, status=Status.LOST).count() == 1


def test_a_seat_whose_run_can_not_be_marked_as_lost_is_left_and_another_is_taken(make_job, lock_timeout, no_second_try):
    lock_timeout(60)
    Group.objects.create(name="reports", max_running=2)
    held, free = (take_over(make_job, name, group="reports") for name in ("held", "free"))
    Job.objects.filter(pk__in=[held.pk, free.pk]).write(enabled=False)
    third, fourth = (make_job(name=name, due=0, group="reports") for name in ("third", "fourth"))
    with rival(lambda: lock_logs(held)):
        assert claim(third) is not None
        assert claim(fourth) is None
    assert claim(fourth) is not None
    assert set(Log.objects.filter(job__in=[held.pk, free.pk]).values_list("status", flat=True)) == {Status.LOST}


def test_a_run_that_is_gone_and_whose_log_is_locked_keeps_no_other_from_being_recorded(make_job, lock_timeout):
    lock_timeout(60)
    gone = [take_over(make_job, name) for name in ("held", "locked", "free", "too")]
    Job.objects.filter(pk__in=[job.pk for job in gone]).update(enabled=False)
    with rival(lambda: [lock_logs(gone[0]), lock_row(gone[1])]):
        assert orphans.record("node") == 2
        assert set(Job.objects.filter(lock=None)) == {*gone[2:]}
    assert orphans.record("node") == 2
    assert not Log.objects.filter(status=Status.RUNNING).exists()
    assert Log.objects.filter(status=Status.LOST).count() == 4


def test_what_waits_for_a_row_is_not_claimed_for_who_asked(job):
    requests.ask(job, "ada")
    asked = Job.objects.agenda().get()
    with rival(lambda: lock_row(job)):
        assert claiming.claim_asked(asked, "node") is None
        assert skips.unclaimed([asked]) == ({job.pk: skips.ROW}, set())
    assert claiming.claim_asked(asked, "node") is not None
    assert skips.unclaimed([asked]) == ({}, set())


def test_nothing_is_passed_over_whose_row_is_locked(job):
    read = due(job)
    decision = Decision(None, 1, read.next_run, decide(read).next_run, "because")
    with rival(lambda: lock_row(job)):
        assert not claiming.pass_over(read, decision, "node")
        assert skips.unclaimed([read]) == ({job.pk: skips.ROW}, set())
    assert claiming.pass_over(read, decision, "node")


@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_run_by_hand_of_a_job_whose_row_is_locked_says_so(job, monkeypatch, in_transaction):
    monkeypatch.setattr(runner, "CLAIM_ATTEMPTS", 2)
    with rival(lambda: lock_row(job)), ExitStack() as stack:
        if in_transaction:
            stack.enter_context(transaction.atomic())
        with pytest.raises(JobIsLocked, match="its row is locked by another transaction"):
            job.run()
    assert job.run() is not None


def test_a_run_by_hand_waits_a_little_for_the_row(job, monkeypatch):
    monkeypatch.setattr(runner, "CLAIM_ATTEMPTS", 600)
    with rival(lambda: lock_row(job)) as holder:
        threading.Timer(0.3, holder.roll_back).start()
        assert job.run() is not None


def test_a_row_that_others_only_refer_to_can_be_claimed(job):
    """On PostgreSQL: who inserts a log, or a row of the project's that refers to the job, is not in the way."""
    if not connection.features.has_select_for_no_key_update:
        pytest.skip("only PostgreSQL knows such a lock")
    with rival(lambda: Log.objects.create(job=job, fence=99, created=clock.Now())):
        assert claim(job) is not None


# Renewals and ends.


def test_a_run_whose_row_is_locked_keeps_no_other_from_being_renewed(make_job):
    held, other = (claim(make_job(name=name, due=0)) for name in ("held", "other"))
    before = Job.objects.get(pk=other.job_id).locked_at
    with rival(lambda: lock_row(Job(pk=held.job_id))):
        assert holding.renewal([held, other]) == holding.Renewal([], [held])
    assert Job.objects.get(pk=other.job_id).locked_at > before


def test_the_run_of_a_deleted_job_does_not_wait_for_its_row(make_job):
    deleted, other = (claim(make_job(name=name, due=0)) for name in ("deleted", "other"))
    Job.objects.get(pk=deleted.job_id).delete()
    assert holding.renewal([deleted, other]) == holding.Renewal([], [])


@pytest.mark.parametrize("lock", [lock_row, lock_logs])
def test_an_end_waits_for_a_row_without_an_alarm(job, impatient, caplog, monkeypatch, lock):
    monkeypatch.setattr(runner, "CONFLICT_PATIENCE", 0)
    taken = claim(job)
    with rival(lambda: lock(job)) as holder:
        with pytest.raises(DatabaseError) as waited:
            holding.finish(taken, DONE)
        assert quirks.has_waited_in_vain(waited.value)
        tries = []

        def pause(seconds):
            tries.append(seconds)
            if len(tries) == 2:
                holder.roll_back()

        assert runner.record(taken, DONE, pause)
    assert len(tries) == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "can't be written yet" in caplog.text
    assert Log.objects.get().status == Status.SUCCEEDED


class Nobody:
    """Who has no worker ready, and so none to release, and no job that waits."""

    def release(self, job):
        pass

    def look_for(self, slot):
        pass

    def have_room(self, group):
        pass


@pytest.fixture
def ends(make_job):
    """Two runs whose processes have died, of which a node has to write that: ``held`` and ``other``."""
    held, other = (claim(make_job(name=name, due=0)) for name in ("held", "other"))
    todo = unsettled.Unsettled(Nobody(), Nobody(), lambda **_: suppress(DatabaseError))
    for each in (held, other):
        todo.end(each, Outcome(Status.LOST, reason="its process was killed"))
    return held, other, todo


@pytest.mark.parametrize(("lock", "what"), [(lock_row, "job's row"), (lock_logs, "log")])
def test_a_node_writes_other_ends_while_one_waits(ends, caplog, monkeypatch, lock, what):
    """It waits for none."""
    held, other, todo = ends
    tried, finish = [], holding.finish
    monkeypatch.setattr(holding, "finish", lambda taken, outcome: tried.append(taken) or finish(taken, outcome))
    with rival(lambda: lock(Job(pk=held.job_id))):
        todo.go_on(stopping=False)
        assert Log.objects.get(pk=other.log_id).status == Status.LOST
        assert tried == [other]
        assert not todo.is_empty()
        assert f"can't be written yet: another transaction has locked the {what}." in caplog.text
    until(lambda: todo.go_on(stopping=False) or todo.is_empty())
    assert Log.objects.get(pk=held.log_id).status == Status.LOST


def test_a_node_that_has_waited_for_an_end_after_all_does_something_else_first(ends, impatient, monkeypatch):
    """Where rows can't be skipped, or somebody has locked one just then. Others have their turn before it the next."""
    held, other, todo = ends
    monkeypatch.setattr(skips, "_held", lambda model, keys: set())
    monkeypatch.setattr(unsettled, "PAUSE", 0)
    with rival(lambda: lock_logs(Job(pk=held.job_id))):
        todo.go_on(stopping=False)
        assert set(Log.objects.values_list("status", flat=True)) == {Status.RUNNING}
        todo.go_on(stopping=False)
        assert Log.objects.get(pk=other.log_id).status == Status.LOST
        assert not todo.is_empty()
    todo.go_on(stopping=False)
    assert todo.is_empty()


# How long anything waits.


def test_nothing_that_a_node_says_waits_for_long(job, impatient):
    """Also what locks no row first: here, a sign of life."""
    Node.objects.create(name="node", ticked_at=clock.Now(), started_at=clock.Now())
    with rival(lambda: list(Node.objects.select_for_update())):
        from cronkite.nodes import heartbeat

        with pytest.raises(DatabaseError) as waited:
            heartbeat._beat("node", "default", stays=True, begins=False)
    assert quirks.has_waited_in_vain(waited.value)


def ask(question):
    with connection.cursor() as cursor:
        cursor.execute(question)
        return str(cursor.fetchone()[0])


PATIENCE_OF = {"postgresql": "SHOW lock_timeout", "mysql": "SELECT @@innodb_lock_wait_timeout"}


def test_what_the_caller_waits_for_is_left_as_it_is(job):
    question = PATIENCE_OF[connection.vendor]
    before = ask(question)
    with transaction.atomic():
        job.run()
        assert ask(question) == before
    job.run()
    assert ask(question) == before


def test_a_connection_that_was_impatient_is_as_before(job):
    question = PATIENCE_OF[connection.vendor]
    before = ask(question)
    with waits.impatient("default"):
        for _ in range(2):
            assert connection.vendor == "postgresql" or ask(question) == str(waits.LEAST)
            connections["default"].close()
    assert ask(question) == before


# The start of a node.


@pytest.mark.parametrize("declared", [True, False])
def test_a_start_does_not_wait_long_for_a_row(make_job, caplog, monkeypatch, declared):
    """What code has the last word on is left as it is until the next start; all else is made good."""
    monkeypatch.setattr(discovery, "PATIENCE", 0.2)
    module = "app.declared_extra"
    discovery.auto_discover(module, delete_first=True)
    held = Job.objects.filter(declared_as__startswith=module).first()
    other = make_job(f"{module}.gone", name="other")
    columns = {"schedule": "0 0 2 2 *"} if declared else {"function": f"{module}.gone", "declared_as": None}
    Job.objects.filter(pk=held.pk).write(**columns)
    with rival(lambda: lock_row(held)):
        discovery.auto_discover(module, delete_first=True)
        assert f"Job {held.name!r} is left as it is: its row is locked by another transaction." in caplog.text
        assert not Job.objects.filter(pk=other.pk).exists()
        assert Job.objects.filter(pk=held.pk, **columns).exists()
    discovery.auto_discover(module, delete_first=True)
    assert not Job.objects.filter(pk=held.pk, **columns).exists()


def test_a_start_waits_for_who_has_a_row_for_a_moment(job, caplog):
    with rival(lambda: lock_row(job)) as holder:
        timer = threading.Timer(0.3, holder.roll_back)
        timer.start()
        assert not discovery._is_held(job, time.monotonic() + PATIENCE)
        timer.join()
    assert not caplog.records


@pytest.mark.parametrize("what", ["jobs", "group"])
def test_a_start_does_not_wait_long_for_who_is_about_to_insert_the_same(caplog, monkeypatch, impatient, what):
    """What he does not commit is made at the next start."""
    monkeypatch.setattr(discovery, "PATIENCE", 0.2)
    monkeypatch.setattr(discovery, "groups_of", lambda declared: {"reports": 2})
    module = "app.declared_extra"

    def insert():
        if what == "jobs":
            discovery.auto_discover(module)
        else:
            Group.objects.create(name="reports")

    with rival(insert):
        discovery.auto_discover(module)
        assert f"What {module} declares is left to the next start" in caplog.text
        assert Job.objects.filter(declared_as__startswith=module).exists() is (what == "group")
    discovery.auto_discover(module)
    assert Job.objects.filter(declared_as__startswith=module).exists()
    assert Group.objects.get().max_running == 2


def test_a_start_does_not_wait_long_for_the_logs_of_a_job_that_is_declared_no_more(make_job, caplog, impatient):
    gone = make_job("app.declared_extra.gone", due=0)
    claim(gone)
    with rival(lambda: lock_logs(gone)):
        discovery._synchronise("app.declared_extra", [], True, Deeds())
        assert "is left as it is: its logs are locked by another transaction" in caplog.text
    discovery._synchronise("app.declared_extra", [], True, Deeds())
    assert not Job.objects.exists()


def test_a_loop_prepares_itself_without_waiting_for_long(monkeypatch):
    """For MySQL and MariaDB, which know no limit but that of a connection."""
    monkeypatch.setattr(ticks, "_nursery", nullcontext)
    monkeypatch.setattr(ticks, "_work", lambda *_: None)
    found = []
    ticks.loop(1, lambda: found.append(ask(PATIENCE_OF[connection.vendor])), Beacons())
    assert connection.vendor == "postgresql" or found == [str(waits.LEAST)]


# Who asks.


def test_people_are_told_why_a_job_waits(make_job):
    held, late = make_job(name="held", due=3600), make_job(name="late", due=3600)
    Node.objects.create(name="node", ticked_at=clock.Now(), started_at=clock.Now())
    with rival(lambda: lock_row(held)):
        report = health.report()
        assert {job.name: job.is_held for job in report.late} == {"held": True, "late": False}
        told = [problem for problem in report.problems if "due" in problem]
        assert [problem.partition(" (")[0] for problem in told] == [
            "1 job is due, no node takes it: late",
            "1 job is due, a row that it needs is locked by another transaction: held",
        ]
        for job, expected in ((held, True), (late, False)):
            read = Job.objects.with_now().get(pk=job.pk)
            why = " ".join(reasons.of(read, accounts.of(read, job.next_run, timedelta(seconds=1))[0], "UTC"))
            assert ("has the job's row locked" in why) is expected


@pytest.mark.parametrize("what", ["group", "log"])
def test_people_are_told_of_the_other_rows_for_which_a_job_waits(make_job, lock_timeout, what):
    lock_timeout(60)
    job = make_job(name="held", schedule="* * * * *", due=0, group="reports")
    Group.objects.create(name="reports")
    Node.objects.create(name="node", ticked_at=clock.Now(), started_at=clock.Now())
    if what == "log":
        claim(job)
        make_stale(job)
    due_at = (clock.now("default") - timedelta(minutes=30)).replace(second=0, microsecond=0)
    Job.objects.filter(pk=job.pk).write(next_run=due_at, last_slot=None)
    lock = lock_logs if what == "log" else lambda job: list(Group.objects.select_for_update().filter(name=job.group))
    with rival(lambda: lock(job)):
        (late,) = health.report().late
        assert late.is_held
        read = Job.objects.with_now().get(pk=job.pk)
        why = " ".join(reasons.of(read, accounts.of(read, due_at, timedelta(seconds=1))[0], "UTC"))
        called = {"log": "the log of the run that held the job's lock", "group": "the group's row"}
        assert f"Another transaction has {called[what]} locked at this moment." in why
    assert not health.report().late[0].is_held
