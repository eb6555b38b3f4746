"""The page for probes."""

from __future__ import annotations

from functools import partial

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import OperationalError
from django.test import RequestFactory

from cronkite import views
from cronkite.nodes import ticks

pytestmark = pytest.mark.django_db


def get(view=views.health, user=None, method="get", **headers):
    request = getattr(RequestFactory(), method)("/cron/health/", headers=headers)
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
