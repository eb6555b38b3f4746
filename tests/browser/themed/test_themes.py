"""The admin in another dress: its buttons work and its timeline can be read, whatever the theme leaves out."""

from __future__ import annotations

import re

import pytest
from admin_pages import JOBS, LOGS, TIMELINE, change
from django.conf import settings
from playwright.sync_api import expect

from browser.pictures import picture
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)

#: The contrast of what a text is drawn in with what lies behind it, as WCAG 2 has it. A part that is see-through lets
#: what is behind it through.
CONTRASTS = """([selector, property]) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    // Whatever way a theme has to name a colour: what is painted is red, green, blue and a share.
    const numbers = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (upper, lower) => {
        const [r, g, b, a] = upper;
        return [r, g, b].map((part, n) => part * a + lower[n] * (1 - a));
    };
    const light = (colour) => {
        const linear = (part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = colour.map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        if (!element) { return [255, 255, 255]; }
        return over(numbers(getComputedStyle(element).backgroundColor), behind(element.parentElement));
    };
    return Array.from(document.querySelectorAll(selector)).map((element) => {
        const painted = getComputedStyle(element)[property];
        const back = behind(property === "backgroundColor" ? element.parentElement : element);
        const [a, b] = [light(painted === "none" ? back : over(numbers(painted), back)), light(back)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
}"""

#: What has to be seen in the timeline, how it is painted, and by how much it has to stand out at least.
SEEN = {
    ".cronkite-now": ("stroke", 3),
    "circle.cronkite-ahead": ("stroke", 2),
    ".cronkite-lock-held": ("stroke", 3),
    ".cronkite-lock-silent": ("stroke", 3),
    ".cronkite-line": ("stroke", 1.1),
    ".cronkite-axis text": ("fill", 4.5),
    ".cronkite-succeeded > rect": ("fill", 3),
    ".cronkite-controls li a": ("color", 4.5),
    ".cronkite-controls li a[aria-current]": ("backgroundColor", 1.5),
    ".cronkite-health strong": ("color", 4.5),
}


def turn_to(page, tab):
    """Show a part of a form, where the theme has a tab for it."""
    tabs = page.get_by_role("tab", name=tab)
    if tabs.count():
        tabs.click()


def contrasts(page, selector, how):
    """Return the contrasts of all that the selector finds."""
    return page.evaluate(CONTRASTS, [selector, how])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_timeline_can_be_read(visit, boss, shop, scheme):
    page = visit(boss, TIMELINE, color_scheme=scheme)
    picture(page, f"{settings.THEME}-timeline-{scheme}")
    found = {selector: contrasts(page, selector, how) for selector, (how, _) in SEEN.items()}
    assert all(found.values()), found
    assert {
        selector: min(found[selector]) for selector, (_, least) in SEEN.items() if min(found[selector]) < least
    } == {}


def test_a_run_is_asked_for_and_the_form_is_left_alone(visit, boss, shop):
    job = shop["Report sales"]
    page = visit(boss, change(job))
    picture(page, f"{settings.THEME}-job")
    names = ["Run now", "Disable", "Unlock"]
    for name in names:
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert box["height"] >= 24
        assert box["width"] >= 40
    assert min(contrasts(page, "button.cronkite-action", "color")) >= 4.5
    page.get_by_role("button", name="Run now", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("Yes, go on"))).to_be_visible()
    picture(page, f"{settings.THEME}-confirm")
    page.get_by_role("button", name=re.compile("Yes, go on")).click()
    expect(page).to_have_url(re.compile(change(job)))
    now = Job.objects.get(pk=job.pk)
    assert (now.asked_by, now.schedule, now.enabled) == ("alex", job.schedule, job.enabled)


def test_the_forms_preview_is_there(visit, boss, shop):
    page = visit(boss, change(shop["Take orders"]))
    turn_to(page, "When to run it")
    page.locator("#id_schedule").fill("0 25 * * *")
    expect(page.locator("#cronkite-ahead")).to_contain_text("25 is out of range")
    assert min(contrasts(page, "#cronkite-ahead .cronkite-problem", "color")) >= 3


def test_jobs_and_logs_are_listed(visit, boss, shop):
    page = visit(boss, JOBS)
    picture(page, f"{settings.THEME}-jobs")
    expect(page.locator("#result_list tbody tr").filter(visible=True)).to_have_count(len(shop))
    failed = Log.objects.filter(status="failed").latest("id")
    page.goto(LOGS)
    picture(page, f"{settings.THEME}-logs")
    page.goto(f"{LOGS}{failed.pk}/change/")
    turn_to(page, "What came of it")
    picture(page, f"{settings.THEME}-log")
    expect(page.locator("pre.cronkite-text").filter(has_text="SupplierIsAway").first).to_be_visible()
