"""What the browser's tests share: a browser, pages of people who are logged in, and a shop with a past."""

from __future__ import annotations

import os
import random
from datetime import timedelta

import pytest
from admin_pages import lock, permissions
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from browser.pictures import DESK
from browser.programs import find_chromium
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.models import Job, Log

#: Milliseconds until a wait is given up: far more than a busy machine needs.
PATIENCE = 60_000

Status = Log.Status


@pytest.fixture(scope="session")
def chromium():
    """A browser, for all tests."""
    options = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, live_server):
    """Return a function that opens a page for a user (``None``: nobody).

    The test fails if the page has said an error on its console: what the policy refuses is said there.
    """
    contexts, said = [], []

    def listen(message):
        # What a test brings into the page has no address: axe-core tries styles on it, which the policy refuses.
        if message.type == "error" and message.location["url"]:
            said.append(message.text)

    def open_page(user, path="/admin/", **options):
        context = chromium.new_context(
            base_url=live_server.url, locale="en-GB", timezone_id="UTC", **{"viewport": DESK, **options}
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            context.add_cookies(
                [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
            )
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Browsers ask for an icon by themselves, and there is none.
    assert not [text for text in said if "favicon" not in text and "404" not in text]


@pytest.fixture
def boss(transactional_db):
    """A person who may do everything."""
    from django.contrib.auth.models import User

    return User.objects.create(username="alex", is_staff=True, is_superuser=True)


@pytest.fixture
def guest(transactional_db):
    """A person who may only look."""
    from django.contrib.auth.models import User

    user = User.objects.create(username="kim", is_staff=True)
    user.user_permissions.set(permissions("view_job", "view_log"))
    return user


@pytest.fixture
def shop(transactional_db):
    """The shop's jobs, and what they did during the last day; by their names."""
    discovery.auto_discover("shop.crontab")
    jobs = {job.name: job for job in Job.objects.all()}
    dice, now = random.Random(7), clock.now("default").replace(microsecond=0)
    logs = []
    for job in jobs.values():
        fence = 0
        for slot in job.get_schedule().slots_between(now - timedelta(days=1), now - timedelta(seconds=1)):
            kind = dice.random()
            if job.name == "Take orders" and timedelta(minutes=21) > now - slot > timedelta(minutes=14):
                continue
            fence += 1
            status = Status.FAILED if kind < 0.04 else Status.TIMED_OUT if kind < 0.05 else Status.SUCCEEDED
            took = dice.uniform(0.1, 30) if job.name != "Rebuild the search index" else dice.uniform(400, 900)
            logs.append(
                Log(
                    job=job,
                    job_name=job.name,
                    function=job.function,
                    slot=slot,
                    fence=fence,
                    node=dice.choice(["web-1", "web-2", "worker-1"]),
                    status=status,
                    created=slot + timedelta(seconds=0.2),
                    started_at=slot + timedelta(seconds=0.3),
                    finished_at=min(now, slot + timedelta(seconds=0.3 + took)),
                    exc_info="Traceback …\nSupplierIsAway: 503" if status == Status.FAILED else "",
                )
            )
        Job.objects.filter(pk=job.pk).write(fence=fence)
    orders = jobs["Take orders"]
    logs.append(
        Log(
            job=orders,
            job_name=orders.name,
            function=orders.function,
            slot=now.replace(second=0) - timedelta(minutes=15),
            missed=5,
            node="web-2",
            status=Status.MISSED,
            created=now - timedelta(minutes=14),
            reason="no node ticked in time",
        )
    )
    Log.objects.bulk_create(sorted(logs, key=lambda log: log.created))
    running = lock(jobs["Import prices"], "worker-1")
    Log.objects.filter(pk=running.pk).update(started_at=now - timedelta(minutes=2))
    stuck = lock(jobs["Report sales"], "web-2", age=1500)
    Log.objects.filter(pk=stuck.pk).update(started_at=now - timedelta(minutes=26), created=now - timedelta(minutes=26))
    for name in ("Import prices", "Report sales"):
        # Of the runs that the loop above has made up, none was there while these two hold the lock.
        last = jobs[name].logs.get(status=Status.RUNNING)
        started = Log.objects.get(pk=last.pk).started_at
        jobs[name].logs.filter(created__gte=started).exclude(pk=last.pk).delete()
    close = jobs["Close the books"]
    close.enabled = False
    close.save()
    return {job.name: job for job in Job.objects.all()}
