"""Every page, in light and dark, wide and narrow: free of what axe-core finds, and within the screen."""

from __future__ import annotations

import pytest
from admin_pages import JOBS, LOGS, TIMELINE, change
from axe_playwright_python.sync_playwright import Axe

from browser.pictures import DESK, PHONE, picture
from cronkite.admin import health
from cronkite.models import Log

pytestmark = pytest.mark.django_db(transaction=True)


class Node:
    def __init__(self, name, age, skew=0.0):
        self.name, self.age, self.skew, self.stays = name, age, skew, False


class Health:
    level, nodes = 2, (Node("web-1", 12.0), Node("web-2", 1500.0), Node("worker-1", 3.0, 4.2))
    problems = ("Job 'Report sales' is stuck: unlock it once its run is gone.", "Node web-2 has not ticked for 25 min.")


def pages(shop):
    """Return the address of each page, by a name for it."""
    failed = Log.objects.filter(status="failed").latest("id")
    return {
        "jobs": JOBS,
        "add": f"{JOBS}add/",
        "job": change(shop["Report sales"]),
        "logs": LOGS,
        "log": f"{LOGS}{failed.pk}/change/",
        "timeline": TIMELINE,
        "timeline-day": f"{TIMELINE}?window=day",
        "timeline-week": f"{TIMELINE}?window=week",
        "timeline-nodes": f"{TIMELINE}?by=node",
    }


def test_what_is_not_accessible_is_found(visit, boss, shop):
    page = visit(boss, TIMELINE)
    page.evaluate("document.querySelectorAll('a.cronkite-bar').forEach((bar) => bar.removeAttribute('aria-label'))")
    assert "link-name" in {violation["id"] for violation in Axe().run(page).response["violations"]}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(visit, boss, shop, monkeypatch, scheme, size):
    monkeypatch.setattr(health, "_health", lambda: Health)
    page = visit(boss, color_scheme=scheme, viewport=size)
    found = {}
    for name, path in pages(shop).items():
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found |= {(name, "is wider than the screen"): wide} if wide > 0 else {}
        for violation in Axe().run(page).response["violations"]:
            found[name, violation["id"]] = [node["html"][:200] for node in violation["nodes"]][:3]
        picture(page, f"{name}-{scheme}-{'wide' if size is DESK else 'narrow'}", full_page=name != "logs")
    assert found == {}
