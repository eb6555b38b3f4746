"""What ``cron log`` shows of a run."""

from __future__ import annotations

import pytest
from terminals import cron

from cronkite.cli.instants import absolute
from cronkite.models import Log
from cronkite.nodes import ticks

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.django_db
def test_log_shows_how_a_run_ended_what_it_wrote_and_its_traceback(make_job):
    job = make_job("app.jobs.fail", due=0)
    slot = job.next_run
    ticks.tick(workers=0)
    log = Log.objects.get()
    Log.objects.update(output="one\ttwo\r\n\x1b[31mred\n", missed=1)
    said = cron("log", str(log.pk))
    assert said.lines[:4] == [
        "fail (app.jobs.fail): failed",
        f"  slot      {absolute(slot, 'UTC')}",
        "  missed    1 slot just before",
        "  node      here",
    ]
    assert said.lines[said.lines.index("Output:") :][:3] == ["Output:", "one     two", "\\x1b[31mred"]
    assert said.lines[said.lines.index("Traceback:") + 1] == "Traceback (most recent call last):"
    assert "it went wrong" in said.lines[-1]
    assert cron("log", str(log.pk), "--json").json["output"] == "one\ttwo\r\n\x1b[31mred\n"


@pytest.mark.django_db
def test_log_shows_what_a_run_by_hand_returned(make_job):
    make_job(args=[1]).run()
    said = cron("log", str(Log.objects.get().pk))
    assert "  slot      none: it was run by hand" in said.lines
    assert "  returned  {'args': [1], 'kwargs': {}}" in said.lines


@pytest.mark.django_db
@pytest.mark.parametrize("words", ["0", "9" * 30, "-1", "ok", "1.5", "²"])
def test_log_that_there_is_none_of_says_where_to_look(words):
    said = cron("log", "--", words)
    assert said.code == 2
    assert f"no log {words}" in said.err or f"'{words}' is no log's number" in said.err
