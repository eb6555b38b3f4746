"""The page of one log, and what a form says whose preview gets no answer."""

from __future__ import annotations

import pytest
from admin_pages import JOBS, LOGS, change, make_log
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from browser.pictures import DESK, PHONE, picture
from browser.test_looks import DJANGOS_OWN
from cronkite.models import Log

pytestmark = pytest.mark.django_db(transaction=True)

#: A line in each colour and weight that terminals have names for.
COLOURED = "".join(f"\x1b[{code}mcolour {code}\x1b[0m\n" for code in (1, 2, 3, 4, 9, *range(30, 38), *range(90, 98)))
TRACEBACK = 'Traceback (most recent call last):\n  File "shop.py", line 3, in pay\n    raise Away(503)\nAway: 503\n'


def failed(shop):
    return make_log(
        shop["Send invoices"],
        fence=99_999,
        status=Log.Status.FAILED,
        output=COLOURED + "a line\n" * 200 + "the last line",
        exc_info=TRACEBACK,
        reason="asked for by alex",
        args=["a" * 200],
        kwargs={"to": "everybody"},
    )


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_log_can_be_read(visit, boss, shop, scheme, size):
    page = visit(boss, f"{LOGS}{failed(shop).pk}/change/", color_scheme=scheme, viewport=size)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    found = {
        violation["id"]: str(violation["nodes"])[:900]
        for violation in Axe().run(page, context=DJANGOS_OWN).response["violations"]
    }
    picture(page, f"log-coloured-{scheme}-{'wide' if size is DESK else 'narrow'}", full_page=True)
    assert found == {}


def test_a_text_is_copied_and_its_end_is_a_click_away(visit, boss, shop):
    page = visit(boss, f"{LOGS}{failed(shop).pk}/change/", permissions=["clipboard-read", "clipboard-write"])
    end = page.locator("#cronkite-output-end")
    expect(end).not_to_be_in_viewport()
    page.get_by_role("link", name="Jump to the end").click()
    expect(end).to_be_in_viewport()
    page.locator(".field-traceback").get_by_role("button", name="Copy").click()
    expect(page.locator(".field-traceback button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == TRACEBACK


def test_without_scripts_there_is_no_button_that_does_nothing(visit, boss, shop):
    page = visit(boss, f"{LOGS}{failed(shop).pk}/change/", java_script_enabled=False)
    expect(page.locator("button.cronkite-copy").first).to_be_hidden()
    page.get_by_role("link", name="Jump to the end").click()
    expect(page.locator("#cronkite-output-end")).to_be_in_viewport()


@pytest.mark.parametrize("status", [404, 200])
def test_a_preview_that_gets_no_answer_says_so(visit, boss, shop, status):
    """Such as that of a server which is away, or that asks to log in."""
    page = visit(boss, change(shop["Send invoices"]))
    said = page.locator("p.cronkite-problem[role=alert]")
    expect(said).to_be_hidden()
    page.route("**/preview/?*", lambda route: route.fulfill(status=status, body="<html>"))
    page.get_by_label("Schedule:").fill("0 5 * * *")
    expect(said).to_contain_text("no answer")
    expect(page.locator("#cronkite-ahead.cronkite-stale")).to_be_visible()
    page.unroute("**/preview/?*")
    page.get_by_label("Schedule:").fill("0 6 * * *")
    expect(page.locator("#cronkite-ahead")).to_contain_text("06:00")
    expect(said).to_be_hidden()


def test_what_is_typed_before_the_scripts_are_there_is_previewed(visit, boss, shop):
    """As on a slow line; and as by a browser that fills in again what was typed before the page was loaded anew."""
    page = visit(boss, JOBS)
    held = []

    def hold(route):
        held.append(route)

    # The form's last script: the page's own ones wait for it.
    last = "**/prepopulate_init.js"
    page.route(last, hold)
    with page.expect_request(last):
        page.goto(change(shop["Send invoices"]), wait_until="commit")
    page.get_by_label("Schedule:").fill("0 5 * * *")
    assert page.evaluate("document.readyState") == "loading"
    held.pop().continue_()
    expect(page.locator("#cronkite-ahead")).to_contain_text("05:00")
