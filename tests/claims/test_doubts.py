"""A claim is a node's own when the database has kept it, and not before: what may yet be rolled back is no claim."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from conftest import due
from deciding import decide
from django.db import OperationalError, connection, connections
from nodes import PATIENCE
from rivals import rival

from cronkite import pruning
from cronkite.claims import claiming, holding, verdicts
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.models import Job, Log, edits
from cronkite.nodes import ticks, unsettled
from cronkite.nodes.agenda import Agenda
from cronkite.runs import runner
from cronkite.runs.here import Here

pytestmark = pytest.mark.django_db(transaction=True)

Status = Log.Status

#: How an open connection learns of its level, and what it says of the lowest.
LOWEST = {"postgresql": ("SHOW transaction_isolation", "read uncommitted"), "sqlite": ("SELECT 'none'", "none")}


@pytest.fixture(autouse=True)
def lowest_level(db, monkeypatch):
    """Have all connections of this process at READ UNCOMMITTED, where there is such a thing, and never wait long."""
    options = dict(connection.settings_dict["OPTIONS"])
    # A pool would have connections of another level.
    options.pop("pool", None)
    if connection.vendor == "postgresql":
        # The server's own setting: the driver's would be that of transactions which it begins itself, and of no others.
        options["options"] = "-c default_transaction_isolation=read\\ uncommitted"
    elif connection.vendor == "mysql":
        options["isolation_level"] = "read uncommitted"
    else:
        options["timeout"] = 0.1
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    with connection.cursor() as cursor:
        variable = "tx_isolation" if getattr(connection, "mysql_is_mariadb", False) else "transaction_isolation"
        question, level = LOWEST.get(connection.vendor, (f"SELECT @@{variable}", "READ-UNCOMMITTED"))
        cursor.execute(question)
        assert cursor.fetchone() == (level,)
    yield
    connection.close()


@pytest.fixture
def job(make_job):
    return make_job(due=0)


def claim_of(job):
    """Return what claims the job, as read now."""
    read = due(job)
    return lambda: claiming.claim(read, decide(read), "node")


@pytest.mark.parametrize("kept", [True, False])
def test_a_claim_is_in_doubt_for_as_long_as_its_transaction_is_open(job, kept):
    """The client has heard that the connection is gone; the server has not."""
    with rival(claim_of(job)) as claim:
        for _ in range(2):
            with pytest.raises(verdicts.Contention):
                claiming.settle(claim.value)
        claim.commit() if kept else claim.roll_back()
        assert claiming.settle(claim.value) == (claim.value if kept else None)


def test_a_claim_that_is_settled_shows_life(job):
    taken = claim_of(job)()
    before = Job.objects.get(pk=job.pk).locked_at
    assert claiming.settle(taken) == taken
    assert Job.objects.get(pk=job.pk).locked_at > before


def test_a_claim_that_somebody_has_cleared_meanwhile_is_not_ours(job):
    taken = claim_of(job)()
    holding.unlock(Job.objects.get(pk=job.pk), "ada")
    assert claiming.settle(taken) is None


def test_the_claim_of_a_job_that_was_deleted_meanwhile_is_not_ours(job):
    taken = claim_of(job)()
    job.delete()
    assert claiming.settle(taken) is None


def doubtful(monkeypatch, job, rivals):
    """Have the next claim be one that another connection holds open, and whose COMMIT was not answered."""
    claim_by_hand = claiming.claim_by_hand

    def claim_and_die(*args):
        monkeypatch.setattr(claiming, "claim_by_hand", claim_by_hand)
        other = rivals.enter_context(rival(lambda: claim_by_hand(*args)))
        raise verdicts.OutcomeUnknown([other.value])

    monkeypatch.setattr(claiming, "claim_by_hand", claim_and_die)


def test_a_run_by_hand_waits_for_the_truth(job, monkeypatch):
    settle, asked = claiming.settle, []

    def settle_and_count(claim):
        asked.append(claim)
        if len(asked) == 3:
            others.pop_all().close()
        return settle(claim)

    with ExitStack() as others:
        doubtful(monkeypatch, job, others)
        monkeypatch.setattr(claiming, "settle", settle_and_count)
        claim = runner.claim_by_hand(job)
    assert len(asked) == 3
    assert (claim.token, claim.fence) == (Job.objects.get(pk=job.pk).lock, 1)
    assert [log.pk for log in Log.objects.all()] == [claim.log_id]


def test_a_run_by_hand_whose_claim_stays_in_doubt_is_none(job, monkeypatch):
    monkeypatch.setattr(runner, "CLAIM_ATTEMPTS", 2)
    monkeypatch.setattr(runner, "CONFLICT_PAUSE", 0)
    with ExitStack() as others:
        doubtful(monkeypatch, job, others)
        with pytest.raises(verdicts.OutcomeUnknown):
            job.run()
    assert not Log.objects.exists()


# Nodes in doubt.


@pytest.fixture
def left_open(monkeypatch):
    """Have the first claim of a node be one that another connection holds open, and whose COMMIT was not answered.

    Returns a function that says how that ends when the node has asked about it so often.
    """
    claim_all, settle, asked = claiming.claim_all, claiming.settle, []
    monkeypatch.setattr(unsettled, "PAUSE", 0.01)
    monkeypatch.setattr(unsettled, "DOUBT_PATIENCE", 3600)
    with ExitStack() as others:

        def set_up(*, after, commits):
            def claim_and_die(wanted, name):
                monkeypatch.setattr(claiming, "claim_all", claim_all)
                others.other = others.enter_context(rival(lambda: claim_all(wanted, name)))
                raise verdicts.OutcomeUnknown(list(filter(None, others.other.value)))

            def settle_and_end(claim):
                asked.append(claim)
                if len(asked) == after:
                    others.other.commit() if commits else others.other.roll_back()
                return settle(claim)

            monkeypatch.setattr(claiming, "claim_all", claim_and_die)
            monkeypatch.setattr(claiming, "settle", settle_and_end)
            return asked

        yield set_up


@pytest.mark.parametrize("commits", [True, False])
def test_a_node_runs_a_claim_in_doubt_once_and_only_when_it_is_kept(make_job, left_open, evidence, commits):
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    asked = left_open(after=3, commits=commits)
    ticks.tick(workers=0)
    assert len(asked) == 3
    assert len(evidence.starts()) == 1
    assert [(log.status, log.fence) for log in Log.objects.all()] == [(Status.SUCCEEDED, 1)]


def test_a_node_in_doubt_keeps_no_worker_waiting_for_long(make_job, left_open, evidence, monkeypatch):
    """What then turns out to be its own is recorded, and not run: its worker may be at another job."""
    monkeypatch.setattr(unsettled, "DOUBT_PATIENCE", 0)
    released, release = [], Here.release
    monkeypatch.setattr(Here, "release", lambda self, job: released.append(job.pk) or release(self, job))
    job = make_job("app.jobs.note", due=0, args=[str(evidence)])
    left_open(after=3, commits=True)
    ticks.tick(workers=0)
    assert released.count(job.pk) >= 2
    assert not evidence.starts()
    log = Log.objects.get()
    assert (log.status, log.reason) == (Status.LOST, "that it was claimed showed too late to run it")
    assert not Job.objects.get(pk=job.pk).is_locked


def test_what_a_node_was_in_doubt_of_is_run_or_is_lost(make_job, left_open, evidence, monkeypatch):
    """However its time is up just then: between the two, it would keep its lock, and nobody would know of it."""
    answers = iter([False])
    monkeypatch.setattr(unsettled._Doubt, "is_old", property(lambda doubt: next(answers, True)))
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    left_open(after=1, commits=True)
    ticks.tick(workers=0)
    assert Log.objects.get().status == Status.SUCCEEDED
    assert len(evidence.starts()) == 1


# What else is read, and acted on then.


def test_what_is_due_is_what_is_committed(job):
    """A claim asks for the number of the edit. Were this one rolled back, the next would have the same number."""

    def edit():
        edited = Job.objects.get(pk=job.pk)
        edited.function = "app.jobs.say"
        edited.save()

    with rival(edit):
        agenda = Agenda()
        agenda.look(set())
        assert [each.function for each in agenda._runs.jobs] == ["app.jobs.ok"]


def test_an_edit_is_planned_from_what_is_committed(job):
    def move():
        moved = Job.objects.get(pk=job.pk)
        moved.timezone = "Asia/Tokyo"
        moved.save()

    with rival(move) as moving:
        read = edits._committed(Job.objects.using("default").filter(pk=job.pk), "default")
        assert (read.timezone, read.revision) == ("", job.revision)
        moving.commit()


def test_a_renewal_takes_nobody_elses_word_for_the_loss_of_a_lock(make_job):
    """The row of one run is locked by who clears its lock, and may not: nothing is known of it. Others are renewed."""
    first, second, gone = (claim_of(make_job(name=name, due=0))() for name in ("first", "second", "gone"))
    Job.objects.filter(pk=gone.job_id).write(lock=None, locked_by="", locked_at=None)
    before = Job.objects.get(pk=second.job_id).locked_at
    with rival(lambda: holding.unlock(Job.objects.get(pk=first.job_id), "ada")) as clearing:
        if connection.features.has_select_for_update_skip_locked:
            assert holding.renew([first, second, gone]) == [gone]
            assert Job.objects.get(pk=second.job_id).locked_at > before
        else:
            # On SQLite, who writes keeps all others from writing.
            with pytest.raises(OperationalError):
                holding.renew([first, second, gone])
        clearing.roll_back()
    assert holding.renew([first, second, gone]) == [gone]


def test_a_declaration_that_another_node_may_yet_take_back_is_made_good(monkeypatch):
    """Another node is about to declare the function, and dies: it would be missing until somebody starts again."""
    module = "app.declared_extra"
    with rival(lambda: discovery.auto_discover(module)) as dying:
        create = discovery._create

        def create_after(*args):
            dying.roll_back()
            return create(*args)

        monkeypatch.setattr(discovery, "_create", create_after)
        if connection.vendor == "sqlite":
            dying.roll_back()
        discovery.auto_discover(module)
    assert Job.objects.filter(declared_as__startswith=module).exists()


def test_a_run_whose_end_may_yet_be_taken_back_keeps_its_log(job):
    taken = claim_of(job)()
    Log.objects.update(created=clock.Now() - timedelta(days=9))
    if connection.vendor == "sqlite":
        pytest.skip("on SQLite, who writes keeps all others from writing")
    with rival(lambda: holding.finish(taken, Outcome(Status.SUCCEEDED))) as ending:
        deleting = threading.Thread(target=in_a_thread(lambda: list(pruning.prune(older_than=timedelta(days=1)))))
        deleting.start()
        deleting.join(0.5)  # nothing to see: it waits for the end, or has found nothing
        ending.roll_back()
        deleting.join(PATIENCE)
        assert not deleting.is_alive()
    assert Log.objects.get(pk=taken.log_id).status == Status.RUNNING


def in_a_thread(action):
    """Return what does ``action`` and leaves no connection behind."""

    def act():
        try:
            action()
        finally:
            connections.close_all()

    return act
