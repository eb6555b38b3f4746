"""Where nobody commits, no node starts; where the caller commits, all is his."""

from __future__ import annotations

import pytest
from deciding import decide
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from nodes import cron

from cronkite.checks import setting_checks
from cronkite.claims import claiming, handing
from cronkite.models import Job, Log, Node
from cronkite.nodes import ticks
from cronkite.schedules import catch_up

pytestmark = pytest.mark.django_db(transaction=True)

Status = Log.Status
SAID = "The database 'default' has AUTOCOMMIT = False"
#: A node whose settings say that nothing is committed; its ``manage.py`` does not say so first.
UNCOMMITTED = {"CRONKITE_TEST_AUTOCOMMIT": "0", "CRONKITE_TEST_LOOKAHEAD": "0"}


@pytest.fixture
def no_autocommit(db, monkeypatch):
    """Have the settings say ``AUTOCOMMIT = False``."""
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)


@pytest.fixture
def by_hand(db):
    """A connection on which somebody has turned autocommit off."""
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


@pytest.fixture
def turned_off(db):
    """Have a receiver turn autocommit off on each connection that is opened from then on."""

    def turn_off(connection, **kwargs):
        connection.set_autocommit(False)

    def begin():
        connection.close()
        connection_created.connect(turn_off)

    yield begin
    connection_created.disconnect(turn_off)
    connection.close()


def test_a_database_that_is_never_committed_to_is_an_error(no_autocommit):
    (message,) = setting_checks.check_autocommit()
    assert isinstance(message, django_checks.Error)
    assert message.id == "cronkite.E004"
    assert message.msg.startswith(SAID)
    assert message.hint.startswith("Remove AUTOCOMMIT from DATABASES['default'].")


@pytest.mark.parametrize("skipping", [(), ("--skip-checks",)])
@pytest.mark.parametrize("command", [(), ("--workers", "0"), ("loop",), ("run", "note")])
def test_no_node_starts_where_nothing_is_committed(make_job, evidence, command, skipping):
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    printed = cron(*command, *skipping, expect=1, **UNCOMMITTED)
    assert SAID in printed
    assert "Remove AUTOCOMMIT" in printed
    assert "Traceback" not in printed
    assert not evidence.starts()


def test_where_a_node_starts_all_the_same_a_slot_is_run_again_and_again(make_job, evidence):
    """The saboteur of the test above."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite commits at the release of the outermost savepoint, with which a claim begins")
    make_job("app.jobs.note", due=0, args=[str(evidence)])
    for _ in range(2):
        cron("--workers", "0", "--skip-checks", CRONKITE_TEST_SABOTAGE="blind-start", **UNCOMMITTED)
    assert len(evidence.starts()) == 2
    assert len(set(evidence.starts())) == 1
    assert not Log.objects.exists()


@pytest.mark.parametrize("call", [lambda job: job.run(), lambda job: Job.process_queue()])
def test_code_that_runs_jobs_is_refused_too(make_job, no_autocommit, call):
    job = make_job(due=0)
    with pytest.raises(ImproperlyConfigured, match=SAID):
        call(job)
    assert not Log.objects.exists()


def test_the_command_says_so(make_job, no_autocommit):
    with pytest.raises(CommandError, match=SAID):
        call_command("cron")


# Autocommit that somebody has turned off.


def test_a_run_by_hand_is_part_of_a_transaction_that_somebody_manages_himself(make_job, by_hand):
    job = make_job()
    assert job.run() is not None
    assert Log.objects.get().status == Status.SUCCEEDED
    assert not transaction.get_autocommit()
    transaction.rollback()
    assert not Log.objects.exists()


def test_no_queue_is_worked_off_in_a_transaction_that_somebody_manages_himself(make_job, by_hand):
    make_job(due=0)
    transaction.commit()
    with pytest.raises(ImproperlyConfigured, match="set_autocommit"):
        Job.process_queue()
    assert not Log.objects.exists()
    assert not Node.objects.exists()


def test_nothing_is_claimed_over_connections_on_which_autocommit_is_turned_off(make_job, turned_off):
    make_job(due=0)
    turned_off()
    with pytest.raises(ImproperlyConfigured, match="connection_created"):
        ticks.tick(workers=0)
    transaction.rollback()
    assert not Log.objects.exists()


@pytest.mark.parametrize(
    "command",
    [
        ("run", "ok"),
        ("run", "ok", "--ask"),
        ("disable", "ok"),
        ("enable", "ok"),
        ("unlock", "ok", "--yes"),
        ("prune", "--lost"),
        ("sync",),
        ("import", "exported", "nowhere.json"),
    ],
)
def test_no_command_says_that_it_has_done_what_is_not_committed(make_job, turned_off, capsys, command):
    make_job()
    turned_off()
    with pytest.raises(CommandError, match="connection_created"):
        call_command("cron", *command)
    assert "".join(capsys.readouterr()) == ""


def test_what_writes_nothing_is_shown_all_the_same(make_job, turned_off, capsys):
    make_job()
    turned_off()
    call_command("cron", "list")
    assert "ok" in capsys.readouterr().out


def test_no_run_by_hand_is_made_whose_record_would_be_rolled_back(make_job, turned_off):
    job = make_job()
    turned_off()
    # The connection may have been opened long before, by whoever looked the job up.
    job.refresh_from_db()
    with pytest.raises(ImproperlyConfigured, match="connection_created"):
        job.run()
    # Who commits has it all the same.
    transaction.rollback()
    connection.set_autocommit(True)
    with transaction.atomic():
        job.run()
    assert Log.objects.get().status == Status.SUCCEEDED


def test_nothing_is_handed_over_by_a_thread_that_has_no_connection_yet(make_job, turned_off):
    make_job(due=0)
    read = Job.objects.queue().get()
    taken = []
    turned_off()
    with pytest.raises(ImproperlyConfigured, match="connection_created"):
        claiming.claim_all([(read, decide(read))], "node", handing.joined(taken.append, ()))
    assert not taken


def test_no_slot_is_passed_over_where_that_would_not_be_committed(make_job, by_hand):
    make_job(due=0)
    transaction.commit()
    read = Job.objects.queue().get()
    with pytest.raises(ImproperlyConfigured, match="set_autocommit"):
        claiming.pass_over(read, catch_up.abandon(read.get_schedule(), read.pending, read.now, ""), "node")


def test_a_function_that_turns_autocommit_off_takes_no_claim_after_it_back(make_job):
    for due in (2, 1):
        make_job("app.jobs.turn_autocommit_off", schedule="* * * * * *", due=due)
    ticks.tick(workers=0)
    connection.close()
    assert {log.status for log in Log.objects.all()} == {Status.SUCCEEDED}
    assert Log.objects.count() >= 2


def test_a_request_for_a_run_is_not_claimed_where_it_would_not_be_committed(make_job, by_hand):
    from cronkite import requests

    job = make_job()
    requests.ask(job, "ada")
    asked = Job.objects.agenda().get()
    transaction.commit()
    with pytest.raises(ImproperlyConfigured):
        claiming.claim_asked(asked, "node")
