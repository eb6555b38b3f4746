"""The timeline shows what ran when: each run, what was missed and why, the lock, and what is to come."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from admin_pages import EVIL, LOGS, TIMELINE, lock, make_log
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape
from hypothesis import given
from hypothesis import strategies as st

from cronkite.admin.timeline import events, lanes, windows
from cronkite.admin.timeline.events import Event
from cronkite.admin.timeline.windows import Window
from cronkite.database import clock
from cronkite.models import Job, Log

Status = Log.Status
UTC = timezone.utc
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = Window("hour", NOW - timedelta(minutes=50), NOW + timedelta(minutes=10), NOW)
MINUTE = timedelta(minutes=1)


def event(minutes, length=0.0, status=Status.SUCCEEDED, **more):
    start = HOUR.start + MINUTE * minutes
    return Event(status, start, start + MINUTE * length, 1, "job", "alpha", **more)


def merge(*found):
    return lanes.merge(sorted(found, key=lambda each: each.start), HOUR, lambda _: "/log/")


# The window.


@pytest.mark.parametrize(
    ("name", "until", "length"),
    [("hour", "", 1), ("day", "", 24), ("week", "", 168), ("x", "x", 1), ("", "2026-99-01", 1), ("", "0001-01-01", 1)],
)
def test_a_window_ends_a_little_after_now_unless_asked_otherwise(name, until, length):
    window = windows.read(name, until, NOW)
    assert window.end - window.start == timedelta(hours=length)
    assert window.at(NOW) == pytest.approx(85)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
@pytest.mark.parametrize("name", windows.SIZES)
def test_lines_are_at_round_times_of_the_zone(settings, zone, name):
    settings.TIME_ZONE = zone
    for days in range(0, 366, 7):
        window = windows.read(name, "", NOW + timedelta(days=days))
        found = list(window.lines())
        assert 4 <= len(found) <= 8
        assert all(0 < line.at < 100 for line in found)
        if name == "hour":
            assert all(line.label.endswith("0") for line in found)
        if name == "day" and zone == "UTC":
            assert all(re.fullmatch(r"\d\d:00", line.label) for line in found)


def test_places_are_written_as_svg_wants_them_in_each_language():
    from django.utils import translation

    with translation.override("de"):
        assert windows.percent(12.345) in ("12.35%", "12.34%")


# Bars.


def test_runs_far_apart_are_bars_of_their_own():
    bars = merge(event(0, 5), event(10, 1, Status.FAILED), event(20))
    assert [(bar.status, bar.x, bar.width) for bar in bars] == [
        ("succeeded", "0.00%", "8.33%"),
        ("failed", "16.67%", "1.67%"),
        ("succeeded", "33.33%", "1.40%"),
    ]


def test_runs_too_close_to_be_told_apart_are_one_bar_of_the_worst_outcome():
    (bar,) = merge(event(30), event(30.1, status=Status.FAILED), event(30.3))
    assert bar.status == "failed"
    assert [(part.status, part.height) for part in bar.parts] == [("succeeded", 16), ("failed", 5)]
    assert bar.label == "2026-03-04 11:40:00 UTC to 2026-03-04 11:40:18 UTC: 1 failed, 2 succeeded"


@given(
    st.lists(
        st.tuples(st.floats(-30, 90), st.floats(0, 40), st.sampled_from(Status.values)).map(lambda each: event(*each)),
        max_size=60,
    )
)
def test_bars_hold_every_event_and_never_overlap(found):
    bars = merge(*found)
    assert sum(len(bar.events) for bar in bars) == len(found)
    for bar, following in pairwise(bars):
        assert bar.left < bar.right <= following.left
    for bar in bars:
        assert 0 <= bar.left <= bar.right <= 100


def test_thousands_of_runs_are_no_more_bars_than_a_person_can_read():
    bars = merge(*(event(number / 60, 1 / 120) for number in range(3600)))
    assert len(bars) <= 51
    assert sum(len(bar.events) for bar in bars) == 3600


def stack(*found):
    return lanes.stack(sorted(found, key=lambda each: each.start), HOUR, lambda _: "/log/")


def told(minutes, length=0.0, status=Status.SUCCEEDED):
    return event(minutes, length, status, log_id=1)


def test_runs_at_a_time_lie_one_above_the_other():
    bars = stack(told(0, 10), told(1, 10), told(2, 3), told(3, 1), told(4, 1), told(20, 1))
    assert [bar.row for bar in bars].count(0) == 2
    assert [sum(bar.row == row for bar in bars) for row in range(4)] == [2, 1, 1, 2]


def test_a_nodes_outcomes_are_one_bar_with_each_in_proportion():
    (bar,) = stack(
        event(10, 1, count=213), event(10, 1, Status.TIMED_OUT, count=2), event(10, 1, Status.INTERRUPTED, count=71)
    )
    assert bar.status == "timed_out"
    assert [(part.status, part.y, part.height) for part in bar.parts] == [
        ("succeeded", 2, 16),
        ("timed_out", 14, 4),
        ("interrupted", 10, 4),
    ]


@given(st.dictionaries(st.sampled_from(Status.values), st.integers(1, 10**6), min_size=1))
def test_the_parts_of_a_bar_fill_it_and_show_the_worst(counts):
    (bar,) = stack(*(event(10, 1, status, count=count) for status, count in counts.items()))
    most, *others = bar.parts
    assert (most.y, most.height) == (2, 16)
    assert all(part.y >= 2 and part.y + part.height <= 18 and part.height >= lanes.THIN for part in others)
    assert sum(part.height for part in others) <= 16 - lanes.THIN
    assert bar.status in {part.status for part in bar.parts}
    assert all(
        one.y + one.height <= other.y or other.y + other.height <= one.y
        for number, one in enumerate(others)
        for other in others[:number]
    )


def test_pieces_side_by_side_are_bars_of_their_own():
    found = [event(number, 1, status) for number in range(60) for status in (Status.SUCCEEDED, Status.FAILED)]
    assert len(merge(*found)) == len(stack(*found)) == 60


@given(
    st.lists(
        st.tuples(st.floats(-30, 90), st.floats(0, 40), st.sampled_from(Status.values)).map(lambda each: told(*each)),
        max_size=60,
    )
)
def test_a_nodes_bars_hold_every_run_and_never_overlap(found):
    bars = stack(*found)
    assert sum(len(bar.events) for bar in bars) == len(found)
    for row in range(lanes.ROWS):
        for bar, following in pairwise(sorted((bar for bar in bars if bar.row == row), key=lambda bar: bar.left)):
            assert bar.right <= following.left + lanes.TINY


# The page.

pytestmark = pytest.mark.django_db


def labels(response):
    assert response.status_code == 200
    return [
        (lane.name, [bar.label for bar in lane.runs + lane.missed + lane.ahead]) for lane in response.context["lanes"]
    ]


@pytest.fixture
def at(db):
    """Return an instant so many minutes ago by the database's clock, in whole seconds."""
    now = clock.now("default").replace(microsecond=0)
    return lambda minutes: now - MINUTE * minutes


def ran(job, at, began, minutes=1.0, status=Status.SUCCEEDED, **more):
    log = make_log(job, status=status, slot=at(began), started_at=at(began), finished_at=at(began - minutes), **more)
    Log.objects.filter(pk=log.pk).update(created=at(began))
    return log


def test_each_run_is_a_bar_that_leads_to_its_log(admin_client, make_job, at):
    job = make_job(name="Report")
    log = ran(job, at, 20, 2, Status.FAILED, node="beta")
    ran(job, at, 20 * 24 * 60)
    response = admin_client.get(TIMELINE)
    ((name, (label,)),) = labels(response)
    assert name == "Report"
    assert re.fullmatch(r"Report: failed, from \S+ \S+ UTC on beta, took 2 min 0 s", label)
    page = response.content.decode()
    assert f'class="cronkite-bar cronkite-failed" href="{LOGS}{log.pk}/change/"><title>{label}</title>' in page


def test_missed_slots_are_gaps_with_their_reason(admin_client, make_job, at):
    job = make_job(name="Report", schedule="* * * * *")
    slot = at(10).replace(second=0)
    log = make_log(job, fence=None, status=Status.MISSED, slot=slot, missed=4, reason="no node ticked in time")
    (lane,) = admin_client.get(TIMELINE).context["lanes"]
    (bar,) = lane.missed
    assert bar.events[0].start == slot - 4 * MINUTE
    assert re.fullmatch(r"Report: 5 slots missed, .* to .*\. no node ticked in time", bar.label)
    assert bar.url.endswith(f"{log.pk}/change/")


def test_slots_missed_before_a_run_are_told_beside_it(admin_client, make_job, at):
    job = make_job(schedule="* * * * *")
    ran(job, at, 10, missed=300)
    (lane,) = admin_client.get(TIMELINE).context["lanes"]
    assert [bar.status for bar in lane.runs] == ["succeeded"]
    assert lane.missed[0].events[0].count == 300
    assert lane.missed[0].x == "0.00%"


@pytest.mark.parametrize(("age", "kind"), [(1, "held"), (999, "silent")])
def test_the_lock_is_shown_and_a_run_that_began_long_ago(admin_client, make_job, at, age, kind):
    job = make_job()
    log = lock(job, "beta", age=age)
    Log.objects.filter(pk=log.pk).update(started_at=at(9 * 24 * 60), created=at(9 * 24 * 60))
    (lane,) = admin_client.get(TIMELINE).context["lanes"]
    assert (lane.lock.kind, lane.lock.x) == (kind, "0.00%")
    assert lane.lock.reason.startswith("locked by beta, last sign of life ")
    assert [bar.status for bar in lane.runs] == ["running"]


def test_coming_slots_are_shown_ahead_of_now(admin_client, make_job):
    make_job("app.jobs.ok", name="often", schedule="* * * * *")
    make_job("app.jobs.fail", name="off", schedule="* * * * *", enabled=False)
    make_job("app.jobs.note", name="seconds", schedule="* * * * * *")
    response = admin_client.get(TIMELINE)
    lanes_ = {lane.name: lane for lane in response.context["lanes"]}
    assert sum(len(bar.events) for bar in lanes_["often"].ahead) in (8, 9)
    assert all(bar.left >= 84.9 for bar in lanes_["often"].ahead + lanes_["seconds"].ahead)
    assert lanes_["off"].ahead == []
    assert lanes_["off"].note == "disabled"
    assert "more slots from" in lanes_["seconds"].ahead[-1].label
    assert 'class="cronkite-now"' in response.content.decode()
    past = admin_client.get(TIMELINE, {"until": "2020-01-01T00:00:00+00:00"})
    assert 'class="cronkite-now"' not in past.content.decode()


def test_by_node_there_is_a_lane_for_each_node(admin_client, make_job, at):
    one, two = make_job(name="one"), make_job(name="two")
    ran(one, at, 20, 5, node="alpha")
    ran(two, at, 19, 5, node="alpha")
    ran(two, at, 5, node="beta")
    make_log(one, fence=None, status=Status.MISSED, slot=at(3), reason="why")
    response = admin_client.get(TIMELINE, {"by": "node"})
    found = response.context["lanes"]
    assert [lane.name for lane in found] == ["alpha", "beta", "no node"]
    assert found[0].rows == 2
    assert [lane.name for lane in admin_client.get(TIMELINE, {"by": "node", "q": "one"}).context["lanes"]] == [
        "alpha",
        "no node",
    ]


def test_a_merged_bar_leads_to_the_logs_that_it_stands_for(admin_client, make_job, at):
    job = make_job()
    logs = [ran(job, at, 20 - number / 50, 0.01) for number in range(10)]
    ran(job, at, 40), ran(make_job("app.jobs.fail"), at, 20)
    lane = next(lane for lane in admin_client.get(TIMELINE, {"job": job.pk}).context["lanes"])
    merged = [bar for bar in lane.runs if len(bar.events) > 1]
    found = [log for bar in merged for log in admin_client.get(bar.url).context["cl"].result_list]
    single = [bar.events[0].log_id for bar in lane.runs if len(bar.events) == 1]
    assert {log.pk for log in found} | {*single} >= {log.pk for log in logs}
    assert {log.job_id for log in found} == {job.pk}


@pytest.mark.parametrize("window", windows.SIZES)
@pytest.mark.parametrize("by", ["job", "node"])
@pytest.mark.parametrize("slots", [True, False], ids=["by slot", "by hand"])
def test_what_is_too_much_to_be_told_is_counted(admin_client, make_job, at, monkeypatch, window, by, slots):
    monkeypatch.setattr(events, "MOST", 5)
    job = make_job(name="busy")
    for number in range(10):
        ran(job, at, 10 + number / 10, 0.01, Status.FAILED if number == 3 else Status.SUCCEEDED, missed=number == 7)
    if not slots:
        job.logs.update(slot=None)
    found = admin_client.get(TIMELINE, {"window": window, "by": by}).context["lanes"]
    told = [each for lane in found for bar in lane.runs for each in bar.events]
    assert sum(each.count for each in told) == 10
    assert {each.status for each in told} == {"failed", "succeeded"}
    assert sum(each.count for lane in found for bar in lane.missed for each in bar.events) == 1
    everything = set()
    for bar in (bar for lane in found for bar in lane.runs):
        asked = {name: value for name, (value,) in parse_qs(urlsplit(bar.url).query).items()}
        listed = [log.status for log in admin_client.get(bar.url).context["cl"].result_list]
        assert listed == [bar.status] * bar.counts[bar.status]
        assert asked.pop("status__exact") == bar.status
        everything |= {log.pk for log in admin_client.get(LOGS, asked).context["cl"].result_list}
    assert len(everything) == 10


def test_the_number_of_queries_does_not_depend_on_how_much_there_is(admin_client, make_job, at):
    def count(**query):
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(TIMELINE, query).status_code == 200
        return len(queries)

    def more(numbers):
        for number in numbers:
            job = make_job(name=f"job {number}")
            lock(job)
            for began in range(3, 30, 3):
                ran(job, at, began)

    more(range(3))
    few = [count(), count(by="node")]
    more(range(3, 30))
    assert [count(), count(by="node")] == few


def test_many_jobs_come_in_pages(admin_client, make_job):
    Job.objects.bulk_create(Job(name=f"job {n:03}", function="app.jobs.ok", schedule="@yearly") for n in range(60))
    first = admin_client.get(TIMELINE)
    assert len(first.context["lanes"]) == 40
    second = admin_client.get(TIMELINE + first.context["next"])
    assert [lane.name for lane in second.context["lanes"]] == [f"job {n:03}" for n in range(40, 60)]
    assert len(admin_client.get(TIMELINE + second.context["previous"]).context["lanes"]) == 40


@pytest.mark.parametrize(
    "query",
    [{"p": "-1"}, {"p": "9" * 30}, {"job": "9" * 30}, {"job": "x"}, {"until": EVIL}, {"window": EVIL}, {"q": EVIL}],
)
def test_an_address_that_makes_no_sense_is_no_error(admin_client, make_job, query):
    make_job(name=EVIL)
    response = admin_client.get(TIMELINE, query)
    assert response.status_code == 200
    assert EVIL not in response.content.decode()


def test_text_in_logs_is_text(admin_client, make_job, at):
    job = make_job(name=EVIL)
    lock(job, EVIL)
    ran(job, at, 10, status=Status.LOST, node=EVIL, reason=EVIL)
    for by in ("job", "node"):
        page = admin_client.get(TIMELINE, {"by": by}).content.decode()
        assert escape(EVIL) in page
        assert EVIL not in page


def test_no_style_is_written_into_the_page(admin_client, make_job, at):
    ran(make_job(), at, 10)
    page = admin_client.get(TIMELINE).content.decode()
    assert " style=" not in page
    assert "<style" not in page


@pytest.mark.parametrize(
    ("permissions", "status"), [(["view_job"], 403), (["view_log"], 403), (["view_job", "view_log"], 200)]
)
def test_the_timeline_is_for_who_may_view_jobs_and_logs(login, permissions, status):
    assert login(*permissions).get(TIMELINE).status_code == status


def test_who_is_not_logged_in_is_sent_to_do_so(client):
    assert client.get(TIMELINE).status_code == 302
