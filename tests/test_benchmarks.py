"""The benchmark's pure parts, and that it runs. What it measures is not asked here: ``tox -e bench`` tells that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import plot, report, table
from benchmarks.__main__ import parse
from benchmarks.measures import MEASURES
from benchmarks.peers import PEERS
from benchmarks.plot import Bar
from benchmarks.report import Report
from benchmarks.stats import median, percentile, ratio
from benchmarks.targets import TARGETS, Target
from launcher import HERE

numbers = st.lists(st.floats(0, 1e6), min_size=1)


@given(numbers, st.floats(0, 100))
def test_a_percentile_lies_among_the_values(values, percent):
    assert min(values) <= percentile(values, percent) <= max(values)


@given(numbers)
def test_half_of_the_values_lie_below_the_fiftieth_percentile(values):
    assert percentile(values, 50) == pytest.approx(median(values))


def test_nothing_has_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_values_are_compared_with_those_of_the_same_round():
    # The machine was ten times as slow in the second round. Next to each other, they were always equal.
    assert ratio([1, 10, 1], [1, 10, 1]) == 1.0
    assert ratio([2, 2], [1]) == 2.0
    assert ratio([], [1]) is None
    assert ratio([1, 2], [0, 1]) is None


def test_a_target_may_differ_by_database():
    target = Target("burst.best", "raw.two", least=0.5, on={"pg": 0.6, "mysql": 0.5})
    assert str(target.bound("pg")) == "≥ 0.6"
    assert not target.bound("pg").is_met(0.55)
    assert target.bound("mysql").is_met(0.55)
    assert target.bound("sqlite") is None
    assert str(Target("idle.cpu", most=0.2).bound("sqlite")) == "≤ 0.2"


@pytest.fixture
def about(tmp_path):
    """What two sessions wrote down, and a peer, and a crash."""
    path = tmp_path / "pg.jsonl"
    lines = [{"version": "PostgreSQL 15.4"}]
    for number, (ours, raw) in enumerate([(700, 1000), (800, 1000), (500, 1000)], start=1):
        for key, title, value in (("raw.two", "raw driver", raw), ("burst.best", "one node", ours)):
            reading = {"key": key, "title": title, "value": value, "unit": "jobs/s", "raw": [4]}
            lines.append({"measure": "burst", "round": number, "reading": reading})
        lines.append({"passed": "burst"})
    for peer, records, pace in (("cronkite", True, 900), ("slow", True, 100), ("forgetful", False, 5000)):
        reading = {"key": f"peer.{peer}.pace", "title": f"{peer}: pace", "value": pace, "unit": "jobs/s", "raw": []}
        lines.append({"measure": peer, "round": 1, "reading": reading})
        told = {"title": peer, "records": records, "versions": {peer: "1.0"}, "settings": "None.", "notes": ["why"]}
        lines.append({"peer": peer, "about": told})
    lines.append({"failure": "Failed: it broke <here>", "measure": "start", "round": 1})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = Report(datetime(2026, 1, 2, tzinfo=timezone.utc), "tox -e bench")
    report.read("pg", path)
    return report


def test_the_median_of_the_rounds_is_held_against_the_target(about):
    line = next(line for line in about.lines() if line.key == "burst.best")
    assert (line.median, line.values) == (700, [700, 800, 500])
    (verdict,) = line.verdicts
    assert (verdict.value, verdict.over, verdict.is_met) == (0.7, "raw driver", True)


def test_the_table_shows_medians_spread_ratio_and_target(about):
    said = table.text(about).splitlines()
    row = next(line for line in said if line.startswith("  one node"))
    assert row.split() == [
        "one",
        "node",
        "700",
        "jobs/s",
        "500",
        "800",
        "3",
        "0.700",
        "raw",
        "driver",
        "≥",
        "0.6",
        "met",
    ]
    assert "FAILED on pg: start, Failed: it broke <here>" in said
    assert said[-1] == "No target missed."


def test_a_peer_that_keeps_no_record_is_no_measure_of_ours(about):
    line = next(line for line in about.lines() if line.key == "peer.cronkite.pace")
    assert [(verdict.value, verdict.over) for verdict in line.verdicts] == [(9.0, "slow: pace")]
    assert [row[:2] for row in table.peer_rows(about)][1:] == [("slow", "100 jobs/s"), ("forgetful", "5,000 jobs/s")]


def test_what_a_peer_could_not_do_is_said(about):
    assert "slow: why" in table.text(about)


def test_a_target_that_is_missed_is_marked(about):
    about.samples = [sample for sample in about.samples if sample.round == 3 or sample.key == "raw.two"]
    assert "0.500  raw driver  ≥ 0.6   MISSED" in table.text(about)
    assert "≥ 0.6 (missed)" in table.rst(about)
    assert len(about.missed()) == 1


def test_what_was_written_as_json_gives_the_same_table_and_plot(about, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(about.as_json())
    again = report.load(path)
    assert table.text(again) == table.text(about)
    assert plot.svg(again) == plot.svg(about)
    assert json.loads(path.read_text())["medians"][1]["targets"][0]["met"] is True


def test_the_plot_is_xml_with_a_bar_for_each_value_for_light_and_dark(about):
    drawing = plot.svg(about)
    root = ET.fromstring(drawing)
    bars = [node for node in root.iter("{http://www.w3.org/2000/svg}rect") if "rx" in node.attrib]
    assert len(bars) == 5
    assert "prefers-color-scheme: dark" in drawing


def test_a_bar_is_as_long_as_its_value():
    bars = [Bar("a", 10, True), Bar("b", 1000, False), Bar("c", 0, False)]
    assert [plot.length(bar.value, bars, is_log=False) for bar in bars] == [0.01, 1.0, 0.0]
    assert [plot.length(bar.value, bars, is_log=True) for bar in bars] == [pytest.approx(1 / 3), 1.0, 0.0]


def test_what_nobody_can_measure_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["--only", "bursts"])
    assert "bursts: there are idle-tick, burst" in capsys.readouterr().err
    assert parse([]).only == [*MEASURES, *PEERS]


@pytest.mark.single
def test_the_benchmark_runs(tmp_path):
    """Numbers so small that they say nothing; a measure that cannot do its work fails."""
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    for name in ("CRONKITE_TEST_DATABASE", "DATABASE_URL", "CRONKITE_TEST_STATEMENTS"):
        environment.pop(name, None)
    chosen = {"burst", "hand-off", "schedules", "logs"}
    smoke = ["--databases", "sqlite", "--size", "smoke", "--rounds", "1", "--only", ",".join(chosen)]
    files = ["--json", str(tmp_path / "bench.json"), "--svg", str(tmp_path / "bench.svg")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *smoke, *files],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{len(chosen)} passed, 0 failed in ")
    found = report.load(tmp_path / "bench.json")
    assert {line.measure for line in found.lines()} == chosen
    keys = {line.key for line in found.lines()}
    for target in TARGETS:
        # What celery beat does is measured where it is installed.
        if target.key.split(".")[0] in {"burst", "hand", "next", "log"} and target.over != "hand.beat":
            assert {target.key, target.over or target.key} <= keys
    ET.parse(tmp_path / "bench.svg")
