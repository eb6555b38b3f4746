"""Jobs that go from one database to another by ``dumpdata`` and ``loaddata``: what nodes keep never travels."""

from __future__ import annotations

import json
import signal
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import due
from django.core.management import call_command
from django.core.serializers.base import DeserializationError
from django.db import connection, transaction
from django.db.models.signals import pre_save
from nodes import PATIENCE, nodes

from cronkite import requests
from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.exceptions import FunctionError
from cronkite.models import Group, Job, Log, fixtures
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp

pytestmark = pytest.mark.django_db
NATURAL = ["--natural-foreign", "--natural-primary"]
#: What a job is moved with: not the key, and nothing that nodes keep.
DECIDED = sorted(Job.DEFINITION)
KEPT = sorted(
    {field.name for field in Job._meta.concrete_fields if not field.generated}
    - Job.DEFINITION
    - {"id", "revision", "planned_at"}
)
BY_HAND = {"name": "bill", "function": "app.jobs.ok", "schedule": "0 3 * * *"}


@pytest.fixture
def dump(tmp_path):
    def dump(*options, models=("cronkite.Job", "cronkite.Group")):
        path = tmp_path / "dump.json"
        call_command("dumpdata", *models, *options, output=str(path), verbosity=0)
        return str(path)

    return dump


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "written.json"
        path.write_text(json.dumps(records))
        return str(path)

    return write


def load(path):
    call_command("loaddata", path, verbosity=0)


def row(job, *columns):
    return Job.objects.filter(pk=job.pk).values(*columns).get()


def edited(job, **columns):
    """Return the dump of another environment in which people have decided otherwise, and nodes have been busy."""
    for column, value in columns.items():
        setattr(job, column, value)
    job.save(update_fields=list(columns))


def busy(job):
    """Have everything that nodes can keep of a job in its row."""
    claiming.claim_by_hand(job, "far away")
    requests.ask_with(job, "anna", [7], {})
    now = clock.now("default")
    Job.objects.filter(pk=job.pk).write(
        seated_in=7,
        seat=1,
        fence=12,
        last_slot=now - timedelta(days=1),
        retry_at=now,
        retry_slot=now - timedelta(days=1),
        retry_attempt=2,
        jittered_slot=now,
        jittered_to=now,
        follow_at=now,
        next_run=now - timedelta(days=3),
    )


# With natural keys: from one environment to another.


def test_jobs_are_known_by_their_names_and_declared_ones_by_their_functions(make_job):
    by_hand, declared = make_job(name="bill"), make_job("app.jobs.fail", declared_as="app.jobs.fail")
    Job.objects.filter(pk=declared.pk).update(name="bill")
    assert Job.objects.get_by_natural_key(*by_hand.natural_key()) == by_hand
    assert Job.objects.get_by_natural_key(*declared.natural_key()) == declared
    assert (by_hand.natural_key(), declared.natural_key()) == (("", "bill"), ("app.jobs.fail", ""))
    with pytest.raises(Job.DoesNotExist, match="no job 'Bill'"):
        Job.objects.get_by_natural_key("", "Bill")
    make_job("app.jobs.echo", name="second")
    Job.objects.filter(name="second").update(name="bill")
    with pytest.raises(Job.MultipleObjectsReturned, match="2 jobs are called 'bill'"):
        Job.objects.get_by_natural_key("", "bill")


def test_a_job_that_another_environment_has_busy_comes_as_a_new_one(make_job, dump):
    busy(make_job(name="bill", schedule="0 3 * * *", labels="gpu", args=[{"ä": [1, None]}], timeout=60))
    path = dump(*NATURAL)
    decided = Job.objects.values(*DECIDED).get()
    Job.objects.all().delete()
    make_job("app.jobs.fail", name="another, so that keys differ")
    load(path)
    job = Job.objects.get(name="bill")
    assert row(job, *DECIDED) == decided
    assert job.next_run == job.get_schedule().next_after(job.planned_at)
    assert clock.now("default") - job.planned_at < timedelta(hours=1)
    fresh = Job(next_run=job.next_run)
    assert row(job, *KEPT) == {column: getattr(fresh, column) for column in KEPT}


@pytest.mark.parametrize("options", [[], NATURAL])
def test_a_job_that_is_here_keeps_its_own_lock_slots_and_requests(make_job, dump, options):
    job = make_job(name="bill", schedule="0 3 * * *")
    other = make_job("app.jobs.fail", name="declared", declared_as="app.jobs.fail")
    edited(job, schedule="0 4 * * *", timeout=60, args=["new"])
    path = dump(*options)
    edited(job, schedule="0 5 * * *", timeout=None, args=[])
    busy(job)
    claiming.claim_by_hand(other, "here")
    Job.objects.filter(pk=other.pk).update(name="renamed here")
    before = row(job, *KEPT), row(other, *KEPT)
    load(path)
    after = row(job, *KEPT), row(other, *KEPT)
    # It has another schedule now, so it was planned anew, and what was to be tried again is of the old one.
    replanned = {"next_run", "last_slot", "retry_at", "retry_slot", "retry_attempt"}
    assert {c: v for c, v in after[0].items() if c not in replanned} == {
        c: v for c, v in before[0].items() if c not in replanned
    }
    assert after[1] == before[1]
    assert row(job, "schedule", "timeout", "args") == {"schedule": "0 4 * * *", "timeout": 60, "args": ["new"]}
    assert row(other, "name") == {"name": "declared"}
    assert Job.objects.count() == 2
    # What fell due until then is accounted for (promise P2).
    assert Log.objects.filter(job=job, status=Log.Status.MISSED).exists()


def test_a_run_that_goes_on_while_its_job_is_loaded_ends_as_ever(make_job, dump):
    job = make_job(due=0, schedule="*/10 * * * *")
    path = dump(*NATURAL)
    read = due(job)
    decision = catch_up.decide(read.get_schedule(), CatchUp(read.catch_up), read.get_grace(), read.pending, read.now)
    claim = claiming.claim(read, decision, "web-1")
    load(path)
    assert row(job, "lock", "fence") == {"lock": claim.token, "fence": 1}
    assert holding.finish(claim, Outcome(Log.Status.SUCCEEDED))
    assert row(job, "lock", "fence") == {"lock": None, "fence": 1}


@pytest.mark.parametrize("options", [[], NATURAL])
def test_a_claim_that_comes_just_before_the_row_is_written_is_left_alone(make_job, dump, options):
    """Outside of a transaction, a node may claim the job after it was looked at, and before Django writes it."""
    job = make_job(schedule="0 3 * * *")
    path = dump(*options)
    claims = []

    def claim(instance, raw, **kwargs):
        if raw:
            claims.append(claiming.claim_by_hand(Job.objects.get(pk=job.pk), "web-1"))

    pre_save.connect(claim, sender=Job)
    try:
        load(path)
    finally:
        pre_save.disconnect(claim, sender=Job)
    assert row(job, "lock", "locked_by", "fence") == {"lock": claims[0].token, "locked_by": "web-1", "fence": 1}


def test_a_fencing_token_never_goes_back(make_job, dump):
    job = make_job()
    path = dump()
    Job.objects.filter(pk=job.pk).write(fence=7)
    load(path)
    assert row(job, "fence") == {"fence": 7}


def test_a_fencing_token_of_another_environment_does_not_come(make_job, dump):
    """Or what became of the last run here would be told of no more."""
    job = make_job()
    Job.objects.filter(pk=job.pk).write(fence=7)
    path = dump(*NATURAL)
    Job.objects.filter(pk=job.pk).write(fence=3, planned_at=job.planned_at - timedelta(days=2))
    load(path)
    assert row(job, "fence") == {"fence": 3}


def test_jobs_by_one_name_are_refused_rather_than_written_over_each_other(make_job, dump):
    make_job(name="a", args=[1]), make_job("app.jobs.fail", name="b", args=[2])
    Job.objects.update(name="twins")
    path = dump(*NATURAL)
    with pytest.raises(DeserializationError, match="2 jobs are called 'twins'"):
        load(path)
    Job.objects.all().delete()
    with pytest.raises(DeserializationError, match="Two jobs here are called 'twins', by which they are known"):
        load(path)
    assert not Job.objects.exists()


def test_one_transaction_may_load_the_same_jobs_again(make_job, dump):
    make_job(name="bill")
    path = dump(*NATURAL)
    with transaction.atomic():
        load(path)
        load(path)
    assert Job.objects.count() == 1


def test_a_job_that_was_disabled_may_have_a_schedule_that_nobody_knows_here(make_job, dump):
    make_job(name="bill", enabled=False)
    Job.objects.all().write(schedule="@someday", function="shop.gone.away", next_run=None, enabled=False)
    path = dump(*NATURAL)
    Job.objects.all().delete()
    load(path)
    job = Job.objects.get()
    assert (job.schedule, job.function, job.next_run) == ("@someday", "shop.gone.away", None)
    assert job.planned_at is not None


def test_groups_are_known_by_their_names_and_a_seat_does_not_travel(make_job, dump):
    Group.objects.create(name="others")
    group = Group.objects.create(name="reports", max_running=3)
    job = make_job(name="bill", group="reports")
    claiming.claim_by_hand(job, "web-1")
    assert row(job, "seated_in") == {"seated_in": group.pk}
    path = dump(*NATURAL)
    Job.objects.all().delete()
    Group.objects.all().delete()
    Group.objects.create(name="mails")
    Group.objects.create(name="reports", max_running=1)
    load(path)
    assert dict(Group.objects.values_list("name", "max_running")) == {"mails": 1, "others": 1, "reports": 3}
    assert Job.objects.values("group", "seated_in", "seat", "lock").get() == {
        "group": "reports",
        "seated_in": None,
        "seat": None,
        "lock": None,
    }


def test_logs_find_their_job_by_its_natural_key(make_job, dump):
    job = make_job(name="bill")
    job.run()
    path = dump(*NATURAL, models=("cronkite.Job", "cronkite.Log"))
    Job.objects.all().delete()
    Log.objects.all().delete()
    make_job("app.jobs.fail", name="another, so that keys differ")
    load(path)
    assert Log.objects.get().job == Job.objects.get(name="bill")


def test_names_of_any_script_and_of_any_length_are_known_again(make_job, dump):
    names = ["x" * 200, "Rechnungen für März", "請求書を送る", "ارسال", "naïve 🐙", "Bill", "bill ", "bill"]
    for name in names:
        Job.objects.create(**{**BY_HAND, "name": name})
    path = dump(*NATURAL)
    before = dict(Job.objects.values_list("name", "pk"))
    load(path)
    assert dict(Job.objects.values_list("name", "pk")) == before
    assert len(before) == len(names)


# With keys: back into the table that they are from.


def test_a_job_that_is_restored_goes_on_from_where_it_was_but_unlocked_and_unasked(make_job, dump):
    job = make_job(name="bill", schedule="0 3 * * *")
    busy(job)
    path = dump()
    before = row(job, *KEPT)
    Job.objects.all().delete()
    load(path)
    after = row(job, *KEPT)
    gone = {c: v for c, v in after.items() if v != before[c]}
    assert gone == {
        "lock": None,
        "locked_by": "",
        "locked_at": None,
        "seated_in": None,
        "seat": None,
        "asked_at": None,
        "asked_by": "",
        "asked_with": None,
        "asked_with_at": None,
        "retry_at": None,
        "retry_slot": None,
        "retry_attempt": None,
    } | {c: v for c, v in gone.items() if c in fixtures.PROGRESS}
    # A dump has milliseconds.
    assert all(abs(after[c] - before[c]) < timedelta(milliseconds=1) for c in gone if c in fixtures.PROGRESS)
    assert after["fence"] == 12


# Written by hand.


def test_a_fixture_without_a_key_is_an_edit_of_the_job_of_that_name(make_job, write):
    load(write({"model": "cronkite.job", "fields": BY_HAND}))
    job = Job.objects.get()
    claim = claiming.claim_by_hand(job, "web-1")
    load(write({"model": "cronkite.job", "fields": {**BY_HAND, "schedule": "0 4 * * *"}}))
    job = Job.objects.get()
    assert (job.schedule, job.lock, job.fence) == ("0 4 * * *", claim.token, 1)
    with pytest.raises(FunctionError):
        load(write({"model": "cronkite.job", "fields": {**BY_HAND, "function": "shop.gone.away"}}))


def test_what_a_fixture_says_of_locks_is_not_believed_of_a_job_that_is_here(make_job, write):
    job = make_job(name="bill")
    fields = {**BY_HAND, "lock": str(uuid4()), "locked_at": "2026-01-01T00:00:00Z", "fence": 99}
    load(write({"model": "cronkite.job", "fields": fields}))
    assert row(job, "lock", "fence") == {"lock": None, "fence": 0}


@pytest.mark.parametrize("options", [NATURAL, []], ids=["natural keys", "keys"])
def test_no_lock_comes_of_a_row_that_nobody_has_edited_since_it_is_known_when_it_was_planned(make_job, dump, options):
    job = make_job(name="bill")
    busy(job)
    # As the first release has left them, whose dumps lack the column.
    Job.objects.filter(pk=job.pk).write(planned_at=None)
    before, path = row(job, *KEPT), dump(*options)
    Job.objects.all().delete()
    load(path)
    job = Job.objects.get()
    after = row(job, *KEPT)
    assert not job.is_locked
    goes_on = {"last_slot", "fence", "next_run"} if not options else set()
    assert (after["fence"], after["last_slot"] is None) == ((12, False) if goes_on else (0, True))
    assert (abs(after["next_run"] - before["next_run"]) < timedelta(seconds=1)) is bool(goes_on)
    assert {column for column in ("lock", "locked_at", "asked_at", "seat", "retry_at") if after[column]} == set()
    assert job.planned_at is not None


def test_what_a_fixture_says_of_locks_is_not_believed_of_a_job_that_is_new(write):
    lock = {"lock": str(uuid4()), "locked_at": "2026-01-01T00:00:00Z", "locked_by": "x", "fence": 99}
    load(write({"model": "cronkite.job", "fields": {**BY_HAND, **lock}}))
    assert Job.objects.values("lock", "locked_by", "fence").get() == {"lock": None, "locked_by": "", "fence": 0}


# One-offs.


def test_a_one_off_that_is_over_stays_over(make_job, dump):
    now = clock.now("default")
    soon, past = (f"@at {now + timedelta(days=n):%Y-%m-%dT%H:%M}Z" for n in (1, -1))
    make_job(name="done", schedule=soon)
    make_job("app.jobs.fail", name="to come", schedule=soon)
    # What was dumped two days ago.
    Job.objects.filter(name="done").write(schedule=past)
    path = dump(*NATURAL)
    done, to_come = Job.objects.order_by("name")
    Job.objects.filter(pk=done.pk).write(enabled=False, next_run=None, last_slot=now - timedelta(days=1))
    for _ in range(2):
        load(path)
        assert row(done, "enabled", "next_run") == {"enabled": False, "next_run": None}
        assert row(to_come, "enabled", "next_run") == {"enabled": True, "next_run": to_come.next_run}
        Job.objects.all().delete()
        load(path)
        done, to_come = Job.objects.order_by("name")
        assert (done.enabled, done.schedule, to_come.enabled) == (False, past, True)


def test_many_jobs_are_loaded_in_a_few_statements_each(make_job, dump, django_assert_max_num_queries):
    Job.objects.bulk_create([Job(**{**BY_HAND, "name": f"job {n}"}) for n in range(100)])
    path = dump(*NATURAL)
    with django_assert_max_num_queries(100 * 12):
        load(path)
    Job.objects.all().delete()
    with django_assert_max_num_queries(100 * 6):
        load(path)
    assert Job.objects.count() == 100
    assert connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_a_node_goes_on_while_its_jobs_are_loaded_again_and_again(make_job, dump, evidence):
    """No slot runs twice, none vanishes, and no fencing token is given twice (promises P1 and P2)."""
    job = make_job("app.jobs.note", schedule="* * * * * *", catch_up="all", args=[str(evidence)])
    path, loads = dump(*NATURAL), 0
    # It falls due from now on only: what was owed by now is not what this is about.
    load(path)
    with nodes(("cron", "loop", "--skip-checks")) as (node,):
        deadline = time.monotonic() + PATIENCE
        while len(evidence.starts()) < 6 or loads <= 6:
            assert time.monotonic() < deadline, (loads, evidence.starts(), node.log)
            load(path)
            loads += 1
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    assert loads > 6
    starts = evidence.starts()
    assert len(set(starts)) == len(starts)
    logs = list(Log.objects.filter(job=job, slot__isnull=False).order_by("slot"))
    runs = [log for log in logs if log.fence is not None]
    assert len(runs) == len(starts)
    tokens = [log.fence for log in runs]
    assert tokens == sorted(set(tokens))
    accounted = [log.slot - timedelta(seconds=n) for log in logs for n in reversed(range(log.missed + 1))]
    assert accounted == [accounted[0] + timedelta(seconds=n) for n in range(len(accounted))]
    row = Job.objects.get()
    assert (row.fence, row.last_slot, row.lock) == (tokens[-1], accounted[-1], None)
