"""Groups in the admin: how many of their jobs may run at a time, and which wait."""

from __future__ import annotations

import pytest
from admin_pages import GROUPS, JOBS
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cronkite.claims import claiming
from cronkite.models import Group, Job

pytestmark = pytest.mark.django_db


def text(response):
    assert response.status_code == 200, response
    return response.content.decode()


def test_the_list_tells_how_many_run_of_how_many_and_leads_to_the_jobs(admin_client, make_job):
    Group.objects.create(name="reports", max_running=3)
    Group.objects.create(name="idle")
    job, _ = [make_job(name=name, group="reports") for name in ("one", "two")]
    claiming.claim_by_hand(job, "node")
    with CaptureQueriesContext(connection) as queries:
        page = text(admin_client.get(GROUPS))
    assert "1 of 3" in page
    assert "0 of 1" in page
    assert f'<a href="{JOBS}?group=reports">2 jobs</a>' in page
    found = admin_client.get(JOBS, {"group": "reports"}).context["cl"].result_list
    assert {each.name for each in found} == {"one", "two"}
    assert len([query for query in queries if "cronkite_job" in query["sql"]]) <= 2


def test_a_group_is_made_and_given_another_number(admin_client):
    admin_client.post(f"{GROUPS}add/", {"name": "Reports", "max_running": "2"})
    group = Group.objects.get()
    assert (group.name, group.max_running) == ("reports", 2)
    admin_client.post(f"{GROUPS}{group.pk}/change/", {"name": "other", "max_running": "5"})
    group.refresh_from_db()
    assert (group.name, group.max_running) == ("reports", 5)


@pytest.mark.parametrize("number", ["0", "-1", "1001", "many", ""])
def test_what_is_no_number_of_jobs_is_refused(admin_client, number):
    page = text(admin_client.post(f"{GROUPS}add/", {"name": "reports", "max_running": number}))
    assert "errornote" in page
    assert not Group.objects.exists()


def test_a_group_that_jobs_name_is_not_deleted(admin_client, make_job):
    group, free = [Group.objects.create(name=name) for name in ("reports", "free")]
    make_job(group="reports")
    assert admin_client.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 403
    asked = {"action": "delete_selected", "_selected_action": [group.pk, free.pk], "post": "yes"}
    assert "group reports, which 1 job names" in text(admin_client.post(GROUPS, asked))
    assert Group.objects.count() == 2
    admin_client.post(GROUPS, {**asked, "_selected_action": [free.pk]})
    assert set(Group.objects.values_list("name", flat=True)) == {"reports"}


def test_the_list_of_jobs_and_a_jobs_page_say_that_it_waits_for_its_group(admin_client, make_job):
    holder, waits = [make_job(name=name, due=0, group="reports") for name in ("holder", "waits")]
    claiming.claim_by_hand(holder, "node")
    said = "waits until its group, reports, has room"
    assert text(admin_client.get(JOBS)).count(said) == 1
    assert said in text(admin_client.get(f"{JOBS}{waits.pk}/change/"))
    assert said not in text(admin_client.get(f"{JOBS}{holder.pk}/change/"))


def test_projects_without_groups_are_asked_nothing_more(admin_client, make_job):
    make_job(due=0)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(JOBS)
    assert not [query for query in queries if "cronkite_group" in query["sql"] and "cronkite_job" not in query["sql"]]


def test_the_form_of_a_job_offers_the_groups(admin_client, make_job):
    Group.objects.create(name="reports")
    page = text(admin_client.get(f"{JOBS}{make_job().pk}/change/"))
    assert '<datalist id="id_group_list"><option value="reports"></option></datalist>' in page
    assert Job.objects.get().group == ""
