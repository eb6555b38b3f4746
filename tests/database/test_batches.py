"""What is said of many at a time means what it means when it is said of each."""

from contextlib import contextmanager, suppress
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django_tasks_db.compat import task_enqueued
from django_tasks_db.models import DBTaskResult

from app import handed
from cronkite.database import batches, quirks
from cronkite.database.batches import Each, Rows
from cronkite.database.clock import Now
from cronkite.database.statements import Update, place, stand_in
from cronkite.models import Job, Log

TABLE = DBTaskResult._meta.db_table


@pytest.fixture
def statements(monkeypatch):
    """What is said to the driver."""
    said, execute = [], CursorWrapper._execute

    def listen(cursor, sql, *args):
        said.append(sql)
        return execute(cursor, sql, *args)

    monkeypatch.setattr(CursorWrapper, "_execute", listen)
    return said


@pytest.fixture
def at_most(monkeypatch):
    """Let a statement have no more parameters than so many."""

    def set_to(number):
        features = connection.features
        monkeypatch.setattr(type(features), "max_query_params", number)
        monkeypatch.delitem(vars(features), "max_query_params", raising=False)  # where it is known already

    return set_to


# An UPDATE of each.


def build(using, variant):
    given = stand_in(Job, "job", pk="id", fence="fence", description="description")
    rows = Job.objects.using(using).filter(pk=given.pk, fence=given.fence, enabled=True)
    columns = {"last_slot": place(Job, "last_slot", "slot"), "description": given.description}
    return rows, {**columns, "fence": F("fence") + variant, "next_run": Now()}


def subject(job, **values):
    return SimpleNamespace(job=job, slot=job.next_run, **values)


@pytest.fixture
def jobs(make_job):
    """Three jobs, in the order of their keys."""
    found = [make_job(name=name, fence=fence) for fence, name in enumerate("abc")]
    for job in found:
        job.description = f"%s %% {{0}} ' ä of {job.name}"
    return found


def test_each_is_updated_by_its_own_values(jobs):
    update = Each(Update(build), "job.pk").ready("default", [subject(job) for job in jobs], 5)
    assert update(range(3)) == [0, 1, 2]
    for job in jobs:
        read = Job.objects.get(pk=job.pk)
        assert (read.fence, read.last_slot, read.description) == (job.fence + 5, job.next_run, job.description)


def test_it_is_told_which_rows_were_met(jobs):
    jobs[0].fence += 1
    Job.objects.filter(pk=jobs[2].pk).write(enabled=False)
    update = Each(Update(build), "job.pk").ready("default", [subject(job) for job in reversed(jobs)], 1)
    assert update([2, 1, 0]) == [1]
    assert Job.objects.filter(description="").count() == 2


def test_those_that_are_not_chosen_are_left_alone(jobs):
    update = Each(Update(build), "job.pk").ready("default", [subject(job) for job in jobs], 1)
    assert update([]) == []
    assert update([1]) == [1]
    assert list(Job.objects.exclude(description="").values_list("pk", flat=True)) == [jobs[1].pk]


def test_a_null_is_one_whatever_the_others_are(jobs):
    slots = [None, jobs[1].next_run, None]
    subjects = [SimpleNamespace(job=job, slot=slot) for job, slot in zip(jobs, slots, strict=True)]
    assert Each(Update(build), "job.pk").ready("default", subjects, 1)(range(3)) == [0, 1, 2]
    assert list(Job.objects.order_by("pk").values_list("last_slot", flat=True)) == slots


def test_values_are_those_of_when_it_was_made_ready(jobs):
    update = Each(Update(build), "job.pk").ready("default", [subject(job) for job in jobs], 1)
    for job in jobs:
        job.fence = 1000
    assert update(range(3)) == [0, 1, 2]


def test_it_is_one_statement_where_the_database_can_tell_which_rows_it_met(jobs, statements):
    update = Each(Update(build), "job.pk").ready("default", [subject(job) for job in jobs], 1)
    statements.clear()
    update(range(3))
    assert len(statements) == (1 if quirks.can_join_writes(connection) else 3)


@pytest.mark.django_db(transaction=True)
def test_what_the_column_refuses_is_not_cut_to_fit(make_job):
    """PostgreSQL would cut a text that is cast to a type with a length."""

    def name(using, variant):
        rows = Job.objects.using(using).filter(pk=place(Job, "id", "pk"))
        return rows, {"locked_by": place(Job, "locked_by", "node")}

    job = make_job()
    long = SimpleNamespace(pk=job.pk, node="x" * 300)
    if connection.vendor == "sqlite":
        pytest.skip("SQLite refuses no text for its length")
    with pytest.raises(DatabaseError), transaction.atomic():
        Each(Update(name), "pk").ready("default", [long, long])([0])
    assert Job.objects.get().locked_by == ""


# An INSERT of many rows.


def new_log():
    names = ("job_id", "job_name", "fence", "slot", "result")
    return Log(**{name: place(Log, name, name) for name in names}, created=Now())


def entries(job, number):
    """Return what so many logs are about."""
    first = {"job_name": "ä % %s ?", "slot": job.next_run, "result": {"a": [1, None]}}
    others = {"job_name": "", "slot": None, "result": None}
    return [SimpleNamespace(job_id=job.pk, fence=n + 1, **(others if n else first)) for n in range(number)]


def test_rows_are_inserted_in_one_statement(make_job, statements):
    subjects = entries(make_job(), 3)
    statements.clear()
    Rows(new_log).execute("default", subjects)
    assert len(statements) == 1
    for log, subject in zip(Log.objects.order_by("fence"), subjects, strict=True):
        assert {name: getattr(log, name) for name in vars(subject)} == vars(subject)
        assert (log.status, log.output, log.missed) == (Log.Status.RUNNING, "", 0)


def test_no_rows_are_no_statement(transactional_db, statements):
    Rows(new_log).execute("default", [])
    assert not statements


def test_more_rows_than_a_statement_may_have_take_several(make_job, statements, at_most):
    subjects = entries(make_job(), 5)
    at_most(2 * len(Log._meta.concrete_fields))
    statements.clear()
    Rows(new_log).execute("default", subjects)
    assert len(statements) == 3
    assert Log.objects.count() == 5


def test_what_is_there_already_is_refused_or_ignored_as_was_said(make_job):
    subjects = entries(make_job(), 3)
    Rows(new_log).execute("default", subjects[:2])
    with pytest.raises(IntegrityError), transaction.atomic():
        Rows(new_log).execute("default", subjects)
    assert Log.objects.count() == 2
    Rows(new_log, ignore_conflicts=True).execute("default", subjects)
    assert Log.objects.count() == 3


# INSERTs that are kept back.


@pytest.fixture
def together(transactional_db):
    """A block within a transaction in which tasks are kept back."""

    @contextmanager
    def block():
        with transaction.atomic(), batches.together("default", DBTaskResult):
            yield

    return block


def of_tasks(statements):
    return [sql for sql in statements if sql.startswith("INSERT") and TABLE in sql]


def numbers():
    return sorted(task.args_kwargs["args"][0] for task in DBTaskResult.objects.all())


def test_rows_arrive_at_a_time(together, statements):
    with together():
        ids = [handed.bill.enqueue(number, "%s ä ' %%").id for number in range(5)]
        assert not of_tasks(statements)
    assert len(of_tasks(statements)) == 1
    rows = DBTaskResult.objects.in_bulk()
    assert [rows[UUID(each)].args_kwargs["args"] for each in ids] == [[n, "%s ä ' %%"] for n in range(5)]


def test_they_are_like_rows_that_arrived_by_themselves(together):
    alone = DBTaskResult.objects.get(pk=handed.bill.enqueue(1).id)
    with together():
        other = handed.bill.enqueue(1)
        handed.bill.enqueue(2)
    batched = DBTaskResult.objects.get(pk=other.id)
    own = ("_state", "id", "enqueued_at")
    assert {k: v for k, v in vars(batched).items() if k not in own} == {
        k: v for k, v in vars(alone).items() if k not in own
    }
    assert batched.enqueued_at == other.enqueued_at


def test_whoever_looks_finds_them(together, statements):
    found = []

    def look(sender, task_result, **kwargs):
        found.append(DBTaskResult.objects.get(pk=task_result.id).args_kwargs["args"][0])

    task_enqueued.connect(look)
    try:
        with together():
            for number in range(3):
                handed.bill.enqueue(number)
    finally:
        task_enqueued.disconnect(look)
    assert found == [0, 1, 2]
    assert len(of_tasks(statements)) == 3
    assert numbers() == [0, 1, 2]


def test_what_is_rolled_back_to_a_savepoint_has_not_arrived(together):
    with together():
        handed.bill.enqueue(1)
        with suppress(LookupError), transaction.atomic():
            handed.bill.enqueue(2)
            raise LookupError
        handed.bill.enqueue(3)
    assert numbers() == [1, 3]


def test_with_the_transaction_they_are_gone(together):
    with suppress(LookupError), together():
        handed.bill.enqueue(1)
        raise LookupError
    assert numbers() == []


def test_what_is_no_plain_insert_of_one_row_is_said_at_once(together, statements):
    def row():
        return DBTaskResult(args_kwargs={"args": [0]}, run_after="2030-01-01T00:00Z", backend_name="db")

    with together():
        DBTaskResult.objects.bulk_create([row(), row()])
        assert len(of_tasks(statements)) == 1
        DBTaskResult.objects.bulk_create([row()], ignore_conflicts=True)
        assert len(of_tasks(statements)) == 2
        log = Log.objects.create(created=Now(), fence=1)
        assert Log.objects.get().pk == log.pk
    assert DBTaskResult.objects.count() == 3


def test_a_statement_becomes_neither_too_long_nor_too_full(together, statements, at_most, monkeypatch):
    monkeypatch.setattr(batches, "MOST_TEXT", 2000)
    with together():
        for number in range(9):
            add_task(traceback="x" * (300 if number else 5000))
    assert len(of_tasks(statements)) == 3
    statements.clear()
    at_most(40)
    with together():
        for number in range(5):
            handed.bill.enqueue(number)
    assert len(of_tasks(statements)) == 3
    assert DBTaskResult.objects.count() == 14


def test_what_the_database_refuses_is_raised_at_the_end(together):
    with pytest.raises(IntegrityError), together():
        add_twice()
    assert not DBTaskResult.objects.exists()


def test_whoever_catches_it_in_between_does_not_keep_it_from_the_transaction(together):

    def carry_on():
        add_twice()
        for _ in "now and later":
            with suppress(DatabaseError):
                DBTaskResult.objects.count()
            add_task()

    with pytest.raises(IntegrityError), together():
        carry_on()
    assert not DBTaskResult.objects.exists()


def test_after_the_block_nothing_is_kept_back(together):
    with together():
        handed.bill.enqueue(1)
    handed.bill.enqueue(2)
    assert numbers() == [1, 2]


def add_twice():
    """Add two rows with the same key."""
    key = uuid4()
    for _ in "twice":
        add_task(id=key)


def add_task(**columns):
    return DBTaskResult.objects.create(
        args_kwargs={"args": [0], "kwargs": {}}, run_after="2030-01-01T00:00Z", backend_name="db", **columns
    )
