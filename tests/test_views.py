"""The page for probes."""

from __future__ import annotations

from functools import partial

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import OperationalError
from django.test import RequestFactory
from prometheus_client.parser import text_string_to_metric_families

from cronkite import views
from cronkite.nodes import ticks

pytestmark = pytest.mark.django_db


def get(view=views.health, user=None, method="get", query="", **headers):
    request = getattr(RequestFactory(), method)(f"/cron/health/{query}", headers=headers)
    if user is not None:
        request.user = user
    return view(request)


@pytest.fixture
def viewer():
    user = User.objects.create_user("viewer")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_job", "view_log"]))
    return user


def test_it_is_closed_to_those_who_may_not_view_jobs_and_logs():
    half = User.objects.create_user("half")
    half.user_permissions.add(Permission.objects.get(codename="view_job"))
    for user in (None, AnonymousUser(), User.objects.create_user("nobody"), half):
        answer = get(user=user)
        assert answer.status_code == 403
        assert b"level" not in answer.content


def test_who_may_view_jobs_and_logs_sees_all(viewer, client, settings):
    import json

    answer = get(user=viewer)
    assert answer.status_code == 503
    said = json.loads(answer.content)
    assert said["level"] == "CRITICAL"
    assert said["findings"][0]["level"] == "CRITICAL"
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_all_is_well():
    ticks.tick(workers=0)
    assert get(partial(views.health, allow=views.anybody)).status_code == 200


def test_a_token_opens_it():
    view = partial(views.health, allow=views.bearer("s3cret"))
    assert get(view, authorization="Bearer s3cret").status_code == 503
    for wrong in ("", "Bearer", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3crét"):
        assert get(view, authorization=wrong).status_code == 403


def test_an_empty_token_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        views.bearer("")


def test_a_database_that_does_not_answer_is_503_and_tells_nobody_why(monkeypatch, caplog):
    def away(**_):
        raise OperationalError("no route to db-7.internal")

    monkeypatch.setattr(views, "report", away)
    answer = get(partial(views.health, allow=views.anybody))
    assert (answer.status_code, b"UNKNOWN" in answer.content, b"db-7" in answer.content) == (503, True, False)
    assert "db-7" in caplog.text


def test_it_changes_nothing_and_takes_no_post(viewer):
    assert get(user=viewer, method="post").status_code == 405
    assert get(user=viewer, method="head").status_code == 503


#: What Prometheus 3 sends, what a browser and curl do, and what a program that knows what it wants does.
SCRAPE = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
OTHERS = [
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "*/*",
    "",
    "application/json",
    "text/plain",
]
OPEN = partial(views.health, allow=views.anybody)


def level(answer):
    """Return the level among the numbers, as Prometheus reads them."""
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
    return families["cronkite_health_level"].samples[0].value


@pytest.mark.parametrize(("query", "accept"), [("", SCRAPE), ("?format=prometheus", ""), ("?format=prometheus", "*/*")])
def test_prometheus_gets_numbers_and_200_however_bad_they_are(query, accept):
    answer = get(OPEN, query=query, accept=accept)
    # It reads nothing of an answer that is an error, and would know least when it matters most.
    assert (answer.status_code, level(answer)) == (200, 2)
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(("query", "accept"), [*(("", each) for each in OTHERS), ("?format=json", SCRAPE)])
def test_all_others_get_json_as_before(query, accept):
    answer = get(OPEN, query=query, accept=accept)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/json")


def test_who_names_json_beside_the_text_gets_json():
    assert get(OPEN, accept="application/json, text/plain;version=0.0.4")["Content-Type"] == "application/json"


def test_a_format_that_is_none_is_an_error_that_says_which_there_are():
    answer = get(OPEN, query="?format=xml")
    assert (answer.status_code, b"json or prometheus" in answer.content) == (400, True)


def test_numbers_are_closed_to_those_who_may_not_view_jobs_and_logs():
    for query in ("?format=prometheus", "?format=xml"):
        answer = get(query=query, accept=SCRAPE)
        assert (answer.status_code, b"cronkite" in answer.content) == (403, False)


@pytest.mark.parametrize("where", ["report", "numbers"])
def test_a_database_that_does_not_answer_is_a_number_to_prometheus(monkeypatch, caplog, where):
    def away(*_, **__):
        raise OperationalError("no route to db-7.internal")

    monkeypatch.setattr(views, where, away)
    answer = get(OPEN, accept=SCRAPE)
    assert (answer.status_code, level(answer), b"db-7" in answer.content) == (200, 3, False)
    assert "db-7" in caplog.text
