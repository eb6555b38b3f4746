"""A node lives through whatever engines, tasks and their modules do, and so do its other jobs."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from conftest import due, yearly
from django.core.management import call_command
from django.db import IntegrityError, connection, connections
from django_tasks_db.models import DBTaskResult
from nodes import PATIENCE, nodes, until
from rivals import rival

from app import engines, handed
from cronkite.claims import claiming, handing, holding, skips, verdicts
from cronkite.claims.verdicts import Receipt
from cronkite.database import clock, waits
from cronkite.engines import counter, couriers, django_tasks
from cronkite.engines.counter import Sorted
from cronkite.engines.couriers import Couriers
from cronkite.models import Job, Log
from cronkite.nodes.agenda import Agenda
from cronkite.nodes.dispatch import Dispatch
from cronkite.nodes.outages import Outages
from cronkite.schedules import catch_up
from cronkite.schedules.catch_up import CatchUp

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status


@pytest.fixture
def make_task(make_job):
    """Make a job that is due, and known to be a task."""

    def make(name, **columns):
        job = make_job(f"app.handed.{name}", **{"due": 0, **columns})
        Job.objects.filter(pk=job.pk).write(engine="django.tasks")
        return job

    return make


def tick():
    """Do in this process what a tick does."""
    call_command("cron", workers=0)


def in_time(action):
    """Do it in a thread, and fail if it does not end."""
    raised = []

    def act():
        try:
            action()
        except BaseException as error:
            raised.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits for something"
    assert not raised


def decide(read):
    return catch_up.decide(read.get_schedule(), CatchUp.LATEST, None, read.pending, read.now)


def test_an_engine_that_can_not_even_be_asked_keeps_no_other_job(make_task, monkeypatch, caplog):
    make_task("elsewhere")
    make_task("bill")
    table = django_tasks._table

    def ask(backend):
        if isinstance(backend, engines.ElsewhereBackend):
            raise RuntimeError("it is not configured")
        return table(backend)

    monkeypatch.setattr(django_tasks, "_table", ask)
    tick()
    assert Log.objects.get().function == "app.handed.bill"
    assert "'app.handed.elsewhere' cannot be handed over: RuntimeError: it is not configured" in caplog.text


def test_a_refused_task_whose_claim_was_not_answered_has_failed_all_the_same(make_task, monkeypatch):
    make_task("broken")
    monkeypatch.setattr(django_tasks, "joins", lambda order, using: True)
    claim_all, doubted = claiming.claim_all, []

    def claim_in_doubt(wanted, node, *take):
        claims = claim_all(wanted, node, *take)
        if not take and not doubted:
            doubted.extend(claims)
            raise verdicts.OutcomeUnknown(claims)
        return claims

    monkeypatch.setattr(claiming, "claim_all", claim_in_doubt)
    tick()
    assert doubted
    assert Log.objects.get().status == Status.FAILED
    assert Job.objects.get().lock is None


def test_a_refused_task_whose_end_could_not_be_written_keeps_no_lock(make_task, monkeypatch):
    make_task("broken")
    monkeypatch.setattr(django_tasks, "joins", lambda order, using: True)
    finish, failed = holding.finish, []

    def finish_later(claim, outcome):
        if not failed:
            failed.append(claim)
            raise IntegrityError("not now")
        return finish(claim, outcome)

    monkeypatch.setattr(holding, "finish", finish_later)
    tick()
    assert failed
    assert Log.objects.get().status == Status.FAILED
    assert Job.objects.get().lock is None


def test_what_was_handed_over_is_not_in_doubt_when_the_next_of_its_batch_stumbles(make_task):
    """Or it would be taken for a claim that is yet to be handed over, as its task keeps the lock."""
    jobs = [make_task("bill", overlap="wait for the task"), make_task("bill", overlap="wait for the task")]
    handed = handing.joined(lambda claim: Receipt("django.tasks", f"id-{claim.job_id}"), {job.pk for job in jobs})

    def take(attempts, using):
        if len(attempts) > 1:
            raise IntegrityError("one of them is unfit")
        if attempts[0].job.pk == jobs[1].pk:
            raise verdicts.Contention
        return handed(attempts, using)

    with pytest.raises(verdicts.Contention):
        claiming.claim_all([(due(job), decide(due(job))) for job in jobs], "node", take)
    assert Log.objects.get().task_id == f"id-{jobs[0].pk}"


@pytest.mark.parametrize("engine", ["django.tasks", ""])
def test_a_locked_row_keeps_no_node_that_finds_out_what_a_function_is(make_job, dispatch, engine):
    job = make_job("app.handed.bill", due=0)
    Job.objects.filter(pk=job.pk).write(engine="none")
    read = due(job)
    if connection.features.has_select_for_update_skip_locked:
        with rival(lambda: Job.objects.select_for_update().get(pk=job.pk)):
            in_time(lambda: dispatch.note(read, engine))
            assert not dispatch._outages.is_away
        assert Job.objects.get().engine == "none"
    # It is found out again at the next look.
    dispatch.note(read, engine)
    assert Job.objects.get().engine == engine


@pytest.fixture
def dispatch():
    """Have what a node hands over by, in this thread."""
    agenda = Agenda(stays=True)
    return Dispatch("node", agenda, Outages(agenda, lambda: None), Couriers(lambda: None, at_once=True))


def handed_over(job, said):
    """Claim a job, and return what came of handing it over."""
    read = due(job)
    claim = claiming.claim(read, decide(read), "node")
    order = SimpleNamespace(engine="django.tasks", task=handed.elsewhere)
    return Sorted(read, order), claim, said


SAID = [Receipt("django.tasks", "id", "elsewhere", is_followed=False), ValueError("no such queue")]


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite locks no rows: who writes keeps all others from writing"
)
@pytest.mark.parametrize("said", SAID, ids=["handed over", "refused"])
@pytest.mark.parametrize("model", [Job, Log])
@pytest.mark.parametrize("is_seen", [True, False])
def test_a_hand_off_that_can_not_be_written_keeps_no_other(
    make_job, dispatch, caplog, monkeypatch, said, model, is_seen
):
    dispatch._agenda.look(set())
    jobs = [make_job("app.handed.elsewhere", due=0) for _ in range(3)]
    found = [handed_over(job, said) for job in jobs]
    claims = [claim for _, claim, _ in found]
    dispatch._found, dispatch._claims = found, {claim.job_id: claim for claim in claims}
    key = claims[0].job_id if model is Job else claims[0].log_id
    if not is_seen:
        # It is locked only after it was asked what is.
        monkeypatch.setattr(skips, "held", lambda keys: set())
        monkeypatch.setattr(skips, "held_logs", lambda keys: set())

    def write():
        with waits.impatient("default"):
            for _ in range(3):
                dispatch._write()

    with rival(lambda: model.objects.select_for_update().get(pk=key)):
        in_time(write)
        assert dispatch.claims() == claims[:1]
        assert not Log.objects.filter(pk__in=[claim.log_id for claim in claims[1:]], status=Status.RUNNING).exists()
        assert set(Job.objects.exclude(lock=None)) == {jobs[0]}
    assert caplog.text.count("its hand-off can't be written yet") == 1
    dispatch._write()
    assert dispatch.is_idle()
    assert not Job.objects.exclude(lock=None).exists()
    assert not Log.objects.filter(status=Status.RUNNING).exists()


@pytest.mark.parametrize("module", ["hanging", "exiting"])
def test_a_module_whose_import_does_not_end_holds_up_no_other_task(make_task, make_job, tmp_path, module):
    make_task("bill", schedule="* * * * * *", due=None)
    log = tmp_path / "log"
    with nodes(("cron", "loop"), log=log, CRONKITE_TEST_POLL="1") as (node,):
        until(Log.objects.count)
        make_job(f"app.{module}.anything", due=0, run_mode="hand over")
        before = Log.objects.count()
        until(lambda: Log.objects.count() > before + 2)
        if module == "hanging":
            # Nobody has waited until it was given up.
            assert "app.hanging.anything" not in log.read_text()
        else:
            until(lambda: "app.exiting.anything' cannot be imported here: it called sys.exit(3)" in log.read_text())
            before = Log.objects.count()
            until(lambda: Log.objects.count() > before)
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
    assert Log.objects.count() == DBTaskResult.objects.count()


def test_a_thousand_jobs_in_one_slot_are_handed_over_in_one_tick():
    number = 1000
    columns = {"function": "app.handed.bill", "schedule": yearly(), "engine": "django.tasks"}
    Job.objects.bulk_create([Job(name=f"bill {n}", **columns) for n in range(number)])
    slot = Job.objects.first().get_schedule().latest_at(clock.now("default"))
    Job.objects.all().write(next_run=slot)
    tick()
    assert Log.objects.filter(status=Status.HANDED_OVER).count() == DBTaskResult.objects.count() == number


def test_what_was_sent_in_time_is_known_to_be_though_the_rest_takes_for_ever(make_job, dispatch):
    dispatch._agenda.look(set())
    group = [each[:2] for each in (handed_over(make_job("app.handed.elsewhere", due=0), SAID[0]) for _ in range(3))]
    dispatch._claims = {claim.job_id: claim for _, claim in group}
    found = [(*group[0], SAID[0])]

    def result():
        raise couriers.Overdue("it took longer than 60 s")

    dispatch._enqueued(group, found, result)
    assert [type(said) for _, _, said in dispatch._found] == [Receipt, TimeoutError, TimeoutError]


def test_what_there_was_no_time_to_send_is_sent_by_another_errand(make_task, monkeypatch, tmp_path):
    """However many tasks a slow broker gets at once, each errand ends in time."""
    monkeypatch.setenv("CRONKITE_TEST_QUEUE", str(tmp_path / "queue"))
    monkeypatch.setattr(counter, "ENOUGH", -1)
    errands, enqueue = [], counter.enqueue
    monkeypatch.setattr(counter, "enqueue", lambda group, found: errands.append(len(group)) or enqueue(group, found))
    for _ in range(3):
        make_task("elsewhere")
    tick()
    assert errands == [3, 2, 1]
    assert list(Log.objects.values_list("status", flat=True)) == [Status.HANDED_OVER] * 3


def test_a_module_that_could_be_imported_since_begins_anew(make_task, dispatch):
    job = make_task("bill")
    agenda = dispatch._agenda
    agenda.leave_alone(job, longer=True)
    dispatch.taker = SimpleNamespace(may_claim=lambda: False)
    dispatch._take([], lambda: counter.sort([job]))
    assert agenda._refusals["app.handed"] == 0


def test_an_import_of_tasks_that_raises_anything_ends_no_node(make_task, make_job, monkeypatch, caplog):
    make_task("bill")
    make_job(due=0)

    def fail(jobs):
        raise RuntimeError("nobody has thought of it")

    monkeypatch.setattr(counter, "sort", fail)
    tick()
    assert "nobody has thought of it" in caplog.text
    assert Log.objects.get().status == Status.SUCCEEDED


def test_a_machine_that_has_no_room_for_a_thread_ends_no_node(make_task, monkeypatch):
    told = []
    monkeypatch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no new thread")))
    many = Couriers(lambda: None)
    many.send("a place", lambda: 1, told.append)
    many.tell()
    with pytest.raises(RuntimeError, match="no new thread"):
        told[0]()
    assert many.is_idle()


def test_the_seats_of_a_question_are_those_of_its_own_tasks(make_task, dispatch):
    """Another question may have been begun since, of tasks that keep none."""
    dispatch._agenda.look(set())
    dispatch._agenda.look_at = None
    dispatch._followed("a place", False, lambda: None)
    assert dispatch._agenda.look_at is None
    dispatch._followed("a place", True, lambda: None)
    assert dispatch._agenda.look_at is not None


def test_a_courier_is_dismissed_though_it_takes_its_last_errand_just_then():
    """It is the node's own thread that dismisses it."""

    class Contended(SimpleQueue):
        def empty(self):
            return False

    courier = couriers._Courier("a place", lambda: None)
    own, courier.errands = courier.errands, Contended()
    try:
        in_time(lambda: courier.dismiss() == [])
    finally:
        own.put(None)


def test_a_job_on_which_a_node_and_its_workers_disagree_does_not_go_round_and_round(dispatch, make_job, caplog):
    """As when the code was replaced under a loop: the worker has imported the new one, and the node the old one."""
    job = due(make_job(due=0))
    dispatch.taker = SimpleNamespace(decide=lambda *_: None)
    dispatch.offer_task(job, "celery")
    dispatch.go_on()
    assert dispatch._agenda.waiting() == 0
    assert dispatch.offered() == set()
    assert "is a task for its workers, and none for itself. Restart this node" in caplog.text
    assert job.pk in dispatch._agenda._left_alone


def fail_in_the_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nothing_of_that_name")


@pytest.mark.parametrize("what", ["works", "fails", "is idle"])
def test_a_courier_keeps_no_connection_that_may_be_dead(what, monkeypatch):
    """Whoever ends those that are idle, as a server that is restarted, would have the next hand-over fail for good."""
    monkeypatch.setattr(couriers, "IDLE", 0.01 if what == "is idle" else 1_000_000)
    closed, has_one, close_all = [], [], connections.close_all

    def note():
        close_all()
        closed.append(threading.current_thread().name)

    monkeypatch.setattr(connections, "close_all", note)

    def look():
        has_one.append(connection.connection is not None)

    told = Couriers(lambda: None)
    for errand in (fail_in_the_database if what == "fails" else Job.objects.count, look):
        told.send("a place", errand, lambda result: None)
    until(lambda: told.tell() or told.is_idle())
    is_of_pool = "pool" in connection.settings_dict["OPTIONS"]
    if what == "is idle":
        until(lambda: "cronkite courier, a place" in closed)
    else:
        assert has_one == [what == "works" and not is_of_pool]
        assert closed == []
    told.close()


def test_couriers_that_have_nothing_to_do_keep_no_connections_of_a_pool():
    if "pool" not in connection.settings_dict["OPTIONS"]:
        pytest.skip("these connections are of no pool")
    couriers, told = Couriers(lambda: None), []
    for place in range(2 * connection.pool.max_size):
        couriers.send(place, Job.objects.count, lambda result: told.append(result()))
        until(lambda: couriers.tell() or couriers.is_idle(), patience=connection.pool.timeout / 2)
    couriers.close()
    assert told == [0] * 2 * connection.pool.max_size
