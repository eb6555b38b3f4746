"""Every page, in light and dark, wide and narrow: free of what axe-core finds, and within the screen."""

from __future__ import annotations

from datetime import timedelta

import django
import pytest
from admin_pages import GROUPS, JOBS, LOGS, TIMELINE, change
from axe_playwright_python.sync_playwright import Axe

from browser.pictures import DESK, PHONE, picture
from cronkite.database import clock
from cronkite.models import Group, Log, Node

pytestmark = pytest.mark.django_db(transaction=True)

#: What axe-core passes over: links that templates of Django's own put into text, underlined only since Django 6.0.
DJANGOS_OWN = {"exclude": [[".breadcrumbs"], ["#changelist-search .small"]]} if django.VERSION < (6,) else None


@pytest.fixture
def cluster(db):
    """Three nodes: one that ticks, one that does not any more, and one whose clock is fast."""
    now = clock.now("default")
    for name, age, skew in (("web-1", 12, 0), ("web-2", 1500, 0), ("worker-1", 3, 4.2)):
        seen = now - timedelta(seconds=age)
        Node.objects.create(name=name, ticked_at=seen, started_at=seen, clock_at=seen + timedelta(seconds=skew))


def pages(shop):
    """Return the address of each page, by a name for it."""
    failed = Log.objects.filter(status="failed").latest("id")
    return {
        "jobs": JOBS,
        "add": f"{JOBS}add/",
        "groups": GROUPS,
        "group": f"{GROUPS}{Group.objects.get_or_create(name='reports')[0].pk}/change/",
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
    assert "link-name" in {violation["id"] for violation in Axe().run(page, context=DJANGOS_OWN).response["violations"]}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(visit, boss, shop, cluster, scheme, size):
    page = visit(boss, color_scheme=scheme, viewport=size)
    found = {}
    for name, path in pages(shop).items():
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found |= {(name, "is wider than the screen"): wide} if wide > 0 else {}
        for violation in Axe().run(page, context=DJANGOS_OWN).response["violations"]:
            found[name, violation["id"]] = [node["html"][:200] for node in violation["nodes"]][:3]
        picture(page, f"{name}-{scheme}-{'wide' if size is DESK else 'narrow'}", full_page=name != "logs")
    assert found == {}
