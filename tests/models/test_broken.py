"""A job that is broken in any way breaks nothing that shows it among others, and can be mended, edited and disabled."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from admin_pages import JOBS, LOGS, TIMELINE, change, make_log
from conftest import make_due
from django.db import connection
from django.db.models import JSONField, Value
from django.urls import reverse
from terminals import Terminal, cron

from cronkite import health
from cronkite.checks import declared_checks
from cronkite.database import clock
from cronkite.declared import discovery
from cronkite.exceptions import ScheduleError
from cronkite.models import Job, Log
from cronkite.reports import preview

LACKING = "'America/Coyhaique' is a time zone, but this machine has no data for it"
NO_ZONE = "'europe/berlin' is not a time zone; write an IANA name, as it is spelled there: Europe/Berlin"

#: What JSON calls null, which the column of a job takes.
NULL = Value(None, JSONField())
#: What JSON may write, and no text can hold.
HALF_A_LETTER = {"args": ["\ud800"]}
#: JSON that no Python reads, as it is in the column: a number of too many digits, and lists too deep in each other.
HUGE, DEEP = {"args": f"[{'9' * 5000}]"}, {"kwargs": "[" * 3000 + "]" * 3000}
#: What is too long for the name of its logs.
LONG = {"name": "broken" + "x" * 300}
#: What has another type than its column, which is no matter to SQLite.
TYPELESS = [{"grace": "soon"}, {"timeout": 1.5}, {"schedule": b"\xff\x00"}, {"function": b"\x00"}, {"timezone": 5}]
#: What only somebody's SQL writes, and where.
BY_SQL = [
    (HALF_A_LETTER, {"sqlite"}),
    (HUGE, {"sqlite", "postgresql"}),
    (DEEP, {"postgresql"}),
    (LONG, {"sqlite"}),
    *((columns, {"sqlite"}) for columns in TYPELESS),
]
#: What newer code, another machine or somebody's SQL may have written, and what is said of it.
BROKEN = {
    "zone without data": ({"timezone": "America/Coyhaique"}, LACKING),
    "no zone": ({"timezone": "europe/berlin"}, NO_ZONE),
    "no name": ({"timezone": "../../etc/passwd"}, "'../../etc/passwd' is not a time zone"),
    "newer schedule": ({"schedule": "0 3 ? ? mon#2"}, ""),
    "empty schedule": ({"schedule": ""}, ""),
    "no slot": ({"schedule": "0 0 30 2 *"}, ""),
    "newer catch-up": (
        {"catch_up": "newest"},
        "Catch-up 'newest' is not known here, but these are: latest, all, none.",
    ),
    "function": ({"function": "app.jobs.gone"}, "'app.jobs.gone' was not found"),
    "odd function": ({"function": "\x1b[2J..x"}, ""),
    "arguments": ({"args": {"a": 1}, "kwargs": [1]}, ""),
    "no arguments": ({"args": NULL, "kwargs": NULL}, ""),
    "half a letter": (HALF_A_LETTER, ""),
    "huge number": (HUGE, ""),
    "deep lists": (DEEP, ""),
    "long name": (LONG, ""),
    **{f"typeless {next(iter(columns))}": (columns, "") for columns in TYPELESS},
    "numbers": ({"grace": 2**31 - 1, "timeout": 0}, ""),
}


@pytest.fixture
def break_it(make_job, sparse_zones):
    """Make a sound job, and one that is broken; return the latter."""

    def make(columns):
        make_job(name="sound", due=5).run()
        job = make_job("app.jobs.say", name="broken", schedule="0 3 * * *", due=400)
        Log.objects.create(
            job=job,
            job_name="broken",
            slot=clock.now("default") - timedelta(days=800),
            fence=0,
            node="n",
            status="paused",
            created=clock.now("default"),
        )
        taking = next((vendors for what, vendors in BY_SQL if what == columns), None)
        if taking is None:
            Job.objects.filter(pk=job.pk).write(**columns)
        elif connection.vendor in taking:
            _write(job, columns)
        else:
            pytest.skip("this database's columns do not take it")
        return Job.objects.get(pk=job.pk)

    return make


def _write(job, columns):
    ((column, value),) = columns.items()
    text = json.dumps(value) if isinstance(value, list) else value
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE cronkite_job SET {column} = %s WHERE id = %s", [text, job.pk])


every = pytest.mark.parametrize(("columns", "said"), BROKEN.values(), ids=BROKEN)


@every
@pytest.mark.django_db
def test_all_that_shows_many_jobs_on_the_command_line_shows_the_sound_one(break_it, columns, said):
    job = break_it(columns)
    listed = cron("list")
    assert [line for line in listed.lines if "sound" in line and "enabled" in line]
    assert any("broken" in line and said in line for line in listed.lines)
    (broken,) = [each for each in cron("list", "--json").json if each["id"] == job.pk]
    assert said in (broken["problem"] or "")
    assert cron("list", "--no-color", out=Terminal()).code == 0
    told = cron("why", str(job.pk), "03:00")
    assert told.code == 0
    assert said in told.out
    for words in (["03:00", "--json"], ["now"], []):
        assert cron("why", str(job.pk), *words).code == 0
    assert "paused" in cron("log", str(Log.objects.get(status="paused").pk)).out
    assert cron("health").code in (0, 1, 2)
    assert cron("health", "--json").code in (0, 1, 2)
    assert cron("sync", "--check").code in (0, 1)
    lines = [*preview.lines()]
    assert any(line.startswith("sound") and "would run slot" in line for line in lines)
    assert any(line.startswith("broken") and said in line for line in lines)


@every
@pytest.mark.django_db
def test_the_admin_shows_it_beside_the_sound_one(admin_client, break_it, columns, said):
    job = break_it(columns)
    jobs = reverse("admin:cronkite_job_changelist")
    page = admin_client.get(jobs)
    assert page.status_code == 200
    assert "sound" in page.text
    for asked in ({"state": "missing"}, {"state": "unfit"}, {"order": "attention"}, {"o": "3"}):
        assert admin_client.get(jobs, asked).status_code in (200, 302)
    for by in ("job", "node"):
        for window in ("hour", "week"):
            assert (
                admin_client.get(reverse("admin:cronkite_job_timeline"), {"by": by, "window": window}).status_code
                == 200
            )
    assert "paused" in admin_client.get(reverse("admin:cronkite_log_changelist")).text
    log = Log.objects.get(status="paused")
    assert "paused" in admin_client.get(reverse("admin:cronkite_log_change", args=[log.pk])).text
    assert admin_client.get(reverse("admin:cronkite_job_change", args=[job.pk])).status_code == 200


def _posted(client, job, **changes):
    """Send the job's form as a browser would, with what was shown of each field."""
    url = reverse("admin:cronkite_job_change", args=[job.pk])
    form = client.get(url).context["adminform"].form
    data = {}
    for bound in form:
        value = bound.value()
        data[f"initial-{bound.name}"] = data[bound.name] = "" if value is None else value
        if bound.name == "enabled":
            data["initial-enabled"] = str(value)
            if not value:
                del data["enabled"]
    data |= changes
    return client.post(url, {name: value for name, value in data.items() if value is not None})


def _errors(page):
    form = None if page.status_code == 302 else page.context["adminform"].form
    return {name: " ".join(errors) for name, errors in form.errors.items()} if form else {}


@every
@pytest.mark.django_db
def test_its_form_can_be_edited_and_the_job_disabled(admin_client, break_it, columns, said):
    job = break_it(columns)
    before = Job.objects.values(*columns).get(pk=job.pk)
    assert _errors(_posted(admin_client, job, description="Broken.")) == {}
    assert Job.objects.get(pk=job.pk).description == "Broken."
    assert _errors(_posted(admin_client, job, enabled=None)) == {}
    job.refresh_from_db()
    assert not job.enabled
    assert Job.objects.values(*columns).get(pk=job.pk) == before
    # What fell due before is accounted for (promise P2), as far as it is known.
    assert Log.objects.filter(job=job, status=Log.Status.MISSED).exists()


@pytest.mark.django_db
def test_a_job_that_is_to_be_planned_anew_needs_a_zone_that_is_known(admin_client, break_it):
    job = break_it({"timezone": "America/Coyhaique"})
    assert LACKING in str(_errors(_posted(admin_client, job, schedule="0 4 * * *"))["timezone"])
    assert _errors(_posted(admin_client, job, enabled=None)) == {}
    assert _errors(_posted(admin_client, job, schedule="0 4 * * *")) == {}
    assert LACKING in str(_errors(_posted(admin_client, job, enabled="on"))["timezone"])
    assert _errors(_posted(admin_client, job, enabled="on", timezone="Europe/Berlin")) == {}
    assert Job.objects.get(pk=job.pk).next_run is not None


@pytest.mark.django_db
def test_a_catch_up_that_newer_code_knows_stays_chosen_and_no_other_such_is_taken(admin_client, break_it):
    job = break_it({"catch_up": "newest"})
    page = admin_client.get(reverse("admin:cronkite_job_change", args=[job.pk]))
    assert '<option value="newest" selected>newest</option>' in page.text
    assert "catch_up" in _errors(_posted(admin_client, job, catch_up="oldest"))
    assert _errors(_posted(admin_client, job, catch_up="all")) == {}


@pytest.mark.django_db
def test_why_reads_times_in_utc_where_the_zone_is_not_known(break_it):
    job = break_it({"timezone": "America/Coyhaique"})
    said = cron("why", str(job.pk), f"{job.next_run:%Y-%m-%d %H:%M}").out
    assert "It cannot run on this machine: " + LACKING in said
    assert "all times are in UTC" in said
    assert f"{job.next_run:%Y-%m-%d %H:%M:%S} +00:00: waiting" in said
    assert "When it is to run cannot be told on this machine." in said
    said = cron("why", str(job.pk), "2020-01-01 03:00").out
    assert "whether that was a slot cannot be told here" in said
    assert "no slot of the job's schedule" not in said


@pytest.mark.django_db
def test_health_says_why_a_job_that_is_due_is_not_run(break_it):
    break_it({"timezone": "America/Coyhaique"})
    from cronkite.nodes import heartbeat

    heartbeat.beat("n", stays=False)
    found = health.report()
    assert [text for text in found.problems if "broken" in text and LACKING in text]
    (late,) = [late for late in found.as_dict()["late"] if late["name"] == "broken"]
    assert LACKING in late["problem"]


@pytest.mark.django_db
def test_a_machine_without_any_zones_shows_jobs_and_runs_those_in_utc(make_job, no_zones):
    job = make_job(name="in UTC", timezone="UTC", due=5)
    Job.objects.filter(pk=make_job(name="in Berlin").pk).write(timezone="Europe/Berlin")
    lines = cron("list").lines
    assert [line for line in lines if "in UTC" in line and line.endswith("enabled")]
    assert [line for line in lines if "in Berlin" in line and "This machine has no time zone data; install" in line]
    Job.process_queue()
    assert Log.objects.get(job=job).status == Log.Status.SUCCEEDED


# Declarations.


@pytest.mark.django_db
def test_one_declaration_in_a_zone_without_data_leaves_the_others_alone(sparse_zones, monkeypatch, caplog):
    import cronkite
    from app import jobs
    from cronkite.code import declarations

    monkeypatch.setattr(declarations, "_declared", {})
    cronkite.cron("0 3 * * *", timezone="Asia/Calcutta")(jobs.ok)
    cronkite.cron("0 3 * * *", timezone="Europe/Berlin")(jobs.unjsonable)
    discovery.auto_discover("app.jobs")
    assert Job.objects.filter(function="app.jobs.unjsonable").exists()
    assert not Job.objects.filter(function="app.jobs.ok").exists()
    assert "app.jobs.ok is declared as a job, but can't be one: 'Asia/Calcutta' is a time zone" in caplog.text
    monkeypatch.setattr(discovery, "declared_by_apps", lambda: [*declarations._declared.values()])
    (message,) = declared_checks.messages()
    assert message.id == "cronkite.W008"
    assert "app.jobs.ok" in message.msg
    assert "app.jobs.unjsonable" not in message.msg
    assert "tzdata-legacy" in message.msg


@pytest.mark.once
def test_a_declaration_in_what_is_no_zone_is_refused_at_once():
    import cronkite

    with pytest.raises(ScheduleError, match="spelled there: UTC"):
        cronkite.cron("0 3 * * *", timezone="utc")


# Logs at the ends of the calendar, and of what can be written.

LAST, FIRST = (datetime(*parts, tzinfo=timezone.utc) for parts in ((9999, 12, 31, 23, 59, 59), (1, 1, 1)))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases have other ends of the calendar")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("moment", [FIRST, LAST], ids=str)
@pytest.mark.parametrize("column", ["slot", "created", "started_at", "finished_at"])
def test_a_log_at_an_end_of_the_calendar_breaks_no_page(admin_client, make_job, settings, column, moment, zone):
    settings.TIME_ZONE = zone
    job = make_job()
    log = make_log(job, status=Log.Status.SUCCEEDED)
    Job.objects.filter(pk=job.pk).write(fence=1)
    Log.objects.filter(pk=log.pk).update(**{column: moment})
    lanes = [f"{TIMELINE}?window={window}{by}" for window in ("hour", "day", "week") for by in ("", "&by=node")]
    for url in [JOBS, LOGS, f"{LOGS}?when=today", f"{LOGS}{log.pk}/change/", change(job), *lanes]:
        assert admin_client.get(url).status_code == 200, url


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases take no half a letter")
def test_half_a_letter_in_a_log_breaks_no_page(admin_client, make_job):
    log = make_log(make_job(), status=Log.Status.SUCCEEDED, args=["\ud800"], result="\ud800")
    page = admin_client.get(f"{LOGS}{log.pk}/change/").content.decode()
    assert "\\ud800" in page


# Nodes


@every
@pytest.mark.django_db(transaction=True)
def test_nodes_run_the_sound_one(break_it, columns, said, caplog):
    break_it(columns)
    sound = Job.objects.get(name="sound")
    make_due(sound, 5)
    before = Log.objects.filter(job=sound).count()
    Job.process_queue()
    assert Log.objects.filter(job=sound, status=Log.Status.SUCCEEDED).count() == before + 1
    assert "out of reach" not in caplog.text


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases take no such name")
@pytest.mark.django_db(transaction=True)
def test_a_name_that_is_too_long_for_a_log_is_cut_there(make_job):
    job = make_job()
    _write(job, {"name": "n\0" + "x" * 300})
    make_due(Job.objects.get(pk=job.pk))
    Job.process_queue()
    log = Log.objects.get(job=job, status=Log.Status.SUCCEEDED)
    assert (log.job_name[:3], log.job_name[-2:], len(log.job_name)) == ("n\ufffdx", "x\u2026", 255)


# What lies at the end of the calendar, or leads nowhere


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases have other ends of the calendar")
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("column", ["last_slot", "next_run", "locked_at", "asked_at", "planned_at"])
@pytest.mark.parametrize("moment", [FIRST, LAST], ids=str)
@pytest.mark.django_db
def test_a_job_at_an_end_of_the_calendar_breaks_nothing(admin_client, make_job, settings, moment, column, zone):
    settings.TIME_ZONE = zone
    make_job(name="sound", due=5)
    job = make_job(name="broken")
    held = {"lock": "0" * 32, "locked_by": "n"} if column == "locked_at" else {}
    Job.objects.filter(pk=job.pk).write(**{column: moment}, **held)
    for words in (["list"], ["list", "--json"], ["health"], ["why", str(job.pk)], ["why", str(job.pk), "now"]):
        said = cron(*words)
        assert said.code in {0, 1, 2}, (words, said.err)
    for url in (JOBS, change(job), TIMELINE, f"{JOBS}?order=attention"):
        assert admin_client.get(url).status_code == 200, url
    Job.process_queue()
    assert Log.objects.filter(job__name="sound", status=Log.Status.SUCCEEDED).exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases keep their foreign keys")
@pytest.mark.django_db(transaction=True)
def test_a_log_whose_job_is_not_there_breaks_no_page(admin_client, make_job):
    log = make_log(make_job(), status=Log.Status.FAILED)
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        cursor.execute("UPDATE cronkite_log SET job_id = 4711 WHERE id = %s", [log.pk])
    try:
        for url in (JOBS, LOGS, f"{LOGS}{log.pk}/change/", TIMELINE, f"{TIMELINE}?by=node"):
            assert admin_client.get(url).status_code in {200, 302}, url
        assert admin_client.get(f"{LOGS}{log.pk}/again/").status_code == 404
        assert cron("log", str(log.pk)).code == 0
        assert cron("health").code in {0, 1, 2}
    finally:
        Log.objects.all().delete()
