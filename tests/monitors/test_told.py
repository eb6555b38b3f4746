"""Real nodes tell Sentry and an OpenTelemetry collector, which servers on this machine play, of their runs."""

from __future__ import annotations

import socket
from importlib import import_module

import pytest
from collectors import collecting
from engine_worker import work
from nodes import cron, nodes, turn_of_tasks, until
from pinged import SECRET, pinging

from cronkite.models import Job, Log
from cronkite.monitors import checkins

pytestmark = pytest.mark.django_db(transaction=True)
Status = Log.Status
MODES = [("--workers", "2"), ("--workers", "0"), ("loop", "--workers", "2")]


@pytest.fixture
def collector():
    with collecting() as found:
        yield found


def tell(*arguments, count, **environment):
    """Have a node, by these arguments, run what is due until so many runs have ended."""
    ended = Log.objects.exclude(status__in=[Status.RUNNING, Status.MISSED])
    with nodes(("cron", *arguments), **environment) as (node,):
        until(lambda: ended.count() >= count, what="the runs have ended")
        if "loop" in arguments:
            node.process.terminate()
        assert node.wait() == 0, node.output
    return node.output


# Sentry.


def to_sentry(collector, **environment):
    return {
        "CRONKITE_TEST_SENTRY": collector.dsn,
        "CRONKITE_TEST_MONITORS": "cronkite.monitors.sentry",
        **environment,
    }


def checked_in(collector, name):
    """The statuses of a job's check-ins, by their ids, in the order in which they came."""
    found = {}
    for each in collector.items("check_in"):
        if each["monitor_slug"] == checkins.slug(name):
            found.setdefault(each["check_in_id"], []).append(each["status"])
    return list(found.values())


@pytest.mark.parametrize("mode", MODES, ids=" ".join)
@pytest.mark.parametrize("logs", ["1", "0"])
def test_sentry_hears_of_each_run_once(make_job, collector, mode, logs):
    make_job("app.jobs.ok", name="good", due=0)
    make_job("app.jobs.fail", name="Bad one", due=0, args=["no such customer"])
    tell(*mode, count=2, **to_sentry(collector, CRONKITE_TEST_SENTRY_LOGS=logs))
    assert checked_in(collector, "good") == [["in_progress", "ok"]]
    assert checked_in(collector, "Bad one") == [["in_progress", "error"]]
    (event,) = collector.items("event")
    assert event["fingerprint"] == ["cronkite", checkins.slug("Bad one")]
    value = event["exception"]["values"][-1]
    assert "no such customer" in value["value"]
    assert value["stacktrace"]["frames"][-1]["function"] == "fail"


@pytest.mark.parametrize("logs", ["1", "0"])
def test_sentry_hears_once_of_a_run_that_is_killed_or_takes_too_long(make_job, collector, logs):
    make_job("app.jobs.die", name="killed", due=0)
    make_job("app.jobs.nap", name="slow", due=0, args=[60], timeout=1)
    tell("--workers", "2", count=2, **to_sentry(collector, CRONKITE_TEST_SENTRY_LOGS=logs))
    assert checked_in(collector, "killed") == checked_in(collector, "slow") == [["in_progress", "error"]]
    events = {each["fingerprint"][1]: each for each in collector.items("event")}
    assert len(collector.items("event")) == len(events) == 2
    assert set(events) == {"killed", "slow"}


def test_sentry_hears_of_a_task_that_was_handed_over_when_it_has_ended(make_job, collector):
    make_job("app.handed.fail", name="task", due=0)
    cron(**to_sentry(collector))
    assert checked_in(collector, "task") == []
    work()
    turn_of_tasks()
    cron(**to_sentry(collector))
    assert checked_in(collector, "task") == [["error"]]
    (event,) = collector.items("event")
    assert event["fingerprint"] == ["cronkite", "task"]
    assert "ValueError: no such customer" in event["extra"]["traceback"]


def test_sentry_hears_of_slots_that_were_missed(make_job, collector):
    # A slot a year, of which two are owed.
    make_job("app.jobs.ok", name="late", due=400 * 24 * 3600)
    cron(**to_sentry(collector))
    assert Log.objects.get().missed > 0
    assert sorted(checked_in(collector, "late")) == [["error"], ["in_progress", "ok"]]


def test_a_sentry_that_does_not_answer_harms_no_run(make_job):
    make_job("app.jobs.ok", name="good", due=0)
    make_job("app.jobs.fail", name="bad", due=0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dsn = f"http://key@127.0.0.1:{silent.getsockname()[1]}/1"
        options = {"CRONKITE_TEST_SENTRY": dsn, "CRONKITE_TEST_SENTRY_PATIENCE": "2"}
        cron(**options, CRONKITE_TEST_MONITORS="cronkite.monitors.sentry")
    assert {log.job_name: log.status for log in Log.objects.all()} == {"good": "succeeded", "bad": "failed"}
    assert not any(job.is_locked for job in Job.objects.all())


def test_a_monitor_that_cannot_be_connected_is_told_of_and_keeps_no_job_from_running(make_job):
    make_job("app.jobs.ok", due=0)
    printed = cron(CRONKITE_TEST_MONITORS="nowhere")
    assert Log.objects.get().status == Status.SUCCEEDED
    assert "The monitor nowhere is not connected, and told nothing." in printed


@pytest.mark.once
def test_nobody_who_is_told_of_runs_learns_the_urls_that_are_pinged(make_job, collector):
    # A ping is sent once more where there is no answer for long, which there may not be on a busy machine.
    patient = {"CRONKITE_TEST_TELLING": "50", "CRONKITE_TEST_ANSWERS": "60"}
    with pinging() as service:
        service.answers = [404]
        make_job("app.jobs.fail", due=0, ping=service.url)
        both = "cronkite.monitors.pings cronkite.monitors.sentry"
        printed = cron("--workers", "0", **to_sentry(collector, CRONKITE_TEST_MONITORS=both, **patient))
        assert service.paths == ["/URL/start", "/URL/fail"]
    assert len(collector.items("event")) == 1
    assert printed.count("was not taken") == 2
    assert SECRET not in printed
    assert SECRET.encode() not in b"".join(body for _, body in collector.posts)


# OpenTelemetry.


def messages(collector, path, kind):
    """What was posted to a path by OTLP, as messages of that kind."""
    protocol = import_module(f"opentelemetry.proto.collector.{kind}.v1.{kind}_service_pb2")
    export = getattr(protocol, f"Export{kind.title()}ServiceRequest")
    return [export.FromString(body) for where, body in collector.posts if where == path]


def metrics_of(collector):
    """The metrics of ours, each as often as a process told it, with their points."""
    return [
        (metric.name, list(getattr(metric, metric.WhichOneof("data")).data_points))
        for message in messages(collector, "/v1/metrics", "metrics")
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name == "cronkite"
        for metric in scope.metrics
    ]


def spans_of(collector):
    return [
        span
        for message in messages(collector, "/v1/traces", "trace")
        for resource in message.resource_spans
        for scope in resource.scope_spans
        if scope.scope.name == "cronkite"
        for span in scope.spans
    ]


@pytest.mark.parametrize("mode", MODES, ids=" ".join)
def test_a_collector_gets_a_span_for_each_run_and_metrics_of_all(make_job, collector, mode):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="OTLP's exporter is not installed")
    make_job("app.jobs.ok", name="good", due=0)
    make_job("app.jobs.fail", name="bad", due=0, args=["no such customer"])
    # A slot a year, of which two are owed: none falls due meanwhile.
    make_job("app.jobs.ok", name="late", due=400 * 24 * 3600)
    tell(
        *mode,
        count=3,
        CRONKITE_TEST_OTLP=collector.url,
        CRONKITE_TEST_MONITORS="cronkite.monitors.opentelemetry",
    )
    spans = {span.name: span for span in spans_of(collector)}
    assert len(spans_of(collector)) == 3
    assert set(spans) == {"run good", "run bad", "run late"}
    for log in Log.objects.all():
        span = spans[f"run {log.job_name}"]
        taken = (log.finished_at - log.started_at).total_seconds()
        assert (span.end_time_unix_nano - span.start_time_unix_nano) / 10**9 == pytest.approx(taken, abs=1e-5)
        assert len(span.links) == 1
    (event,) = spans["run bad"].events
    assert "no such customer" in {each.key: each.value.string_value for each in event.attributes}["exception.message"]
    told = metrics_of(collector)
    counts = [point.as_int for name, points in told if name == "cronkite.runs" for point in points]
    assert sum(counts) == 3
    missed = [point.as_int for name, points in told if name == "cronkite.slots.missed" for point in points]
    assert sum(missed) == Log.objects.get(job_name="late").missed > 0
    assert [len(points) for name, points in told if name == "cronkite.jobs.due"] == [1], "told by another process, too"


def test_a_collector_that_does_not_answer_harms_no_run(make_job):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="OTLP's exporter is not installed")
    make_job("app.jobs.ok", due=0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cron(
            CRONKITE_TEST_OTLP=f"http://127.0.0.1:{silent.getsockname()[1]}",
            CRONKITE_TEST_MONITORS="cronkite.monitors.opentelemetry",
            OTEL_EXPORTER_OTLP_TIMEOUT="1",
        )
    assert Log.objects.get().status == Status.SUCCEEDED
