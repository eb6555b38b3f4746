"""The strip on top takes a few lines at any width, whatever is wrong, and hides nothing that one cannot reach."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from admin_pages import JOBS, LOGS, TIMELINE, change, lock, make_log
from playwright.sync_api import expect

from browser.pictures import picture
from cronkite.database import clock
from cronkite.models import Job, Log, Node

pytestmark = pytest.mark.django_db(transaction=True)

#: How high (pixels) a strip may be: of five lines, and of one, of some 20 each, with its own margins.
FIVE, ONE = 125, 42


@pytest.fixture
def ill(shop):
    """The shop, with 128 jobs that fail, others of each kind of trouble, and names of 200 letters without a blank."""
    now = clock.now("default")
    for name, age in (("web-1", 5), ("n" * 200, 3600), ("web-3", 3600)):
        Node.objects.create(name=name, ticked_at=now - timedelta(seconds=age), started_at=now)

    def make(kind, count):
        Job.objects.bulk_create(
            Job(name=f"{kind}{number}".ljust(200, "x"), function="shop.crontab.report_sales", schedule="0 0 1 1 *")
            for number in range(count)
        )
        return list(Job.objects.filter(name__startswith=kind).order_by("id"))

    # Of the shop's own jobs none fails: how the last run of each ended goes by the day and the hour.
    ended = Log.objects.filter(status__in=[Log.Status.FAILED, Log.Status.TIMED_OUT])
    ended.update(status=Log.Status.SUCCEEDED, exc_info="")
    for job in make("failing", 128):
        Job.objects.filter(pk=job.pk).write(fence=1)
        make_log(job, fence=1, status=Log.Status.FAILED)
    for job in make("stuck", 9):
        lock(job, node="m" * 200, age=4000)
    for job in make("overdue", 9):
        Job.objects.filter(pk=job.pk).write(next_run=now - timedelta(hours=1), asked_at=now - timedelta(hours=1))
    return shop


@pytest.mark.parametrize("width", [390, 1024, 1280, 1440])
def test_the_strip_is_low_at_any_width(visit, boss, ill, width):
    page = visit(boss, JOBS, viewport={"width": width, "height": 900})
    for path in (JOBS, LOGS, TIMELINE):
        page.goto(path)
        strip = page.locator(".cronkite-health")
        assert strip.bounding_box()["height"] <= FIVE
        assert page.evaluate("document.documentElement.scrollWidth") <= width or path != TIMELINE
        # The way to the others is in sight, however long the names before it.
        expect(strip).to_contain_text("128 jobs fail")
        right = strip.bounding_box()["x"] + strip.bounding_box()["width"]
        for more in strip.locator(".cronkite-findings > li:visible .cronkite-more").all():
            assert more.bounding_box()["x"] + more.bounding_box()["width"] <= right + 1
        for what in strip.locator(".cronkite-findings > li:visible .cronkite-what").all():
            assert what.bounding_box()["width"] >= 80
    picture(page, f"strip-{width}")
    failed = Log.objects.filter(status="failed").latest("id")
    for path in (change(ill["Report sales"]), f"{JOBS}add/", f"{LOGS}{failed.pk}/change/"):
        page.goto(path)
        strip = page.locator(".cronkite-health")
        assert strip.bounding_box()["height"] <= ONE
        strip.locator("summary").click()
        expect(strip.locator(".cronkite-findings a").first).to_be_visible()
        assert strip.evaluate("strip => strip.scrollWidth <= strip.clientWidth")


def test_the_strip_leads_to_the_log_that_failed_and_to_the_others(visit, boss, ill):
    page = visit(boss, JOBS)
    page.locator(".cronkite-health").get_by_role("link", name="and 125 more").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(100)
    page.locator(".cronkite-health .cronkite-findings li", has_text="jobs fail").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/admin/cronkite/log/\d+/change/$"))
    expect(page.locator("#content")).to_contain_text("failed")
