"""Statements that are put together once and said again and again."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection

from cronkite.database.clock import Now
from cronkite.database.statements import Both, Insert, Select, Update, place, stand_in
from cronkite.models import Job, Log


@pytest.fixture
def counted():
    """An update of a job's node, and how often it was put together."""
    made = []

    def build(using, variant):
        made.append((using, variant))
        given = stand_in(Job, "job", pk="id", fence="fence")
        rows = Job.objects.using(using).filter(pk=given.pk, fence=given.fence)
        return rows, {"last_slot": place(Job, "last_slot", "slot"), "next_run": Now()}

    return Update(build), made


def test_an_update_takes_the_values_of_each_call(make_job, counted):
    update, made = counted
    first, second = make_job(), make_job()
    for job in (first, second):
        slot = job.next_run
        assert update.ready("default", SimpleNamespace(job=job, slot=slot))() == 1
        job.refresh_from_db()
        assert job.last_slot == slot
        assert job.next_run != slot
    assert made == [("default", None)]


def test_an_update_says_how_many_rows_it_met(make_job, counted):
    update, _ = counted
    job = make_job()
    job.fence += 1
    assert update.ready("default", SimpleNamespace(job=job, slot=None))() == 0


@pytest.fixture
def both():
    """An update of a job's description, and one of its log's reason."""

    def describe(using, variant):
        return Job.objects.using(using).filter(pk=place(Job, "id", "job.pk")), {
            "description": place(Job, "description", "text")
        }

    def explain(using, variant):
        logs = Log.objects.using(using).filter(pk=place(Log, "id", "log.pk"))
        return logs, {"reason": place(Log, "reason", "text")}

    return Both(Update(describe), Update(explain))


def test_two_updates_are_said_at_a_time(make_job, both):
    job = make_job()
    log = Log.objects.create(job=job, fence=1, created=job.next_run)
    assert both.execute("default", SimpleNamespace(job=job, log=log, text="said")) == 1
    job.refresh_from_db()
    log.refresh_from_db()
    assert (job.description, log.reason) == ("said", "said")


def test_of_two_updates_the_second_counts(make_job, both):
    job = make_job()
    assert both.execute("default", SimpleNamespace(job=job, log=SimpleNamespace(pk=10**9), text="said")) == 0
    job.refresh_from_db()
    assert job.description == "said"


@pytest.mark.django_db(transaction=True)
def test_two_updates_are_done_both_or_not_at_all(make_job, both):
    job = make_job()
    log = Log.objects.create(job=job, fence=1, created=job.next_run)
    with pytest.raises(DatabaseError):
        both.execute("default", SimpleNamespace(job=job, log=log, text=None))
    job.refresh_from_db()
    assert job.description == ""


def test_each_variant_is_put_together_once(make_job, counted):
    update, made = counted
    subject = SimpleNamespace(job=make_job(), slot=None)
    for variant in (1, 2, 1, 2):
        update.ready("default", subject, variant)()
    assert made == [("default", 1), ("default", 2)]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_lost_is_opened_again(make_job, counted):
    update, made = counted
    subject = SimpleNamespace(job=make_job(), slot=None)
    for _ in range(2):
        assert update.ready("default", subject)() == 1
        connection.close()
    assert len(made) == 1


def test_an_insert_returns_the_key_of_the_new_row(make_job):
    job, made = make_job(), []

    def build():
        made.append(1)
        row = {name: place(Log, name, name) for name in ("job_id", "job_name", "fence", "slot", "result")}
        return Log(**row, created=Now())

    insert = Insert(build)
    rows = [
        SimpleNamespace(job_id=job.pk, job_name="ä % ?", fence=1, slot=job.next_run, result={"a": [1, None]}),
        SimpleNamespace(job_id=None, job_name="", fence=2, slot=None, result=None),
    ]
    for row in rows:
        log = Log.objects.get(pk=insert.ready("default", row)())
        assert {name: getattr(log, name) for name in vars(row)} == vars(row)
        assert (log.status, log.output, log.missed) == (Log.Status.RUNNING, "", 0)
    assert len(made) == 1


@pytest.mark.django_db
def test_a_select_returns_the_models_objects_with_their_annotations(make_job):
    made = []

    def build(using, variant):
        made.append(variant)
        return Job.objects.using(using).with_now().filter(pk=place(Job, "id", "key")).order_by("pk")[:variant]

    select = Select(build)
    for job in (make_job(args=[1, {"a": "b"}], due=60), make_job(name="other")):
        (found,) = select.execute("default", SimpleNamespace(key=job.pk), 5)
        plain = Job.objects.with_now().get(pk=job.pk)
        assert {name: vars(found)[name] for name in vars(plain) if name not in ("_state", "now")} == {
            name: value for name, value in vars(plain).items() if name not in ("_state", "now")
        }
        assert timedelta(0) <= plain.now - found.now < timedelta(hours=1)
        assert (found._state.db, found._state.adding) == ("default", False)
    assert select.execute("default", SimpleNamespace(key=-1), 5) == []
    assert made == [5]
