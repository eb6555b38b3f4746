"""What Prometheus reads, by its own parser."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from cronkite import health
from cronkite.claims import claiming, holding
from cronkite.code.outcomes import Outcome
from cronkite.database import clock
from cronkite.health import Limits
from cronkite.models import Job, Log, Node
from cronkite.reports import exposition, metrics
from cronkite.reports.exposition import Metric, Sample

Status = Log.Status


def read(text):
    """Return what Prometheus makes of it: by name, the value of each set of labels."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for family in families.values():
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        assert {sample.name for sample in family.samples} == {family.name}
    return {
        name: {tuple(sample.labels.items()): sample.value for sample in family.samples}
        for name, family in families.items()
    }


def numbers(limits=health.USUAL):
    return read(exposition.text(health.numbers(health.report(limits=limits), limits)))


def see(name="web-1", ago=0, ahead=0.0, **columns):
    at = clock.now("default") - timedelta(seconds=ago)
    return Node.objects.create(
        name=name, ticked_at=at, started_at=at, clock_at=at + timedelta(seconds=ahead), **columns
    )


def end(job, *statuses):
    for status in statuses:
        holding.finish(claiming.claim_by_hand(job, "web-1"), Outcome(status))


# The format.


@pytest.mark.parametrize(
    "name",
    [
        "nightly",
        'the "nightly" one',
        "two\nlines",
        "a\\b\\n",
        "\\",
        'ends in "\\',
        "{braces}, commas = signs",
        "x" * 255,
        "Rechnungen für Kühe",
        "日本語 العربية 🐢",
        " ",
        "",
    ],
)
def test_a_name_is_read_as_it_is(name):
    text = exposition.text([Metric("cronkite_job_failures", "Failures.", (Sample(3, {"job_name": name}),))])
    assert read(text) == {"cronkite_job_failures": {(("job_name", name),): 3}}
    assert len(text.split("\n")) == 4


@pytest.mark.parametrize("letter", ["\r", "\t", "\x1b", "\x00", "\x85", "\u2028"])
def test_a_letter_that_would_end_a_line_or_steer_a_terminal_is_written_as_its_escape(letter):
    text = exposition.text([Metric("cronkite_jobs", "Jobs.", (Sample(1, {"job_name": f"a{letter}b"}),))])
    assert len(text.splitlines()) == 3
    assert read(text) == {"cronkite_jobs": {(("job_name", f"a{repr(letter)[1:-1]}b"),): 1}}


def test_words_are_escaped_and_a_name_without_samples_is_left_out():
    text = exposition.text(
        [Metric("cronkite_a", 'Two\nlines, a \\ and a ".', (Sample(0.5),)), Metric("b", "None.", ())]
    )
    assert text == '# HELP cronkite_a Two\\nlines, a \\\\ and a ".\n# TYPE cronkite_a gauge\ncronkite_a 0.5\n'
    (family,) = text_string_to_metric_families(text)
    assert family.documentation == 'Two\nlines, a \\ and a ".'


def test_letters_that_cannot_be_written_are_spelled_and_what_is_written_is_still_read():
    metric = Metric("cronkite_jobs", "Jobs.", (Sample(1, {"job_name": 'ü "x"'}),))
    text = exposition.text([metric], lambda value: value.encode("ascii", "backslashreplace").decode())
    assert text.isascii()
    assert read(text) == {"cronkite_jobs": {(("job_name", '\\xfc "x"'),): 1}}


# The numbers.

pytestmark = pytest.mark.django_db


def test_the_names_are_those_of_convention_and_nothing_is_called_a_counter_that_falls(make_job):
    see()
    for number, name in enumerate(["fails", "late", "missed"]):
        job = make_job(name=name, schedule="* * * * *", due=7200 * (number == 1))
        end(job, Status.FAILED)
    hold = make_job(name="stuck")
    claiming.claim_by_hand(hold, "web-9")
    Job.objects.filter(pk=hold.pk).write(locked_at=clock.Now() - timedelta(hours=3))
    text = exposition.text(health.numbers(health.report()))
    for name, samples in read(text).items():
        assert re.fullmatch(r"cronkite(_[a-z]+)+", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_created", "_info"))
        # Instants and durations are in seconds, and said to be; what counts has no unit.
        if "timestamp" in name or "skew" in name:
            assert name.endswith("_seconds")
        for labels in samples:
            assert not {"job", "instance"} & dict(labels).keys()
    # One series is told once.
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))


def test_all_is_well(make_job):
    see(ahead=2)
    end(make_job(), Status.SUCCEEDED)
    make_job(enabled=False, name="off")
    told = numbers()
    assert told["cronkite_health_level"] == {(): 0}
    assert told["cronkite_jobs"] == {(("enabled", "true"),): 1, (("enabled", "false"),): 1}
    assert told["cronkite_recent_logs"][("status", "succeeded"),] == 1
    assert {labels[0][1] for labels in told["cronkite_recent_logs"]} == set(Status.values)
    assert told["cronkite_node_clock_skew_seconds"] == {(("node", "web-1"),): 2}
    assert told["cronkite_nodes"][("state", "ticking"),] == 1
    assert told["cronkite_late_seconds"] == {(): 0}
    assert "cronkite_finding_level" not in told


def test_no_node_ever():
    told = numbers()
    assert told["cronkite_health_level"] == {(): 2}
    assert told["cronkite_finding_level"] == {(("kind", "silent"),): 2}
    # There is no instant to tell, and none that lies.
    assert "cronkite_last_tick_timestamp_seconds" not in told


def test_it_tells_what_is_wrong_and_with_which_jobs(make_job):
    now = see().ticked_at.timestamp()
    see("gone", ago=3600)
    see("ended", ago=60, stopped_at=clock.now("default"))
    fails = make_job(name='the "worst"\none')
    end(fails, Status.FAILED, Status.LOST)
    late = make_job(name="late", due=600)
    stuck = make_job(name="stuck")
    claiming.claim_by_hand(stuck, "web-9")
    Job.objects.filter(pk=stuck.pk).write(locked_at=clock.Now() - timedelta(hours=3))
    told = numbers()
    assert told["cronkite_health_level"] == {(): 2}
    assert told["cronkite_finding_level"][("kind", "stuck"),] == 2
    assert told["cronkite_finding_level"][("kind", "gone"),] == 1
    labels = (("job_id", str(fails.pk)), ("job_name", 'the "worst"\none'))
    assert told["cronkite_job_failures"] == {labels: 2}
    assert told["cronkite_failing_jobs"] == {(): 1}
    assert told["cronkite_job_due_timestamp_seconds"] == {
        (("job_id", str(late.pk)), ("job_name", "late")): late.next_run.timestamp()
    }
    assert told["cronkite_late_seconds"][()] >= 600
    (since,) = told["cronkite_job_stuck_timestamp_seconds"].values()
    assert 0 <= since - (now - 3 * 3600) < 60
    assert told["cronkite_nodes"] == {(("state", state),): 1 for state in ("ticking", "silent", "stopped")}
    assert told["cronkite_last_tick_timestamp_seconds"][()] == pytest.approx(now, abs=0.01)


def test_missed_slots_are_told_with_those_that_are_put_up_with_apart(make_job):
    see()
    job = make_job(schedule="* * * * *")
    now = clock.now("default").replace(second=0, microsecond=0)
    common = {"job": job, "job_name": job.name, "function": job.function, "status": Status.MISSED, "created": now}
    Log.objects.create(slot=now - timedelta(minutes=30), missed=0, **common)
    told = numbers(Limits(brief=0))
    assert sum(told["cronkite_missed_slots"].values()) == 1
    assert list(told["cronkite_job_missed_slots"].values()) == [1]
    # A job that is gone since has no series, and still counts.
    job.delete()
    told = numbers(Limits(brief=0))
    assert sum(told["cronkite_missed_slots"].values()) >= 1
    assert "cronkite_job_missed_slots" not in told


def test_with_five_thousand_jobs_in_trouble_there_are_no_more_queries_nor_more_series_than_with_thirty(make_job):
    see()

    def add(count):
        """Have so many more jobs, each of which fails and is late."""
        first = make_job(name=f"first of {count}")
        made = [
            Job(
                name=f"job {count} {number}",
                function="app.jobs.ok",
                schedule="0 0 1 1 *",
                next_run=first.planned_at - timedelta(hours=1),
                planned_at=first.planned_at,
            )
            for number in range(count)
        ]
        Job.objects.bulk_create(made, batch_size=500)
        jobs = Job.objects.filter(name__startswith=f"job {count} ")
        jobs.write(fence=1, next_run=first.planned_at - timedelta(hours=1))
        Log.objects.bulk_create(
            [
                Log(
                    job_id=key,
                    job_name=name,
                    function="app.jobs.ok",
                    node="web-1",
                    status=Status.FAILED,
                    fence=1,
                    created=first.planned_at,
                    missed=1,
                    slot=first.planned_at - timedelta(hours=2),
                )
                for key, name in jobs.values_list("pk", "name")
            ],
            batch_size=500,
        )

    def look():
        with CaptureQueriesContext(connection) as captured:
            told = numbers()
        return len(captured), {name: len(samples) for name, samples in told.items()}, told

    add(30)
    few, series, _ = look()
    add(5000)
    many, more, told = look()
    assert many == few
    assert more == series
    assert sum(more.values()) < 150
    assert told["cronkite_failing_jobs"] == {(): 5030}
    assert told["cronkite_late_jobs"] == {(): 5030}
    assert len(told["cronkite_job_failures"]) == len(told["cronkite_job_due_timestamp_seconds"]) == metrics.NAMED


def test_many_nodes_are_told_by_name_as_far_as_they_ticked_last():
    now = clock.now("default")
    Node.objects.bulk_create(
        Node(name=f"pod-{number}", ticked_at=now - timedelta(seconds=number), started_at=now) for number in range(50)
    )
    told = numbers()
    assert {labels[0][1] for labels in told["cronkite_node_last_tick_timestamp_seconds"]} == {
        f"pod-{number}" for number in range(metrics.NAMED)
    }
    assert sum(told["cronkite_nodes"].values()) == 50
    # Clocks that are not known are not told.
    assert "cronkite_node_clock_skew_seconds" not in told
