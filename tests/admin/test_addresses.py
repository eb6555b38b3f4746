"""Whatever the address of a page asks for, it is answered: never by an error of the server's."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from admin_pages import JOBS, LOGS, PREVIEW, TIMELINE, change, make_log, said
from django.contrib import admin
from django.db import transaction

from cronkite.admin import addresses, health
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db

#: As they stand in an address: what some database, zone or pattern can't take.
HOSTILE = {
    "NUL": "%00",
    "NUL inside": "a%00b",
    "surrogate": "%ED%A0%80",
    "broken": "%FF%FE",
    "emoji": quote("😀"),
    "20 digits": "9" * 20,
    "63 bits": str(2**63),
    "5000 digits": "9" * 5000,
    "negative": "-1",
    "not ASCII": quote("٣"),
    "bad date": "2026-02-30T10:00",
    "year 1": "0001-01-01T00:00:00%2B14:00",
    "year 9999": "9999-12-31T23:59:59-14:00",
    "zone": quote("../../etc/passwd"),
    "pattern": quote("[(*"),
    "JSON": quote('{"a": [1e999, NaN, "\\ud800", "\\u0000"]}'),
    "deep": quote("[" * 2000),
    "many words": quote("a " * 3000),
    "long": "x" * 60000,
    "empty": "",
}
#: How long a value is that is tried in each way.
SHORT = 30
LISTED = ["q", "p", "o", "e", "all", "_popup", "_facets", "_changelist_filters", "nonsense", "%00", "id__in"]
PARAMETERS = {
    JOBS: [*LISTED, "state", "outcome", "app", "source", "name__regex", "lock__exact", "args__0", "next_run__year"],
    LOGS: [
        *LISTED,
        *["job", "node", "when", "status__exact", "status__in", "job__id__exact", "job__name__contains", "result__a"],
        *["created__gte", "created__lt", "created__lte", "slot__gt", "slot__date", "fence__exact", "output__contains"],
    ],
    TIMELINE: ["window", "until", "by", "q", "job", "p", "nonsense"],
    PREVIEW: ["function", "args", "kwargs", "schedule", "timezone", "nonsense"],
    f"{JOBS}add/": ["name", "args", "timeout", "enabled", "schedule", "_popup", "_changelist_filters"],
    "job": ["_changelist_filters", "_popup", "p", "name", "nonsense"],
    "delete": ["_popup", "_changelist_filters"],
    "history": ["p", "nonsense"],
    "log": ["_changelist_filters", "_popup", "p", "nonsense"],
}


@pytest.fixture
def pages(make_job):
    """The address of each page, by what stands for it above."""
    job = make_job(name="Report")
    log = make_log(job)
    return {
        "job": change(job),
        "delete": f"{JOBS}{job.pk}/delete/",
        "history": f"{JOBS}{job.pk}/history/",
        "log": f"{LOGS}{log.pk}/change/",
    }


@pytest.mark.parametrize("page", PARAMETERS)
def test_no_address_is_answered_with_an_error_of_the_server(admin_client, pages, monkeypatch, page):
    """Each parameter is judged for itself, so that one request has them all; the first is refused as a whole."""
    monkeypatch.setattr(health, "report", lambda *_: None)
    url = pages.get(page, page)
    for value in HOSTILE.values():
        alone, together = f"_to_field={value}", "&".join(f"{name}={value}" for name in PARAMETERS[page])
        for query in (together, alone) if len(value) < SHORT else (together,):
            with transaction.atomic():
                assert admin_client.get(f"{url}?{query}").status_code in {200, 302, 400}, query[:999]
    every = "&".join(f"{name}={value[:999]}" for value in HOSTILE.values() for name in PARAMETERS[page])
    assert admin_client.get(f"{url}?{every}").status_code in {200, 302, 400}


def test_no_row_can_be_named_that_is_answered_with_an_error_of_the_server(admin_client):
    for key in HOSTILE.values():
        for url in (f"{JOBS}{key}/change/", f"{JOBS}{key}/delete/", f"{JOBS}{key}/history/", f"{LOGS}{key}/change/"):
            assert admin_client.get(url).status_code in {302, 404}


def test_what_a_list_does_not_know_is_left_out_and_told(admin_client, make_job):
    log = make_log(make_job(), node="alpha")
    response = admin_client.get(f"{LOGS}?node=alpha&nod=beta&created__gte=soon")
    assert list(response.context["cl"].result_list) == [log]
    (message,) = said(response)
    assert message.endswith("no such filter or value: nod, created__gte.")


def test_of_several_values_the_last_one_counts(admin_client, make_job):
    make_log(make_job(), node="alpha")
    last = make_log(make_job(), node="beta")
    assert list(admin_client.get(f"{LOGS}?node=alpha&node=beta").context["cl"].result_list) == [last]


def test_a_page_that_is_not_there_is_the_first(admin_client, make_job):
    log = make_log(make_job())
    response = admin_client.get(f"{LOGS}?p=77&node=alpha", follow=True)
    assert list(response.context["cl"].result_list) == [log]


def test_actions_are_taken_whatever_else_the_address_has(admin_client, make_job):
    job = make_job()
    data = {"action": "disable", "_selected_action": [job.pk]}
    assert admin_client.post(f"{JOBS}?nonsense=1&name__regex=[", data).status_code == 302
    assert not Job.objects.get().enabled


def test_a_message_names_no_more_than_a_person_can_read(admin_client, db):
    response = admin_client.get(f"{LOGS}?" + "&".join(f"{'x' * 90}{n}=1" for n in range(90)))
    assert len(said(response)[0]) < 400
    assert "\\x00" in said(admin_client.get(f"{LOGS}?a%00=1"))[0]


def test_all_that_filters_offer_is_taken(admin_client, make_job):
    """Of ours, and of Django's own that a project may have on top."""
    make_log(make_job(), status=Log.Status.FAILED)
    for url in (JOBS, LOGS):
        offered = admin_client.get(url).context["cl"]
        links = {choice["query_string"] for spec in offered.filter_specs for choice in spec.choices(offered)}
        assert len(links) > 5
        for link in links:
            assert admin_client.get(f"{url}{link}").status_code == 200, link


def test_filters_of_a_projects_own_are_taken(rf, admin_client, make_job):
    class Theirs(type(admin.site.get_model_admin(Log))):
        list_filter = ["status", ("created", admin.DateFieldListFilter), ("job", admin.EmptyFieldListFilter)]

    theirs = Theirs(Log, admin.site)
    for name, value in (
        ("status__exact", "failed"),
        ("created__gte", "2026-03-04 00:00:00+00:00"),
        ("job__isnull", "0"),
    ):
        assert theirs._is_sound(name, value, {})


@pytest.mark.parametrize(
    ("name", "value", "is_sound"),
    [
        ("job__id__exact", "5", True),
        ("job", "5", True),
        ("job__name", "5", False),
        ("logs", "5", False),
        ("status__in", "failed,lost", True),
        ("fence__in", "1,,2", False),
        ("missed__gte", str(2**63), False),
        ("slot__isnull", "True", True),
        ("slot__isnull", "maybe", False),
        ("slot__gte", "2026-03-04", False),
        ("slot__gte", "2026-03-04T05:06:07+00:00", True),
        ("slot__year", "2026", False),
        ("function__icontains", "shop.", True),
        ("fence__icontains", "1", False),
        ("function__regex", "[", False),
        ("result", "1", False),
        ("result__isnull", "1", True),
    ],
)
def test_a_question_about_a_column_is_asked_if_every_database_answers_it(name, value, is_sound):
    assert addresses.is_lookup(Log, name, value) is is_sound
