"""On every page, at every width, in every language: nothing is cut off, and nothing covers anything else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from admin_pages import GROUPS, JOBS, LOGS, TIMELINE, change, lock
from playwright.sync_api import expect

from browser.pictures import DESK, PHONE, picture
from cronkite.database import clock
from cronkite.models import Group, Job, Log, Node

pytestmark = pytest.mark.django_db(transaction=True)

#: Names without a blank, as long as they are met and as long as they may be.
LONG, LONGEST = "Rebuild_the_search_index_of_the_warehouse_in_Lyon", "nightly" * 28 + "run!"
LONG_GROUP = "report" * 10 + "ing"
NODE = "worker-" + "0123456789abcdef" * 8
WIDTHS = (390, 1024, 1280, 1440)

#: What does not fit: a line for each element that is cut, covered, or beyond the window.
FAULTS = """() => {
    const wide = document.documentElement.clientWidth;
    const told = (node) => {
        const path = [];
        for (let at = node; at && at.id !== "main" && path.length < 4; at = at.parentElement) {
            const names = (at.getAttribute("class") || "").trim().split(/\\s+/).filter(Boolean);
            path.unshift(at.localName + (at.id ? `#${at.id}` : names.map((name) => `.${name}`).join("")));
        }
        return path.join(" > ");
    };
    // The strip on top has a line for each thing: names end in an ellipsis, and links lead to the whole.
    const isShortened = (node) => {
        for (let at = node; at && at.closest(".cronkite-health"); at = at.parentElement) {
            if (getComputedStyle(at).textOverflow === "ellipsis") {
                return true;
            }
        }
        return false;
    };
    // What is there for the eye; of texts that are typed into, the end is reached by typing.
    const seen = (node) => node.checkVisibility({visibilityProperty: true, opacityProperty: true})
        && !node.closest(".visually-hidden, .cronkite-unseen, .cronkite-tip, input, textarea, select, symbol")
        && !isShortened(node)
        && ![node.closest("thead"), node].some((each) => each && getComputedStyle(each).clipPath !== "none");
    const found = new Set();
    if (document.documentElement.scrollWidth > wide) {
        found.add(`the page takes ${document.documentElement.scrollWidth} of ${wide} px`);
    }
    const parts = ".breadcrumbs *, .messagelist *, .cronkite-health *, #content *";
    for (const node of [...document.querySelectorAll(parts)].filter(seen)) {
        const style = getComputedStyle(node), box = node.getBoundingClientRect();
        if (box.width && (box.right > wide + 1 || box.left < -1)) {
            found.add(`beyond the window: ${told(node)} from ${Math.round(box.left)} to ${Math.round(box.right)}`);
        } else if (node instanceof HTMLElement && style.overflowX !== "visible"
            && node.scrollWidth > node.clientWidth + 1) {
            found.add(`cut: ${told(node)} needs ${node.scrollWidth} of ${node.clientWidth} px`);
        }
    }
    // Titles and buttons, by where their texts are: a title may float beside its buttons.
    const drawn = [...document.querySelectorAll("#content h1, #content h2, .object-tools a, .object-tools button")]
        .filter(seen).map((node) => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return [node, range.getBoundingClientRect()];
        });
    for (const [number, [one, here]] of drawn.entries()) {
        for (const [other, there] of drawn.slice(number + 1)) {
            if (Math.min(here.right, there.right) - Math.max(here.left, there.left) > 1
                && Math.min(here.bottom, there.bottom) - Math.max(here.top, there.top) > 1) {
                found.add(`one covers the other: ${told(one)} and ${told(other)}`);
            }
        }
    }
    return [...found];
}"""


@pytest.fixture
def fleet(shop):
    """The shop, with jobs, nodes, functions and reasons whose names no line can hold; by their names."""
    now = clock.now("default").replace(microsecond=0)
    for name in (LONG, LONGEST):
        schedule = "*/7 1,2,3-5,6,7,8-23 1-7,9,11-25 * mon-fri"
        job = Job.objects.create(name=name, function="app.jobs.ok", schedule=schedule)
        logs = []
        for number in range(29, 0, -1):
            began, is_failed = now - timedelta(minutes=7 * number), number % 3 == 0
            logs.append(
                Log(
                    job=job,
                    job_name=name,
                    function=job.function,
                    slot=began,
                    fence=30 - number,
                    node=NODE,
                    status=Log.Status.FAILED if is_failed else Log.Status.SUCCEEDED,
                    created=began,
                    started_at=began,
                    finished_at=began + timedelta(seconds=number * 9999),
                    exc_info=f"Traceback …\nSupplierIsAway: {LONGEST}" if is_failed else "",
                    output=LONGEST,
                    result={"said": LONGEST},
                    reason=f"late: {LONGEST}",
                )
            )
        Log.objects.bulk_create(logs)
        Job.objects.filter(pk=job.pk).write(fence=29)
    lock(job, NODE, age=1500)
    group = Group.objects.create(name=LONG_GROUP, max_running=1000)
    Job.objects.filter(pk=job.pk).write(group=LONG_GROUP, seated_in=group.pk, seat=1)
    missing = Job.objects.create(
        name="Missing", function="app.jobs.ok", schedule="@daily", timezone="America/Argentina/ComodRivadavia"
    )
    Job.objects.filter(pk=missing.pk).write(
        function=f"app.{'very_long_module_name.' * 9}run", asked_at=now, asked_by=f"someone@{LONG}"
    )
    for name, age in ((NODE, 10), ("web-2", 1500)):
        seen = now - timedelta(seconds=age)
        Node.objects.create(name=name, ticked_at=seen, started_at=seen, clock_at=seen + timedelta(seconds=5))
    return {job.name: job for job in Job.objects.all()}


def pages(fleet):
    """Return the address of each page, by a name for it."""
    longest = fleet[LONGEST]
    failed = longest.logs.filter(status=Log.Status.FAILED).latest("id")
    return {
        "jobs": JOBS,
        "add": f"{JOBS}add/",
        "job": change(longest),
        "declared": change(fleet["Send invoices"]),
        "missing": change(fleet["Missing"]),
        "logs": LOGS,
        "logs-of-one": f"{LOGS}?job={longest.pk}&status__exact=failed",
        "log": f"{LOGS}{failed.pk}/change/",
        "timeline": TIMELINE,
        "timeline-day-nodes": f"{TIMELINE}?window=day&by=node",
        "groups": GROUPS,
        "group": f"{GROUPS}{Group.objects.get(name=LONG_GROUP).pk}/change/",
        "delete": f"{JOBS}{longest.pk}/delete/",
        "history": f"{JOBS}{longest.pk}/history/",
    }


@pytest.mark.parametrize("language", ["en", "de", "zh-hans"])
def test_nothing_is_cut_and_nothing_is_covered(visit, boss, fleet, settings, language):
    settings.LANGUAGE_CODE = language
    page = visit(boss, JOBS)
    found = {}
    for name, path in pages(fleet).items():
        page.goto(path)
        for wide in WIDTHS:
            page.set_viewport_size({"width": wide, "height": 900})
            picture(page, f"{name}-{language}-{wide}", full_page=True)
            if faults := page.evaluate(FAULTS):
                found[name, wide] = faults
    assert found == {}


def test_what_is_cut_is_found(visit, boss, fleet):
    page = visit(boss, change(fleet[LONGEST]), viewport={"width": 1024, "height": 900})
    page.evaluate("document.querySelectorAll('link[href*=widths]').forEach((sheet) => sheet.remove())")
    assert {fault.split(":")[0] for fault in page.evaluate(FAULTS)} >= {"beyond the window", "cut"}


@pytest.mark.parametrize("path", [JOBS, LOGS])
def test_on_a_phone_rows_are_cards_and_filters_are_folded_above(visit, boss, fleet, path):
    page = visit(boss, path, viewport=PHONE, java_script_enabled=False)
    row, cells = (
        page.locator("#result_list tbody tr").nth(3),
        "#result_list tbody tr:nth-child(4) > :is(td, th):visible",
    )
    edges = [cell.bounding_box() for cell in page.locator(cells).all()]
    assert len({round(box["y"]) for box in edges}) > 2
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] for box in edges)
    filters = page.locator("#changelist-filter")
    expect(filters).to_be_hidden()
    page.locator("label[for=cronkite-fold]").click()
    expect(filters).to_be_visible()
    assert filters.bounding_box()["y"] < row.bounding_box()["y"]
    filters.get_by_role("link", name="failed").click()
    expect(filters).to_be_hidden()
    expect(page.locator("label[for=cronkite-fold]")).to_contain_text("active")


def test_a_card_says_what_its_values_are(visit, boss, fleet):
    page = visit(boss, f"{LOGS}?status__exact=failed", viewport=PHONE)
    row = page.locator("#result_list tbody tr").first
    for label in ("Slot:", "Late by:", "Started at:", "Duration:"):
        expect(row.locator(".cronkite-label", has_text=label)).to_be_visible()
    page.set_viewport_size(DESK)
    expect(row.locator(".cronkite-label").first).to_be_hidden()
    picture(page, "logs-cards")
