"""OpenTelemetry is told of runs: a span each, linked to its slot, and metrics of bounded cardinality."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, transaction
from told_run import NOON, RUN, START

from cronkite import signals
from cronkite.code.outcomes import Outcome, traceback_text
from cronkite.models import Job, Log
from cronkite.models.queries import JobQuerySet
from cronkite.monitors import connecting
from cronkite.processes import owner

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from cronkite.monitors import opentelemetry

Status = Log.Status
END = NOON + timedelta(seconds=9.5)


@pytest.fixture
def told():
    """A project's providers, with exporters into memory: what the monitor told, as the SDK has it."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = opentelemetry.Telemetry(tracers.get_tracer("cronkite"), meters.get_meter("cronkite"))

    def points(name):
        data = reader.get_metrics_data()
        resources = data.resource_metrics if data else []
        return [
            point
            for resource in resources
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    yield SimpleNamespace(telemetry=telemetry, spans=exporter.get_finished_spans, points=points)
    tracers.shutdown()
    meters.shutdown()


@pytest.fixture
def in_node(monkeypatch):
    """Pretend that this process is a node's."""
    monkeypatch.setattr(owner, "_is_ours", True)


def failed():
    try:
        raise LookupError("no such customer")
    except LookupError as error:
        return Outcome(Status.FAILED, exc_info=traceback_text(error))


# Spans.


@pytest.mark.once
def test_a_run_is_a_span_from_its_start_to_its_end(told):
    told.telemetry.finished(RUN, Outcome(Status.SUCCEEDED), END)
    (span,) = told.spans()
    assert span.name == "run send_invoices"
    assert (span.start_time, span.end_time) == (int(START.timestamp()) * 10**9, int(END.timestamp() * 10) * 10**8)
    assert span.parent is None
    assert span.status.status_code == StatusCode.UNSET
    assert span.events == ()
    assert dict(span.attributes) == {
        "code.function.name": "shop.crontab.send_invoices",
        "cronkite.job.id": 7,
        "cronkite.job.name": "send_invoices",
        "cronkite.log.id": 99,
        "cronkite.attempt": 1,
        "cronkite.fence": 41,
        "cronkite.node": "blue",
        "cronkite.outcome": "succeeded",
        "cronkite.slot": "2026-03-03T12:00:00+00:00",
    }


@pytest.mark.once
def test_the_span_of_a_run_that_failed_has_its_exception(told):
    told.telemetry.finished(RUN, failed(), END)
    (span,) = told.spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "LookupError: no such customer")
    assert span.attributes["error.type"] == "LookupError"
    (event,) = span.events
    assert (event.name, event.timestamp) == ("exception", span.end_time)
    assert event.attributes["exception.type"] == "LookupError"
    assert event.attributes["exception.message"] == "no such customer"
    assert event.attributes["exception.stacktrace"].startswith("Traceback (most recent call last)")


@pytest.mark.once
@pytest.mark.parametrize("status", [Status.TIMED_OUT, Status.INTERRUPTED, Status.LOST])
def test_the_span_of_a_run_that_was_ended_says_why(told, status):
    told.telemetry.finished(RUN, Outcome(status, reason="its node was stopped"), END)
    (span,) = told.spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "its node was stopped")
    assert span.attributes["error.type"] == status
    assert span.events == ()


@pytest.mark.once
def test_attempts_at_a_slot_are_traces_of_their_own_with_a_link_in_common(told):
    told.telemetry.finished(RUN, failed(), END)
    told.telemetry.finished(replace(RUN, attempt=2, fence=42, node="green"), Outcome(Status.SUCCEEDED), END)
    told.telemetry.finished(replace(RUN, slot=NOON + timedelta(days=1)), Outcome(Status.SUCCEEDED), END)
    told.telemetry.finished(replace(RUN, job_id=8), Outcome(Status.SUCCEEDED), END)
    spans = told.spans()
    assert len({span.context.trace_id for span in spans}) == 4
    first, second, *others = [(each.context.trace_id, each.context.span_id) for (each,) in [s.links for s in spans]]
    assert first == second
    assert len({first, *others}) == 3
    assert opentelemetry.of_slot(7, NOON).is_valid


@pytest.mark.once
def test_a_run_by_hand_a_task_that_did_not_tell_when_it_began_and_a_deleted_jobs_run_are_spans(told):
    told.telemetry.finished(replace(RUN, slot=None), Outcome(Status.SUCCEEDED), END)
    told.telemetry.finished(replace(RUN, started_at=None), Outcome(Status.SUCCEEDED), END)
    told.telemetry.finished(replace(RUN, job_id=0), Outcome(Status.SUCCEEDED), END)
    by_hand, handed, deleted = told.spans()
    assert by_hand.links == deleted.links == ()
    assert "cronkite.slot" not in by_hand.attributes
    assert handed.start_time == handed.end_time
    assert [point.count for point in told.points("cronkite.run.duration")] == [2]


@pytest.mark.once
def test_the_projects_sampler_decides_about_runs():
    exporter = InMemorySpanExporter()
    tracers, meters = TracerProvider(sampler=ALWAYS_OFF), MeterProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = opentelemetry.Telemetry(tracers.get_tracer("cronkite"), meters.get_meter("cronkite"))
    telemetry.finished(RUN, failed(), END)
    assert exporter.get_finished_spans() == ()
    meters.shutdown()


# Metrics.


@pytest.mark.once
def test_runs_are_counted_by_job_and_outcome_and_measured(told):
    for outcome in (Outcome(Status.SUCCEEDED), Outcome(Status.SUCCEEDED), failed()):
        told.telemetry.started(RUN)
        told.telemetry.finished(RUN, outcome, END)
    counts = {point.attributes["cronkite.outcome"]: point.value for point in told.points("cronkite.runs")}
    assert counts == {"succeeded": 2, "failed": 1}
    assert [(point.count, point.sum) for point in told.points("cronkite.run.duration")] == [(2, 15.0), (1, 7.5)]
    (lateness,) = told.points("cronkite.run.lateness")
    assert (lateness.count, lateness.sum) == (3, 6.0)
    assert dict(lateness.attributes) == {"cronkite.job.name": "send_invoices"}


@pytest.mark.once
def test_neither_a_retry_nor_a_run_by_hand_is_late_and_no_clock_makes_a_start_too_early(told):
    told.telemetry.started(replace(RUN, attempt=2))
    told.telemetry.started(replace(RUN, slot=None))
    assert told.points("cronkite.run.lateness") == []
    told.telemetry.started(replace(RUN, started_at=NOON - timedelta(milliseconds=3)))
    assert [point.sum for point in told.points("cronkite.run.lateness")] == [0.0]


@pytest.mark.once
def test_missed_slots_are_counted(told):
    for count in (5, 1440):
        told.telemetry.missed("send_invoices", count)
    (point,) = told.points("cronkite.slots.missed")
    assert point.value == 1445


@pytest.mark.once
def test_however_many_jobs_there_are_metrics_name_the_first_ones_only(told):
    for number in range(opentelemetry.NAMED + 300):
        told.telemetry.started(replace(RUN, job_name=str(number)))
    told.telemetry.started(replace(RUN, job_name="0"))
    points = {point.attributes["cronkite.job.name"]: point.count for point in told.points("cronkite.run.lateness")}
    assert len(points) == opentelemetry.NAMED + 1
    assert (points["0"], points[opentelemetry.OTHERS]) == (2, 300)


@pytest.mark.django_db(transaction=True)
def test_a_node_tells_how_many_jobs_are_due_when_it_is_asked(told, make_job, in_node, monkeypatch):
    for number in range(3):
        make_job(name=str(number), due=0)
    make_job(name="later")
    connection.close()
    assert [point.value for point in told.points("cronkite.jobs.due")] == [3]
    assert connection.connection is None, "a connection was left open"
    monkeypatch.setattr(opentelemetry, "MOST_DUE", 2)
    assert [point.value for point in told.points("cronkite.jobs.due")] == [2]


@pytest.mark.django_db(transaction=True)
def test_to_ask_how_many_jobs_are_due_is_one_query(told, in_node, django_assert_num_queries):
    with django_assert_num_queries(1):
        told.points("cronkite.jobs.due")


@pytest.mark.django_db(transaction=True)
def test_who_is_no_node_and_who_is_forked_from_one_does_not_ask_what_is_due(told, monkeypatch):
    assert told.points("cronkite.jobs.due") == []
    monkeypatch.setattr(owner, "_is_ours", True)
    assert told.points("cronkite.jobs.due") != []
    monkeypatch.setattr(told.telemetry, "_pid", 1)
    assert told.points("cronkite.jobs.due") == []


@pytest.mark.django_db(transaction=True)
def test_in_an_outage_or_a_transaction_nothing_is_told_of_what_is_due(told, in_node, monkeypatch):
    with transaction.atomic():
        assert told.points("cronkite.jobs.due") == []

    def away(self):
        raise DatabaseError("the server has gone away")

    monkeypatch.setattr(JobQuerySet, "count", away, raising=False)
    assert told.points("cronkite.jobs.due") == []


# How it is switched on.


@pytest.mark.once
def test_its_name_in_the_setting_connects_it_once(settings):
    settings.CRONKITE_MONITORS = ["cronkite.monitors.opentelemetry"]
    ours = (signals.run_started, signals.run_finished, signals.slots_missed)
    before = [len(each.receivers) for each in ours]
    try:
        connecting.connect()
        connecting.connect()
        assert [len(each.receivers) for each in ours] == [number + 1 for number in before]
    finally:
        for each in ours:
            each.disconnect(dispatch_uid=opentelemetry.__name__)


@pytest.mark.once
def test_without_an_sdk_nothing_is_told_and_nothing_fails(settings):
    settings.CRONKITE_MONITORS = ["cronkite.monitors.opentelemetry"]
    ours = (signals.run_started, signals.run_finished, signals.slots_missed)
    connecting.connect()
    try:
        signals.run_started.send(sender=Job, run=RUN)
        signals.run_finished.send(sender=Job, run=RUN, outcome=failed(), finished_at=END)
        signals.slots_missed.send(
            sender=Job, job_id=7, job_name="send_invoices", first=NOON, last=NOON, count=1, reason="too late"
        )
    finally:
        for each in ours:
            each.disconnect(dispatch_uid=opentelemetry.__name__)


@pytest.mark.once
def test_without_the_package_it_is_said_what_to_install(settings, monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "cronkite.monitors.opentelemetry")
    settings.CRONKITE_MONITORS = ["cronkite.monitors.opentelemetry"]
    ((name, why),) = connecting.problems().items()
    assert name == "cronkite.monitors.opentelemetry"
    assert why.startswith("It needs OpenTelemetry's API: pip install 'django-cronkite[opentelemetry]'.")
