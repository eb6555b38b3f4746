"""What a run writes is shown while it goes on, if somebody looks at it; and looking harms nobody."""

from __future__ import annotations

import io
import signal
from datetime import timedelta

import pytest
from admin_pages import LOGS, make_log
from conftest import due
from deciding import decide
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from nodes import nodes, until
from rivals import rival

from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.models import Log
from cronkite.runs import onlookers

pytestmark = pytest.mark.django_db(transaction=True)

Status = Log.Status
#: More than is shown at once, and nothing that all character sets have.
TEXT = "1,000 of 5,000 \U0001f600"


def claim(job):
    read = due(job)
    return claiming.claim(read, decide(read), "node")


def marked(log):
    log.refresh_from_db()
    return log.watched_at


def look_and_read(log):
    onlookers.look(Log.objects.get(pk=log.pk))
    return Log.objects.get(pk=log.pk).output


# While it runs.


@pytest.mark.parametrize(
    "arguments",
    [("cron", "loop", "--workers", "2"), ("cron", "--workers", "0"), ("cron", "run", "say_and_wait")],
    ids=["worker", "here", "by hand"],
)
def test_what_a_run_has_written_is_seen_while_it_goes_on(make_job, tmp_path, arguments):
    go = tmp_path / "go"
    make_job("app.jobs.say_and_wait", due=0, args=[TEXT, str(go)])
    with nodes(arguments) as (node,):
        log = until(lambda: Log.objects.filter(status=Status.RUNNING).first())
        until(lambda: look_and_read(log))
        assert look_and_read(log) == f"{TEXT}\n"
        go.touch()
        until(lambda: Log.objects.get(pk=log.pk).status == Status.SUCCEEDED)
        node.signal(signal.SIGTERM)
        node.wait()
    assert Log.objects.get(pk=log.pk).output == f"{TEXT}\n"


def test_nobodys_output_is_written_while_it_goes_on(make_job, tmp_path):
    """Else each run that takes long would have the database write all that it says again and again."""
    go = tmp_path / "go"
    for name in ("seen", "unseen"):
        make_job("app.jobs.say_and_wait", name=name, due=0, args=[name, str(go)])
    with nodes(("cron", "loop", "--workers", "2")) as (node,):
        until(lambda: Log.objects.filter(status=Status.RUNNING).count() == 2)
        seen, unseen = (Log.objects.get(job_name=name) for name in ("seen", "unseen"))
        until(lambda: look_and_read(seen))
        unseen.refresh_from_db()
        assert not unseen.output
        go.touch()
        until(lambda: not Log.objects.filter(status=Status.RUNNING).exists())
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    assert Log.objects.get(pk=unseen.pk).output == "unseen\n"


# What looking does.


def test_a_mark_is_left_on_what_runs_and_no_more_often_than_it_has_to(make_job, monkeypatch):
    monkeypatch.setattr(onlookers, "FRESH", timedelta(hours=1))
    job = make_job()
    running, over = make_log(job), make_log(job, status=Status.SUCCEEDED)
    onlookers.look(over)
    assert marked(over) is None
    onlookers.look(running)
    first = marked(running)
    assert first is not None
    onlookers.look(running)
    assert marked(running) == first
    Log.objects.filter(pk=running.pk).update(watched_at=first - onlookers.FRESH)
    onlookers.look(running)
    assert marked(running) >= first


def test_a_mark_counts_for_a_while(make_job):
    mine = claim(make_job(due=0))
    assert not onlookers.watched([mine])
    log = Log.objects.get(pk=mine.log_id)
    onlookers.look(log)
    with CaptureQueriesContext(connection) as asked:
        assert onlookers.watched([mine]) == [mine]
    assert len(asked) == 1
    Log.objects.filter(pk=log.pk).update(watched_at=clock.now("default") - onlookers.LASTS - timedelta(seconds=1))
    assert not onlookers.watched([mine])


def test_who_can_write_nothing_can_look_all_the_same(make_job, monkeypatch):
    log = make_log(make_job())

    def refuse(*args, **values):
        raise DatabaseError("cannot execute UPDATE in a read-only transaction")

    monkeypatch.setattr(onlookers, "_write", refuse)
    onlookers.look(log)
    assert marked(log) is None


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows")
def test_a_log_that_another_transaction_has_locked_is_left_alone(make_job):
    mine = claim(make_job(due=0))
    log = Log.objects.get(pk=mine.log_id)
    with rival(lambda: list(Log.objects.select_for_update().filter(pk=log.pk))):
        onlookers.look(log)
        onlookers.show(mine, "said")
    assert marked(log) is None
    assert not log.output


def test_what_comes_late_overwrites_no_end(make_job):
    mine = claim(make_job(due=0))
    Log.objects.filter(pk=mine.log_id).update(status=Status.SUCCEEDED, output="all of it")
    onlookers.show(mine, "some of it")
    assert Log.objects.get(pk=mine.log_id).output == "all of it"


def test_an_outage_is_told_of_to_the_node(make_job, monkeypatch):
    mine = claim(make_job(due=0))

    def die(*args, **values):
        raise DatabaseError("server closed the connection unexpectedly")

    monkeypatch.setattr(onlookers, "_write", die)
    with pytest.raises(DatabaseError):
        onlookers.show(mine, "said")


# The page, and the command.


def test_the_page_of_a_run_looks_at_it_and_says_that_nothing_is_known_yet(admin_client, make_job):
    log = make_log(make_job())
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    assert "Nothing yet. What it writes is shown here while it runs." in page
    assert marked(log) is not None
    Log.objects.filter(pk=log.pk).update(output="1,000 of 5,000")
    assert "1,000 of 5,000" in admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()


def test_the_list_looks_at_no_run(admin_client, make_job):
    log = make_log(make_job())
    admin_client.get(LOGS)
    assert marked(log) is None


def test_the_command_shows_what_was_written_until_now(make_job):
    log = make_log(make_job())

    def shown():
        out = io.StringIO()
        call_command("cron", "log", str(log.pk), stdout=out)
        return out.getvalue()

    assert "What it writes is not known yet. Ask again in some seconds, while it runs." in shown()
    assert marked(log) is not None
    Log.objects.filter(pk=log.pk).update(output="1,000 of 5,000\n")
    assert "Output so far:\n1,000 of 5,000\n" in shown()
