"""A service is told of runs by the job's own URL: once each, whatever the service does, and nobody else learns it."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import threading
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from nodes import cron, until
from pinged import SECRET, babble, drip, flood, hang, misbehaving, pinging, slam

from cronkite import signals
from cronkite.checks import job_checks
from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.models import Job, Log
from cronkite.monitors import connecting, pings, posting
from cronkite.signals import Run

Status = Log.Status
PINGS = {"CRONKITE_TEST_MONITORS": "cronkite.monitors.pings"}
NOON = datetime(2026, 3, 3, 12, tzinfo=timezone.utc)
#: How long (seconds) hosts may take, so that only one that hangs takes longer.
LONG = {"TIMEOUT": 60, "PATIENCE": 120}
#: The same for nodes, which wait at their end for all the time that it takes; and for those whose host hangs.
LINGERING = {**PINGS, "CRONKITE_TEST_TELLING": "50"}
UNHURRIED = {**LINGERING, "CRONKITE_TEST_ANSWERS": "60"}


@pytest.fixture
def service():
    with pinging() as server:
        yield server


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Hosts are given the time that they need on a busy machine, and what one costs is nothing to the next test."""
    monkeypatch.setattr(pings, "_patience", pings.Patience())

    def give(**values):
        for name, value in values.items():
            monkeypatch.setattr(pings, name, value)

    give(PAUSE=0.01, **LONG)
    return give


@pytest.fixture(autouse=True)
def nothing_is_left_and_nothing_is_told(caplog):
    """No thread outlives its test, and no test has the URL logged."""
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "cronkite ping"])


def run_of(job, **values):
    told = {
        "slot": NOON,
        "due_at": NOON,
        "attempt": 1,
        "fence": 1,
        "log_id": 1,
        "node": "blue",
        "started_at": NOON,
        "schedule": "0 12 * * *",
        "timezone": "",
        "grace": None,
        "timeout": None,
    }
    return Run(**{**told, "job_id": job.pk, "job_name": job.name, "function": job.function, **values})


# What is told.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_node_tells_of_a_runs_beginning_and_success_with_what_it_wrote(make_job, service, workers):
    make_job("app.jobs.say", due=0, args=["Grüße\n"], ping=service.url)
    cron("--workers", workers, **UNHURRIED)
    assert service.paths == ["/URL/start", "/URL"]
    (_, headers, nothing), (_, _, body) = service.posts
    assert (nothing, body.decode()) == (b"", "Grüße")
    assert headers["User-Agent"].startswith("django-cronkite/")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("function", ["app.jobs.fail", "app.jobs.die"])
def test_a_node_tells_of_a_failure_with_the_reason(make_job, service, function):
    make_job(function, due=0, ping=service.url)
    cron("--workers", "1", **UNHURRIED)
    assert service.paths == ["/URL/start", "/URL/fail"]
    log = Log.objects.get()
    assert service.posts[-1][2].decode() == "\n".join(
        filter(None, [log.output.strip(), log.exc_info.strip(), log.reason])
    )


@pytest.mark.django_db(transaction=True)
def test_jobs_without_a_url_and_projects_without_the_monitor_ping_nobody(make_job, service):
    make_job(due=0)
    cron("--workers", "0", **PINGS)
    Log.objects.all().delete()
    make_job(due=0, ping=service.url)
    cron("--workers", "0")
    assert Log.objects.count() == 1
    assert service.posts == []


@pytest.mark.django_db(transaction=True)
def test_a_service_that_hangs_keeps_no_run_from_its_record_and_no_tick_from_its_end(make_job):
    with misbehaving(hang) as url:
        for number in range(5):
            make_job(name=f"job {number}", due=0, ping=url)
        said = cron("--workers", "2", CRONKITE_TEST_LOG="1", **LINGERING)
    assert set(Log.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
    assert Log.objects.count() == 5
    assert "its ping to 127.0.0.1:" in said
    assert SECRET not in said


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.SUCCEEDED, "/URL"),
        (Status.HANDED_OVER, "/URL"),
        (Status.FAILED, "/URL/fail"),
        (Status.TIMED_OUT, "/URL/fail"),
        (Status.INTERRUPTED, "/URL/fail"),
        (Status.LOST, "/URL/fail"),
    ],
)
def test_only_what_has_succeeded_is_told_as_a_success(make_job, service, status, told):
    job = make_job(ping=service.url)
    pings.finished(run_of(job), Outcome(status))
    assert service.paths == [told]


@pytest.mark.django_db
def test_a_failure_after_which_the_slot_is_tried_again_is_not_told_and_the_last_is(make_job, service):
    job = make_job("app.jobs.fail", ping=service.url, retries=1, due=0)
    for _ in range(2):
        decided = job.get_schedule().latest_at(clock.now("default"))
        Job.objects.filter(pk=job.pk).write(retry_slot=decided, retry_attempt=2, retry_at=clock.Now())
        pings.finished(run_of(job, slot=decided, attempt=1), Outcome(Status.FAILED))
    assert service.posts == []
    # That of another slot says nothing of this one.
    pings.finished(run_of(job, slot=decided - timedelta(days=1), attempt=1), Outcome(Status.FAILED))
    pings.finished(run_of(job, slot=decided, attempt=2), Outcome(Status.FAILED))
    assert service.paths == ["/URL/fail", "/URL/fail"]


@pytest.mark.django_db(transaction=True)
def test_a_slot_that_is_tried_again_by_a_node_is_told_by_its_last_attempt(make_job, service):
    job = make_job("app.jobs.fail", due=0, ping=service.url, retries=1, retry_delay=0)
    cron("--workers", "0", **UNHURRIED)
    if Log.objects.filter(job=job).count() == 1:
        cron("--workers", "0", **UNHURRIED)
    assert [log.attempt for log in Log.objects.order_by("pk")] == [1, 2]
    assert service.paths == ["/URL/start", "/URL/start", "/URL/fail"]


@pytest.mark.django_db
def test_of_a_long_log_the_last_is_told_and_no_half_character():
    assert pings.tail(Outcome(Status.FAILED, output="a\n", exc_info="b\n", reason="c")) == b"a\nb\nc"
    assert pings.tail(Outcome(Status.SUCCEEDED)) == b""
    long = pings.tail(Outcome(Status.FAILED, output="x" * 70_000, exc_info="€" * 5_000, reason="the end"))
    assert pings.TAIL - 3 <= len(long) <= pings.TAIL
    assert long.decode().endswith("€\nthe end")


@pytest.mark.django_db
def test_a_job_that_is_gone_is_told_to_nobody(make_job, service):
    job = make_job(ping=service.url)
    run = run_of(job)
    job.delete()
    pings.started(run)
    pings.finished(run, Outcome(Status.SUCCEEDED))
    pings.started(run_of(make_job(), job_id=0))
    assert service.posts == []


@pytest.mark.django_db
def test_a_url_that_somebody_wrote_past_the_checks_is_not_opened(make_job, caplog):
    job = make_job()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE cronkite_job SET ping = %s", [f"file:///etc/{SECRET}"])
    pings.started(run_of(job))
    assert "Job 'ok': its ping is not sent. This is no URL to ping: it has to begin with https://" in caplog.text


@pytest.mark.once
@pytest.mark.parametrize(
    ("url", "start", "fail"),
    [
        ("https://h/x", "https://h/x/start", "https://h/x/fail"),
        ("https://h/x/", "https://h/x/start", "https://h/x/fail"),
        ("https://h/key/slug?create=1", "https://h/key/slug/start?create=1", "https://h/key/slug/fail?create=1"),
        ("https://h", "https://h/start", "https://h/fail"),
    ],
)
def test_what_is_told_is_added_to_the_path(url, start, fail):
    assert pings.addressed(url, pings.START) == start
    assert pings.addressed(url, pings.FAIL) == fail
    assert pings.addressed(url, pings.SUCCESS) == url


# What the other side may do.


@pytest.mark.django_db
def test_what_fails_once_is_sent_again(make_job, service, caplog):
    service.answers = [503, 200]
    pings.started(run_of(make_job(ping=service.url)))
    assert service.paths == ["/URL/start", "/URL/start"]
    assert caplog.text == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "attempts", "said"),
    [
        (404, 1, "it answered 404."),
        (409, 1, "it answered 409."),
        (429, 2, "it answered 429."),
        (500, 2, "it answered 500."),
        (301, 1, "it answered 301, that it is elsewhere"),
        (302, 1, "it answered 302, that it is elsewhere"),
        (307, 1, "it answered 307, that it is elsewhere"),
    ],
)
def test_what_is_not_taken_is_logged_and_no_redirect_is_followed(make_job, service, caplog, answer, attempts, said):
    service.answers = [answer]
    pings.started(run_of(make_job(ping=service.url)))
    assert service.paths == ["/URL/start"] * attempts
    (record,) = [each for each in caplog.records if each.name == "cronkite"]
    assert record.levelname == "WARNING"
    assert f"Job 'ok': its ping to 127.0.0.1:{service.port} was not taken: {said}" in record.getMessage()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("behave", "seconds", "said"),
    [
        (hang, 0.3, "no answer within 0.3 s"),
        (drip, 0.3, "no answer within 0.3 s"),
        # These do answer, as soon as this process lets them.
        (babble, 60, "its answer is no HTTP (BadStatusLine)"),
        (slam, 60, ""),
    ],
)
def test_a_server_that_does_what_it_should_not_costs_so_much_time_and_is_logged(
    make_job, caplog, patience, behave, seconds, said
):
    patience(TIMEOUT=seconds)
    with misbehaving(behave) as url:
        pings.started(run_of(make_job(ping=url)))
    assert f"was not taken: {said}" in caplog.text


@pytest.mark.django_db
def test_of_an_answer_nothing_is_read_but_the_code(make_job, caplog):
    with misbehaving(flood) as url:
        pings.started(run_of(make_job(ping=url)))
    assert caplog.text == ""


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_a_server_that_is_not_there_is_logged(make_job, caplog, patience, host):
    # A name server may take long to say no.
    patience(TIMEOUT=4)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pings.started(run_of(make_job(ping=f"http://{host}:{port}/{SECRET}")))
    assert f"Job 'ok': its ping to {host}:{port} was not taken: " in caplog.text


@pytest.mark.django_db
def test_a_server_that_does_not_prove_who_it_is_gets_nothing(make_job, service, caplog):
    pings.started(run_of(make_job(ping=service.url.replace("http:", "https:"))))
    assert "was not taken: " in caplog.text
    assert service.posts == []


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this machine, and its key, in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl, which makes a certificate, is not installed")
    path = tmp_path / "server.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *made, *names, "-keyout", path, "-out", tmp_path / "c"], check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "c").read_text())
    return path


@pytest.mark.once
def test_over_tls_who_proves_who_he_is_is_told_and_nobody_else(certificate, monkeypatch):
    with pinging(certificate) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(posting.Unanswered, match=r"its certificate is not valid: self.signed"):
            posting.post(url, b"", 60)
        assert server.posts == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert posting.post(url, b"x", 60) == 200
        # The certificate is for another name.
        with pytest.raises(posting.Unanswered, match=r"its certificate is not valid: .*IP address mismatch"):
            posting.post(url.replace("localhost", "127.0.0.1"), b"", 60)
    assert [body for *_, body in server.posts] == [b"x"]


@pytest.mark.once
def test_it_goes_by_the_proxy_that_the_environment_names(service, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{service.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert posting.post("http://hc-ping.invalid/x", b"", 60) == 200
    assert service.paths == ["http://hc-ping.invalid/x"]


@pytest.mark.once
def test_a_proxy_that_lets_nobody_through_is_told_by_its_answer(monkeypatch):
    def refuse(connection, _):
        connection.recv(4096)
        connection.sendall(f"HTTP/1.1 407 {SECRET}\r\nContent-Length: 0\r\n\r\n".encode())

    monkeypatch.delenv("no_proxy", raising=False)
    with misbehaving(refuse) as url:
        monkeypatch.setenv("https_proxy", url.removesuffix(f"/{SECRET}"))
        with pytest.raises(posting.Unanswered) as caught:
            posting.post(f"https://hc-ping.invalid/{SECRET}", b"", 60)
    assert str(caught.value) == "the proxy that the environment names answered 407"


@pytest.mark.django_db
def test_a_host_that_hangs_is_left_alone_for_a_while_and_others_are_told(make_job, service, caplog, patience):
    patience(TIMEOUT=0.2, PATIENCE=0.5)
    reached = []

    def count(connection, ended):
        reached.append(connection)
        ended.wait()

    with misbehaving(count) as url:
        for number in range(10):
            pings.started(run_of(make_job(name=f"job {number}", ping=url)))
        assert len(reached) <= 4
        assert caplog.text.count("has not answered for long, and gets no pings for up to 60 s") == 1
        # A machine that is busy may need longer to answer than the one that hangs is given.
        patience(**LONG)
        pings.started(run_of(make_job(name="other", ping=service.url)))
    assert service.paths == ["/URL/start"]


@pytest.mark.once
def test_patience_comes_back_with_time_and_with_an_answer():
    now = 1000.0
    patience = pings.Patience(lambda: now)
    assert patience.left("h") == pings.PATIENCE
    patience.spend("h", 5)
    assert patience.left("h") == pings.PATIENCE - 5
    assert patience.left("other") == pings.PATIENCE
    patience.forgive("h")
    assert patience.left("h") == pings.PATIENCE
    patience.spend("h", pings.PATIENCE + 1)
    assert patience.left("h") < 0
    assert [patience.is_news("h"), patience.is_news("h")] == [True, False]
    now += pings.WINDOW
    assert patience.left("h") == pings.PATIENCE
    patience.spend("h", pings.PATIENCE + 1)
    assert patience.is_news("h")


@pytest.mark.once
def test_what_hangs_on_past_its_time_is_never_more_than_a_few(monkeypatch):
    """Such as a look-up of a name, which nothing can cut."""
    ended = threading.Event()
    monkeypatch.setattr(posting._Attempt, "run", lambda self: ended.wait())
    try:
        for _ in range(posting.MOST_HANGING):
            with pytest.raises(posting.Unanswered, match="no answer within"):
                posting.post("http://h/", b"", 0.01)
        with pytest.raises(posting.Unanswered, match="hang already"):
            posting.post("http://h/", b"", 0.01)
    finally:
        ended.set()
    until(lambda: not any(thread.is_alive() for thread in posting._hanging))
    monkeypatch.setattr(posting._Attempt, "run", lambda self: setattr(self, "status", 200))
    assert posting.post("http://h/", b"", 60) == 200


# How it is switched on.


@pytest.mark.django_db
def test_a_check_warns_of_jobs_with_a_url_while_nobody_pings(make_job, settings):
    make_job()
    make_job(ping=f"https://hc-ping.com/{SECRET}", enabled=False)
    assert job_checks.check_pinged_jobs(databases=["default"]) == []
    make_job("app.jobs.say", ping=f"https://hc-ping.com/{SECRET}")
    assert job_checks.check_pinged_jobs() == []
    (message,) = job_checks.check_pinged_jobs(databases=["default"])
    assert (message.id, message.msg.partition(":")[2]) == ("cronkite.W013", " app.jobs.say.")
    assert SECRET not in str(message)
    assert connecting.problems() == {}
    settings.CRONKITE_MONITORS = ["cronkite.monitors.pings"]
    assert job_checks.check_pinged_jobs(databases=["default"]) == []
    # It is one that can be connected.
    assert connecting.problems() == {}


@pytest.mark.once
def test_a_check_of_urls_before_the_tables_are_there_says_nothing(monkeypatch):
    def away(*_, **__):
        raise DatabaseError("no such table")

    monkeypatch.setattr(job_checks.Job.objects, "using", away)
    monkeypatch.setattr(job_checks, "transaction", SimpleNamespace(atomic=lambda using: nullcontext()))
    assert job_checks.check_pinged_jobs(databases=["default"]) == []


@pytest.mark.django_db
def test_a_job_without_a_url_costs_one_query_and_no_thread(make_job):
    run = run_of(make_job())
    # One of an earlier test may end meanwhile.
    before = {*threading.enumerate()}
    with CaptureQueriesContext(connection) as captured:
        pings.started(run)
    assert (len(captured), {*threading.enumerate()} - before) == (1, set())


@pytest.mark.django_db
def test_it_listens_to_the_signals_once_however_often_it_is_connected(make_job, service):
    job = make_job(ping=service.url)
    pings.connect()
    pings.connect()
    try:
        signals.run_started.send(sender=Job, run=run_of(job))
        signals.run_finished.send(sender=Job, run=run_of(job), outcome=Outcome(Status.SUCCEEDED), finished_at=NOON)
    finally:
        for each in (signals.run_started, signals.run_finished):
            each.disconnect(dispatch_uid=pings.__name__)
    assert service.paths == ["/URL/start", "/URL"]


@pytest.mark.django_db
def test_a_run_by_hand_is_told_as_any_other(make_job, service):
    job = make_job(ping=service.url)
    claim = claiming.claim_by_hand(job, "x")
    holding.finish(claim, Outcome(Status.SUCCEEDED))
    pings.finished(run_of(job, slot=None, fence=claim.fence), Outcome(Status.SUCCEEDED))
    assert service.paths == ["/URL"]
