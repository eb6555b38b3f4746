"""The list of jobs tells how each stands, narrows, and acts; the form shows ahead of time what will come."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from admin_pages import EVIL, JOBS, PREVIEW, SLOT, act, change, entry, lock, make_log, permissions, said
from conftest import make_due
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils.html import escape

from cronkite import requests
from cronkite.admin import coming, declared, shown, states, strips
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.models import Job, Log, Node

pytestmark = pytest.mark.django_db

Status = Log.Status
NOW = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)


def listed(client, **query):
    response = client.get(JOBS, query)
    assert response.status_code == 200
    return sorted(job.name for job in response.context["cl"].result_list)


def cell(client, column):
    """Return the text of a column of the only row."""
    page = client.get(JOBS).content.decode()
    (html,) = re.findall(rf'<t[dh][^>]*class="field-{column}[^"]*"[^>]*>(.*?)</t[dh]>', page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


# What the list tells.


def test_the_next_run_is_told_by_the_clock_of_the_job_s_zone_and_as_a_distance(admin_client, make_job):
    job = make_job(timezone="Asia/Kathmandu")
    Job.objects.filter(pk=job.pk).write(next_run=clock.now("default") + timedelta(hours=5, minutes=7, seconds=59))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0545 in 5 h 7 min", cell(admin_client, "next"))


def test_a_slot_that_was_not_taken_yet_is_told_as_due(admin_client, make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).write(next_run=clock.now("default") - timedelta(minutes=3, seconds=5))
    assert cell(admin_client, "next").endswith("due, 3 min ago")


def test_a_zone_that_this_node_does_not_know_breaks_no_page(admin_client, make_job):
    job = make_job()
    Job.objects.filter(pk=job.pk).write(timezone="Europe/Atlantis", schedule="61 * * * *")
    assert "UTC" in cell(admin_client, "next")
    assert "61 is out of range" in cell(admin_client, "when")


def test_the_last_run_and_its_outcome_are_told(admin_client, make_job):
    job = make_job()
    make_log(job, fence=1, status=Status.SUCCEEDED)
    failed = make_log(job, fence=2, status=Status.FAILED, finished_at=clock.now("default") - timedelta(minutes=2))
    make_log(job, fence=None, status=Status.MISSED, slot=SLOT)
    assert cell(admin_client, "last").startswith("failed 2 min ago")
    assert f"/admin/cronkite/log/{failed.pk}/change/" in admin_client.get(JOBS).content.decode()


def test_the_strip_shows_the_newest_twenty_outcomes_oldest_first(make_job):
    job, other = make_job(), make_job("app.jobs.fail")
    for number in range(1, 31):
        status = Status.FAILED if number % 5 == 0 else Status.SUCCEEDED
        make_log(job, fence=number, status=status, slot=SLOT + timedelta(minutes=number))
    make_log(job, fence=31, status=Status.TIMED_OUT)
    make_log(job, fence=None, status=Status.MISSED, slot=SLOT + timedelta(hours=1))
    strip = strips.of([job, other])[job.pk]
    newest = job.logs.order_by("-id")[:20]
    assert [log.pk for log in strip.logs] == [log.pk for log in newest][::-1]
    assert strip.last_run == job.logs.get(fence=31)
    assert str(strip) == "The last 20 outcomes: 4 failed, 1 timed out, 1 missed, 14 succeeded"
    assert strips.of([job, other])[other.pk] == strips.Strip((), None)


def test_the_strip_can_be_told_without_its_colours(make_job):
    job = make_job()
    for fence, status in enumerate(status for status in Status if status != Status.MISSED):
        make_log(job, fence=fence, status=status, slot=SLOT + timedelta(minutes=fence))
    drawn = strips.of([job])[job.pk].draw()
    paths = re.findall(r'<path d="([^"]*)"', drawn)
    assert len(paths) == len(set(paths)) == len(Status) - 1


def test_who_may_not_view_logs_sees_no_outcomes(login, make_job):
    client, job = login("view_job"), make_job()
    make_log(job, status=Status.FAILED)
    assert cell(client, "last") == "-"


def test_a_running_job_says_where_and_for_how_long(admin_client, make_job):
    job = make_job()
    log = lock(job, "beta")
    Log.objects.filter(pk=log.pk).update(started_at=clock.now("default") - timedelta(minutes=12, seconds=1))
    assert cell(admin_client, "state") == "running on beta for 12 min"


def test_a_stuck_job_says_since_when(admin_client, make_job, lock_timeout):
    lock(make_job(), "beta", age=370)
    assert re.fullmatch(r"stuck: no sign of life from beta for 6 min, since \S+ \S+ UTC", cell(admin_client, "state"))
    lock_timeout(1000)
    assert cell(admin_client, "state") == "running on beta, seen alive 6 min ago"


def test_a_stale_job_says_that_it_goes_on_by_itself(admin_client, make_job, lock_timeout):
    lock(make_job(), "beta", age=370)
    lock_timeout(100)
    said = "the next run takes the lock over: no sign of life from beta for 6 min, since "
    assert cell(admin_client, "state").startswith(said)
    assert listed(admin_client, state="stuck") == []
    assert listed(admin_client, state="running") == ["ok"]


def test_a_function_that_is_missing_here_is_told(admin_client, make_job):
    make_job("app.jobs.gone")
    assert cell(admin_client, "state") == "function missing here enabled"


def test_a_run_that_was_asked_for_is_told(admin_client, make_job):
    job = make_job(enabled=False)
    requests.ask(job, "kim")
    Job.objects.filter(pk=job.pk).write(asked_at=clock.now("default") - timedelta(seconds=65))
    assert cell(admin_client, "state") == "run now: asked for by kim, 1 min ago disabled"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "enabled"}, ["gone", "run", "stuck"]),
        ({"state": "disabled"}, ["off"]),
        ({"state": "running"}, ["run"]),
        ({"state": "stuck"}, ["stuck"]),
        ({"state": "missing"}, ["gone"]),
        ({"state": "x"}, ["gone", "off", "run", "stuck"]),
        ({"outcome": "failed"}, ["off"]),
        ({"outcome": "succeeded"}, []),
        ({"outcome": "none"}, ["gone"]),
        ({"source": "code"}, ["off"]),
        ({"source": "admin"}, ["gone", "run", "stuck"]),
        ({"app": "app"}, ["gone", "off", "run"]),
        ({"app": "cronkite"}, ["stuck"]),
        ({"app": "x"}, ["gone", "off", "run", "stuck"]),
    ],
)
def test_the_list_can_be_narrowed(admin_client, make_job, query, found):
    off = make_job(name="off", enabled=False, declared_as="app.jobs.ok")
    Job.objects.filter(pk=off.pk).write(fence=2)
    make_log(off, fence=1, status=Status.SUCCEEDED)
    make_log(off, fence=2, status=Status.FAILED)
    lock(make_job("app.jobs.fail", name="run"))
    lock(make_job("cronkite.models.verbs.run", name="stuck"), age=999)
    make_job("app.jobs.gone", name="gone")
    assert listed(admin_client, **query) == found


@pytest.mark.parametrize("seconds", [None, 60])
def test_the_states_of_the_list_are_those_that_a_job_tells(make_job, lock_timeout, seconds):
    lock_timeout(seconds)
    lock(make_job(name="run"), age=1)
    lock(make_job("app.jobs.fail", name="stuck"), age=999)
    for job in Job.objects.with_now():
        assert Job.objects.filter(states.having("stuck"), pk=job.pk).exists() == job.is_stuck


def test_text_in_a_job_is_text_everywhere(admin_client, make_job):
    job = make_job("app.jobs.ok", name=EVIL)
    Job.objects.filter(pk=job.pk).write(schedule=EVIL, timezone=EVIL[:60], declared_as=EVIL, function=EVIL)
    lock(job, EVIL)
    make_log(job, fence=9, status=Status.FAILED, node=EVIL, reason=EVIL)
    for url in (JOBS, change(job)):
        page = admin_client.get(url).content.decode()
        assert escape(EVIL) in page
        assert "<script>alert" not in page


# Acting.


def test_a_run_is_asked_for_once(admin_client, make_job):
    jobs = [make_job(name=name) for name in ("one", "two")]
    assert said(act(admin_client, "run", jobs[0])) == ["1 job will be run by the next tick: one."]
    assert said(act(admin_client, "run", *jobs)) == [
        "1 job will be run by the next tick: two.",
        "1 job was waiting for its run already: one.",
    ]
    assert {job.asked_by for job in Job.objects.all() if job.is_asked} == {"admin"}
    assert not Log.objects.exists()
    assert LogEntry.objects.filter(object_id=str(jobs[0].pk)).count() == 1


@pytest.mark.parametrize("action", ["run", "unlock"])
def test_what_can_do_harm_asks_first(admin_client, make_job, action):
    job = make_job(name="careful")
    lock(job)
    page = act(admin_client, action, job, confirmed="").content.decode()
    assert "careful" in page
    assert 'name="confirmed" value="yes"' in page
    job.refresh_from_db()
    assert job.is_locked
    assert not job.is_asked


def test_jobs_are_disabled_and_enabled(admin_client, make_job):
    jobs = [make_job(name="one", due=0), make_job(name="two")]
    owed = jobs[0].next_run
    assert said(act(admin_client, "disable", *jobs)) == ["2 jobs were disabled: one, two."]
    assert not Job.objects.filter(enabled=True).exists()
    assert jobs[0].logs.get().slot == owed
    assert said(act(admin_client, "disable", *jobs)) == ["Nothing to do."]
    assert said(act(admin_client, "enable", jobs[1])) == ["1 job was enabled: two."]
    assert Job.objects.get(enabled=True).next_run > clock.now("default")


def test_a_job_whose_schedule_is_broken_is_not_enabled_and_the_others_are(admin_client, make_job):
    jobs = [make_job(name=name, enabled=False) for name in ("broken", "sound")]
    Job.objects.filter(pk=jobs[0].pk).write(schedule="61 * * * *")
    messages = said(act(admin_client, "enable", *jobs))
    assert messages[0].startswith("broken: minute: 61 is out of range")
    assert messages[1:] == ["1 job was enabled: sound."]


@pytest.mark.parametrize(
    ("permission", "may"),
    [("run_job", {"run"}), ("unlock_job", {"unlock"}), ("change_job", {"disable"}), ("delete_job", set())],
)
def test_each_action_has_its_permission(login, make_job, permission, may):
    client, job = login("view_job", permission), make_job()
    lock(job)
    page = client.get(change(job)).content.decode()
    assert {*re.findall(r'name="action" value="(\w+)"', page)} == may
    for action in ("run", "unlock", "disable", "restore"):
        act(client, action, job)
    job.refresh_from_db()
    done = {"run": job.is_asked, "unlock": not job.is_locked, "disable": not job.enabled}
    assert {action for action, happened in done.items() if happened} == may


def test_an_action_on_a_job_s_own_page_leads_back_to_it(admin_client, make_job):
    job = make_job()
    response = admin_client.post(f"{change(job)}?_changelist_filters=q%3Dx", {"action": "disable"}, follow=True)
    assert response.redirect_chain == [(f"{change(job)}?_changelist_filters=q%3Dx", 302)]
    assert said(response) == [f"1 job was disabled: {job.name}."]


# What code declares.


@pytest.fixture
def overridden(db):
    """A job that code declares, and in which somebody has changed the schedule and the description."""
    discovery.auto_discover("app.declared_extra")
    job = Job.objects.get()
    job.schedule, job.description = "1 2 3 4 *", EVIL
    job.save()
    return job


def test_what_was_overridden_is_shown_and_can_be_undone(admin_client, overridden):
    page = admin_client.get(change(overridden)).content.decode()
    assert "this was overridden here" in page
    assert EVIL not in page
    assert 'value="restore"' in page
    messages = said(act(admin_client, "restore", overridden))
    assert messages == [f"1 job is now what code declares: {overridden.name}."]
    overridden.refresh_from_db()
    assert declared.differences(overridden) == []
    assert "nothing was overridden" in admin_client.get(change(overridden)).content.decode()
    assert said(act(admin_client, "restore", overridden)) == ["Nothing was overridden, or code declares nothing."]


def test_that_a_ping_was_overridden_is_shown_and_not_what_it_is(admin_client, overridden, login):
    overridden.ping = "https://hc-ping.com/s3cret"
    overridden.save()
    page = login("view_job").get(change(overridden)).content.decode()
    assert "https://hc-ping.com/…</td>" in page
    assert "s3cret" not in page


def test_what_is_declared_nowhere_on_this_node_is_told(admin_client, overridden):
    Job.objects.filter(pk=overridden.pk).write(declared_as="app.jobs.gone")
    assert "this node does not find it" in admin_client.get(change(overridden)).content.decode()


# Saving.


def fields_of(client, job):
    """Return what the browser would send for the form as it is, hidden fields included."""
    form = client.get(change(job)).context["adminform"].form
    sent = {}
    for bound in form:
        value = form.initial.get(bound.name, bound.field.initial)
        shown = bound.field.prepare_value(value)
        sent[bound.html_initial_name] = "" if shown is None else str(shown)
        if not isinstance(value, bool):
            sent[bound.html_name] = "" if shown is None else str(shown)
        elif value:
            sent[bound.html_name] = "on"
    return sent


def test_a_save_writes_only_what_was_edited(admin_client, make_job):
    job = make_job(description="before", args=[1])
    sent = fields_of(admin_client, job)
    Job.objects.filter(pk=job.pk).write(description="by somebody else", args=[2], schedule="5 5 5 5 *", enabled=False)
    Job.objects.filter(pk=job.pk).write(next_run=None)
    assert admin_client.post(change(job), {**sent, "name": "Renamed"}).status_code == 302
    job.refresh_from_db()
    assert (job.name, job.description, job.args, job.schedule) == ("Renamed", "by somebody else", [2], "5 5 5 5 *")
    assert (job.enabled, job.next_run) == (False, None)


def test_a_save_without_an_edit_writes_nothing(admin_client, make_job):
    job = make_job(args=["ü", {"a": [1]}], kwargs={"b": None})
    before = Job.objects.values().get()
    assert admin_client.post(change(job), fields_of(admin_client, job)).status_code == 302
    assert Job.objects.values().get() == before


# The preview.


def preview(client, **asked):
    response = client.get(PREVIEW, asked)
    assert response.status_code == 200
    return response.json()


def test_the_preview_tells_words_runs_and_what_the_function_takes(admin_client):
    answer = preview(
        admin_client, schedule="30 6 * * *", timezone="Europe/Berlin", function="app.jobs.note", args="[]", kwargs="{}"
    )
    assert answer["words"] == "At 06:30, every day"
    assert answer["ahead"].count("06:30:00") == 10
    assert "UTC+0" in answer["ahead"]
    assert "note(path, text=&#x27;&#x27;)" in answer["takes"]
    assert "Append a line to a file" in answer["takes"]
    assert "missing a required argument" in answer["takes"]


def test_the_preview_tells_what_is_wrong_and_is_silent_about_nothing(admin_client):
    answer = preview(admin_client, schedule=EVIL, timezone="", function=EVIL, args="[", kwargs="")
    assert "write five" in answer["words"]
    assert "is refused" in answer["takes"]
    assert "<script>" not in answer["takes"] + answer["ahead"]
    assert preview(admin_client) == {"takes": "", "ahead": "", "words": ""}
    assert "is not a time zone" in preview(admin_client, schedule="@daily", timezone="Europe/Berln")["words"]


def test_the_preview_shows_what_is_chosen_for_a_job_that_is_not_saved_yet(admin_client):
    typed = {"schedule": "H 3 * * *", "timezone": "UTC"}
    answer = preview(admin_client, name=" Bill the orders ", **typed)
    # As it is when it is saved.
    job = Job(name="Bill the orders", function="app.jobs.ok", **typed)
    job.save()
    assert answer["ahead"].count(f"{job.next_run:%H:%M:%S}") == 10
    assert f"{job.next_run:%H:%M}" in answer["words"]
    assert f"here this is {job.next_run.minute} 3 * * *." in answer["ahead"]
    others = {preview(admin_client, name=f"customer {number}", **typed)["words"] for number in range(5)}
    assert len(others) > 3
    assert "cronkite-choice" not in preview(admin_client, name="bill", schedule="0 3 * * thu")["ahead"]


def test_the_preview_of_a_declared_job_goes_by_its_function(admin_client, make_job):
    job = make_job(name="bill", schedule="H 3 * * *", declared_as="shop.crontab.bill")
    page = admin_client.get(change(job)).content.decode()
    assert "At 03:25, every day" in page
    assert "here this is 25 3 * * *." in page
    assert f'data-url="{PREVIEW}?declared_as=shop.crontab.bill"' in page
    answer = preview(admin_client, name="x", schedule="H 3 * * *", declared_as="shop.crontab.bill")
    assert answer["words"] == "At 03:25, every day"


def test_the_list_shows_what_was_chosen_for_a_job(admin_client, make_job):
    make_job(name="bill", schedule="H 3 * * *", declared_as="shop.crontab.bill")
    assert "H 3 * * * = 25 3 * * * At 03:25, every day" in cell(admin_client, "when")


def test_half_typed_arguments_are_not_complained_about_and_get_a_hint(admin_client):
    takes = preview(admin_client, function="app.jobs.ok", args='["a', kwargs="{")["takes"]
    assert "cronkite-problem" not in takes
    assert "Arguments: This must be a JSON list" in takes
    assert "Keyword arguments: This must be a JSON object" in takes
    assert "JSON" not in preview(admin_client, function="app.jobs.ok", args="", kwargs="{}")["takes"]


def test_what_is_not_the_admin_s_own_page_is_reached_by_way_of_the_app_and_its_jobs(admin_client, make_job):
    job = make_job(name="nightly")
    for page in (admin_client.get(f"{JOBS}timeline/"), act(admin_client, "run", job, confirmed="")):
        crumbs = re.search(r'class="breadcrumbs".*?</(?:ol|div)>', page.content.decode(), re.DOTALL)[0]
        assert re.findall(r'href="(.*?)"', crumbs)[:3] == ["/admin/", "/admin/cronkite/", JOBS]
    assert f'<a href="{change(job)}">nightly</a>' in crumbs


def test_what_is_too_long_to_be_named_is_counted():
    jobs = [Job(name=f"job {number}") for number in range(1, 13)]
    assert shown.names(jobs[:2]) == "job 1, job 2"
    assert shown.names(jobs).endswith("job 9, job 10 and 2 more")


@pytest.mark.parametrize(
    ("seconds", "words"), [(1.5, "1.50 s"), (125, "2 min 5 s"), (7500, "2 h 5 min"), (9e4, "1 d 1 h")]
)
def test_how_long_something_took_has_units_that_can_be_translated(seconds, words):
    assert shown.precise(timedelta(seconds=seconds)) == words


def test_the_form_shows_the_same_without_a_script(admin_client, make_job):
    page = admin_client.get(change(make_job(schedule="0 3 * * *"))).content.decode()
    assert "At 03:00, every day" in page
    assert page.count("<td><strong>03:00:00</strong></td>") == 10
    page = admin_client.post(f"{JOBS}add/", entry(name="", schedule="*/5 * * * *")).content.decode()
    assert "Every 5 minutes" in page


@pytest.mark.parametrize(("permission", "status"), [("view_job", 403), ("add_job", 200), ("change_job", 200)])
def test_the_preview_is_for_who_may_edit(login, permission, status):
    assert login(permission).get(PREVIEW, {"function": "app.jobs.ok"}).status_code == status


def test_who_is_not_logged_in_gets_no_preview(client):
    assert client.get(PREVIEW).status_code == 302


@pytest.mark.parametrize(
    ("expression", "zone", "warning"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            "the clock skips the time from 02:00 to 03:00, and the job runs at 03:00 instead",
        ),
        (
            "*/10 2 * * *",
            "Europe/Berlin",
            "On 2026-03-29 the clock skips the time from 02:00 to 03:00, and the job does not",
        ),
        ("*/10 2 * * *", "Europe/Berlin", "On 2026-10-25 the clock shows the time from 02:00 to 03:00 twice"),
        ("* * * * *", "", "That is 1440 runs on each day."),
        ("* * * * * */5", "", "It names seconds."),
        (
            "0 */5 * * * *",
            "",
            "If they were meant to come first, or a year last, as with other schedulers, write */5 * * * *.",
        ),
        ("*/45 * * * *", "", "*/45 begins anew in each hour, so its last step takes 15 minutes."),
        ("0 0 31 * *", "", "Months that lack the day are left out."),
        ("0 0 29 2 *", "", "The first run is more than a year away."),
        ("0 0 31W * *", "", "Months that lack the day are left out."),
        ("@every 90s", "", "It falls between the minutes. A tick comes each minute, so it needs nodes that stay"),
        ("@every 30s", "", "That is 2880 runs on each day."),
        ("@every 12h", "Europe/Berlin", "It is counted in UTC, whatever the time zone."),
        ("@at 9000-01-01T00:00", "", "The first run is more than a year away."),
        (
            "@at 2026-03-29T02:30",
            "Europe/Berlin",
            "On 2026-03-29 the clock skips the time from 02:00 to 03:00, and the job runs at 03:00 instead.",
        ),
        (
            "@at 2026-10-25T02:30",
            "Europe/Berlin",
            "twice, and the job runs the first time. An offset behind the time says which one is meant, as in @at",
        ),
    ],
)
def test_warnings(expression, zone, warning):
    assert any(warning in each for each in coming.look_ahead(expression, zone, NOW).warnings)


@pytest.mark.parametrize(
    ("expression", "zone", "day", "warning"),
    [
        (
            "0 3 * * *",
            "Pacific/Apia",
            (2011, 12, 29),
            "from 00:00 to 2011-12-31 00:00, and the job runs at 2011-12-31 00:00 instead.",
        ),
        (
            "30 23 * * *",
            "America/Nuuk",
            (2025, 3, 1),
            "On 2025-03-29 the clock skips the time from 23:00 to 2025-03-30 00:00, and the job runs at 2025-03-30",
        ),
        (
            "0,30 2 * * *",
            "Europe/Berlin",
            (2026, 3, 1),
            "the job runs once at 03:00, for all 2 times that it names. Debian's cron would run it for each.",
        ),
        ("0 2,3 * * *", "Europe/Berlin", (2026, 3, 1), "for all 2 times that it names. Debian's cron would"),
        (
            "0 0,12 * * *",
            "Pacific/Apia",
            (2011, 12, 29),
            "runs once at 2011-12-31 00:00, for all 3 times that it names.",
        ),
        # The day after one such change, and 371 days before the next.
        ("30 2 * * *", "Europe/Berlin", (2029, 3, 26), "On 2030-03-31 the clock skips the time from 02:00 to 03:00"),
    ],
)
def test_it_is_said_when_and_how_often_a_job_runs_for_times_that_the_clock_skips(expression, zone, day, warning):
    assert warning in coming.look_ahead(expression, zone, datetime(*day, tzinfo=timezone.utc)).warnings[0]


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("0 3 * * *", "Europe/Berlin"),
        ("30 2 * * *", "UTC"),
        ("*/10 * * * *", "Europe/Berlin"),
        ("0 0 1 * *", ""),
        ("0 0 31 * mon", ""),
        ("0 0 L * *", ""),
        ("0 0 * * 5#2", ""),
        ("@every 45m", "Europe/Berlin"),
        ("@at 2026-12-24T18:00", "Europe/Berlin"),
        ("@at 2026-10-25T02:30Z", "Europe/Berlin"),
    ],
)
def test_nothing_is_warned_of_without_need(expression, zone):
    assert coming.look_ahead(expression, zone, NOW).warnings == []


def test_the_coming_runs_are_the_schedule_s_slots_on_the_zone_s_clock():
    look = coming.look_ahead("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 27, 12, tzinfo=timezone.utc))
    assert [(run.date, run.time, run.offset, run.away) for run in look.runs[:3]] == [
        ("Sat 2026-03-28", "02:30:00", "UTC+01:00", "in 13 h 30 min"),
        ("Sun 2026-03-29", "03:00:00", "UTC+02:00", "in 1 d 13 h"),
        ("Mon 2026-03-30", "02:30:00", "UTC+02:00", "in 2 d 12 h"),
    ]


def test_a_one_off_has_one_coming_run_and_one_that_has_been_none():
    look = coming.look_ahead("@at 2026-12-24T18:00", "Europe/Berlin", NOW)
    assert (look.words, len(look.runs)) == ("Once, on Dec. 24, 2026 at 18:00", 1)
    look = coming.look_ahead("@at 2020-12-24T18:00", "Europe/Berlin", NOW)
    assert "is over, as that was at 2020-12-24 17:00:00 UTC" in look.problem


def test_functions_are_suggested(admin_client, make_job):
    make_job("app.jobs.note")
    page = admin_client.get(f"{JOBS}add/").content.decode()
    assert '<option value="app.jobs.note">' in page
    assert '<option value="Europe/Berlin">' in page


def test_no_page_needs_a_style_or_a_script_of_its_own(admin_client, make_job):
    """A strict Content-Security-Policy refuses what is written into the page."""
    for url in (JOBS, f"{JOBS}add/", change(make_job())):
        page = admin_client.get(url).content.decode()
        assert " style=" not in page
        assert not re.findall(r"<style|\son\w+=", page)
        assert not [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag and "json" not in tag]


# The strip on top.


@pytest.fixture
def unwell(make_job):
    """A job that is stuck, and a node that ticked 65 s ago, by a clock that is 3.5 s fast; both with an evil name."""
    job = make_job(name=EVIL)
    lock(job, age=3970)
    seen = clock.now("default") - timedelta(seconds=65)
    Node.objects.create(name=EVIL, ticked_at=seen, started_at=seen, clock_at=seen + timedelta(seconds=3.5))
    return job


def test_the_strip_on_top_tells_problems_and_nodes(admin_client, unwell):
    for url in (JOBS, change(unwell), "/admin/cronkite/log/", f"{JOBS}timeline/"):
        page = admin_client.get(url).content.decode()
        assert "Something is wrong" in page
        assert "1 job is stuck, unlock it" in page
        assert f'title="{escape(EVIL)}">{escape(EVIL)}</a> (locked by alpha, last seen alive 66 min ago)' in page
        assert escape(f"{EVIL} ticked 1 min ago, its clock is 3.50 s fast") in page
        assert EVIL not in page


def test_who_may_not_view_jobs_sees_no_strip(login, unwell):
    assert "Something is wrong" not in login("view_log").get("/admin/cronkite/log/").content.decode()


@pytest.fixture
def ill(make_job):
    """Much that is wrong: five jobs of each kind, with names of 200 letters."""
    now = clock.now("default")
    Node.objects.create(name="ticks", ticked_at=now, started_at=now, clock_at=now)
    jobs = {}
    for kind in ("stuck", "failing", "missing", "due"):
        jobs[kind] = [make_job(name=f"{kind} {number} ".ljust(200, "n"), schedule="0 * * * *") for number in range(5)]
    for number in range(5):
        Node.objects.create(name=f"gone {number} ".ljust(200, "n"), ticked_at=now - timedelta(hours=1), started_at=now)
        lock(jobs["stuck"][number], age=4000)
        make_log(jobs["failing"][number], fence=1, status=Status.FAILED)
        make_log(jobs["missing"][number], fence=None, status=Status.MISSED, slot=SLOT, missed=4)
        make_due(jobs["due"][number], 3600)
    Job.objects.filter(pk__in=[job.pk for job in jobs["failing"]]).write(fence=1)
    return jobs


def strip_of(client, url):
    """Return the strip's HTML, and its text in sight, line by line."""
    (html,) = re.findall(r'<section class="cronkite-health.*?</section>', client.get(url).content.decode(), re.DOTALL)
    sight = re.sub(r"<details>.*?<summary>(.*?)</summary>.*", r"<li>\1</li>", html, flags=re.DOTALL)
    lines = [re.sub(r"<[^>]*>|\s+", " ", line) for line in re.split(r"<(?:li|p)\b", sight)[1:]]
    return html, [re.sub(r" +", " ", line.partition(">")[2]).strip() for line in lines]


def test_however_much_is_wrong_the_strip_has_five_lines(admin_client, ill):
    for url in (JOBS, "/admin/cronkite/log/", f"{JOBS}timeline/"):
        _, lines = strip_of(admin_client, url)
        starts = ["Something is wrong", "5 jobs are stuck", "5 jobs fail: failing 0", "5 jobs are due", "2 more things"]
        assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [True] * 5
        assert lines[2].endswith("and 2 more")
        assert max(map(len, lines)) < 320
    log = Log.objects.filter(job=ill["failing"][0].pk).get()
    for url in (change(ill["due"][0]), f"{JOBS}add/", f"/admin/cronkite/log/{log.pk}/change/"):
        _, (line,) = strip_of(admin_client, url)
        assert line.startswith("Something is wrong · 5 jobs are stuck, unlock them · 5 jobs fail · ")


def test_names_in_the_strip_lead_to_what_there_is_to_see_and_the_others_are_listed(admin_client, ill):
    html, _ = strip_of(admin_client, JOBS)
    log = Log.objects.filter(job=ill["failing"][0].pk).get()
    links = {
        f'href="{change(ill["stuck"][0])}" title="{ill["stuck"][0].name}"': f'href="{JOBS}?state=stuck"',
        f'href="/admin/cronkite/log/{log.pk}/change/"': f'href="{JOBS}?outcome=failing"',
        f'href="{change(ill["due"][0])}"': f'href="{JOBS}?state=overdue"',
        f'href="/admin/cronkite/log/?job={ill["missing"][0].pk}"': f'href="{JOBS}?outcome=missed-lately"',
        'href="/admin/cronkite/log/?node=gone+0+n': "and 2 more",
    }
    for link, rest in links.items():
        assert link in html
        assert rest in html
    for kind, query in (
        ("stuck", {"state": "stuck"}),
        ("failing", {"outcome": "failing"}),
        ("due", {"state": "overdue"}),
        ("missing", {"outcome": "missed-lately"}),
    ):
        assert listed(admin_client, **query) == sorted(job.name for job in ill[kind])


def test_how_runs_ended_is_not_told_to_who_may_not_view_logs(login, ill):
    kim = login("view_job")
    html, _ = strip_of(kim, JOBS)
    assert "5 jobs are stuck" in html
    assert "fail" not in html
    assert "missed" not in html
    assert "/admin/cronkite/log/" not in html
    Job.objects.filter(pk__in=[job.pk for job in [*ill["stuck"], *ill["due"]]]).delete()
    # Nor by how bad it is.
    assert strip_of(kim, JOBS)[1][0] == "Something needs a look"
    Node.objects.exclude(name="ticks").delete()
    assert strip_of(kim, JOBS)[1][0] == "All is well"
    User.objects.get(username="kim").user_permissions.add(*permissions("view_log"))
    assert "5 jobs fail" in strip_of(kim, JOBS)[0]


def test_json_is_shown_as_it_is_stored(admin_client, overridden):
    overridden.args = ["ü"]
    overridden.save()
    assert escape(json.dumps(["ü"], ensure_ascii=False)) in declared.show(overridden)
