"""Sentry is told of the run of each slot, so that its cron monitors see the jobs, and its errors are grouped by job.

Nothing is told before the project has called ``sentry_sdk.init()``. A job is a monitor, which its first check-in makes.
Runs by hand are of no slot, and check in nowhere.

An error is told once. Sentry's integration of ``logging``, which is on by default, makes an event of what the logger
``cronkite`` says at ERROR, and that has what no log keeps, such as local variables: so it is that event which is given
to its job. Where the integration makes none, an event is made of the log.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from cronkite import signals
from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome
from cronkite.models import Log, Task
from cronkite.monitors import checkins, tracebacks
from cronkite.signals import Run

try:
    import sentry_sdk
    from sentry_sdk import crons, scope
    from sentry_sdk.integrations import logging as integration
except ImportError as error:
    raise ImproperlyConfigured(f"It needs Sentry's SDK: pip install 'django-cronkite[sentry]'. ({error})") from error

logger = logging.getLogger("cronkite")

#: What Sentry is told of a run that has ended; of a task whose engine can't tell, that it was handed over is all.
OK = {Log.Status.SUCCEEDED, Log.Status.HANDED_OVER}
#: The jobs that Sentry can't watch, as was said, with their schedules.
_said: dict[str, str] = {}


def connect() -> None:
    """Connect the receivers; ``CRONKITE_MONITORS`` has it called."""
    signals.run_started.connect(started, dispatch_uid=__name__)
    signals.run_finished.connect(finished, dispatch_uid=__name__)
    signals.slots_missed.connect(missed, dispatch_uid=__name__)
    if by_job not in scope.global_event_processors:
        # Before workers are forked: the error of a run is logged where it was raised.
        scope.add_global_event_processor(by_job)


def started(run: Run, **_: Any) -> None:
    """Say that the slot's run is in progress."""
    _check_in(run, "in_progress")


def finished(run: Run, outcome: Outcome, finished_at: datetime, **_: Any) -> None:
    """Say how the slot's run has ended, and tell its error, if the logger does not."""
    is_ok = outcome.status in OK
    duration = None if run.started_at is None else (finished_at - run.started_at).total_seconds()
    _check_in(run, "ok" if is_ok else "error", duration)
    if not is_ok and _is_active() and not _logger_tells():
        sentry_sdk.capture_event(_given(_event(run, outcome), run.job_name))


def missed(job_name: str, first: datetime, **_: Any) -> None:
    """Check in with an error for slots that were missed: no check-in may say ``missed``, which Sentry finds by itself.

    Where Sentry knows of no such monitor, it takes no notice. It is told nothing of jobs that it can't watch, as far as
    this process has had one of their runs.
    """
    if _is_active() and job_name not in _said:
        crons.capture_checkin(checkins.slug(job_name), _identity(job_name, first), "error")


def by_job(event: Any, hint: Any) -> Any:
    """Return an event of Sentry's, given to its job if it is made of what the logger says of a run that has failed."""
    record = hint.get("log_record")
    if isinstance(record, logging.LogRecord) and record.name == "cronkite" and isinstance(record.args, tuple):
        # All that is said of a run names its claim first, and of a task its job.
        first = record.args[0] if record.args else None
        if isinstance(first, Claim):
            return _given(event, first.job_name)
        if isinstance(first, str) and any(isinstance(each, Task) for each in record.args):
            return _given(event, first)
    return event


def _check_in(run: Run, status: str, duration: float | None = None) -> None:
    if run.slot is None or not _is_active():
        return
    try:
        config: Any = checkins.config(run)
    except checkins.Unreadable as why:
        if _said.get(run.job_name) != run.schedule:
            _said[run.job_name] = run.schedule
            logger.info("Job %r is not watched by Sentry's cron monitors: %r, %s.", run.job_name, run.schedule, why)
        return
    _said.pop(run.job_name, None)
    slug = checkins.slug(run.job_name)
    crons.capture_checkin(slug, _identity(run.job_name, run.slot, run.log_id), status, duration, config)


def _identity(job_name: str, *which: object) -> str:
    return checkins.identity(sentry_sdk.get_client().options.get("environment"), job_name, *which)


def _is_active() -> bool:
    return bool(sentry_sdk.get_client().is_active())


def _logger_tells() -> bool:
    """Whether Sentry makes an event of what the logger ``cronkite`` says at ERROR; in doubt, it does."""
    found = sentry_sdk.get_client().get_integration(integration.LoggingIntegration)
    if found is None or not logger.isEnabledFor(logging.ERROR):
        return False
    # No version has told it in another way, since there is the integration.
    handler = getattr(found, "_handler", logger)
    if handler is None or handler.level > logging.ERROR:
        return False
    can_record = getattr(handler, "_can_record", bool)
    return bool(can_record(logging.makeLogRecord({"name": logger.name})))


def _given(event: Any, job_name: str) -> Any:
    slug = checkins.slug(job_name)
    event["fingerprint"] = ["cronkite", slug]
    event["tags"] = {**dict(event.get("tags") or {}), "cronkite.job": job_name, "monitor.slug": slug}
    # By this, Sentry shows it beside the check-ins.
    event["contexts"] = {**(event.get("contexts") or {}), "monitor": {"slug": slug}}
    return event


def _event(run: Run, outcome: Outcome) -> dict[str, Any]:
    """Return an event made of a log."""
    when = f"slot {run.slot:%Y-%m-%d %H:%M:%S} UTC" if run.slot else "by hand"
    status = outcome.status.replace("_", " ")
    event: dict[str, Any] = {
        "level": "error",
        "logger": "cronkite",
        "logentry": {"formatted": f"job {run.job_name!r} ({run.function}), {when}: {status}. {outcome.reason}".strip()},
        "extra": {"node": run.node, "attempt": run.attempt, "log": run.log_id},
    }
    if (raised := tracebacks.read(outcome.exc_info)) is not None:
        frames = [
            {"filename": each.file, "lineno": each.line, "function": each.function, "context_line": each.code}
            for each in raised.frames
        ]
        value = {"type": raised.kind, "value": raised.message, "stacktrace": {"frames": frames}}
        event["exception"] = {"values": [value]}
    return event
