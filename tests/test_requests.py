"""A run that somebody asks for: the next node that looks takes it, and no second one."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from nodes import cron, nodes, until

from cronkite import requests
from cronkite.claims import claiming, holding, verdicts
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Job, Log, Node
from cronkite.nodes import ticks

Status = Log.Status


def seen(job):
    """Return the job as a node reads it."""
    return Job.objects.agenda().get(pk=job.pk)


@pytest.mark.django_db
def test_a_job_that_is_asked_for_runs_at_the_next_tick_without_a_slot(make_job):
    job = make_job()
    planned = job.next_run
    assert requests.ask(job, "anna")
    ticks.tick(workers=0)
    log = Log.objects.get()
    assert (log.status, log.slot, log.reason) == (Status.SUCCEEDED, None, "asked for by anna")
    job.refresh_from_db()
    assert (job.asked_at, job.asked_by, job.next_run, job.last_slot) == (None, "", planned, None)
    ticks.tick(workers=0)
    assert Log.objects.count() == 1


@pytest.mark.django_db
def test_a_second_request_is_none(make_job):
    job = make_job()
    assert [requests.ask(job, "anna"), requests.ask(job, "otto")] == [True, False]
    assert Job.objects.get().asked_by == "anna"


@pytest.mark.django_db
def test_a_request_can_be_withdrawn(make_job):
    job = make_job()
    assert not requests.withdraw(job)
    requests.ask(job, "anna")
    assert requests.withdraw(job)
    ticks.tick(workers=0)
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_a_job_that_is_gone_cannot_be_asked_for(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).delete()
    assert not requests.ask(job, "anna")


@pytest.mark.django_db
def test_a_disabled_job_can_be_asked_for(make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).update(enabled=False)
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    assert Log.objects.get().status == Status.SUCCEEDED
    assert Job.objects.get().next_run is None


@pytest.mark.django_db
def test_a_job_that_is_both_due_and_asked_for_runs_twice(make_job):
    """Once for its slot, and once for whoever asked: they need not be the same work."""
    job = make_job(due=0)
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    assert sorted(log.slot is None for log in Log.objects.all()) == [False, True]
    job.refresh_from_db()
    assert job.next_run > clock.now("default")


@pytest.mark.django_db
def test_a_request_waits_while_the_job_is_locked(make_job):
    job = make_job()
    held = claiming.claim_by_hand(job, "web-1")
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    assert Job.objects.get().is_asked
    holding.finish(held, Outcome(Status.SUCCEEDED))
    ticks.tick(workers=0)
    assert Log.objects.filter(reason="asked for by anna").count() == 1


@pytest.mark.django_db
def test_a_request_takes_over_a_stale_lock(make_job, lock_timeout):
    lock_timeout(60)
    job = make_job()
    held = claiming.claim_by_hand(job, "dead")
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(hours=1))
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    assert Log.objects.get(pk=held.log_id).status == Status.LOST
    assert Log.objects.get(reason="asked for by anna").status == Status.SUCCEEDED


@pytest.mark.django_db
def test_a_request_waits_for_a_node_that_has_the_function(make_job, caplog):
    job = make_job("app.jobs.not_there")
    requests.ask(job, "anna")
    ticks.tick(workers=0)
    assert "cannot be run on node" in caplog.text
    assert Job.objects.get().is_asked
    assert not Log.objects.exists()


@pytest.mark.django_db
def test_a_request_that_another_node_took_is_taken_no_second_time(make_job):
    job = make_job()
    requests.ask(job, "anna")
    read = seen(job)
    holding.finish(claiming.claim_asked(read, "web-1"), Outcome(Status.SUCCEEDED))
    assert claiming.claim_asked(read, "web-2") is None
    requests.ask(job, "otto")
    # What was read is old, whatever was asked for since.
    assert claiming.claim_asked(read, "web-2") is None
    assert claiming.claim_asked(seen(job), "web-2") is not None


@pytest.mark.django_db
def test_a_request_is_read_again_if_the_job_was_edited(make_job):
    job = make_job(args=[1])
    requests.ask(job, "anna")
    read = seen(job)
    job.args = [2]
    job.save()
    assert claiming.claim_asked(read, "web-1") is None
    assert claiming.claim_asked(seen(job), "web-1").args == [2]


@pytest.mark.django_db
def test_a_deleted_job_takes_its_request_along(make_job):
    job = make_job()
    requests.ask(job, "anna")
    read = seen(job)
    job.delete()
    assert claiming.claim_asked(read, "web-1") is None


@pytest.mark.django_db(transaction=True)
def test_an_idle_tick_asks_nothing_more_for_it(make_job):
    make_job()
    ticks.tick(workers=4)
    with CaptureQueriesContext(connection) as queries:
        ticks.tick(workers=4)
    assert sum(query["sql"].startswith("SELECT") for query in queries) == 1


@pytest.mark.django_db(transaction=True)
def test_many_that_want_the_same_request_get_it_once(make_job):
    """Real connections, let go at the same moment with the same row read; see its saboteur."""
    assert claims_of_a_race(make_job) == 1


@pytest.mark.django_db(transaction=True)
def test_saboteur_a_request_that_stays_where_it_is_runs_on_each_node(make_job):
    """The same race, with the protection taken out: the mark is put back, and the row read anew."""

    def careless(job, node):
        def claimed():
            requests.ask(job, "nobody")
            read = Job.objects.agenda().filter(pk=job.pk).first()
            return read and claiming.claim_asked(read, node)

        return until(claimed)

    assert claims_of_a_race(make_job, careless) == 4


def claims_of_a_race(make_job, claim=claiming.claim_asked):
    job = make_job()
    requests.ask(job, "anna")
    read = seen(job)
    barrier, taken, held = threading.Barrier(4), [], threading.Lock()

    def node(number):
        try:
            barrier.wait(60)
            while True:
                try:
                    got = claim(read, f"node-{number}")
                    break
                except verdicts.Contention:
                    continue
            if got is not None:
                with held:
                    taken.append(got)
                holding.finish(got, Outcome(Status.SUCCEEDED))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=node, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Log.objects.count() == len(taken)
    return len(taken)


@pytest.mark.django_db(transaction=True)
def test_several_real_nodes_run_a_request_once(make_job, evidence):
    jobs = [make_job("app.jobs.note", name=f"note {n}", args=[str(evidence)]) for n in range(5)]
    with nodes(*[("cron", "loop", "--workers", "2")] * 3) as started:
        for job in jobs:
            requests.ask(job, "anna")
        until(lambda: len(evidence.starts()) >= 5)
        # All are there, and heed signals.
        until(lambda: Node.objects.filter(stays=True).count() == 3)
        for each in started:
            each.signal(signal.SIGTERM)
        assert [each.wait() for each in started] == [0, 0, 0]
    assert sorted(pk for pk, _ in evidence.starts()) == sorted(job.pk for job in jobs)
    assert {slot for _, slot in evidence.starts()} == {"-"}
    assert not Job.objects.filter(asked_at__isnull=False).exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_process_of_a_tick_runs_it(make_job, evidence):
    job = make_job("app.jobs.note", args=[str(evidence)])
    requests.ask(job, "anna")
    cron("--workers", "2")
    assert evidence.starts() == [(job.pk, "-")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("committed", [True, False])
def test_a_claim_in_doubt_is_settled(make_job, monkeypatch, committed):
    monkeypatch.setattr("cronkite.nodes.outages.OUTAGE_PAUSE", 0.01)
    job = make_job()
    requests.ask(job, "anna")
    claim, doubts = claiming.claim_asked, []

    def doubtful(asked, node):
        taken = claim(asked, node)
        if doubts:
            return taken
        doubts.append(taken)
        if not committed:
            Log.objects.all().delete()
            Job.objects.filter(pk=job.pk).write(
                lock=None, locked_by="", locked_at=None, fence=0, asked_at=clock.Now(), asked_by="anna"
            )
        raise verdicts.OutcomeUnknown([taken])

    monkeypatch.setattr(claiming, "claim_asked", doubtful)
    # In workers' processes nothing can be patched, so here.
    ticks.tick(workers=0)
    assert doubts
    if not committed:
        # The tick has ended at what was asked until it began.
        ticks.tick(workers=0)
    assert Log.objects.get().status == Status.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_conflict_is_tried_again(make_job, monkeypatch):
    job = make_job()
    requests.ask(job, "anna")
    claim, conflicts = claiming.claim_asked, [1, 2]

    def conflicting(*arguments):
        if conflicts:
            conflicts.pop()
            raise verdicts.Contention
        return claim(*arguments)

    monkeypatch.setattr(claiming, "claim_asked", conflicting)
    ticks.tick(workers=0)
    assert Log.objects.get().status == Status.SUCCEEDED


# With arguments of their own.


@pytest.mark.django_db
def test_a_run_is_asked_for_with_other_arguments_and_the_job_keeps_its_own(make_job):
    job = make_job(args=["own"], kwargs={"own": 1})
    assert requests.ask_with(job, "anna", ["other", {"a": None}], {"b": "ü"})
    assert not requests.ask_with(job, "otto", [], {})
    ticks.tick(workers=0)
    requests.ask(job, "otto")
    ticks.tick(workers=0)
    second, first = Log.objects.all()
    assert (first.args, first.kwargs, first.reason) == (["other", {"a": None}], {"b": "ü"}, "asked for by anna")
    assert (second.args, second.kwargs) == (["own"], {"own": 1})
    job.refresh_from_db()
    assert (job.args, job.asked_with, job.asked_with_at) == (["own"], None, None)


@pytest.mark.django_db
def test_a_node_that_read_one_request_does_not_run_the_arguments_of_another(make_job):
    """Between its look and its claim, the request may be withdrawn, and another made."""
    job = make_job()
    requests.ask_with(job, "anna", ["first"], {})
    read = seen(job)
    requests.withdraw(job)
    requests.ask_with(job, "anna", ["second"], {})
    assert claiming.claim_asked(read, "node") is None
    assert claiming.claim_asked(seen(job), "node").args == ["second"]
    assert Log.objects.get().args == ["second"]


@pytest.mark.django_db
@pytest.mark.parametrize("order", ["plain first", "plain last"])
def test_a_plain_request_and_one_with_arguments_are_not_mistaken_for_each_other(make_job, order):
    job = make_job(args=["own"])

    def ask(plain):
        return requests.ask(job, "anna") if plain else requests.ask_with(job, "anna", ["other"], {})

    assert ask(order == "plain first")
    read = seen(job)
    requests.withdraw(job)
    assert ask(order != "plain first")
    assert claiming.claim_asked(read, "node") is None
    assert claiming.claim_asked(seen(job), "node").args == (["other"] if order == "plain first" else ["own"])


@pytest.mark.django_db
def test_arguments_of_a_request_that_older_code_took_are_not_those_of_the_next(make_job):
    """Such code frees the request, and leaves its arguments."""
    job = make_job(args=["own"])
    requests.ask_with(job, "anna", ["other"], {})
    Job.objects.filter(pk=job.pk).write(asked_at=None, asked_by="")
    later = clock.Now() + timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).write(asked_at=later, asked_by="otto")
    assert Job.objects.get().call == (["own"], {})


@pytest.mark.parametrize("asked_with", [[1], {}, {"args": []}, "x", 5])
def test_a_request_with_what_are_no_arguments_is_left_alone_and_keeps_no_other(make_job, caplog, asked_with):
    broken, sound = make_job(name="broken"), make_job(name="sound", due=0)
    requests.ask(broken, "kim")
    at = Job.objects.get(pk=broken.pk).asked_at
    Job.objects.filter(pk=broken.pk).write(asked_with=asked_with, asked_with_at=at)
    ticks.tick(workers=0)
    assert sound.logs.get().status == Log.Status.SUCCEEDED
    assert not broken.logs.exists()
    assert "Job 'broken' is left as it is, because a run was asked for with what are no arguments" in caplog.text
