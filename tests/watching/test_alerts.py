"""Who is told that something is wrong: once, by whichever node looks, and once that all is well again."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import django
import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.core.serializers.base import DeserializationError
from django.db import OperationalError, connection, transaction
from django.db.models import CharField, F, Value
from django.test import override_settings
from nodes import PATIENCE, cron, nodes, until
from rivals import committed_when_waited_for, strictly

import cronkite
from app import alerted
from cronkite import alerts, apps, conf, signals
from cronkite.checks import setting_checks
from cronkite.claims import claiming
from cronkite.code import wishes
from cronkite.database import clock, quirks
from cronkite.database import teller as teller_module
from cronkite.database.teller import Teller
from cronkite.models import Alert, Job, Log, Node
from cronkite.nodes import heartbeat, ticks
from cronkite.reports import vitals
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp
from cronkite.watching import memory, notices, telling, troubles

Status = Log.Status


class Told:
    """What people were told."""

    def __init__(self, path):
        self.path = path

    def all(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def said(self):
        return [(each["kind"], each["over"]) for each in self.all()]


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Have people told, in this process and in the nodes that a test starts."""
    monkeypatch.setenv("CRONKITE_TEST_ALERTED", str(tmp_path / "alerted"))
    monkeypatch.setenv("CRONKITE_TEST_ALERT", "app.alerted.note")
    with override_settings(CRONKITE_ALERT="app.alerted.note"):
        yield Told(tmp_path / "alerted")


@pytest.fixture(autouse=True)
def nobody_else_looks(monkeypatch):
    """In this process, what the tests have looked at is all that is."""
    monkeypatch.setattr(heartbeat, "watch", bool)


def look():
    """Look, as at a node's turn."""
    Alert.objects.filter(about=memory.TURN).update(try_at=clock.Now())
    telling.look()


def run(job, *, fails):
    """Have a run of the job recorded."""
    claim = claiming.claim_by_hand(job, "node")
    from cronkite.claims import holding
    from cronkite.code.outcomes import Outcome

    status = Status.FAILED if fails else Status.SUCCEEDED
    holding.finish(claim, Outcome(status, exc_info="Traceback\nValueError: out of stock" if fails else ""))


def row(job, **columns):
    """Return the columns of a log that is not written by a run."""
    now = clock.now("default")
    return {"job": job, "job_name": job.name, "function": job.function, "node": "n", "created": now, **columns}


def lapse():
    """Have the time be over that a node may take to tell."""
    Alert.objects.filter(try_at__isnull=False).update(try_at=clock.Now())


# What is told.


@pytest.mark.django_db(transaction=True)
def test_people_are_told_once_that_a_job_fails_and_once_that_it_is_well_again(make_job, told):
    job = make_job()
    run(job, fails=True)
    for _ in range(3):
        look()
    run(job, fails=True)
    look()
    (first,) = told.all()
    assert first["text"].startswith("Job 'ok' fails: its last run has failed, at last on node")
    assert first["text"].endswith("ValueError: out of stock")
    run(job, fails=False)
    for _ in range(3):
        look()
    assert told.said() == [("failing", False), ("failing", True)]
    assert told.all()[1]["text"] == "Job 'ok' is well again: its last run has succeeded."
    assert not Alert.objects.exclude(about=memory.TURN).filter(try_at__isnull=False).exists()
    run(job, fails=True)
    look()
    assert told.said()[2:] == [("failing", False)]


@pytest.mark.django_db(transaction=True)
def test_a_job_says_who_is_told_and_after_how_many_failures(make_job, told):
    job = make_job(alert="ada@example.com after 3")
    for expected in (0, 0, 1):
        run(job, fails=True)
        look()
        assert len(told.all()) == expected
    assert told.all()[0]["who"] == ["ada@example.com"]


@pytest.mark.django_db(transaction=True)
def test_a_job_that_wants_nobody_to_be_told_is_left_out(make_job, told):
    job = make_job(alert="off")
    run(job, fails=True)
    look()
    assert told.all() == []


@pytest.mark.django_db(transaction=True)
def test_of_a_job_that_was_disabled_or_deleted_nothing_more_is_told(make_job, told):
    jobs = [make_job(name=name) for name in ("disabled", "deleted", "off")]
    for job in jobs:
        run(job, fails=True)
    look()
    assert len(told.all()) == 3
    Job.objects.filter(name="disabled").update(enabled=False)
    Job.objects.get(name="deleted").delete()
    Job.objects.filter(name="off").update(alert="off")
    look()
    assert len(told.all()) == 3
    assert set(Alert.objects.values_list("about", flat=True)) == {memory.TURN}


@pytest.mark.django_db(transaction=True)
def test_people_are_told_once_of_missed_slots(make_job, told):
    job = make_job(due=600, catch_up="none", grace=1)
    ticks.tick(workers=0)
    look()
    look()
    assert told.said() == [("missed", False)]
    Log.objects.filter(job=job).update(created=clock.Now() - timedelta(hours=25))
    look()
    look()
    assert told.said() == [("missed", False), ("missed", True)]


@pytest.mark.django_db(transaction=True)
def test_people_are_told_once_that_a_job_is_stuck(make_job, told):
    job = make_job()
    claiming.claim_by_hand(job, "gone")
    Job.objects.filter(pk=job.pk).write(locked_at=clock.Now() - timedelta(hours=1))
    look()
    look()
    assert told.said() == [("stuck", False)]
    job.refresh_from_db()
    from cronkite.claims import holding

    holding.unlock(job, by="ada")
    look()
    assert ("stuck", True) in told.said()
    assert [each["over"] for each in told.all() if each["kind"] == "stuck"] == [False, True]


@pytest.mark.django_db(transaction=True)
def test_people_are_told_once_of_each_silence_of_a_node(told):
    heartbeat.beat("old", stays=True)
    for silences in (1, 2):
        Node.objects.filter(name="old").update(ticked_at=clock.Now() - timedelta(minutes=10))
        look()
        look()
        assert told.said() == [("silent", False), ("silent", True)] * (silences - 1) + [("silent", False)]
        heartbeat.beat("old", stays=True)
        look()
        look()
        assert told.said() == [("silent", False), ("silent", True)] * silences


@pytest.mark.django_db(transaction=True)
def test_a_node_that_is_gone_for_good_is_told_of_no_more_and_not_as_if_it_was_back(told):
    heartbeat.beat("old", stays=True)
    Node.objects.update(ticked_at=clock.Now() - timedelta(minutes=10))
    look()
    Node.objects.update(ticked_at=clock.Now() - timedelta(days=2))
    look()
    assert told.said() == [("silent", False)]


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_again_before_anybody_was_told_that_it_is_over_is_told_of_no_more(make_job, told):
    job = make_job()
    run(job, fails=True)
    look()
    run(job, fails=False)
    with override_settings(CRONKITE_ALERT="nowhere.at_all"):
        look()
    assert Alert.objects.get(about=f"failing {job.pk}").over_at is not None
    run(job, fails=True)
    look()
    look()
    assert told.said() == [("failing", False)]


def pass_by(minutes):
    """Have so much time gone by for each alert, except for what is due to be told."""
    Alert.objects.exclude(about=memory.TURN).update(
        **{name: F(name) - timedelta(minutes=minutes) for name in ("since", "over_at", "told_at", "try_at")}
    )


@pytest.mark.django_db(transaction=True)
def test_of_a_job_that_comes_and_goes_people_hear_more_and_more_seldom(make_job, told):
    job = make_job()
    heard = []
    for step in range(30):
        if step % 2 == 0:
            Job.objects.filter(pk=job.pk).write(fence=F("fence") + 1)
            Log.objects.create(**row(job, fence=step // 2 + 1, status=Status.FAILED))
        else:
            Log.objects.filter(job=job, fence=step // 2 + 1).update(status=Status.SUCCEEDED)
        look()
        heard.extend([5 * step] * (len(told.all()) - len(heard)))
        pass_by(5)
    assert len(heard) <= 10
    assert len([minute for minute in heard if minute >= 60]) <= 4
    # It is always told in turns that it is wrong, and that it is well.
    assert [over for _, over in told.said()] == [bool(n % 2) for n in range(len(told.said()))]
    pass_by(61)
    look()
    assert set(Alert.objects.values_list("about", flat=True)) == {memory.TURN}


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_for_good_after_it_came_and_went_is_told_within_the_hour(make_job, told):
    job = make_job()
    run(job, fails=True)
    look()
    pass_by(600)
    run(job, fails=False)
    look()
    run(job, fails=True)
    look()
    assert told.said() == [("failing", False), ("failing", True)]
    pass_by(61)
    look()
    look()
    assert told.said() == [("failing", False), ("failing", True), ("failing", False)]
    run(job, fails=False)
    look()
    assert told.said()[3:] == [("failing", True)]


@pytest.mark.django_db(transaction=True)
def test_what_came_and_went_before_people_were_told_again_is_not_told(make_job, told):
    job = make_job()
    run(job, fails=True)
    look()
    pass_by(600)
    for fails in (False, True, False):
        run(job, fails=fails)
        look()
    assert told.said() == [("failing", False), ("failing", True)]
    Job.objects.update(alert="off")
    pass_by(61)
    look()
    assert set(Alert.objects.values_list("about", flat=True)) == {memory.TURN}


@pytest.mark.django_db(transaction=True)
def test_that_it_is_over_is_told_to_its_end_although_it_is_wrong_again_meanwhile(make_job, told):
    """A mailer takes a minute to say that all is well; another node looks."""
    job = make_job()
    run(job, fails=True)
    look()
    run(job, fails=False)
    with override_settings(CRONKITE_ALERT="nowhere.at_all"):
        look()
    alert = Alert.objects.get(about=f"failing {job.pk}")
    assert alert.attempts == 1
    run(job, fails=True)
    look()
    before = Alert.objects.get(pk=alert.pk)
    assert before.over_at == alert.over_at
    before.attempts = 0
    memory.settle(before, "default")
    look()
    assert told.said() == [("failing", False), ("failing", False)]


# A one-off, which is disabled when it is done.


@pytest.fixture
def make_one_off(make_job):
    def make(function="app.jobs.fail"):
        job = make_job(function, schedule="@at 9000-01-01T00:00Z")
        slot = clock.now("default").replace(microsecond=0)
        Job.objects.filter(pk=job.pk).write(schedule=f"@at {slot:%Y-%m-%dT%H:%M:%S}Z", next_run=slot)
        return Job.objects.get(pk=job.pk)

    return make


@pytest.mark.django_db(transaction=True)
def test_people_are_told_once_of_a_one_off_that_failed_and_once_that_somebody_ran_it_again(make_one_off, told):
    job = make_one_off()
    ticks.tick(workers=0)
    for _ in range(3):
        look()
    assert told.said() == [("failing", False)]
    run(job, fails=False)
    look()
    look()
    assert told.said() == [("failing", False), ("failing", True)]


@pytest.mark.django_db(transaction=True)
def test_people_are_told_once_of_a_one_off_whose_node_died(make_one_off, told, lock_timeout):
    lock_timeout(60)
    make_one_off("app.jobs.ok")
    job = Job.objects.queue().get()
    claiming.claim(job, catch_up.decide(job.get_schedule(), CatchUp.LATEST, None, job.pending, job.now), "dead")
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(minutes=10))
    ticks.tick(workers=0)
    for _ in range(3):
        look()
    (first,) = told.all()
    assert "lost): the lock was stale, no claim was to come, and" in first["text"]
    run(job, fails=False)
    look()
    assert told.said() == [("failing", False), ("failing", True)]


@pytest.mark.django_db(transaction=True)
def test_people_are_told_of_a_run_whose_machine_has_died_long_before_the_next_one(make_job, told, lock_timeout):
    lock_timeout(60)
    job = make_job()
    claiming.claim_by_hand(job, "dead")
    look()
    assert told.said() == []
    Job.objects.all().write(locked_at=clock.now("default") - timedelta(minutes=10))
    for _ in range(3):
        look()
    ticks.tick(workers=0)
    (first,) = told.all()
    log = Log.objects.get()
    assert log.status == Log.Status.RUNNING
    assert first["text"] == (
        f"Job 'ok' fails: its last run has failed, at last on dead (log {log.pk}, running): it shows no life any "
        "more. The next run takes over its lock, and records it as lost."
    )
    run(job, fails=True)
    look()
    assert Log.objects.get(pk=log.pk).status == Log.Status.LOST
    assert told.said() == [("failing", False)]
    run(job, fails=False)
    look()
    assert told.said() == [("failing", False), ("failing", True)]


@pytest.mark.django_db(transaction=True)
def test_of_a_one_off_that_was_given_another_time_nothing_more_is_told(make_one_off, told):
    job = make_one_off()
    ticks.tick(workers=0)
    look()
    job = Job.objects.get()
    job.schedule, job.enabled = "@at 9000-01-01T00:00Z", True
    job.save()
    assert vitals.failing("default") == []
    look()
    look()
    assert told.said() == [("failing", False)]
    assert set(Alert.objects.values_list("about", flat=True)) == {memory.TURN}


@pytest.mark.django_db(transaction=True)
def test_a_job_whose_last_log_was_deleted_is_not_said_to_be_well(make_job, told):
    run(make_job(), fails=True)
    look()
    Log.objects.all().delete()
    look()
    look()
    assert told.said() == [("failing", False)]


# The signal of a silent node, which needs no alerts.


@pytest.mark.django_db(transaction=True)
def test_a_silent_node_is_told_of_by_a_signal_once_for_each_silence():
    heard = []

    def hear(sender, name, stays, **kwargs):
        heard.append((sender, name, stays))

    signals.node_silent.connect(hear)
    heartbeat.beat("old", stays=True)
    for silences in (1, 2):
        Node.objects.filter(name="old").update(ticked_at=clock.Now() - timedelta(minutes=10))
        look()
        look()
        from cronkite.database import teller

        teller.wait(30)
        assert heard == [(Node, "old", True)] * silences
        heartbeat.beat("old", stays=True)
        look()
    signals.node_silent.disconnect(hear)


@pytest.mark.django_db(transaction=True)
def test_a_tick_tells_of_a_silent_node_by_the_signal(tmp_path):
    heartbeat.beat("old", stays=True)
    Node.objects.update(ticked_at=clock.Now() - timedelta(minutes=10))
    for _ in range(2):
        cron("--workers", "1", name="new", CRONKITE_TEST_LISTEN=str(tmp_path / "heard"))
        Alert.objects.update(try_at=clock.Now())
    (heard,) = map(json.loads, (tmp_path / "heard").read_text().splitlines())
    assert (heard["signal"], heard["sender"], heard["name"]) == ("node_silent", "Node", "old")


# Who tells.


@pytest.mark.django_db(transaction=True)
def test_a_tick_tells_what_a_node_could_not_tell_that_has_died(make_job, told):
    run(make_job(), fails=True)
    cron("--workers", "1")
    assert told.said() == [("failing", False)]
    Alert.objects.filter(about=memory.TURN).update(try_at=clock.Now())
    cron("--workers", "1")
    assert told.said() == [("failing", False)]


@pytest.mark.django_db(transaction=True)
def test_the_turn_comes_once_a_minute_whoever_looks(make_job, told, django_assert_max_num_queries):
    run(make_job(), fails=True)
    telling.look()
    with django_assert_max_num_queries(2):
        telling.look()


@pytest.mark.django_db(transaction=True)
def test_the_turn_comes_though_the_clock_was_set_back(make_job, told):
    run(make_job(), fails=True)
    telling.look()
    run(make_job(name="another"), fails=True)
    Alert.objects.filter(about=memory.TURN).update(try_at=clock.now("default") + timedelta(days=365))
    telling.look()
    assert told.said() == [("failing", False)] * 2


@pytest.mark.django_db(transaction=True)
def test_who_comes_too_late_for_the_turn_has_lost_it_and_nothing_else(monkeypatch):
    """As it is at REPEATABLE READ, where another node's UPDATE can't be seen."""
    memory.is_our_turn("default")

    def refuse(execute, sql, params, many, context):
        raise OperationalError("could not serialize access due to concurrent update")

    monkeypatch.setattr(quirks, "is_conflict", lambda error: True)
    with connection.execute_wrapper(refuse):
        assert not memory.is_our_turn("default")


@pytest.mark.django_db(transaction=True)
def test_where_nobody_is_to_be_told_a_tick_does_not_even_look(make_job, monkeypatch):
    run(make_job(), fails=True)
    monkeypatch.setattr(heartbeat, "watch", apps._watch)
    monkeypatch.setattr(telling, "begin", lambda: pytest.fail("it looked"))
    ticks.tick(workers=0)
    assert not Alert.objects.exists()


def race(tmp_path, told, *more):
    """Have three processes claim what all of them have read; return what was told."""
    met, go = tmp_path / "met", tmp_path / "go"
    arguments = ("race_alerts", str(met), str(go), *more)
    with nodes(arguments, arguments, arguments) as all_nodes:
        until(lambda: met.exists() and len(met.read_text().splitlines()) >= 3)
        go.touch()
        for node in all_nodes:
            assert node.wait() == 0, node.output
    return told.said()


@pytest.mark.django_db(transaction=True)
def test_of_three_nodes_that_would_tell_the_same_one_does(make_job, told, tmp_path):
    job = make_job()
    run(job, fails=True)
    Alert.objects.create(about=f"failing {job.pk}", name="ok", since=clock.Now(), try_at=clock.Now())
    assert race(tmp_path, told) == [("failing", False)]


@pytest.mark.django_db(transaction=True)
def test_without_the_condition_of_the_claim_people_are_told_more_than_once(make_job, told, tmp_path):
    job = make_job()
    run(job, fails=True)
    Alert.objects.create(about=f"failing {job.pk}", name="ok", since=clock.Now(), try_at=clock.Now())
    assert len(race(tmp_path, told, "--sabotage")) == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_that_have_seen_the_same_one_makes_the_row(make_job, told):
    wrong = {"failing 1": troubles.Wrong("ok", "Job 'ok' fails")}
    memory.begin(wrong, "default")
    first = Alert.objects.get()
    memory.begin(wrong, "default")
    assert Alert.objects.get() == first


# Whatever becomes of who is to tell.


@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases' INSERTs see what is committed")
@pytest.mark.django_db(transaction=True)
def test_of_two_that_make_the_row_at_the_same_moment_none_fails_at_any_isolation_level():
    wrong = troubles.Wrong("job", "Job 'job' fails")
    row = memory._row("job 1", wrong)
    with committed_when_waited_for(lambda: row.save(force_insert=True)), strictly():
        memory.begin({"job 1": wrong}, "default")
    assert Alert.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_can_not_be_told_is_tried_again_and_not_for_ever(make_job, told, caplog):
    run(make_job(), fails=True)
    with override_settings(CRONKITE_ALERT="app.alerted.fail"):
        look()
        look()
        assert len(told.all()) == 1
        for _ in range(2 * telling.ATTEMPTS):
            lapse()
            look()
    assert len(told.all()) == telling.ATTEMPTS
    assert caplog.text.count("no mail server. It is tried again.") == telling.ATTEMPTS - 1
    assert caplog.text.count("That was the last attempt") == 1
    look()
    assert len(told.all()) == telling.ATTEMPTS


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_after_the_same_others_each_time(make_job, told, monkeypatch):
    """To tell the first may take for ever, and whoever comes after is told nothing then."""
    for name in ("anna", "otto"):
        run(make_job(name=name, alert=f"{name}@example.com"), fails=True)
    monkeypatch.setattr(telling.random, "sample", lambda groups, number: groups[::-1])
    look()
    look()
    assert [each["name"] for each in told.all()] == ["otto", "anna"]


def test_a_teller_that_was_waited_for_before_it_had_a_thread_keeps_it_for_a_while():
    teller = Teller("early")
    try:
        assert teller.wait(0)
        done = threading.Event()
        teller.put(done.set)
        assert done.wait(PATIENCE)
        assert teller._closing is False
        assert teller.wait(PATIENCE)
    finally:
        teller_module._all.remove(teller)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "name",
    [
        "app.alerted.nobody",
        "nowhere.at_all",
        "app.alerted",
        "app.alerted.of_two",
        "app.alerted.refuse",
        "app.alerted.cancel",
    ],
)
def test_a_function_that_is_none_harms_nothing(make_job, told, name, caplog):
    run(make_job(), fails=True)
    with override_settings(CRONKITE_ALERT=name):
        look()
    assert "People can't be told" in caplog.text
    lapse()
    look()
    assert told.said() == [("failing", False)]


@pytest.mark.django_db(transaction=True)
def test_an_async_function_is_awaited(make_job, told):
    run(make_job(), fails=True)
    with override_settings(CRONKITE_ALERT="app.alerted.note_later"):
        look()
    assert told.said() == [("failing", False)]


@pytest.mark.django_db(transaction=True)
def test_an_outage_while_people_are_told_has_them_told_no_second_time(make_job, told, monkeypatch):
    run(make_job(), fails=True)
    settle, failures = memory.settle, iter([OperationalError("the server is gone")] * 2)

    def fail_twice(row, using):
        if (error := next(failures, None)) is not None:
            raise error
        settle(row, using)

    monkeypatch.setattr(memory, "settle", fail_twice)
    monkeypatch.setattr(telling, "PAUSE", 0.0)
    look()
    lapse()
    look()
    assert told.said() == [("failing", False)]


@pytest.mark.django_db(transaction=True)
def test_an_outage_that_lasts_ends_the_look_and_another_tells(make_job, told, monkeypatch):
    run(make_job(), fails=True)

    def fail(row, using):
        raise OperationalError("the server is gone")

    with monkeypatch.context() as patched:
        patched.setattr(memory, "settle", fail)
        patched.setattr(telling, "PAUSE", 0.0)
        with pytest.raises(OperationalError):
            look()
    lapse()
    look()
    look()
    assert told.said() == [("failing", False)] * 2


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_the_function_leaves_open_keeps_nothing_from_being_noted(make_job, told, monkeypatch):
    run(make_job(), fails=True)

    def leave_open(notices):
        alerted.note(notices)
        transaction.atomic().__enter__()
        Node.objects.create(name="left", started_at=clock.Now(), ticked_at=clock.Now())

    monkeypatch.setattr(alerted, "note_later", leave_open)
    with override_settings(CRONKITE_ALERT="app.alerted.note_later"):
        look()
        lapse()
        look()
    assert told.said() == [("failing", False)]
    assert not Node.objects.filter(name="left").exists()


@pytest.mark.django_db(transaction=True)
def test_a_mailer_that_hangs_holds_up_no_job(make_job, told, evidence, monkeypatch):
    run(make_job(), fails=True)
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    with nodes(("cron", "loop", "--workers", "1"), CRONKITE_TEST_ALERT="app.alerted.hang"):
        until(told.all)
        seen = len(evidence.lines())
        until(lambda: len(evidence.lines()) >= seen + 2)
    assert told.said() == [("failing", False)]
    # Another node does, when its time is over.
    lapse()
    look()
    assert told.said() == [("failing", False)] * 2


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_hangs_is_left_to_itself(monkeypatch, told, make_job):
    import threading

    go, begun = threading.Event(), threading.Event()

    def hang():
        begun.set()
        go.wait(60)

    hanging = Teller("cronkite alerts")
    monkeypatch.setattr(telling, "_teller", hanging)
    hanging.put(hang)
    assert begun.wait(60)
    telling.begin()
    assert telling._teller is hanging
    monkeypatch.setattr(telling, "HANGS", 0.0)
    run(make_job(), fails=True)
    telling.begin()
    assert telling._teller is not hanging
    assert telling._teller.wait(60)
    assert told.said() == [("failing", False)]
    go.set()
    assert hanging.wait(60)


# How.


@pytest.mark.django_db(transaction=True)
@override_settings(
    CRONKITE_ALERT="cronkite.alerts.mail",
    # Before 6.0, Django has them as pairs.
    ADMINS=["root@example.com"] if django.VERSION >= (6, 0) else [("root", "root@example.com")],
    EMAIL_SUBJECT_PREFIX="[shop] ",
    MAILERS={"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}},
)
def test_mail_goes_to_whom_the_job_names_and_else_to_the_admins(make_job):
    for name, alert in (("bill", "ada@example.com"), ("pack", ""), ("ship", "")):
        run(make_job(name=name, alert=alert), fails=True)
    look()
    by_recipient = {message.to[0]: message for message in mail.outbox}
    assert by_recipient["ada@example.com"].subject == "[shop] Job 'bill' fails"
    assert by_recipient["root@example.com"].subject == "[shop] Job 'pack' fails, and 1 more"
    assert "ValueError: out of stock" in by_recipient["root@example.com"].body
    assert len(mail.outbox) == 2


MAIL = {
    "CRONKITE_ALERT": "cronkite.alerts.mail",
    "MAILERS": {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}},
    "EMAIL_SUBJECT_PREFIX": "",
}


def notice(name="bill", kind="failing", who=("ada@example.com",), **more):
    text = more.pop("text", f"Job {name!r} fails: its last run has failed.")
    return alerts.Notice(kind, more.get("is_over", False), name, 1, text, clock.now("default"), who)


@pytest.mark.once
@pytest.mark.django_db
@override_settings(**MAIL)
@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("shop: bills", "Job 'shop: bills' fails"),
        ("v1.", "Job 'v1.' fails"),
        ("n" * 200, f"Job '{'n' * 59}…' fails"),
        ("bill\r\nBcc: eve@example.com", "Job 'bill\\r\\nBcc: eve@example.com' fails"),
        ("Rechnung {0} %s", "Job 'Rechnung {0} %s' fails"),
    ],
)
def test_the_subject_of_a_mail_is_one_line_whatever_the_name_is(name, subject):
    alerts.mail([notice(name)])
    (message,) = mail.outbox
    assert message.subject == subject
    assert message.message()["To"] == "ada@example.com"
    assert message.message()["Bcc"] is None


@pytest.mark.once
@pytest.mark.django_db
@override_settings(**MAIL)
@pytest.mark.parametrize("is_over", [True, False])
@pytest.mark.parametrize("kind", sorted(notices.HEADS))
def test_each_kind_has_its_subject(kind, is_over):
    alerts.mail([notice("a\nb", kind, is_over=is_over)])
    (message,) = mail.outbox
    assert message.subject == {
        ("failing", False): "Job 'a\\nb' fails",
        ("missed", False): "Slots of job 'a\\nb' were missed",
        ("stuck", False): "Job 'a\\nb' is stuck",
        ("silent", False): "Node a b is silent",
        ("silent", True): "Node a b is well again",
    }.get((kind, is_over), "Job 'a\\nb' is well again")
    assert message.message()


@pytest.mark.once
@pytest.mark.django_db
@override_settings(**MAIL)
def test_a_mail_tells_of_so_many_and_how_many_more_there_are():
    alerts.mail([notice(f"job {n}") for n in range(5000)])
    (message,) = mail.outbox
    assert message.subject == "Job 'job 0' fails, and 4999 more"
    assert message.body.count("fails: its last run") == notices.MOST
    assert message.body.endswith("And 4900 more, which the admin and `manage.py cron health` tell.")


@pytest.mark.once
@pytest.mark.django_db
@override_settings(**MAIL, ADMINS=[])
def test_who_can_not_be_told_by_mail_is_said_in_the_log_and_not_taken_for_told():
    for who in ((), ("#ops", "@ops")):
        with pytest.raises(ImproperlyConfigured, match="ADMINS is empty"):
            alerts.mail([notice(who=who)])
    alerts.mail([notice(who=("@ops", "ada@example.com"))])
    (message,) = mail.outbox
    assert message.to == ["ada@example.com"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("alert", "admins", "found"),
    [
        ("", [], []),
        ("cronkite.alerts.mail", [], ["cronkite.W014"]),
        ("cronkite.alerts.mail", ["root@example.com"], []),
        ("app.alerted.note", [], []),
        ("app.alerted.nobody", [], ["cronkite.E007"]),
        ("nowhere.at_all", [], ["cronkite.E007"]),
        ("app.alerted.json", [], ["cronkite.E007"]),
        (["x"], [], []),
    ],
)
def test_a_check_tells_that_people_could_not_be_told(monkeypatch, alert, admins, found):
    monkeypatch.setattr(setting_checks, "is_asked", lambda: True)
    with override_settings(CRONKITE_ALERT=alert, ADMINS=admins):
        assert [each.id for each in setting_checks.check_alert()] == found
        monkeypatch.setattr(setting_checks, "is_asked", lambda: False)
        assert setting_checks.check_alert() == []


@pytest.mark.django_db(transaction=True)
def test_all_jobs_that_are_wrong_at_once_are_told_of_in_one_mail(make_job, told, monkeypatch):
    monkeypatch.setattr(memory, "CHUNK", 3)
    called = []
    monkeypatch.setattr(alerted, "note_later", called.append)
    jobs = [make_job(name=f"job {n}", alert="ada@example.com" if n == 9 else "") for n in range(10)]
    for job in jobs:
        run(job, fails=True)
    with override_settings(CRONKITE_ALERT="app.alerted.note_later"):
        look()
        look()
        assert sorted(len(notices) for notices in called) == [1, 9]
        for job in jobs:
            run(job, fails=False)
        look()
        look()
    assert sorted(len(notices) for notices in called) == [1, 1, 9, 9]


def test_the_word_of_who_is_told_is_kept_in_one_way():
    assert wishes.canonical("ada@example.com,bob@example.com after 2") == "ada@example.com, bob@example.com after 2"
    assert wishes.of("#ops after 2") == (("#ops",), 2, False)
    assert wishes.of("") == wishes.of("after 0") == ((), 1, False)


@pytest.mark.parametrize(
    "text", ["after 0", "after 21", "ada@", "off after 3", "after", 3, "a@example.com " * 1 + "b@c d@e.org", "x" * 300]
)
def test_what_is_no_word_of_who_is_told_is_refused(text):
    with pytest.raises(ValueError, match=r"alert|nobody to tell|no e-mail"):
        wishes.canonical(text)


@pytest.mark.django_db
def test_a_job_refuses_what_is_no_alert_in_code_and_in_forms(make_job):
    job = make_job()
    job.alert = "after 99"
    with pytest.raises(ValueError, match="1 to 20"):
        job.save()
    with pytest.raises(ValidationError) as refused:
        job.clean_fields()
    assert list(refused.value.message_dict) == ["alert"]
    with pytest.raises(ValueError, match="1 to 20"):
        cronkite.cron("@daily", alert="after 99")


@pytest.mark.django_db
def test_what_is_no_alert_is_refused_by_whichever_way_it_comes_and_harmless_if_it_is_there(make_job, told, tmp_path):
    job = make_job()
    fixture = tmp_path / "jobs.json"
    row = {"name": "new", "function": "app.jobs.ok", "schedule": "@daily", "alert": "after 99"}
    fixture.write_text(json.dumps([{"model": "cronkite.job", "fields": row}]))
    ways = [
        lambda: Job.objects.update(alert="after 99"),
        lambda: Job.objects.bulk_create([Job(**row)]),
        lambda: Job.objects.update_or_create(defaults={"alert": "after 99"}, pk=job.pk),
        lambda: call_command("loaddata", str(fixture), verbosity=0),
    ]
    for way in ways:
        with pytest.raises((ValueError, ValidationError, DeserializationError), match="1 to 20"), transaction.atomic():
            way()
    assert list(Job.objects.values_list("name", "alert")) == [("ok", "")]
    for garbage in ("after 99", "ada@", "off after 3", "\n,\n", "x" * 255):
        Job.objects.all().write(alert=Value(garbage, CharField()))
        assert wishes.of(Job.objects.get().alert).after == 1


@pytest.mark.django_db(transaction=True)
def test_garbage_for_an_alert_has_the_admins_told(make_job, told):
    job = make_job()
    Job.objects.all().write(alert=Value("ada@ after 99", CharField()))
    run(job, fails=True)
    look()
    (notice,) = told.all()
    assert notice["who"] == []


@pytest.mark.django_db(transaction=True)
def test_that_a_job_is_well_again_is_told_of_it_by_the_name_that_people_know(make_job, told):
    job = make_job(name="old")
    run(job, fails=True)
    look()
    Job.objects.update(name="new")
    look()
    run(job, fails=False)
    look()
    assert [each["name"] for each in told.all()] == ["old", "old"]
    assert told.said() == [("failing", False), ("failing", True)]


def test_the_setting_is_a_dotted_name():
    assert conf.get().alert == ""
    assert alerted.note.__doc__
    with override_settings(CRONKITE_ALERT=["a"]):
        assert [problem.setting for problem in conf.problems()] == ["CRONKITE_ALERT"]
