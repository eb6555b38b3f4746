"""What was claimed is kept, and given back: renewals, ends, and what a person unlocks."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from conftest import put_in_place_of
from deciding import claim, make_stale
from django.db import connection

from cronkite.claims import claiming, handing, holding
from cronkite.claims.handing import Handed
from cronkite.claims.verdicts import Receipt
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Job, Log, Task
from cronkite.runs import onlookers

Status = Log.Status


@pytest.fixture
def job(make_job):
    return make_job(due=0)


# Finishing.


@pytest.mark.django_db
def test_finishing_frees_the_lock_and_writes_the_log(job):
    taken = claim(job)
    end = Outcome(Status.FAILED, result=[1], output="out", exc_info="trace", reason="why")
    assert holding.finish(taken, end)
    job.refresh_from_db()
    assert (job.lock, job.locked_by, job.locked_at, job.fence) == (None, "", None, 1)
    log = Log.objects.get()
    assert (log.status, log.result, log.output, log.exc_info, log.reason) == (Status.FAILED, [1], "out", "trace", "why")
    assert log.finished_at >= log.started_at


@pytest.mark.django_db
def test_finishing_twice_because_the_answer_was_lost_changes_nothing(job):
    taken = claim(job)
    assert holding.finish(taken, Outcome(Status.SUCCEEDED, result=1))
    assert holding.finish(taken, Outcome(Status.SUCCEEDED, result=1))
    assert Log.objects.get().status == Status.SUCCEEDED


@pytest.mark.django_db
def test_a_dead_process_recorded_twice_is_not_said_to_have_ended_late(job):
    taken = claim(job)
    for _ in range(2):
        assert holding.finish(taken, Outcome(Status.LOST, reason="its process was killed by SIGKILL", output="so far"))
    log = Log.objects.get()
    assert (log.status, log.reason, log.output) == (Status.LOST, "its process was killed by SIGKILL", "so far")


@pytest.mark.django_db
def test_the_reason_for_missed_slots_is_kept_beside_that_of_the_run(make_job):
    job = make_job(due=3600, schedule="* * * * *")
    taken = claim(job)
    holding.finish(taken, Outcome(Status.TIMED_OUT, reason="too long"))
    assert "only the newest is run; too long" in Log.objects.get().reason


# Renewing.


@pytest.mark.django_db
def test_renewing_is_one_update_for_all_runs(make_job, django_assert_num_queries):
    """And where rows can be locked, another statement, which locks those that nobody else has locked."""
    claims = [claim(make_job(name=str(n), due=0)) for n in range(5)]
    make_stale(Job.objects.get(name="3"))
    expected = ["SELECT", "UPDATE"] if connection.features.has_select_for_update else ["UPDATE"]
    with django_assert_num_queries(2 + len(expected)) as statements:
        assert holding.renew(claims) == []
    words = [query["sql"].split()[0] for query in statements.captured_queries]
    assert words == ["SAVEPOINT", *expected, "RELEASE"]
    assert Job.objects.filter(locked_at__gt=clock.Now() - timedelta(seconds=60)).count() == 5


@pytest.mark.django_db
def test_renewing_tells_which_lock_is_gone(make_job):
    kept, lost, deleted = (claim(make_job(name=name, due=0)) for name in "abc")
    Job.objects.filter(pk=lost.job_id).write(lock=uuid4())
    Job.objects.filter(pk=deleted.job_id).delete()
    assert holding.renew([kept, lost, deleted]) == [lost]
    assert Job.objects.get(pk=lost.job_id).lock != lost.token


@pytest.mark.django_db
def test_the_run_of_a_deleted_job_goes_on_when_its_key_is_used_again(make_job):
    """The new job's lock is its own, and none to lose or to renew."""
    jobs = [make_job(name=name, due=0) for name in "abc"]
    claims = [claim(job) for job in jobs]
    new = [put_in_place_of(job, function="app.jobs.ok") for job in jobs[:2]]
    held = claim(new[1])
    make_stale(new[1])
    assert holding.renewal(claims) == ([], [])
    row = Job.objects.get(pk=new[1].pk)
    assert (row.lock, row.locked_at < clock.now("default") - timedelta(seconds=60)) == (held.token, True)
    assert holding.finish(claims[1], Outcome(Status.SUCCEEDED, result=1))
    assert Job.objects.get(pk=new[1].pk).lock == held.token
    assert Log.objects.get(pk=claims[1].log_id).result == 1


@pytest.mark.django_db
def test_a_run_whose_log_is_gone_writes_into_no_other_that_has_its_key(make_job):
    """As in a fail-over that lost the claim's commit: the next log is given the same key, and nodes and runs go on."""
    forgotten, other = make_job(name="forgotten", due=0), make_job(name="other", due=0)
    taken = claim(forgotten)
    Log.objects.all().delete()
    Job.objects.filter(pk=forgotten.pk).write(lock=None, locked_by="", locked_at=None, fence=0)
    running = claim(other)
    Log.objects.filter(pk=running.log_id).delete()
    Log.objects.bulk_create(
        [
            Log(
                pk=taken.log_id,
                job=other,
                fence=1,
                job_name="other",
                function="app.jobs.ok",
                created=clock.now("default"),
            )
        ]
    )
    assert holding.renew([taken]) == [taken]
    assert not holding.finish(taken, Outcome(Status.FAILED, exc_info="of another"))
    onlookers.show(taken, "written by another")
    handing.record([Handed(taken, Receipt("celery", "7"), keeps_lock=False)])
    log = Log.objects.get()
    assert (log.status, log.exc_info, log.output, log.engine) == (Status.RUNNING, "", "", "")


@pytest.mark.django_db
def test_a_run_that_ended_a_moment_ago_has_not_lost_its_lock(make_job):
    ended, followed, lost = (claim(make_job(name=name, due=0)) for name in "abc")
    for over in (ended, followed):
        assert holding.finish(over, Outcome(Status.SUCCEEDED))
    claiming.claim_by_hand(Job.objects.get(pk=followed.job_id), "node")
    assert holding.unlock(Job.objects.get(pk=lost.job_id), by="ada")
    assert holding.renew([ended, followed, lost]) == [lost]


@pytest.fixture
def upgraded():
    """Have the columns of tokens that MariaDB before 10.7 has; the server was upgraded since."""
    if connection.vendor != "mysql":
        pytest.skip("of MySQL and MariaDB, one has had two kinds of columns for these")
    change("char(32)")
    yield
    change(connection.data_types["UUIDField"])


def change(kind):
    with connection.cursor() as cursor:
        for table in (Job._meta.db_table, Task._meta.db_table):
            cursor.execute(f"ALTER TABLE {table} MODIFY `lock` {kind} NULL")


@pytest.mark.django_db(transaction=True)
def test_a_token_fits_into_the_column_of_an_older_server(upgraded, make_job):
    job = make_job(due=0)
    taken = claim(job)
    assert Job.objects.get().lock == taken.token
    assert Job.objects.values_list("lock", flat=True).get() == taken.token
    assert holding.renew([taken]) == []
    assert claiming.settle(taken) == taken
    assert holding.finish(taken, Outcome(Status.SUCCEEDED))
    assert Job.objects.get().lock is None


@pytest.mark.django_db
def test_the_run_of_a_deleted_job_keeps_its_record(job):
    taken = claim(job)
    job.delete()
    assert holding.finish(taken, Outcome(Status.SUCCEEDED, result=1))
    log = Log.objects.get(pk=taken.log_id)
    assert (log.status, log.result, log.job) == (Status.SUCCEEDED, 1, None)


@pytest.mark.django_db
def test_the_run_of_a_deleted_job_is_lost_unless_it_ends_after_all(job):
    """There is no lock any more that could become stale: if its machine dies, nobody comes to end its log."""
    earlier = claim(job)
    holding.finish(earlier, Outcome(Status.SUCCEEDED))
    taken = claiming.claim_by_hand(job, "node")
    job.delete()
    log = Log.objects.get(pk=taken.log_id)
    assert (log.status, log.reason) == (Status.LOST, "its job was deleted while it ran")
    assert log.finished_at is not None
    assert Log.objects.get(pk=earlier.log_id).status == Status.SUCCEEDED
    for _ in range(2):
        assert holding.finish(taken, Outcome(Status.FAILED, exc_info="trace", reason="because"))
    log.refresh_from_db()
    assert (log.status, log.exc_info, log.reason) == (Status.FAILED, "trace", "because")


@pytest.mark.django_db
def test_a_run_of_a_deleted_job_whose_process_died_says_so(job):
    taken = claim(job)
    Job.objects.all().delete()
    assert holding.finish(taken, Outcome(Status.LOST, reason="its process was killed by SIGKILL"))
    assert Log.objects.get().reason == "its process was killed by SIGKILL"


@pytest.mark.django_db
def test_a_run_that_was_lost_before_its_job_was_deleted_stays_lost(job):
    taken = claim(job)
    holding.unlock(Job.objects.get(), by="ada")
    job.delete()
    assert not holding.finish(taken, Outcome(Status.SUCCEEDED))
    assert Log.objects.get().status == Status.LOST


# Unlocking.


@pytest.mark.django_db
def test_a_person_can_unlock_a_job(job):
    taken = claim(job)
    job.refresh_from_db()
    assert holding.unlock(job, by="ada")
    assert not holding.unlock(job, by="ada")
    log = Log.objects.get(pk=taken.log_id)
    assert (log.status, log.reason) == (Status.LOST, "unlocked by ada")
    assert holding.renew([taken]) == [taken]


@pytest.mark.django_db
def test_unlocking_does_not_touch_a_newer_lock(job):
    claim(job)
    seen = Job.objects.get(pk=job.pk)
    Job.objects.filter(pk=job.pk).write(lock=uuid4())
    assert not holding.unlock(seen, by="ada")
    assert Job.objects.get(pk=job.pk).is_locked
