"""A run is asked for again, with the arguments of a log, or once with others."""

from __future__ import annotations

import pytest
from admin_pages import EVIL, JOBS, LOGS, change, make_log, said
from django.utils.html import escape

from cronkite import requests
from cronkite.models import Job, Log
from cronkite.nodes import ticks

pytestmark = pytest.mark.django_db


def again(log):
    return f"{LOGS}{log.pk}/again/"


def once(job):
    return f"{JOBS}{job.pk}/once/"


def errors(response):
    return {name: list(found) for name, found in response.context["form"].errors.items()}


def test_run_again_asks_for_a_run_with_the_arguments_that_it_ran_with(admin_client, make_job):
    job = make_job(args=["now"], kwargs={})
    log = make_log(job, status=Log.Status.FAILED, args=["then"], kwargs={"a": EVIL})
    page = admin_client.get(again(log))
    assert escape('{"a": "<script>') in page.content.decode()
    assert EVIL not in page.content.decode()
    sent = {bound.html_name: bound.value() for bound in page.context["form"]}
    response = admin_client.post(again(log), sent, follow=True)
    assert response.redirect_chain == [(change(job), 302)]
    assert "will be run" in said(response)[0]
    assert Job.objects.get().call == (["then"], {"a": EVIL})
    ticks.tick(workers=0)
    newest = Log.objects.first()
    assert (newest.args, newest.kwargs, newest.reason) == (["then"], {"a": EVIL}, "asked for by admin")
    assert Job.objects.get().args == ["now"]


def test_run_once_with_asks_for_a_run_with_others(admin_client, make_job):
    job = make_job(args=[1])
    assert once(job) in admin_client.get(change(job)).content.decode()
    assert "[1]" in admin_client.get(once(job)).content.decode()
    admin_client.post(once(job), {"args": '["other"]', "kwargs": ""})
    assert Job.objects.get().call == (["other"], {})


def test_with_the_jobs_own_arguments_it_is_an_ordinary_request(admin_client, make_job):
    job = make_job(args=[1])
    admin_client.post(once(job), {"args": "[1]", "kwargs": "{}"})
    asked = Job.objects.get()
    assert (asked.is_asked, asked.asked_with) == (True, None)


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"args": "[", "kwargs": "{}"}, "args"),
        ({"args": "{}", "kwargs": "{}"}, "args"),
        ({"args": "[]", "kwargs": "[]"}, "kwargs"),
        ({"args": '["\\u0000"]', "kwargs": "{}"}, "args"),
        ({"args": "[1, 2, 3]", "kwargs": "{}"}, "args"),
        ({"args": "[" * 5000, "kwargs": "{}"}, "args"),
    ],
)
def test_arguments_that_the_job_could_not_have_are_refused(admin_client, make_job, sent, wrong):
    job = make_job("app.jobs.fail")
    assert [*errors(admin_client.post(once(job), sent))] == [wrong]
    assert not Job.objects.get().is_asked


def test_a_request_that_waits_is_not_replaced(admin_client, make_job):
    job = make_job()
    requests.ask(job, "otto")
    response = admin_client.post(once(job), {"args": "[1]", "kwargs": ""}, follow=True)
    assert "was waiting for its run already" in said(response)[0]
    assert (Job.objects.get().asked_by, Job.objects.get().asked_with) == ("otto", None)


def test_what_is_not_known_of_the_arguments_is_told(admin_client, make_job):
    job = make_job(args=["now"])
    Job.objects.filter(pk=job.pk).update(enabled=False)
    log = make_log(job, args='["cut... (cut)', kwargs={})
    Log.objects.update(function="app.jobs.gone")
    page = admin_client.get(again(log)).content.decode()
    for text in ("is not known, or was too long", "That run called app.jobs.gone", "It is disabled", escape('["now"]')):
        assert text in page


@pytest.mark.parametrize("codenames", [["view_log"], ["view_log", "run_job"], ["view_log", "view_job"], ["view_job"]])
def test_who_may_not_see_or_run_jobs_asks_for_none(login, make_job, codenames):
    client, job = login(*codenames), make_job()
    log = make_log(job, args=[], kwargs={})
    sent = {"args": "[]", "kwargs": "{}"}
    assert client.post(again(log), sent).status_code == client.post(once(job), sent).status_code == 403
    assert not Job.objects.get().is_asked
    if "view_log" in codenames:
        assert again(log) not in client.get(f"{LOGS}{log.pk}/change/").content.decode()


def test_of_a_job_that_is_gone_no_run_is_asked_for(admin_client, make_job):
    job = make_job()
    log = make_log(job)
    job.delete()
    assert admin_client.get(again(log)).status_code == 404
    assert admin_client.get(f"{LOGS}%00/again/").status_code == admin_client.get(f"{JOBS}77/once/").status_code == 404


def test_a_function_that_is_missing_here_is_the_business_of_the_node_that_takes_the_request(admin_client, make_job):
    job = make_job("app.jobs.not_there", args=["a"])
    page = admin_client.get(f"{JOBS}{job.pk}/once/").content.decode()
    assert "a node that has it takes the request" in page
    for args in ('["a"]', '["b"]'):
        Job.objects.filter(pk=job.pk).write(asked_at=None, asked_by="")
        admin_client.post(f"{JOBS}{job.pk}/once/", {"args": args, "kwargs": "{}"})
        job.refresh_from_db()
        assert job.is_asked
