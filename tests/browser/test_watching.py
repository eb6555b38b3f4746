"""Pages that one watches stay true by themselves, without a hand laid on what people do there meanwhile."""

from __future__ import annotations

import pytest
from admin_pages import JOBS, LOGS, TIMELINE, change, lock
from playwright.sync_api import expect

from cronkite.database.clock import Now
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watch(visit, boss):
    """Return a function that opens a page whose time goes on when the test says so, and one that lets it go on."""

    def open_page(path):
        page = visit(boss)
        page.clock.install()
        page.goto(path)
        expect(page.locator("#cronkite-refresh")).to_be_visible()
        return page

    return open_page


def later(page):
    """Let the time until the next look pass."""
    page.clock.fast_forward(16_000)


def test_the_list_shows_what_has_changed_and_keeps_what_was_chosen(watch, shop):
    page = watch(JOBS)
    row = page.get_by_role("row", name="Send invoices")
    row.get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("disable")
    row.evaluate("row => { window.seen = row; }")
    Job.objects.filter(name="Send invoices").write(asked_at=Now(), asked_by="kim")
    later(page)
    expect(row.locator(".field-state")).to_contain_text("asked for by kim")
    expect(row.get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_label("Action:")).to_have_value("disable")
    assert row.evaluate("row => row === window.seen")


def test_rows_come_and_go_in_their_order(watch, shop):
    page = watch(JOBS)
    before = page.locator("#result_list tbody tr").count()
    Job.objects.filter(name="Send invoices").update(name="A new name")
    Job.objects.get(name="Track parcels").delete()
    later(page)
    expect(page.locator("#result_list tbody tr")).to_have_count(before - 1)
    expect(page.locator("#result_list tbody tr").first).to_contain_text("A new name")
    boxes = page.locator("#result_list input.action-select")
    names = page.locator("#result_list .field-name").all_inner_texts()
    keys = [boxes.nth(number).get_attribute("value") for number in range(boxes.count())]
    assert [Job.objects.get(pk=key).name for key in keys] == [name.strip() for name in names]


def test_a_new_log_comes_in_on_top(watch, shop):
    page = watch(LOGS)
    log = lock(shop["Send invoices"], "web-9")
    later(page)
    expect(page.locator("#result_list tbody tr").first).to_contain_text("web-9")
    Log.objects.filter(pk=log.pk).update(status="failed")
    later(page)
    expect(page.locator("#result_list tbody tr").first).to_contain_text("failed")


def test_what_is_being_typed_into_a_form_stays(watch, shop):
    page = watch(change(shop["Send invoices"]))
    page.get_by_label("Name:").fill("Half a na")
    page.get_by_label("Schedule:").fill("0 5 * * *")
    lock(shop["Send invoices"], "web-9")
    later(page)
    expect(page.locator(".field-state_now")).to_contain_text("running on web-9")
    expect(page.get_by_role("button", name="Unlock")).to_be_visible()
    expect(page.get_by_label("Name:")).to_have_value("Half a na")
    expect(page.locator("#cronkite-ahead")).to_contain_text("At 05:00")


def test_a_log_of_a_run_tells_when_that_ends_and_an_old_one_asks_for_nothing(watch, visit, boss, shop):
    log = lock(shop["Send invoices"], "web-9")
    page = watch(f"{LOGS}{log.pk}/change/")
    Log.objects.filter(pk=log.pk).update(status="failed", exc_info="Traceback\nOops: no")
    later(page)
    expect(page.locator("#content")).to_contain_text("Oops: no")
    expect(page.locator("#cronkite-refresh")).to_be_hidden()


def test_what_a_run_writes_comes_in_and_who_reads_its_end_stays_there(watch, shop):
    log = lock(shop["Send invoices"], "web-9")
    page = watch(f"{LOGS}{log.pk}/change/")
    output, copy = page.locator("#cronkite-output"), page.get_by_role("button", name="Copy")
    expect(page.locator(".field-output_text")).to_contain_text("Nothing yet.")
    expect(copy).to_have_count(0)

    def write(number):
        Log.objects.filter(pk=log.pk).update(output="\n".join(f"invoice {n}" for n in range(number)))
        later(page)
        expect(output).to_contain_text(f"invoice {number - 1}")

    def rest():
        """How many pixels there are below what is seen of the output."""
        return output.evaluate("text => text.scrollHeight - text.scrollTop - text.clientHeight")

    write(2)
    expect(copy).to_be_visible()
    expect(page.locator(".field-output_text")).not_to_contain_text("Nothing yet.")
    write(200)
    assert output.evaluate("text => text.scrollHeight > text.clientHeight")
    assert rest() < 4
    output.evaluate("text => text.scrollTo(0, 100)")
    write(300)
    assert output.evaluate("text => text.scrollTop") == 100
    expect(copy).to_have_count(1)


def test_the_timeline_goes_on(watch, shop):
    page = watch(f"{TIMELINE}?window=hour")
    lock(shop["Send invoices"], "web-9")
    later(page)
    expect(page.locator("a.cronkite-bar[aria-label*='web-9']")).to_have_count(1)


def test_nothing_is_asked_for_while_the_page_is_paused_or_hidden(watch, shop):
    page = watch(JOBS)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Pause").click()
    later(page)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.get_by_role("button", name="Pause").click()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    later(page)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    with page.expect_request(lambda request: request.url.endswith(JOBS)):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.clock.fast_forward(1)


def test_without_scripts_there_is_no_word_of_refreshing(visit, boss, shop):
    page = visit(boss, JOBS, java_script_enabled=False)
    expect(page.locator("#cronkite-refresh")).to_be_hidden()
