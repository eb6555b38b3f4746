"""What one does to jobs in the admin is told truly before and after, loses no edit, and is done to thousands."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from admin_pages import JOBS, act, change, entry, errors, lock, said
from conftest import make_due
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cronkite import requests
from cronkite.database import clock
from cronkite.database.clock import Now
from cronkite.declared import discovery
from cronkite.models import Job, Node, switches
from cronkite.testing import freeze

pytestmark = pytest.mark.django_db

#: What can be done with jobs that were chosen.
ACTIONS = ("run", "withdraw", "enable", "disable", "unlock", "restore", "delete_selected")


def form_of(client, job):
    """Return what a browser sends of the job's form, if nothing is typed in."""
    form = client.get(change(job)).context["adminform"].form
    data = {}
    for name in form.fields:
        field = form[name]
        value = "" if field.value() is None else field.value()
        data[form.add_initial_prefix(name)] = value
        if value is not False:
            data[name] = value
    return data


# A form with unsaved edits.


@pytest.mark.parametrize("action", ["run", "disable", "unlock", "restore", "withdraw"])
def test_no_button_drops_unsaved_edits_nor_acts_upon_them(admin_client, make_job, action):
    job = make_job(name="calm")
    lock(job)
    requests.ask(job, "someone")
    before = Job.objects.filter(pk=job.pk).values().get()
    sent = {**form_of(admin_client, job), "name": "edited", "args": "[1", "action": action}
    response = admin_client.post(change(job), sent)
    (said_of_form,) = errors(response)["__all__"]
    assert "you have edited Name, Arguments" in said_of_form
    page = response.content.decode()
    assert 'value="edited"' in page
    assert ">\n[1</textarea>" in page
    assert Job.objects.filter(pk=job.pk).values().get() == before
    assert not LogEntry.objects.exists()


def test_a_button_on_a_form_without_edits_acts(admin_client, make_job):
    job = make_job()
    page = admin_client.post(change(job), {**form_of(admin_client, job), "action": "run"}).content.decode()
    assert "Run now?" in page
    response = admin_client.post(change(job), {"action": "run", "confirmed": "yes"}, follow=True)
    assert said(response) == [f"1 job will be run by the next tick: {job.name}."]
    assert response.redirect_chain == [(change(job), 302)]


def test_who_may_only_run_jobs_does_so_from_a_page_without_a_form(login, make_job):
    client, job = login("view_job", "run_job"), make_job()
    assert b"Run now?" in client.post(change(job), {"action": "run"}).content
    assert client.post(change(job), {"action": "disable"}).status_code == 403
    assert client.post(change(job), {"action": "nonsense"}).status_code == 403
    assert client.post(change(job), entry()).status_code == 403


def test_the_button_of_the_enter_key_saves(admin_client, make_job):
    page = admin_client.get(change(make_job())).content.decode()
    assert 0 < page.index('name="_save"') < page.index('name="action"')


# What decides.


def confirmation(client, action, *jobs):
    return " ".join(act(client, action, *jobs, confirmed="").content.decode().split())


def test_before_a_run_one_sees_the_arguments_and_what_stands_in_its_way(admin_client, make_job):
    job = make_job(name="odd", args=[1, "ü"], kwargs={"a": None}, enabled=False)
    with freeze(clock.now("default")):
        lock(job, "beta", age=5)
        requests.ask(job, "kim")
        page = confirmation(admin_client, "run", job)
    for text in (
        "app.jobs.ok(1, &quot;ü&quot;, a=null)",
        "Locked by beta; its run was last seen alive 5 s ago.",
        "The new run waits until that one has ended.",
        "It is disabled: it runs this once all the same.",
        "A run was asked for by kim, 0 s ago",
    ):
        assert text in page, text
    assert "is missing here" in confirmation(admin_client, "run", make_job("app.jobs.gone"))


def test_before_an_unlocking_one_sees_since_when_it_runs_and_was_alive(admin_client, make_job):
    job = make_job()
    log = lock(job, "beta", age=665)
    log.started_at = clock.now("default") - timedelta(hours=2, minutes=1)
    log.save()
    page = confirmation(admin_client, "unlock", job)
    assert "Locked by beta; its run began at " in page
    assert "2 h 1 min ago, and was last seen alive 11 min ago" in page
    assert "It is not locked" in confirmation(admin_client, "unlock", make_job())


def test_before_a_return_one_sees_what_differs(admin_client):
    discovery.auto_discover("app.declared_extra")
    job = Job.objects.get()
    declared, job.schedule = job.schedule, "1 2 3 4 *"
    job.save()
    page = confirmation(admin_client, "restore", job)
    assert "1 2 3 4 *" in page
    assert declared in page


def test_before_a_deletion_one_sees_that_logs_stay_that_it_runs_and_that_code_declares_it(admin_client):
    discovery.auto_discover("app.declared_extra")
    job = Job.objects.get()
    lock(job, "beta")
    for page in (
        confirmation(admin_client, "delete_selected", job),
        admin_client.get(f"{change(job).removesuffix('change/')}delete/").content.decode(),
    ):
        for text in ("Its logs stay", "Locked by beta", "app.declared_extra.", "it comes back"):
            assert text in page, text


def test_what_is_odd_is_told_first_and_the_rest_is_counted(admin_client, make_job):
    jobs = [make_job(name=f"job {number:02}", enabled=number != 39) for number in range(40)]
    page = confirmation(admin_client, "run", *jobs)
    assert page.index("job 39") < page.index("job 00")
    assert "1 is disabled." in page
    assert "and 15 more jobs" in page
    assert "job 30" not in page


# What is said afterwards.


def test_what_is_said_of_requests_is_true(admin_client, make_job, settings):
    settings.CRONKITE_LOCK_TIMEOUT = None
    free, locked, stuck, gone = (make_job(name=name) for name in ("free", "locked", "stuck", "gone"))
    Job.objects.filter(pk=gone.pk).write(function="app.jobs.gone")
    lock(locked)
    lock(stuck, age=10**6)
    assert sorted(said(act(admin_client, "run", free, locked, stuck, gone))) == [
        "1 job is locked, and will be run when its lock is free: locked.",
        "1 job is stuck, and will not be run until somebody unlocks it: stuck.",
        "1 job will be run by the next tick: free.",
        "The function of 1 job is missing here; the request waits for a node that has it: gone.",
    ]


def test_where_no_node_ticks_no_next_tick_is_promised(admin_client, make_job):
    Node.objects.create(name="dead", ticked_at=clock.now("default") - timedelta(hours=1), started_at=Now())
    assert said(act(admin_client, "run", make_job(name="free"))) == [
        "No node ticks; 1 job will be run when one does: free."
    ]


def test_a_request_is_seen_found_and_withdrawn(admin_client, make_job):
    job, other = make_job(name="asked"), make_job(name="other")
    act(admin_client, "run", job)
    response = admin_client.get(JOBS, {"state": "asked"})
    assert [each.name for each in response.context["cl"].result_list] == ["asked"]
    assert b'value="withdraw"' in admin_client.get(change(job)).content
    assert said(act(admin_client, "withdraw", job, other)) == [
        "The request for a run of 1 job was withdrawn: asked.",
        "No request waits for 1 job: none was there, or a node has taken it.",
    ]
    job.refresh_from_db()
    assert (job.asked_at, job.asked_by) == (None, "")
    assert b'value="withdraw"' not in admin_client.get(change(job)).content


# Thousands, and the way back.


@pytest.fixture
def thousands(db, settings):
    """More jobs than fields may be sent."""
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 20
    Job.objects.bulk_create(
        [Job(name=f"job {n:03}", function="app.jobs.ok", schedule=f"{n % 2} 3 * * *") for n in range(101)]
    )
    return list(Job.objects.all())


@pytest.mark.parametrize("action", ["run", "disable", "unlock", "restore", "withdraw", "delete_selected"])
def test_thousands_are_chosen_at_once(admin_client, thousands, action):
    first = {"action": action, "_selected_action": [job.pk for job in thousands[:9]], "select_across": "1"}
    with CaptureQueriesContext(connection) as queries:
        response = admin_client.post(f"{JOBS}?q=job", {**first, "index": "0"})
        if response.status_code == 200:
            keys = response.context["keys"]
            sent = {"_selected_action": keys, "action": action, "confirmed": "yes"}
            response = admin_client.post(response.context["address"], sent)
    assert (response.status_code, response["Location"]) == (302, f"{JOBS}?q=job")
    if action == "run":
        assert Job.objects.filter(asked_by="admin").count() == 101
    if action == "disable":
        assert not Job.objects.filter(enabled=True).exists()
    if action == "delete_selected":
        assert not Job.objects.exists()
    else:
        assert len(queries) < 60


def test_what_fits_the_filter_no_more_is_acted_on_all_the_same(admin_client, make_job):
    job = make_job(name="once held")
    data = {"action": "run", "_selected_action": f"{job.pk}", "confirmed": "yes"}
    response = admin_client.post(f"{JOBS}?state=running&o=1&q=once", data, follow=True)
    assert said(response) == ["1 job will be run by the next tick: once held."]
    assert response.redirect_chain == [(f"{JOBS}?state=running&o=1&q=once", 302)]


def test_of_a_list_that_has_become_shorter_the_last_page_is_shown(admin_client, thousands):
    response = admin_client.get(JOBS, {"q": "job", "p": "7"})
    assert response.status_code == 200
    assert len(response.context["cl"].result_list) == 1


def test_jobs_that_are_gone_are_told(admin_client, make_job):
    job = make_job()
    Job.objects.all().delete()
    for action, confirmed in product(ACTIONS, ("", "yes")):
        assert said(act(admin_client, action, job, confirmed=confirmed)) == [
            "What was chosen is gone meanwhile. Nothing was changed."
        ]


def test_of_several_those_that_are_gone_are_told(admin_client, make_job):
    gone, here = make_job(name="gone"), make_job(name="here")
    Job.objects.filter(pk=gone.pk).delete()
    assert said(act(admin_client, "run", gone, here)) == [
        "1 job that was chosen is gone meanwhile.",
        "1 job will be run by the next tick: here.",
    ]


@pytest.mark.parametrize("value", ["x", "", "[", "9" * 19, "1.5", "-1", "a\0b"])
def test_what_is_no_key_chooses_nothing(admin_client, make_job, value):
    make_job()
    for action in ACTIONS:
        response = admin_client.post(
            JOBS, {"action": action, "_selected_action": value, "confirmed": "yes"}, follow=True
        )
        assert response.status_code == 200
        (words,) = said(response)
        assert "selected" in words or "gone" in words
    assert Job.objects.filter(enabled=True, asked_at__isnull=True).count() == 1


def test_what_was_refused_was_something_to_do(admin_client, make_job):
    job = make_job(enabled=False)
    Job.objects.filter(pk=job.pk).write(schedule="61 * * * *", enabled=False, next_run=None)
    (words,) = said(act(admin_client, "enable", job))
    assert words.startswith("ok: ")
    assert "61" in words


# Many are switched as one is.


def switched(jobs, *, on):
    return sorted(job.name for job in switches.switch(jobs, on=on, using="default").jobs)


def test_disabling_many_leaves_what_disabling_each_does(make_job):
    alone, due, _, off = (make_job(name=name) for name in ("alone", "due", "idle", "off"))
    make_due(due)
    off.enabled = False
    off.save()
    alone.enabled = False
    alone.save()
    jobs = list(Job.objects.filter(name__in=["due", "idle", "off"]))
    owed = Job.objects.get(name="due").next_run
    assert switched(jobs, on=False) == ["due", "idle"]
    rows = {job.name: job for job in Job.objects.all()}
    for name in ("due", "idle"):
        assert (rows[name].enabled, rows[name].next_run, rows[name].revision) == (False, None, rows["alone"].revision)
        assert rows[name].planned_at >= rows["alone"].planned_at
    assert [(log.job_name, log.slot, log.reason) for log in rows["due"].logs.all()] == [
        ("due", owed, "the job was disabled")
    ]
    assert not rows["idle"].logs.exists()


def test_enabling_many_leaves_what_enabling_each_does(make_job):
    names = ("free", "same", "ahead", "broken")
    jobs = [make_job(name=name, enabled=False, schedule="0 3 * * *") for name in names]
    far = clock.now("default") + timedelta(days=30)
    Job.objects.filter(name="ahead").write(last_slot=far)
    Job.objects.filter(name="broken").write(schedule="61 * * * *")
    done = switches.switch(list(Job.objects.filter(pk__in=[job.pk for job in jobs])), on=True, using="default")
    assert [job.name for job, _ in done.refused] == ["broken"]
    rows = {job.name: job for job in Job.objects.all()}
    schedule = rows["free"].get_schedule()
    assert rows["free"].next_run == rows["same"].next_run == schedule.next_after(rows["free"].planned_at)
    assert rows["ahead"].next_run == schedule.next_after(far)
    assert [rows[name].enabled for name in names] == [True, True, True, False]


def test_hundreds_are_enabled_each_by_its_own_schedule_in_few_statements(db):
    Job.objects.bulk_create(
        [
            Job(name=f"{n}", function="app.jobs.ok", schedule=f"{n % 60} {n // 60} * * *", enabled=False)
            for n in range(250)
        ]
    )
    with CaptureQueriesContext(connection) as queries:
        switches.switch(list(Job.objects.all()), on=True, using="default")
    assert len(queries) < 12
    jobs = Job.objects.all()
    assert {job.next_run == job.get_schedule().next_after(job.planned_at) for job in jobs} == {True}
    assert {job.revision for job in jobs} == {1}


def test_what_was_edited_meanwhile_is_planned_by_its_new_schedule(make_job):
    stale = [make_job(name=name, enabled=False, schedule="0 3 * * *") for name in ("one", "two")]
    Job.objects.filter(name="two").write(schedule="0 4 * * *")
    switches.switch(stale, on=True, using="default")
    two = Job.objects.get(name="two")
    assert two.next_run == two.get_schedule().next_after(two.planned_at)
