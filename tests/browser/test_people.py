"""What people do: enter a job, see what will come and what came, act on it, look for it."""

from __future__ import annotations

import re

import pytest
from admin_pages import JOBS, LOGS, TIMELINE, change, lock
from nodes import cron
from playwright.sync_api import expect

from browser.pictures import picture
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.schedules import chosen

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_job_is_entered_runs_and_is_seen_in_the_timeline(visit, boss):
    page = visit(boss, f"{JOBS}add/")
    page.get_by_label("Name:").fill("Nightly report")
    page.get_by_label("Function:").fill("shop.crontab.send_invoices")
    expect(page.locator("#cronkite-takes")).to_contain_text("send_invoices(limit: int = 500) -> str")
    expect(page.locator("#cronkite-takes")).to_contain_text("Send the invoices of the day before.")
    page.get_by_label("Keyword arguments:").fill('{"limits": 1}')
    expect(page.locator("#cronkite-takes")).to_contain_text("unexpected keyword argument 'limits'")
    page.get_by_label("Keyword arguments:").fill('{"limit": 1}')
    expect(page.locator("#cronkite-takes")).not_to_contain_text("unexpected")
    page.get_by_label("Schedule:").press_sequentially("30 2 * *")
    expect(page.locator("#cronkite-ahead")).to_contain_text("has 4 fields")
    page.get_by_label("Schedule:").press_sequentially(" mon-fri")
    page.get_by_label("Time zone:").fill("Europe/Berlin")
    expect(page.locator("#cronkite-ahead")).to_contain_text("At 02:30, from Monday to Friday")
    expect(page.locator(".cronkite-coming tbody tr")).to_have_count(10)
    expect(page.get_by_role("status")).to_have_text("At 02:30, from Monday to Friday")
    page.get_by_label("Schedule:").fill("30 2 * * *")
    expect(page.locator(".cronkite-warning")).to_contain_text("the clock skips the time from 02:00 to 03:00")
    picture(page, "form", full_page=True)
    # What is chosen goes by the name, and is shown before there is a job.
    page.get_by_label("Schedule:").fill("H 2 * * *")
    minute, _ = chosen.resolve("H 2 * * *", "Nightly report").split(maxsplit=1)
    expect(page.locator(".cronkite-choice")).to_contain_text(f"here this is {minute} 2 * * *.")
    page.get_by_label("Name:").fill("Nightly reports")
    expect(page.locator(".cronkite-choice")).not_to_contain_text(f"here this is {minute} 2 * * *.")
    page.get_by_label("Name:").fill("Nightly report")
    expect(page.get_by_role("status")).to_have_text(f"At 02:{minute:>02}, every day")
    page.get_by_label("Schedule:").fill("30 2 * * mon-fri")
    expect(page.locator(".cronkite-warning")).to_have_count(0)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_contain_text("was added successfully")
    job = Job.objects.get(name="Nightly report")
    assert (job.schedule, job.timezone, job.kwargs) == ("30 2 * * mon-fri", "Europe/Berlin", {"limit": 1})

    slot = job.get_schedule().latest_at(clock.now("default"))
    Job.objects.filter(pk=job.pk).write(next_run=slot)
    cron(script="manage.py", name="web-1")
    page.reload()
    expect(page.get_by_role("row", name="Nightly report").locator(".field-last")).to_contain_text("succeeded")

    page.goto(f"{TIMELINE}?window=hour&job={job.pk}")
    bar = page.locator("a.cronkite-bar.cronkite-succeeded")
    expect(bar).to_have_count(1)
    tip = page.locator(".cronkite-tip")
    assert not tip.is_visible()
    bar.hover()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("Nightly report: succeeded, from ")
    bar.click()
    expect(page).to_have_url(re.compile(rf"{LOGS}\d+/change/"))
    expect(page.locator(".field-output_text")).to_contain_text("1 invoices at most")
    expect(page.locator(".field-result_text")).to_contain_text("42 invoices sent")


def test_a_run_is_asked_for(visit, boss, shop):
    page = visit(boss, change(shop["Send invoices"]))
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("h1")).to_have_text("Run now?")
    page.get_by_role("link", name="No, go back").click()
    expect(page.locator(".field-state_now")).not_to_contain_text("asked for")
    page.get_by_role("button", name="Run now").click()
    page.get_by_role("button", name="Yes, go on").click()
    expect(page.locator(".messagelist .success")).to_contain_text("will be run by the next tick: Send invoices")
    expect(page.locator(".field-state_now")).to_contain_text("run now: asked for by alex")
    cron(name="web-1")
    page.reload()
    expect(page.locator(".field-state_now")).not_to_contain_text("asked for")
    log = Log.objects.get(job=shop["Send invoices"], slot=None)
    assert (log.status, log.node) == ("succeeded", "web-1")


def test_a_button_drops_no_edit_and_the_enter_key_presses_none(visit, boss, shop):
    page = visit(boss, change(shop["Send invoices"]))
    page.get_by_label("Name:").fill("Send all invoices")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".errorlist.nonfield")).to_contain_text("you have edited Name.")
    expect(page.get_by_label("Name:")).to_have_value("Send all invoices")
    page.get_by_label("Name:").press("Enter")
    expect(page.locator(".messagelist .success")).to_contain_text("was changed successfully")
    job = Job.objects.get(pk=shop["Send invoices"].pk)
    assert (job.name, job.is_asked) == ("Send all invoices", False)


def test_a_stuck_job_is_found_and_unlocked(visit, boss, shop):
    page = visit(boss, JOBS)
    filters = page.locator("#changelist-filter")
    filters.get_by_role("link", name="stuck").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator(".field-state")).to_contain_text("stuck: no sign of life from web-2")
    page.locator("#result_list").get_by_role("link", name="Report sales").click()
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("#content")).to_contain_text("Make sure first that the run is gone")
    page.get_by_role("button", name="Yes, go on").click()
    expect(page.locator(".messagelist .success")).to_contain_text("1 job was unlocked: Report sales.")
    assert not Job.objects.get(name="Report sales").is_locked
    assert page.get_by_role("button", name="Unlock").count() == 0


def test_several_jobs_are_disabled_at_once(visit, boss, shop):
    page = visit(boss, JOBS)
    for name in ("Send invoices", "Track parcels"):
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("disable")
    page.locator("button[name=index]").click()
    expect(page.locator(".messagelist .success")).to_contain_text("2 jobs were disabled: Send invoices, Track parcels.")
    page.locator("#changelist-filter").get_by_role("link", name="disabled").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(3)


def test_what_was_overridden_goes_back_to_what_code_declares(visit, boss, shop):
    page = visit(boss, change(shop["Send invoices"]))
    assert page.get_by_role("button", name="Return to what code declares").count() == 0
    page.get_by_label("Schedule:").fill("0 4 * * *")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator(".cronkite-declared")).to_contain_text("0 3 * * *")
    page.get_by_role("button", name="Return to what code declares").click()
    page.get_by_role("button", name="Yes, go on").click()
    expect(page.get_by_label("Schedule:")).to_have_value("0 3 * * *")


def test_the_logs_of_a_job_are_found_by_its_strip(visit, boss, shop):
    page = visit(boss, JOBS)
    page.get_by_role("row", name="Import prices").locator(".cronkite-strip").click()
    expect(page).to_have_url(re.compile(rf"{LOGS}\?job={shop['Import prices'].pk}"))
    page.locator("#changelist-filter").get_by_role("link", name="failed").click()
    page.locator("#result_list th a").first.click()
    expect(page.locator(".field-traceback")).to_contain_text("SupplierIsAway: 503")


def test_who_may_only_look_can_only_look(visit, guest, shop):
    lock(shop["Send invoices"])
    page = visit(guest, change(shop["Send invoices"]))
    expect(page.locator(".field-schedule")).to_contain_text("0 3 * * *")
    assert page.locator("#content :is(input, textarea, select):not([type=hidden])").count() == 0
    assert page.locator("#content button").count() == 0
    page.goto(JOBS)
    assert page.locator("select[name=action]").count() == 0
    page.get_by_role("link", name="Timeline").click()
    expect(page.locator(".cronkite-lane h2")).to_have_count(7)


@pytest.mark.parametrize("path", [JOBS, f"{JOBS}add/", TIMELINE, LOGS])
def test_nobody_is_asked_to_log_in(visit, shop, path):
    page = visit(None, path)
    expect(page.get_by_label("Username:")).to_be_visible()


def test_every_page_works_without_scripts(visit, boss):
    page = visit(boss, f"{JOBS}add/", java_script_enabled=False)
    page.get_by_label("Name:").fill("Without scripts")
    page.get_by_label("Function:").fill("shop.crontab.send_invoices")
    page.get_by_label("Schedule:").fill("*/20 6 * * 8")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_contain_text("8 is out of range")
    page.get_by_label("Schedule:").fill("*/20 6 * * 7")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator("#cronkite-ahead")).to_contain_text("At 06:00, 06:20 and 06:40, on Sunday")
    page.get_by_role("button", name="Disable").click()
    expect(page.locator(".messagelist .success")).to_contain_text("1 job was disabled")
    lock(Job.objects.get(name="Without scripts"))
    page.reload()
    page.get_by_role("button", name="Unlock").click()
    page.get_by_role("button", name="Yes, go on").click()
    expect(page.locator(".messagelist .success")).to_contain_text("1 job was unlocked")
    page.get_by_role("link", name="Timeline").first.click()
    page.get_by_role("link", name="Day").click()
    expect(page.locator("a.cronkite-bar.cronkite-lost")).to_have_count(1)
    assert Log.objects.get().status == "lost"
