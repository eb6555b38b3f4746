"""What the tests of importing share: the real tables of other packages, and Celery's app."""

from __future__ import annotations

import importlib.util
import warnings
from contextlib import ExitStack, contextmanager

import pytest
from django.conf import settings
from django.contrib.admin import site
from django.core.management import call_command
from django.test import override_settings

#: Packages whose tables are made, each with the reason why it may be missing.
APPS = {
    "django_celery_beat": "it wants Django below 6.1, and does not go with what tests of RQ need: tox -e importing",
    "django_apscheduler": "it is in the group `tests`",
}


@pytest.fixture(scope="session")
def _tables(django_db_setup, django_db_blocker):
    """Make the tables of the packages that are there, by their own migrations, before any test's transaction."""
    there = [app for app in APPS if importlib.util.find_spec(app)]
    with warnings.catch_warnings(), _installed(*there), django_db_blocker.unblock():
        warnings.simplefilter("ignore")
        for app in there:
            call_command("migrate", app, verbosity=0)


@pytest.fixture
def installed(_tables, request):
    """Have an app be one of the project's, with its tables; skip where the package is not there."""

    def install(app):
        if importlib.util.find_spec(app) is None:
            pytest.skip(f"{app} is not installed: {APPS[app]}")
        stack = ExitStack()
        request.addfinalizer(stack.close)
        with warnings.catch_warnings():
            # Of their models, which are not ours to mend.
            warnings.simplefilter("ignore")
            stack.enter_context(_installed(app))

    return install


@contextmanager
def _installed(*apps):
    """Have apps be the project's during the block; what they enter into the admin goes with them."""
    registered = dict(site._registry)
    try:
        with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, *apps]):
            yield
    finally:
        site._registry = registered


@pytest.fixture
def celery_app():
    """The tests' app of Celery, as the one that the project has."""
    from celery import _state

    from app.celery_app import app

    before = _state._tls.current_app
    app.set_current()
    schedule, zone = dict(app.conf.beat_schedule), app.conf.timezone
    yield app
    app.conf.beat_schedule, app.conf.timezone = schedule, zone
    _state._tls.current_app = before
