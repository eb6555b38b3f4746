"""A terminal or a file that takes ASCII only, as with ``PYTHONIOENCODING=ascii``, breaks neither commands nor runs."""

import io
import json
import sys

import pytest
from django.core.management import call_command
from prometheus_client.parser import text_string_to_metric_families

from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.models import Job, Log

NAME = "Grüße, 日本"


class Ascii(io.TextIOWrapper):
    """A stream that takes ASCII only, and may be a terminal."""

    def __init__(self, *, is_terminal=False):
        super().__init__(io.BytesIO(), encoding="ascii", errors="strict", write_through=True)
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal

    @property
    def written(self):
        return self.buffer.getvalue().decode("ascii")


@pytest.fixture
def job(make_job):
    return make_job("app.jobs.say", name=NAME, args=["Grüße\n"], due=5)


def said(*arguments, **options):
    out = Ascii(**options)
    call_command("cron", *arguments, stdout=out, stderr=io.StringIO())
    return out.written


@pytest.mark.django_db
def test_numbers_for_prometheus_are_read_all_the_same(make_job):
    holding.finish(claiming.claim_by_hand(make_job(name='"Grüße"'), "x"), Outcome("failed"))
    out = Ascii()
    with pytest.raises(SystemExit):  # as no node ticks
        call_command("cron", "health", "--format", "prometheus", stdout=out)
    families = {family.name: family for family in text_string_to_metric_families(out.written)}
    assert families["cronkite_job_failures"].samples[0].labels["job_name"] == '"Gr\\xfc\\xdfe"'


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments", [("list",), ("why", "say", "03:00"), ("health",), ("sync", "--check"), ("--dry-run",)], ids=" ".join
)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_commands_write_escapes_for_what_is_lacking(job, arguments, is_terminal):
    Log.objects.all().delete()
    try:
        shown = said(*arguments, is_terminal=is_terminal)
    except SystemExit:  # as health does where something is wrong
        return
    assert "Gr" in shown or arguments[0] in {"health", "sync"}


@pytest.mark.django_db
def test_columns_are_aligned_and_cut_all_the_same(job, make_job, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    make_job(name="short")
    heads, *rows = said("list", "--no-color", is_terminal=True).splitlines()
    assert all(row[heads.index("STATE") :] == "enabled" for row in rows)
    assert any("~" in row for row in rows)
    assert any("Gr\\xfc" in row for row in rows)


@pytest.mark.django_db
def test_json_stays_json(job):
    (shown,) = json.loads(said("list", "--json"))
    assert (shown["name"], shown["args"]) == (NAME, ["Grüße\n"])


@pytest.mark.django_db
def test_a_run_shows_what_can_be_shown_and_keeps_all(job, monkeypatch):
    out = Ascii()
    monkeypatch.setattr(sys, "stdout", out)
    call_command("cron", "run", str(job.pk), stdout=out, stderr=io.StringIO())
    assert "Gr\\xfc\\xdfe" in out.written
    log = Log.objects.get()
    assert (log.status, log.output.strip()) == (Log.Status.SUCCEEDED, "Grüße")


@pytest.mark.django_db
def test_a_run_in_the_node_s_own_process_lives_with_it(job, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Ascii())
    Job.process_queue()
    assert Log.objects.get().status == Log.Status.SUCCEEDED
