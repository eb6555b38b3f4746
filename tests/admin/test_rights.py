"""What people may see and do in the admin, alone and beside each other."""

from __future__ import annotations

import pytest
from admin_pages import JOBS, LOGS, change, entry, errors, make_log
from django.db import OperationalError
from django.urls import reverse
from django.views.debug import SafeExceptionReporterFilter

from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db

Status = Log.Status


def form_of(client, job):
    """Return what a browser would send of the job's page, unedited: what is shown, and what was."""
    form = client.get(change(job)).context["adminform"].form
    sent = {}
    for bound in form:
        value = bound.field.prepare_value(bound.initial)
        if value is True:
            sent[bound.html_name], sent[bound.html_initial_name] = "on", "True"
        elif value is False:
            sent[bound.html_initial_name] = "False"
        else:
            sent[bound.html_name] = sent[bound.html_initial_name] = "" if value is None else value
    return sent


@pytest.mark.parametrize(("codenames", "listed"), [(["view_job"], 2), (["view_job", "view_log"], 1)])
def test_by_how_runs_ended_jobs_are_narrowed_for_who_may_see_logs_alone(login, make_job, codenames, listed):
    failed, other = make_job(name="failed"), make_job(name="other")
    Job.objects.filter(pk=failed.pk).write(fence=1)
    make_log(failed, fence=1, status=Status.FAILED)
    response = login(*codenames).get(JOBS, {"outcome": "failed"})
    assert len(response.context["cl"].result_list) == listed
    offered = {spec.title for spec in response.context["cl"].filter_specs}
    assert ("last outcome" in offered) == ("view_log" in codenames)
    assert other.name == "other"


@pytest.mark.parametrize("codename", ["run_job", "unlock_job"])
def test_who_may_act_and_not_see_is_told_what_is_lacking(login, make_job, codename):
    client, job = login(codename), make_job(name="secret")
    index = client.get(reverse("admin:index")).content.decode()
    assert JOBS in index
    assert LOGS not in index
    response = client.get(JOBS)
    assert response.status_code == 403
    assert "cronkite.view_job" in response.content.decode()
    assert "secret" not in response.content.decode()
    assert client.get(change(job)).status_code == 403
    assert client.post(JOBS, {"action": "run", "_selected_action": [job.pk], "confirmed": "1"}).status_code == 403
    assert not Job.objects.get().is_asked


def test_who_may_do_nothing_is_shown_nothing(login, make_job):
    client = login()
    assert JOBS not in client.get(reverse("admin:index")).content.decode()
    assert client.get(JOBS).status_code == 403
    assert "cronkite.view_job" not in client.get(JOBS).content.decode()


def test_the_page_says_what_it_says_if_a_preview_gets_no_answer(admin_client, make_job):
    assert 'data-silent="There is no answer' in admin_client.get(change(make_job())).content.decode()


@pytest.mark.parametrize(
    ("column", "theirs", "mine", "told"),
    [
        ("schedule", "0 4 * * *", "0 5 * * *", "0 4 * * *"),
        ("args", ["b"], '["c"]', "[&quot;b&quot;]"),
        ("timeout", 5, "6", "5"),
        ("timezone", "Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"),
        ("description", "", "mine", "-"),
        ("timeout", None, "6", "-"),
    ],
)
def test_of_two_who_edit_the_same_field_the_second_is_told(admin_client, make_job, column, theirs, mine, told):
    job = make_job(description="first", schedule="0 3 * * *", timeout=3)
    sent = form_of(admin_client, job)
    assert admin_client.post(change(job), sent).status_code == 302
    Job.objects.filter(pk=job.pk).update(**{column: theirs})
    response = admin_client.post(change(job), sent | {column: mine})
    assert [*errors(response)] == [column]
    assert f"it is now {told}." in response.content.decode()
    assert getattr(Job.objects.get(), column) == theirs
    # The form now carries what they have saved: to send it again is to have seen that.
    again = dict(response.context["adminform"].form.data.items())
    assert admin_client.post(change(job), again).status_code == 302
    assert str(getattr(Job.objects.get(), column)).replace("'", '"') == mine


def test_of_two_who_type_the_same_or_edit_other_fields_nobody_is_held_up(admin_client, make_job):
    job = make_job(description="first", schedule="0 3 * * *", args=[1])
    sent = form_of(admin_client, job)
    Job.objects.filter(pk=job.pk).update(schedule="0 4 * * *", timeout=7, args=[1, 2])
    assert (
        admin_client.post(
            change(job), sent | {"schedule": "0 4 * * *", "description": "mine", "args": "[1,2]"}
        ).status_code
        == 302
    )
    saved = Job.objects.get()
    assert (saved.schedule, saved.timeout, saved.description, saved.args) == ("0 4 * * *", 7, "mine", [1, 2])


def test_a_script_that_sends_fields_alone_edits_as_before(admin_client, make_job):
    job = make_job()
    assert admin_client.post(change(job), entry(name="new")).status_code == 302
    assert Job.objects.get().name == "new"


def test_a_switch_that_another_has_turned_is_told_of(admin_client, make_job):
    """Of two values, whoever turns it as another has done before types the same."""
    job = make_job()
    sent = form_of(admin_client, job)
    Job.objects.filter(pk=job.pk).update(enabled=False)
    del sent["enabled"]
    assert admin_client.post(change(job), sent).status_code == 302
    assert not Job.objects.get().enabled


PING = "https://hc-ping.com/s3cret"


def test_the_url_that_is_pinged_is_shown_to_who_may_change_the_job_alone(login, make_job):
    job = make_job(ping=PING)
    page = login("view_job", "view_log", "run_job").get(change(job)).content.decode()
    assert "s3cret" not in page
    assert "https://hc-ping.com/…" in page


def test_who_may_change_the_job_sees_and_edits_the_url_that_is_pinged(login, make_job):
    job = make_job(ping=PING)
    client = login("view_job", "change_job")
    assert PING in client.get(change(job)).content.decode()
    sent = form_of(client, job)
    assert "has to begin with https://" in str(errors(client.post(change(job), {**sent, "ping": "s3cret.com"}))["ping"])
    client.post(change(job), {**sent, "ping": f" {PING}/2 "})
    assert Job.objects.get().ping == f"{PING}/2"


def test_what_is_reported_of_an_error_in_the_form_has_not_the_url_that_is_pinged(login, make_job, monkeypatch):
    job = make_job(ping=PING)
    client = login("view_job", "change_job")
    sent = form_of(client, job)

    def fail(*_, **__):
        raise OperationalError("the disk is full")

    monkeypatch.setattr(Job, "save", fail)
    client.raise_request_exception = False
    request = client.post(change(job), sent).wsgi_request
    reported = SafeExceptionReporterFilter().get_post_parameters(request)
    assert (request.POST["ping"], reported["name"]) == (PING, job.name)
    assert "s3cret" not in str(reported)


def test_the_url_that_is_pinged_cannot_be_found_out_by_asking_for_its_letters(login, make_job):
    make_job(ping=PING)
    client = login("view_job")
    for question in ("ping", "ping__startswith", "ping__gt", "ping__in", "ping__contains"):
        response = client.get(JOBS, {question: PING}, follow=True)
        assert len(response.context["cl"].result_list) == 1
        assert "Left out of the address" in response.content.decode()
        assert len(client.get(JOBS, {question: "http"}, follow=True).context["cl"].result_list) == 1
    assert len(client.get(JOBS, {"q": "s3cret"}).context["cl"].result_list) == 0
