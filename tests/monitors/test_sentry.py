"""Sentry is told of runs: by check-ins, and by one event for each error, which is given to its job."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from collectors import collecting
from told_run import NOON
from told_run import RUN as TOLD

from cronkite import signals
from cronkite.claims.verdicts import Claim
from cronkite.code.outcomes import Outcome, traceback_text
from cronkite.models import Job, Log, Task
from cronkite.monitors import connecting

sentry_sdk = pytest.importorskip("sentry_sdk", reason="sentry-sdk, of the extra sentry, is not installed")

from sentry_sdk import scope  # noqa: E402
from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger, unignore_logger  # noqa: E402

from cronkite.monitors import checkins, sentry  # noqa: E402

Status = Log.Status
RUN = replace(TOLD, started_at=NOON + timedelta(seconds=1))
END = NOON + timedelta(seconds=4)
logger = logging.getLogger("cronkite")


def failed():
    try:
        raise LookupError("no such customer")
    except LookupError as error:
        return Outcome(Status.FAILED, exc_info=traceback_text(error))


@pytest.fixture
def ingest():
    """What plays Sentry's part."""
    with collecting() as collector:
        yield collector


@pytest.fixture
def client(ingest):
    """Return a function that has Sentry's SDK tell the server during the test, with these integrations; and flushes."""
    before = list(scope.global_event_processors)
    made = []
    with sentry_sdk.isolation_scope(), sentry_sdk.new_scope() as current:

        def tell(*integrations, **options):
            made.append(
                sentry_sdk.Client(
                    ingest.dsn,
                    environment="staging",
                    default_integrations=False,
                    integrations=list(integrations),
                    **options,
                )
            )
            current.set_client(made[-1])
            sentry.connect()
            return lambda: made[-1].flush(timeout=60)

        yield tell
        for each in made:
            each.close()
    scope.global_event_processors[:] = before
    for each in (signals.run_started, signals.run_finished, signals.slots_missed):
        each.disconnect(dispatch_uid=sentry.__name__)
    sentry._said.clear()


# Check-ins.


@pytest.mark.once
def test_a_run_checks_in_when_it_begins_and_when_it_ends_with_the_jobs_schedule(client, ingest):
    flush = client()
    signals.run_started.send(sender=Job, run=RUN)
    signals.run_finished.send(sender=Job, run=RUN, outcome=Outcome(Status.SUCCEEDED), finished_at=END)
    flush()
    begin, end = ingest.items("check_in")
    assert begin["status"] == "in_progress"
    assert begin["monitor_slug"] == "send_invoices"
    assert begin["environment"] == "staging"
    assert begin["monitor_config"] == {
        "schedule": {"type": "crontab", "value": "0 12 * * *"},
        "timezone": "Europe/Berlin",
        "checkin_margin": 5,
        "max_runtime": 30,
    }
    assert (end["status"], end["duration"], end["check_in_id"]) == ("ok", 3.0, begin["check_in_id"])
    assert ingest.items("event") == []


@pytest.mark.once
@pytest.mark.parametrize("status", [Status.FAILED, Status.TIMED_OUT, Status.INTERRUPTED, Status.LOST])
def test_a_run_that_did_not_succeed_checks_in_with_an_error(client, ingest, status):
    flush = client(LoggingIntegration())
    sentry.finished(RUN, Outcome(status), END)
    flush()
    (end,) = ingest.items("check_in")
    assert end["status"] == "error"


@pytest.mark.once
def test_a_task_that_was_handed_over_checks_in_when_it_has_ended(client, ingest):
    """Its engine need not know when it began."""
    flush = client()
    sentry.finished(replace(RUN, started_at=None), Outcome(Status.SUCCEEDED), END)
    sentry.finished(replace(RUN, fence=42), Outcome(Status.HANDED_OVER), END)
    flush()
    assert [(each["status"], each["duration"]) for each in ingest.items("check_in")] == [("ok", None), ("ok", 3.0)]


@pytest.mark.once
def test_the_attempts_at_a_slot_check_in_each(client, ingest):
    flush = client()
    sentry.started(RUN)
    sentry.started(replace(RUN, attempt=2, fence=42, log_id=100))
    flush()
    assert len({each["check_in_id"] for each in ingest.items("check_in")}) == 2


@pytest.mark.once
def test_missed_slots_check_in_with_an_error_once_for_all_of_them(client, ingest):
    flush = client()
    signals.slots_missed.send(
        sender=Job, job_id=7, job_name="Send invoices", first=NOON, last=END, count=5, reason="nobody was there"
    )
    flush()
    (only,) = ingest.items("check_in")
    assert (only["status"], only["monitor_slug"]) == ("error", checkins.slug("Send invoices"))
    assert "monitor_config" not in only


@pytest.mark.once
def test_a_run_by_hand_is_of_no_slot_and_checks_in_nowhere(client, ingest):
    flush = client()
    by_hand = replace(RUN, slot=None)
    sentry.started(by_hand)
    sentry.finished(by_hand, failed(), END)
    flush()
    assert ingest.items("check_in") == []
    (event,) = ingest.items("event")
    assert "by hand" in event["logentry"]["formatted"]


@pytest.mark.once
def test_a_schedule_that_sentry_cannot_read_is_named_once_and_left_out(client, ingest, caplog):
    flush = client()
    odd = replace(RUN, schedule="* * * * * 30")
    with caplog.at_level(logging.INFO, "cronkite"):
        for _ in range(2):
            sentry.started(odd)
            sentry.finished(odd, Outcome(Status.SUCCEEDED), END)
    flush()
    assert ingest.items("check_in") == []
    assert [record.getMessage() for record in caplog.records] == [
        "Job 'send_invoices' is not watched by Sentry's cron monitors: '* * * * * 30', it has a field of seconds."
    ]


@pytest.mark.once
def test_of_a_job_that_sentry_cannot_watch_no_missed_slots_are_told_until_it_can(client, ingest):
    flush = client()
    told = {"job_id": 1, "job_name": RUN.job_name, "first": NOON, "last": NOON, "count": 1, "reason": ""}
    sentry.started(replace(RUN, schedule="* * * * * 30"))
    sentry.missed(**told)
    flush()
    assert ingest.items("check_in") == []
    sentry.started(RUN)
    sentry.missed(**told)
    flush()
    assert [each["status"] for each in ingest.items("check_in")] == ["in_progress", "error"]


@pytest.mark.once
def test_a_run_whose_job_was_deleted_meanwhile_still_checks_in(client, ingest, caplog):
    flush = client()
    with caplog.at_level(logging.INFO, "cronkite"):
        sentry.started(RUN)
        sentry.finished(replace(RUN, job_id=0, schedule="", timezone=""), Outcome(Status.SUCCEEDED), END)
    flush()
    begin, end = ingest.items("check_in")
    assert (end["status"], end["check_in_id"]) == ("ok", begin["check_in_id"])
    assert "monitor_config" not in end
    assert caplog.records == []


@pytest.mark.once
def test_nothing_is_said_where_the_project_has_not_set_sentry_up(caplog):
    with sentry_sdk.new_scope() as current, caplog.at_level(logging.DEBUG, "cronkite"):
        current.set_client(None)
        sentry.started(replace(RUN, schedule="* * * * * 30"))
        sentry.finished(RUN, failed(), END)
        sentry.missed("send_invoices", NOON)
    assert caplog.records == []


# Errors.


def claimed(**values):
    return Claim(
        **{
            "token": uuid4(),
            "fence": 41,
            "job_id": 7,
            "job_name": "Send invoices",
            "function": "shop.crontab.send_invoices",
            "args": [],
            "kwargs": {},
            "timeout": None,
            "slot": NOON,
            "next_run": None,
            "log_id": 99,
            **values,
        }
    )


@pytest.mark.once
def test_an_event_that_sentry_makes_of_the_log_is_given_to_its_job(client, ingest):
    flush = client(LoggingIntegration())
    slug = checkins.slug("Send invoices")
    for number in range(2):
        try:
            raise LookupError(number) if number else TypeError(number)
        except Exception as error:
            claim = claimed(slot=NOON + timedelta(days=number))
            logger.error("%s: %s. %s", claim, "failed", error, exc_info=error)
    logger.error("Job %r: the task %s has %s.", "Send invoices", Task(engine="celery", task_id="x"), "failed")
    logger.error("Job %r cannot be run on node %s: %s", "Send invoices", "blue", "it is not there")
    flush()
    *told, other = ingest.items("event")
    assert [each["fingerprint"] for each in told] == [["cronkite", slug]] * 3
    assert [each["exception"]["values"][0]["type"] for each in told[:2]] == ["TypeError", "LookupError"]
    assert {each["tags"]["cronkite.job"] for each in told} == {"Send invoices"}
    assert {each["contexts"]["monitor"]["slug"] for each in told} == {slug}
    assert "fingerprint" not in other


@pytest.mark.once
def test_what_the_log_has_told_is_not_told_again(client, ingest):
    flush = client(LoggingIntegration())
    sentry.finished(RUN, failed(), END)
    flush()
    assert ingest.items("event") == []


def no_integration(client):
    return client()


def no_events(client):
    return client(LoggingIntegration(event_level=None))


def critical_alone(client):
    return client(LoggingIntegration(event_level=logging.CRITICAL))


@pytest.mark.once
@pytest.mark.parametrize("without", [no_integration, no_events, critical_alone])
def test_where_the_log_tells_nothing_an_error_is_told_with_the_logs_traceback(client, ingest, without):
    flush = without(client)
    sentry.finished(RUN, failed(), END)
    flush()
    (event,) = ingest.items("event")
    assert event["fingerprint"] == ["cronkite", "send_invoices"]
    assert event["logentry"]["formatted"] == (
        "job 'send_invoices' (shop.crontab.send_invoices), slot 2026-03-03 12:00:00 UTC: failed."
    )
    (value,) = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("LookupError", "no such customer")
    frame = value["stacktrace"]["frames"][-1]
    assert (frame["filename"], frame["function"]) == (__file__, "failed")
    assert frame["context_line"] == 'raise LookupError("no such customer")'


@pytest.mark.once
def test_a_logger_that_sentry_ignores_tells_nothing(client, ingest):
    flush = client(LoggingIntegration())
    ignore_logger("cronkite")
    try:
        sentry.finished(RUN, Outcome(Status.TIMED_OUT, reason="it took longer than its timeout of 1 s"), END)
    finally:
        unignore_logger("cronkite")
    flush()
    (event,) = ingest.items("event")
    assert event["logentry"]["formatted"].endswith("UTC: timed out. it took longer than its timeout of 1 s")
    assert "exception" not in event


@pytest.mark.once
def test_a_run_that_has_succeeded_is_no_event(client, ingest):
    flush = client()
    sentry.finished(RUN, Outcome(Status.SUCCEEDED), END)
    flush()
    assert ingest.items("event") == []


@pytest.mark.once
def test_events_of_others_are_left_as_they_are(client, ingest):
    flush = client(LoggingIntegration())
    logging.getLogger("shop").error("%s failed", claimed())
    logger.error("The database does not answer.")
    logger.error("%(what)s failed", {"what": "it"})
    sentry_sdk.capture_message("hello")
    flush()
    assert [each.get("fingerprint") for each in ingest.items("event")] == [None] * 4


@pytest.mark.once
def test_without_the_package_it_is_said_what_to_install(settings, monkeypatch):
    import sys

    for name in [each for each in sys.modules if each.partition(".")[0] == "sentry_sdk"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    monkeypatch.delitem(sys.modules, "cronkite.monitors.sentry")
    settings.CRONKITE_MONITORS = ["cronkite.monitors.sentry"]
    ((name, why),) = connecting.problems().items()
    assert name == "cronkite.monitors.sentry"
    assert why.startswith("It needs Sentry's SDK: pip install 'django-cronkite[sentry]'.")
