"""The timeline by mouse, by keyboard and by touch: what a bar says can be read, and leads to its logs."""

from __future__ import annotations

import re

import pytest
from admin_pages import LOGS, TIMELINE
from playwright.sync_api import expect

from browser.pictures import PHONE, picture
from cronkite.models import Log

pytestmark = pytest.mark.django_db(transaction=True)

#: By how many pixels an element is outside of the window, at each edge.
OUTSIDE = """(node) => {
    const box = node.getBoundingClientRect(), {clientWidth, clientHeight} = document.documentElement;
    return [-box.left, -box.top, box.right - clientWidth, box.bottom - clientHeight].filter((by) => by > 0);
}"""
#: The lane of what has the focus.
LANE = "document.activeElement.closest('.cronkite-track')?.getAttribute('aria-label')"


@pytest.mark.parametrize("size", [PHONE, {"width": 1024, "height": 600}], ids=["phone", "desk"])
def test_tips_stay_within_the_window(visit, boss, shop, size):
    job = shop["Take orders"]
    job.name = "nightly" * 28
    job.save()
    Log.objects.filter(job=job).update(job_name=job.name, reason="because " * 30)
    page = visit(boss, TIMELINE, viewport=size)
    tip = page.locator(".cronkite-tip")
    expect(tip).to_be_hidden()
    bars = page.locator(".cronkite-bar")
    lanes = page.locator(".cronkite-track[role=group]").count()
    assert lanes == 7
    for number in {0, bars.count() // 2, bars.count() - 1}:
        bars.nth(number).focus()
        expect(tip).to_have_text(bars.nth(number).get_attribute("aria-label"))
        assert tip.evaluate(OUTSIDE) == []
    picture(page, f"tip-{size['width']}")
    for key in ("Home", "End"):
        page.keyboard.press(key)
        assert tip.evaluate(OUTSIDE) == []
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_each_lane_is_one_stop_from_which_arrows_lead_on(visit, boss, shop):
    page = visit(boss, f"{TIMELINE}?window=day")
    bars = page.locator(".cronkite-bar")
    assert bars.count() > 100
    lanes = page.locator(".cronkite-track[role=group]:has(.cronkite-bar)").count()
    assert page.locator(".cronkite-bar[tabindex='0']").count() == lanes
    # A lane with many bars on each day, and another below: that of a monthly job has one, on one day of the month.
    page.get_by_role("group", name="Import prices").locator(".cronkite-bar[tabindex='0']").focus()
    first, lane = page.evaluate("document.activeElement.getAttribute('aria-label')"), page.evaluate(LANE)
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert (second != first, page.evaluate(LANE)) == (True, lane)
    expect(page.locator(".cronkite-tip")).to_have_text(second)
    page.keyboard.press("ArrowDown")
    below = page.evaluate(LANE)
    assert below != lane
    page.keyboard.press("ArrowUp")
    assert page.evaluate(LANE) == lane
    page.keyboard.press("End")
    # The next lane is one key away, by way of its name, and coming back leads to where one was.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(LANE) == below
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(LANE) == lane
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == first
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(LOGS))


def test_the_first_tap_shows_the_tip_and_the_second_opens(visit, boss, shop):
    page = visit(boss, TIMELINE, viewport=PHONE, has_touch=True, is_mobile=True)
    tip = page.locator(".cronkite-tip")
    bars = page.get_by_role("group", name="Import prices").locator("a.cronkite-bar")
    address = page.url
    bars.first.tap()
    expect(tip).to_contain_text(bars.first.get_attribute("aria-label"))
    expect(tip).to_contain_text("Tap again to open.")
    assert tip.evaluate(OUTSIDE) == []
    bars.nth(2).tap()
    expect(tip).to_contain_text(bars.nth(2).get_attribute("aria-label"))
    page.locator("h1").first.tap()
    expect(tip).to_be_hidden()
    assert page.url == address
    bars.nth(1).tap()
    bars.nth(1).tap()
    expect(page).to_have_url(re.compile(LOGS))


def test_bars_are_links_that_say_what_they_are_without_scripts(visit, boss, shop):
    page = visit(boss, TIMELINE, java_script_enabled=False)
    page.get_by_role("link", name=re.compile("Import prices: ")).first.click()
    expect(page).to_have_url(re.compile(LOGS))
