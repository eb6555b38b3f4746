"""A proxy cuts connections where it is told to, at COMMITs above all."""

from __future__ import annotations

import os
import threading

import pytest
from django.db import DatabaseError, transaction
from nodes import PATIENCE, until

from cronkite.models import Job
from proof.race.faults.proxy import proxied
from proof.race.faults.wires import MySQL, PostgreSQL

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.environ.get("CRONKITE_TEST_DB", "sqlite") == "sqlite", reason="SQLite has no server"),
]


@pytest.fixture
def proxy():
    with proxied(seed=1) as proxy:
        yield proxy


def rename(wrapper, job, name):
    """Change the job over this connection, in a transaction."""
    with wrapper.cursor() as cursor:
        wrapper.set_autocommit(False)
        cursor.execute(f"UPDATE {Job._meta.db_table} SET name = %s WHERE id = %s", [name, job.pk])
        wrapper.commit()
        wrapper.set_autocommit(True)


def name_of(job):
    return Job.objects.values_list("name", flat=True).get(pk=job.pk)


def test_a_proxy_passes_on_what_it_hears(proxy, plain, make_job):
    job = make_job()
    wrapper = plain(proxy.url)
    for name in ("one", "two"):
        rename(wrapper, job, name)
        assert name_of(job) == name
    assert proxy.counts == {"commits": 2}


def test_much_goes_through_a_proxy_in_both_directions(proxy, plain):
    text = "x" * 3_000_000
    with plain(proxy.url).cursor() as cursor:
        cursor.execute("SELECT %s", [text])
        assert cursor.fetchone() == (text,)


def test_a_commit_whose_answer_is_lost_is_done(proxy, plain, make_job):
    job = make_job()
    wrapper = plain(proxy.url)
    wrapper.ensure_connection()
    with proxy.answers_lost(1), pytest.raises(DatabaseError):
        rename(wrapper, job, "done")
    assert name_of(job) == "done"
    assert proxy.counts == {"commits": 1, "unanswered": 1}


def test_a_commit_that_is_lost_is_not_done(proxy, plain, make_job):
    job = make_job()
    wrapper = plain(proxy.url)
    wrapper.ensure_connection()
    with proxy.commits_lost(1), pytest.raises(DatabaseError):
        rename(wrapper, job, "not done")
    # The row is free: the server has noticed that its client is gone.
    with transaction.atomic():
        assert Job.objects.select_for_update().get(pk=job.pk).name == job.name
    assert proxy.counts == {"commits": 1, "undelivered": 1}


@pytest.mark.parametrize(("fault", "name"), [("commits_held", "before"), ("commits_delayed", "after")])
def test_a_commit_that_is_swallowed_leaves_its_transaction_open(proxy, plain, make_job, monkeypatch, fault, name):
    """Until it is rolled back, or committed after all."""
    monkeypatch.setattr("proof.race.faults.proxy.HELD", PATIENCE)
    job = make_job(name="before")
    rows = Job.objects.filter(pk=job.pk)
    wrapper = plain(proxy.url)
    wrapper.ensure_connection()
    with getattr(proxy, fault)(1), pytest.raises(DatabaseError):
        rename(wrapper, job, "after")
    with transaction.atomic():
        assert not rows.select_for_update(skip_locked=True)
    proxy.let_go()
    with transaction.atomic():
        assert rows.select_for_update().get().name == name
    assert proxy.counts == {"commits": 1, fault.removeprefix("commits_"): 1}


def test_a_share_of_the_commits_is_hit(proxy, plain, make_job):
    job, lost = make_job(), 0
    with proxy.answers_lost(0.3), proxy.commits_lost(0.3):
        for number in range(40):
            wrapper = plain(proxy.url)
            try:
                rename(wrapper, job, f"name {number}")
            except DatabaseError:
                lost += 1
            wrapper.close()
    assert proxy.counts["unanswered"] + proxy.counts["undelivered"] == lost
    assert proxy.counts["commits"] == 40
    assert min(proxy.counts["unanswered"], proxy.counts["undelivered"], 40 - lost) > 5, str(proxy)


def test_connections_are_cut_on_request(proxy, plain):
    wrapper = plain(proxy.url)
    wrapper.ensure_connection()
    assert proxy.cut_all() == 1
    assert not wrapper.is_usable()
    wrapper.close()
    assert wrapper.cursor() is not None


def test_connections_are_cut_at_random_moments(proxy, plain):
    with proxy.cuts(pause=0.01):
        wrapper = plain(proxy.url)

        def is_hit():
            try:
                with wrapper.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except DatabaseError:
                wrapper.close()
            return proxy.counts["cut"] >= 3

        until(is_hit)


def test_in_a_silence_a_question_hangs_until_the_connection_is_reset(proxy, plain):
    wrapper = plain(proxy.url)
    wrapper.inc_thread_sharing()
    wrapper.ensure_connection()
    ended = []

    def ask():
        try:
            with wrapper.cursor() as cursor:
                cursor.execute("SELECT 1")
            ended.append("an answer")
        except DatabaseError:
            ended.append("reset")

    with proxy.silence():
        thread = threading.Thread(target=ask)
        thread.start()
        # The server is not to hear of the question, and the client neither of an answer nor of an end.
        thread.join(0.5)
        assert ended == []
    thread.join(PATIENCE)
    assert ended == ["reset"]
    wrapper.close()
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_a_commit_is_recognised_however_the_network_parts_it(piece):
    startup, query = b"\0\0\0\x08\0\x03\0\0", b"Q\0\0\0\x0bCOMMIT\0"
    ssl = b"\0\0\0\x08\x04\xd2\x16\x2f"
    wire, said = PostgreSQL(), ssl + startup + query + b"Q\0\0\0\x0dSELECT 1\0"
    messages = [m for at in range(0, len(said), piece) for m in wire.requests(said[at : at + piece])]
    assert b"".join(messages) == said
    assert [wire.is_commit(message) for message in messages] == [False, False, True, False]
    assert wire.refusal(messages[0]) == b"N"

    wire, said = MySQL(), b"\x02\0\0\x01hi" + b"\x07\0\0\0\x03commit" + b"\x09\0\0\0\x03SELECT 1"
    messages = [m for at in range(0, len(said), piece) for m in wire.requests(said[at : at + piece])]
    assert b"".join(messages) == said
    assert [wire.is_commit(message) for message in messages] == [False, True, False]
