"""A management command is picked by its name, entered, run and read of, on a phone and at a desk."""

from __future__ import annotations

import re

import pytest
from admin_pages import JOBS, LOGS, change
from nodes import cron
from playwright.sync_api import expect

from browser.pictures import PHONE, picture
from browser.test_widths import FAULTS
from cronkite.database import clock
from cronkite.models import Job

pytestmark = pytest.mark.django_db(transaction=True)

TABLET = {"width": 1024, "height": 768}


@pytest.mark.parametrize("size", [PHONE, TABLET], ids=lambda size: str(size["width"]))
def test_a_command_is_picked_gets_its_arguments_and_runs(visit, boss, size):
    page = visit(boss, f"{JOBS}add/", viewport=size)
    offered = page.locator("#id_function_list option").evaluate_all("options => options.map(each => each.value)")
    assert {"manage.py clearsessions", "manage.py report"} <= {*offered}
    assert "manage.py migrate" not in offered
    page.get_by_label("Name:").fill("Regions")
    page.get_by_label("Function:").fill("manage.py report")
    takes = page.locator("#cronkite-takes")
    expect(takes).to_contain_text("manage.py report [--days DAYS]")
    expect(takes).to_contain_text("the following arguments are required: region")
    page.get_by_label("Arguments:", exact=True).fill('["north", "--dayz", "3"]')
    expect(takes).to_contain_text("unrecognized arguments: --dayz 3")
    page.get_by_label("Schedule:").fill("30 2 * * *")
    picture(page, f"command-form-{size['width']}", full_page=True)
    assert page.evaluate(FAULTS) == []
    page.get_by_role("button", name="Save", exact=True).click()
    # At the field, and beneath the function, which is what it will be.
    expect(page.locator(".field-args .errorlist")).to_contain_text("unrecognized arguments: --dayz 3")
    expect(page.get_by_label("Function:")).to_have_value("cronkite.commands.call")
    picture(page, f"command-refused-{size['width']}", full_page=True)
    page.get_by_label("Arguments:", exact=True).fill('["report", "north", "--days", "3"]')
    expect(page.locator("#cronkite-takes .cronkite-problem")).to_have_count(0)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_contain_text("was added successfully")

    job = Job.objects.get(name="Regions")
    assert job.args == ["report", "north", "--days", "3"]
    Job.objects.filter(pk=job.pk).write(next_run=job.get_schedule().latest_at(clock.now("default")))
    cron(script="manage.py", name="web-1")
    page.goto(JOBS)
    row = page.get_by_role("row", name="Regions")
    expect(row).to_contain_text("manage.py report")
    picture(page, f"command-list-{size['width']}", full_page=True)
    assert page.evaluate(FAULTS) == []
    row.locator(".field-last").get_by_role("link", name="succeeded").first.click()
    expect(page).to_have_url(re.compile(rf"{LOGS}\d+/change/"))
    expect(page.locator(".field-command")).to_contain_text("manage.py report")
    expect(page.locator(".field-output_text")).to_contain_text("3 days of north")
    picture(page, f"command-log-{size['width']}", full_page=True)
    assert page.evaluate(FAULTS) == []

    page.goto(change(job))
    page.get_by_label("Function:").fill("manage.py clearsessions")
    # The old one's arguments are still there, and it does not take them.
    expect(takes).to_contain_text("unrecognized arguments: north --days 3")
    page.get_by_label("Arguments:", exact=True).fill("[]")
    expect(takes).to_contain_text("manage.py clearsessions")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_contain_text("was changed successfully")
    assert Job.objects.get(name="Regions").args == ["clearsessions"]
