"""OpenTelemetry is told of each run by a span, and by counters and histograms of all of them.

Nothing is told before the project has set up the SDK and its exporters: this needs no more than the API. Attributes of
metrics are bounded: what ended how, and of which of the first ``NAMED`` jobs that this process was told of.

Each attempt at a slot is a trace of its own, so that the project's sampler decides about it as about any other. What
the attempts share is a link: its trace and span ids are made of the job and the slot, so they are the same on whichever
node an attempt took place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

import cronkite
from cronkite import signals
from cronkite.code.outcomes import Outcome
from cronkite.database import quirks
from cronkite.models import Job, Log, primary
from cronkite.monitors import tracebacks
from cronkite.processes import owner
from cronkite.signals import Run

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    raise ImproperlyConfigured(
        f"It needs OpenTelemetry's API: pip install 'django-cronkite[opentelemetry]'. ({error})"
    ) from error

#: Of how many jobs the metrics tell by name; all others are told together, as ``OTHERS``.
NAMED = 200
OTHERS = "(other)"
#: Up to how many due jobs are counted.
MOST_DUE = 1000
#: Bounds (seconds) of lateness and duration: from a start at once to a run of a day.
LATENESS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 900, 3600, 21600, 86400)
DURATION = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 900, 3600, 21600, 86400)
#: What is no error of the run's.
FINE = {Log.Status.SUCCEEDED, Log.Status.HANDED_OVER}


class Telemetry:
    """Spans by ``tracer`` and metrics by ``meter``, with receivers of the signals that fill them."""

    def __init__(self, tracer: Any, meter: Any) -> None:
        self._tracer = tracer
        self._names: set[str] = set()
        self._pid = os.getpid()
        self._runs = meter.create_counter("cronkite.runs", "{run}", "Runs that have ended, by how.")
        self._lateness = meter.create_histogram(
            "cronkite.run.lateness",
            "s",
            "From the slot to the start of its first attempt.",
            explicit_bucket_boundaries_advisory=LATENESS,
        )
        self._duration = meter.create_histogram(
            "cronkite.run.duration", "s", "How long runs took.", explicit_bucket_boundaries_advisory=DURATION
        )
        self._missed = meter.create_counter("cronkite.slots.missed", "{slot}", "Slots that were passed over.")
        meter.create_observable_gauge(
            "cronkite.jobs.due", [self.due], "{job}", f"Free jobs whose slot has come, up to {MOST_DUE}."
        )

    def started(self, run: Run, **_: Any) -> None:
        """Record how late a slot's first attempt has begun."""
        if run.slot is not None and run.started_at is not None and run.attempt == 1:
            self._lateness.record(_seconds(run.slot, run.started_at), self._of(run.job_name))

    def finished(self, run: Run, outcome: Outcome, finished_at: datetime, **_: Any) -> None:
        """Count the run, record how long it took, and send its span."""
        attributes = {**self._of(run.job_name), "cronkite.outcome": str(outcome.status)}
        self._runs.add(1, attributes)
        if run.started_at is not None:
            self._duration.record(_seconds(run.started_at, finished_at), attributes)
        self._send_span(run, outcome, finished_at)

    def missed(self, job_name: str, count: int, **_: Any) -> None:
        """Count slots that were missed."""
        self._missed.add(count, self._of(job_name))

    def due(self, options: Any) -> Iterable[Any]:
        """Tell how many jobs are due, by one query; in nodes alone, and in none of the processes forked from them.

        Called by the SDK when it collects, in any thread. Where the connection is in the midst of a transaction, or
        there is no answer, nothing is told.
        """
        connection = connections[primary.alias()]
        if os.getpid() != self._pid or not owner.is_ours() or quirks.is_borrowed(connection):
            return []
        was_open = connection.connection is not None
        try:
            return [metrics.Observation(Job.objects.queue()[:MOST_DUE].count())]
        except DatabaseError:
            return []
        finally:
            if not was_open:
                connection.close()

    def _send_span(self, run: Run, outcome: Outcome, finished_at: datetime) -> None:
        span = self._tracer.start_span(
            f"run {run.job_name}",
            context=trace.set_span_in_context(trace.INVALID_SPAN),  # a root, whatever this thread is at
            # Of a job that was deleted meanwhile, nobody knows the key any more.
            links=[trace.Link(of_slot(run.job_id, run.slot))] if run.slot is not None and run.job_id else [],
            start_time=_nanoseconds(run.started_at or finished_at),
            attributes=_described(run, outcome),
        )
        if outcome.status not in FINE:
            raised = tracebacks.read(outcome.exc_info)
            said = outcome.reason or (f"{raised.kind}: {raised.message}" if raised else str(outcome.status))
            span.set_attribute("error.type", raised.kind if raised else str(outcome.status))
            span.set_status(trace.Status(trace.StatusCode.ERROR, said))
            if outcome.exc_info:
                span.add_event("exception", _exception(raised, outcome.exc_info), _nanoseconds(finished_at))
        span.end(_nanoseconds(finished_at))

    def _of(self, job_name: str) -> dict[str, str]:
        if len(self._names) < NAMED:
            self._names.add(job_name)
        return {"cronkite.job.name": job_name if job_name in self._names else OTHERS}


def of_slot(job_id: int, slot: datetime) -> Any:
    """Return the span context that all attempts of the job's slot (UTC) are linked to; no span has it."""
    digest = hashlib.sha256(f"cronkite {job_id} {slot.isoformat()}".encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
    return trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(0))


def connect() -> None:
    """Connect the receivers; ``CRONKITE_MONITORS`` has it called. Spans and metrics go to the global providers."""
    name, version = "cronkite", cronkite.__version__
    telemetry = Telemetry(trace.get_tracer(name, version), metrics.get_meter(name, version))
    for signal, receiver in (
        (signals.run_started, telemetry.started),
        (signals.run_finished, telemetry.finished),
        (signals.slots_missed, telemetry.missed),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=__name__)


def _described(run: Run, outcome: Outcome) -> dict[str, Any]:
    described = {
        "code.function.name": run.function,
        "cronkite.job.id": run.job_id,
        "cronkite.job.name": run.job_name,
        "cronkite.log.id": run.log_id,
        "cronkite.attempt": run.attempt,
        "cronkite.fence": run.fence,
        "cronkite.node": run.node,
        "cronkite.outcome": str(outcome.status),
    }
    if run.slot is not None:
        described["cronkite.slot"] = run.slot.isoformat()
    return described


def _exception(raised: tracebacks.Raised | None, text: str) -> dict[str, str]:
    told = {"exception.stacktrace": text}
    if raised is not None:
        told |= {"exception.type": raised.kind, "exception.message": raised.message}
    return told


def _seconds(begin: datetime, end: datetime) -> float:
    # The slot and its start may come from clocks that differ by a little.
    return max(0.0, (end - begin).total_seconds())


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000) * 1000
