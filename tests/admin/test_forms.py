"""Jobs are entered, edited, unlocked and deleted in Django's admin, and logs are read there."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from admin_pages import EVIL, JOBS, LOGS, SLOT, act, change, entry, errors, lock, make_log, said
from conftest import make_due
from django import forms
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from cronkite.claims import holding
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.models import Job, Log

pytestmark = pytest.mark.django_db


# Entering and editing jobs.


def test_a_job_can_be_entered(admin_client):
    data = entry(
        args='["a", 1]', kwargs='{"b": "ü"}', timezone="Europe/Berlin", timeout="5", grace="60", catch_up="all"
    )
    assert admin_client.get(f"{JOBS}add/").status_code == 200
    assert admin_client.post(f"{JOBS}add/", data).status_code == 302
    job = Job.objects.get()
    assert (job.name, job.function, job.args, job.kwargs) == ("Report", "app.jobs.ok", ["a", 1], {"b": "ü"})
    assert (job.schedule, job.timezone, job.catch_up) == ("0 3 * * *", "Europe/Berlin", "all")
    assert (job.timeout, job.grace, job.enabled, job.source) == (5, 60, True, "admin")
    assert job.next_run == job.get_schedule().next_after(clock.now("default"))


def test_the_form_tells_that_a_schedule_may_be_an_interval_or_one_time(admin_client):
    page = admin_client.get(f"{JOBS}add/").content.decode()
    assert "@every 90s" in page
    assert "@at 2026-12-24T18:00" in page


def test_a_job_is_added_by_a_form_that_carries_what_it_showed(admin_client):
    """As Django has it for fields whose default is made by a function, on the page of a new job too."""
    shown = {"initial-args": "[]", "initial-kwargs": "{}"}
    data = entry(args='["a"]', kwargs='{"b": 1}')
    assert admin_client.post(f"{JOBS}add/", data | shown).status_code == 302
    assert Job.objects.get().kwargs == {"b": 1}


def test_empty_boxes_mean_no_arguments(admin_client):
    assert admin_client.post(f"{JOBS}add/", entry(args="", kwargs="")).status_code == 302
    job = Job.objects.get()
    assert (job.args, job.kwargs) == ([], {})


NOT_STORABLE = "This cannot be stored: JSON has no NaN and no Infinity, and databases take no NUL character."


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "This field is required."),
        ("name", "x" * 256, "Ensure this value has at most 255 characters (it has 256)."),
        ("function", "", "This field is required."),
        ("function", "app.jobs." + "x" * 256, "Ensure this value has at most 255 characters (it has 265)."),
        ("function", "os.system", "'os.system' is refused: 'os' is not in the package of an installed app."),
        ("function", "app.jobs._private", "'app.jobs._private' is refused: '_private' is private"),
        ("function", "ok", "'ok' is refused: it is no dotted name."),
        ("function", "app.jobs.nothing", "'app.jobs.nothing' was not found"),
        ("function", "app.broken.never", "'app.broken.never' cannot be imported here: LookupError"),
        ("function", EVIL, f'"{EVIL}" is refused: it is no dotted name.'),
        ("args", "{", 'This is not JSON. Write a list, as in ["a", 1].'),
        ("args", "a", 'This is not JSON. Write a list, as in ["a", 1].'),
        ("args", "[" * 200_000, "This cannot be kept: it has a number of thousands of digits, or lists too deep"),
        ("args", f"[{'9' * 5000}]", "This cannot be kept: it has a number of thousands of digits, or lists too deep"),
        ("args", '{"a": 1}', 'This must be a JSON list, as in ["a", 1].'),
        ("args", '"abc"', 'This must be a JSON list, as in ["a", 1].'),
        ("args", "0", 'This must be a JSON list, as in ["a", 1].'),
        ("args", "[NaN]", NOT_STORABLE),
        ("args", "[1e999]", NOT_STORABLE),
        ("args", '["\\u0000"]', NOT_STORABLE),
        ("args", '["\\\\\\u0000"]', NOT_STORABLE),
        ("args", '["\\ud800"]', NOT_STORABLE),
        ("kwargs", "[", 'This is not JSON. Write an object, as in {"a": 1}.'),
        ("kwargs", "[1]", 'This must be a JSON object, as in {"a": 1}.'),
        ("kwargs", "false", 'This must be a JSON object, as in {"a": 1}.'),
        ("kwargs", '{"a": -Infinity}', NOT_STORABLE),
        ("schedule", "", "This field is required."),
        ("schedule", "* " * 200, "Ensure this value has at most 255 characters (it has 399)."),
        ("schedule", "61 * * * *", "Minute: 61 is out of range; write 0 to 59."),
        ("schedule", "* * * *", "The expression has 4 fields; write five"),
        ("schedule", "0 0 30 2 *", "Day of month: no month in '2' has a day '30', so this never runs"),
        ("schedule", EVIL, "The expression has 1 field; write five"),
        ("timezone", "Europe/Berln", "'Europe/Berln' is not a time zone; write an IANA name"),
        ("timezone", "../../etc/passwd", "'../../etc/passwd' is not a time zone; write an IANA name"),
        ("timezone", "x" * 65, "Ensure this value has at most 64 characters (it has 65)."),
        ("timeout", "0", "Ensure this value is greater than or equal to 1."),
        ("timeout", "soon", "Enter a whole number."),
        ("timeout", str(2**31), ""),
        ("grace", "-1", "Ensure this value is greater than or equal to 0."),
        ("grace", "9" * 40, ""),
        ("grace", "9" * 5000, ""),
        ("catch_up", "sometimes", "Select a valid choice. sometimes is not one of the available choices."),
    ],
)
@pytest.mark.parametrize("where", ["new", "stored"])
def test_what_is_wrong_is_said_once_and_at_its_field(admin_client, make_job, where, field, value, message):
    url = f"{JOBS}add/" if where == "new" else change(make_job("app.jobs.note", args=["a"]))
    before = list(Job.objects.values())
    response = admin_client.post(url, entry(**{field: value}))
    (found,) = errors(response).pop(field)
    assert found.startswith(message)
    assert len(errors(response)) == 1
    page = response.content.decode()
    assert escape(value) in page
    assert EVIL not in page
    assert list(Job.objects.values()) == before


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "culprit", "message"),
    [
        ("app.jobs.note", "[]", "{}", "args", "missing a required argument: 'path'"),
        ("app.jobs.fail", "[1, 2]", "{}", "args", "too many positional arguments"),
        ("app.jobs.fail", "[1, 2]", '{"a": 1}', "args", "too many positional arguments"),
        ("app.jobs.fail", "[1]", '{"message": 1}', "kwargs", "multiple values for argument 'message'"),
        ("app.jobs.fail", "[]", '{"massage": 1}', "kwargs", "got an unexpected keyword argument 'massage'"),
        ("app.jobs.asynchronous", "[1, 2]", "{}", "args", "too many positional arguments"),
    ],
)
def test_arguments_that_do_not_fit_the_function_are_told(admin_client, function, args, kwargs, culprit, message):
    found = errors(admin_client.post(f"{JOBS}add/", entry(function=function, args=args, kwargs=kwargs)))
    assert found == {culprit: [f"The arguments do not fit the function: {message}."]}


def test_a_schedule_whose_times_the_zone_always_skips_is_refused(admin_client):
    # Beirut's clocks go from 00:00 to 01:00 on the last Sunday of March.
    data = entry(schedule="* 0 25-31 3 */7", timezone="Asia/Beirut")
    (message,) = errors(admin_client.post(f"{JOBS}add/", data)).pop("schedule")
    assert "has no slot within 50 years" in message


def test_all_that_is_wrong_is_said_at_once(admin_client):
    data = entry(
        name="", function="os.system", args="{", kwargs="[]", schedule="x", timezone="y", grace="-1", timeout="0"
    )
    found = errors(admin_client.post(f"{JOBS}add/", data))
    assert {field: len(messages) for field, messages in found.items()} == dict.fromkeys(
        ["name", "function", "args", "kwargs", "schedule", "timezone", "grace", "timeout"], 1
    )


def test_texts_that_only_look_like_what_cannot_be_stored_are_stored(admin_client):
    value = ["\\u0000", "\\\\u0000", "NaN"]
    assert admin_client.post(f"{JOBS}add/", entry(args=json.dumps(value))).status_code == 302
    assert Job.objects.get().args == value


def test_a_form_without_some_of_the_fields_tells_what_it_can():
    class Small(forms.ModelForm):
        class Meta:
            model = Job
            fields = ["name", "args"]

    broken = Job(function="os.system", schedule="61 * * * *", timezone="x")
    form = Small({"name": "", "args": "{}"}, instance=broken)
    assert form.errors == {"name": ["This field is required."], "args": ['This must be a JSON list, as in ["a", 1].']}
    with pytest.raises(ValidationError) as caught:
        broken.full_clean()
    assert {"name", "args", "function", "schedule", "timezone"} == caught.value.message_dict.keys()


def test_a_job_can_be_edited(admin_client, make_job):
    job = make_job(args=[1], description="x")
    page = admin_client.get(change(job)).content.decode()
    assert "app.jobs.ok" in page
    before = clock.now("default")
    response = admin_client.post(change(job), entry(name="Renamed", schedule="*/5 * * * *"))
    assert response.status_code == 302
    job.refresh_from_db()
    assert (job.name, job.args, job.description, job.schedule) == ("Renamed", [], "", "*/5 * * * *")
    assert before <= job.planned_at <= clock.now("default")
    assert job.next_run == job.get_schedule().next_after(job.planned_at)


def test_what_an_edit_passes_over_is_recorded_as_missed(admin_client, make_job):
    job = make_job(due=0)
    owed = job.next_run
    admin_client.post(change(job), entry(enabled=""))
    log = job.logs.get()
    assert (log.slot, log.status, log.reason) == (owed, Log.Status.MISSED, "the job was disabled")


def test_what_nodes_write_between_the_form_and_its_sending_is_kept(admin_client, make_job):
    job = make_job("app.jobs.ok", schedule="0 3 * * *")
    assert admin_client.get(change(job)).status_code == 200
    kept = {
        "next_run": SLOT,
        "last_slot": SLOT,
        "fence": 9,
        "lock": uuid4(),
        "locked_by": "alpha",
        "locked_at": SLOT,
    }
    Job.objects.filter(pk=job.pk).write(**kept)
    tried = {"next_run": "2000-01-01", "last_slot": "", "fence": "0", "lock": "", "locked_by": "", "declared_as": "x.y"}
    assert admin_client.post(change(job), entry(name="Renamed", **tried)).status_code == 302
    job.refresh_from_db()
    assert job.name == "Renamed"
    assert {column: getattr(job, column) for column in kept} == kept
    assert job.declared_as is None


def test_what_nodes_write_while_the_form_is_saved_is_kept(admin_client, make_job, monkeypatch):
    job = make_job("app.jobs.ok", schedule="0 3 * * *")
    clean_fields = Job.clean_fields

    def claim_meanwhile(self, exclude=None):
        clean_fields(self, exclude)
        lock(Job.objects.get(pk=job.pk))

    monkeypatch.setattr(Job, "clean_fields", claim_meanwhile)
    assert admin_client.post(change(job), entry(name="Renamed")).status_code == 302
    job.refresh_from_db()
    assert (job.name, job.locked_by, job.fence) == ("Renamed", "alpha", 1)


def test_the_state_is_shown_and_cannot_be_edited(admin_client, make_job):
    job = make_job(name="state")
    make_due(job)
    Job.objects.filter(pk=job.pk).write(last_slot=SLOT, next_run=SLOT + timedelta(seconds=1))
    lock(job, "beta", age=5)
    response = admin_client.get(change(job))
    page = response.content.decode()
    for text in ("2026-03-04", "05:06:07 UTC", "05:06:08 UTC", "beta", "admin: it was entered by hand"):
        assert text in page
    inputs = response.context["adminform"].form.fields
    assert not {"next_run", "last_slot", "fence", "lock", "locked_by", "locked_at", "declared_as", "revision"} & {
        *inputs
    }
    assert "Fencing token" not in admin_client.get(f"{JOBS}add/").content.decode()


def test_instants_are_shown_in_the_project_s_zone(admin_client, make_job, settings):
    settings.TIME_ZONE = "Asia/Kathmandu"
    job = make_job()
    Job.objects.filter(pk=job.pk).write(next_run=SLOT)
    assert "10:51:07 +0545" in admin_client.get(JOBS).content.decode()


def test_a_declared_job_says_that_it_is(admin_client):
    discovery.auto_discover("app.declared_extra")
    assert "code: a module declares it" in admin_client.get(change(Job.objects.get())).content.decode()


@pytest.mark.parametrize("function", ["app.jobs.gone", "os.system"])
def test_a_job_whose_function_is_gone_can_be_disabled_and_says_so(admin_client, make_job, function):
    job = make_job(function)
    data = entry(function=function, enabled="", args="[1]")
    response = admin_client.post(change(job), data, follow=True)
    job.refresh_from_db()
    assert not job.enabled
    assert any(message.startswith(f"'{function}' ") for message in said(response))
    # Another one that is wrong is refused as ever.
    assert [*errors(admin_client.post(change(job), entry(function="app.jobs.gone_too")))] == ["function"]


# The list of jobs.


def test_the_list_shows_what_runs_when_and_what_is_locked(admin_client, make_job):
    make_job(name="free", schedule="@daily")
    lock(make_job("app.jobs.fail", name="held", schedule="@hourly"), "beta", age=3 * 3600 + 60)
    page = admin_client.get(JOBS).content.decode().replace("<wbr>", "")
    for text in ("free", "held", "app.jobs.fail", "@hourly", "Every hour, on the hour", "from beta for 3 h 1 min"):
        assert text in page


def test_jobs_are_found_by_name_and_function(admin_client, make_job):
    make_job(name="Sheep"), make_job("app.jobs.fail", name="Goats")
    for query, name in (("shee", "Sheep"), ("jobs.fail", "Goats")):
        assert [job.name for job in admin_client.get(JOBS, {"q": query}).context["cl"].result_list] == [name]


@pytest.mark.parametrize("url", [JOBS, LOGS])
def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(admin_client, make_job, url):
    def count():
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(url).status_code == 200
        return len(queries)

    for number in range(3):
        lock(make_job(name=f"job {number}"))
    few = count()
    for number in range(3, 30):
        lock(make_job(name=f"job {number}"))
    assert count() == few <= 15


def test_the_list_of_logs_leaves_long_texts_in_the_database(admin_client, make_job):
    make_log(make_job(), output="long")
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(LOGS)
    # Of a traceback, its end: the list tells what went wrong.
    read = [re.sub(r"\w+\(.cronkite_log.\..exc_info.[^)]*\)", "", query["sql"]) for query in queries]
    assert not [sql for sql in read if "exc_info" in sql or "output" in sql]


# Unlocking.


def test_unlock_frees_the_locked_jobs_and_says_what_happened(admin_client, make_job):
    free, held, stuck = (make_job(name=name) for name in ("free", "held", "stuck"))
    logs = [lock(held, "beta"), lock(stuck, "gamma", age=999)]
    before = Job.objects.filter(pk=free.pk).values().get()
    response = act(admin_client, "unlock", free, held, stuck)
    assert said(response) == [
        "2 jobs were unlocked: held, stuck. Their runs are recorded as lost, and are ended if they still go on.",
        "1 job was not locked.",
    ]
    assert not Job.objects.exclude(lock=None, locked_by="", locked_at=None).exists()
    assert Job.objects.filter(pk=free.pk).values().get() == before
    for log in logs:
        log.refresh_from_db()
        assert (log.status, log.reason) == (Log.Status.LOST, "unlocked by admin")
        assert log.finished_at is not None
    history = LogEntry.objects.get(object_id=str(held.pk))
    assert (history.user.username, history.get_change_message()) == (
        "admin",
        "Unlocked. The lock was held by beta.",
    )
    assert not LogEntry.objects.filter(object_id=str(free.pk)).exists()


def test_a_job_that_was_unlocked_can_run_again(admin_client, make_job):
    job = make_job()
    lock(job, age=10**6)
    act(admin_client, "unlock", job)
    assert Job.objects.get().run() == {"args": [], "kwargs": {}}


def test_a_lock_that_is_gone_meanwhile_is_not_unlocked_twice(admin_client, make_job, monkeypatch):
    job = make_job()
    lock(job)
    monkeypatch.setattr(holding, "unlock", lambda job, by: False)
    assert said(act(admin_client, "unlock", job)) == ["1 job was not locked."]
    assert not LogEntry.objects.exists()


def test_a_message_names_no_more_jobs_than_a_person_can_read(admin_client, make_job):
    many = [make_job(name=f"job {number:02}") for number in range(12)]
    for job in many:
        lock(job)
    assert ": job 00, job 01, " in said(act(admin_client, "unlock", *many))[0]
    assert said(act(admin_client, "unlock", many[0])) == ["1 job was not locked."]


@pytest.mark.parametrize(
    ("permissions", "may"),
    [(["view_job"], False), (["view_job", "change_job", "run_job"], False), (["view_job", "unlock_job"], True)],
)
def test_only_who_may_unlock_jobs_unlocks_them(login, make_job, permissions, may):
    client, job = login(*permissions), make_job()
    lock(job)
    offered = b'value="unlock"' in client.get(JOBS).content
    act(client, "unlock", job)
    job.refresh_from_db()
    assert (offered, not job.is_locked) == (may, may)


# Deleting.


@pytest.mark.parametrize("way", ["single", "bulk"])
def test_the_logs_of_a_deleted_job_are_kept(login, make_job, way):
    client = login("delete_job", "view_job")
    doomed, other = make_job(name="doomed", due=0), make_job(name="other", due=0)
    owed = doomed.next_run
    before = SLOT.replace(year=2025)
    kept = make_log(doomed, slot=before, status=Log.Status.SUCCEEDED)
    if way == "single":
        response = client.post(f"{JOBS}{doomed.pk}/delete/", {"post": "yes"}, follow=True)
    else:
        data = {"action": "delete_selected", "_selected_action": [doomed.pk], "post": "yes"}
        response = client.post(JOBS, data, follow=True)
    assert "Successfully" in said(response)[0] or "successfully" in said(response)[0]
    assert list(Job.objects.all()) == [other]
    logs = Log.objects.filter(job_name="doomed").order_by("id")
    assert [(log.job, log.slot, log.status) for log in logs] == [
        (None, before, Log.Status.SUCCEEDED),
        (None, owed, Log.Status.MISSED),
    ]
    assert logs[0].pk == kept.pk
    assert other.logs.count() == 0


def test_a_deletion_asks_first_and_does_not_threaten_the_logs(admin_client, make_job):
    job = make_job()
    log = make_log(job)
    page = admin_client.get(f"{JOBS}{job.pk}/delete/").content.decode()
    assert f"{LOGS}{log.pk}" not in page
    assert Job.objects.filter(pk=job.pk).exists()


# Reading logs.


def test_the_list_of_logs_shows_each_run(admin_client, make_job):
    job = make_job(name="Report")
    took = {"started_at": SLOT, "finished_at": SLOT + timedelta(seconds=1.5)}
    make_log(job, slot=SLOT, status=Log.Status.SUCCEEDED, **took)
    make_log(job, status=Log.Status.FAILED, node="beta", **took | {"finished_at": SLOT + timedelta(hours=2)})
    make_log(job, slot=SLOT + timedelta(days=1), started_at=SLOT)
    page = admin_client.get(LOGS).content.decode()
    for text in ("Report", "05:06:07 UTC", "succeeded", "failed", "running", "beta", "1.50 s", "2 h 0 min", "by hand"):
        assert text in page


def test_a_log_shows_result_output_and_traceback_line_by_line_and_escaped(admin_client, make_job):
    job = make_job(name=EVIL)
    texts = {"output": f"one\n    {EVIL}", "exc_info": f"Traceback\n  {EVIL}", "reason": EVIL}
    log = make_log(job, status=Log.Status.FAILED, result={"ü": EVIL}, **texts)
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    evil = escape(EVIL)
    assert f">one\n    {evil}</pre>" in page
    assert f">Traceback\n  {evil}</pre>" in page
    assert f"&quot;ü&quot;: &quot;{evil}&quot;" in page
    assert EVIL not in page
    assert change(job) in page
    assert EVIL not in admin_client.get(LOGS).content.decode()


def test_a_log_whose_job_is_gone_can_be_read(admin_client, make_job):
    job = make_job(name="gone")
    log = make_log(job)
    job.delete()
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    assert "gone" in page
    assert change(job) not in page


def test_logs_are_found_by_status_age_and_text(admin_client, make_job):
    job = make_job(name="Sheep")
    failed = make_log(job, status=Log.Status.FAILED)
    lost = make_log(job, status=Log.Status.LOST, node="beta")
    for query, found in (
        ({"status__exact": "failed"}, [failed]),
        ({"q": "beta"}, [lost]),
        ({"q": "shee"}, [lost, failed]),
        ({"created__gte": "2999-01-01 00:00:00+00:00"}, []),
        ({"job__id__exact": job.pk}, [lost, failed]),
    ):
        assert list(admin_client.get(LOGS, query).context["cl"].result_list) == found


def test_nobody_adds_changes_or_deletes_logs(admin_client, make_job):
    log = make_log(make_job())
    before = Log.objects.values().get()
    assert admin_client.get(f"{LOGS}add/").status_code == 403
    assert admin_client.post(f"{LOGS}add/", {}).status_code == 403
    assert admin_client.post(f"{LOGS}{log.pk}/change/", {"status": "succeeded"}).status_code == 403
    assert admin_client.post(f"{LOGS}{log.pk}/delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [log.pk], "post": "yes"}
    admin_client.post(LOGS, data, follow=True)
    assert Log.objects.values().get() == before
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    assert "_save" not in page
    assert "deletelink" not in page


# Who may do what.


def test_without_permissions_nothing_is_shown(login, make_job):
    client, job = login(), make_job(name="secret")
    log = make_log(job)
    for url in (JOBS, f"{JOBS}add/", change(job), f"{JOBS}{job.pk}/delete/", LOGS, f"{LOGS}{log.pk}/change/"):
        assert client.get(url).status_code == 403
        assert client.post(url, entry()).status_code == 403
    assert "secret" not in client.get(reverse("admin:index")).content.decode()


def test_who_is_not_logged_in_is_sent_to_do_so(client):
    assert client.get(JOBS).status_code == client.get(LOGS).status_code == 302


def test_who_may_view_jobs_sees_them_and_changes_nothing(login, make_job):
    client, job = login("view_job"), make_job(name="<b>seen</b>", description=EVIL)
    before = Job.objects.values().get()
    page = client.get(change(job)).content.decode()
    assert "&lt;b&gt;seen&lt;/b&gt;" in page
    assert escape(EVIL) in page
    assert EVIL not in page
    assert client.get(JOBS).status_code == 200
    assert client.post(change(job), entry()).status_code == 403
    assert client.post(f"{JOBS}add/", entry()).status_code == 403
    assert client.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(LOGS).status_code == 403
    assert Job.objects.values().get() == before


def test_who_may_view_logs_does_not_see_jobs(login, make_job):
    client, job = login("view_log"), make_job()
    log = make_log(job)
    assert client.get(LOGS).status_code == client.get(f"{LOGS}{log.pk}/change/").status_code == 200
    assert client.get(JOBS).status_code == 403


def test_who_may_add_jobs_may_not_edit_them(login, make_job):
    client, job = login("add_job"), make_job()
    assert client.post(change(job), entry()).status_code == 403
    assert client.post(f"{JOBS}add/", entry(name="new")).status_code == 302
    assert Job.objects.filter(name="new").exists()


def test_markup_in_a_job_is_shown_as_text_on_every_page(admin_client, make_job):
    job = make_job(name=EVIL, description=EVIL, args=[EVIL])
    lock(job, EVIL)
    for url in (JOBS, change(job), f"{JOBS}{job.pk}/delete/", f"{JOBS}{job.pk}/history/"):
        page = admin_client.get(url).content.decode()
        assert escape(EVIL) in page
        assert EVIL not in page
    for page in (act(admin_client, "unlock", job, confirmed=""), act(admin_client, "unlock", job)):
        assert escape(EVIL) in page.content.decode()
        assert EVIL not in page.content.decode()


def test_django_finds_nothing_wrong_with_the_admin():
    call_command("check", fail_level="WARNING", tags=["admin", "models"])
