"""The proof's bookkeeping: what is counted, and what people read in the end. The proof itself is ``tox -e proof``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from nodes import PATIENCE

from proof import results, table
from proof.__main__ import FAILURE, HAS_ORDERS_APART, ORDERS, STORMS, SUMMARY, main, rounds_of, rows_of
from proof.race import ledger
from proof.tally import Tally


@pytest.fixture
def report(tmp_path, monkeypatch):
    """What a proof on one database came to."""
    path = tmp_path / "tally"
    monkeypatch.setenv("CRONKITE_PROOF_TALLY", str(path))
    Tally("").is_on("SQLite 3.45.1")
    Tally("first").add(slots=1200, kills=3)
    Tally("second").add(slots=34, duplicates=0)
    result = results.read("sqlite", [path], 61.2, failed=False)
    return report_of(result)


def report_of(*found, days=0):
    """The report of a run that found this, so many days later."""
    date = datetime(2026, 1, 2, tzinfo=timezone.utc) + timedelta(days=days)
    return results.Report([results.Part(date, "a1b2c3d", "tox -e proof", 61.2, {"passed": 7}, [*found])])


def test_the_table_adds_up_what_the_tests_counted(report):
    command, _, head, row = table.text(report).splitlines()
    assert command == "tox -e proof, 2026-01-02"
    assert head.split()[:3] == ["database", "slots", "raced"]
    assert row.split() == ["SQLite", "3.45.1", "1,234", "0", "3", "0", "0", "0", "0", "0", "0", "61"]


def test_a_failure_is_said_in_the_table(report):
    failed = results.Result("sqlite", "SQLite", report.results[0].counts, 1.0, failed=True)
    assert table.text(report_of(failed)).endswith("FAILED")


def test_what_was_written_as_json_gives_the_same_table(report, tmp_path):
    path = tmp_path / "proof.json"
    path.write_text(report.as_json())
    assert results.load(path) == report
    assert table.text(results.load(path)) == table.text(report)
    assert "     - 1,234" in table.rst(results.load(path))


def test_a_proof_in_parts_is_the_sum_of_them(report, tmp_path):
    first = results.Result("mysql", "MySQL 9", report.results[0].counts, 1.0, failed=True)
    path = tmp_path / "proof.json"
    for part in (report, report_of(first, *report.results, days=1)):
        path.write_text(((results.load(path) + part) if path.exists() else part).as_json())
    head, _, _, sqlite, mysql = table.text(results.load(path)).splitlines()
    assert head == "tox -e proof, 2026-01-03, the last of 2 parts"
    assert sqlite.split()[2:5] == ["2,468", "0", "6"]
    assert sqlite.split()[-1] == "122"
    assert mysql.split()[2] == "1,234"
    assert mysql.endswith("FAILED")


def test_each_part_of_it_is_told_of(report):
    more = report + report_of(*report.results, *report.results, days=1)
    *_, first, second = table.parts(more).split("   * - ")
    assert first.split("\n     - ") == ["1, 2 January 2026", "a1b2c3d", "1,234", "1", "7", "0\n"]
    assert second.split("\n     - ") == ["2, 3 January 2026", "a1b2c3d", "2,468", "1", "7", "0"]


def test_the_code_that_was_proved_is_named(tmp_path, monkeypatch):
    def git(*arguments):
        names = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *names, *arguments], cwd=tmp_path, capture_output=True, check=True, timeout=60)

    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert results.commit() == ""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test.py").touch()
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    clean = results.commit()
    (tmp_path / "proof.json").touch()
    assert re.fullmatch("[0-9a-f]{7,}", clean)
    assert results.commit() == clean
    (tmp_path / "tests" / "test.py").write_text("changed")
    assert results.commit() == f"{clean}-dirty"


@pytest.mark.parametrize("written", ["half", "[]", '{"parts": [{}]}', '{"results": []}'])
def test_sums_that_cannot_be_read_are_told_before_the_hours_of_the_proof(written, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("proof.__main__.Run", None)
    path = tmp_path / "proof.json"
    path.write_text(written)
    with pytest.raises(SystemExit):
        main(["--add", "--json", str(path)])
    assert "proof.json is no sum of proofs" in capsys.readouterr().err


def test_the_documents_have_no_rows_of_what_was_no_part_of_it(report):
    titles = [line.removeprefix("   * - ") for line in table.rst(report).splitlines() if line.startswith("   * - ")]
    assert titles == ["Slots raced", "Kills", "Duplicates", "Unaccounted"]


def test_what_is_not_counted_is_refused():
    with pytest.raises(TypeError, match="not counted: slot"):
        Tally("").add(slot=1)


def test_pytests_last_line_is_recognised():
    assert SUMMARY.match("= 12 passed, 3 skipped in 34.51s (0:00:34) =")[1] == "12 passed, 3 skipped"
    assert SUMMARY.match("5 failed in 0.02s")[1] == "5 failed"
    assert not SUMMARY.match("8 loops, one hot job: 45 slots run in 3 rounds")


def test_what_failed_is_recognised():
    assert FAILURE.match("FAILED proof/race/test_kills.py::test_kills - assert 1 == 2")[1].endswith("assert 1 == 2")
    assert FAILURE.match("ERROR proof/model")[1] == "proof/model"
    assert not FAILURE.match("assert FAILED is None")


def test_a_database_that_nobody_knows_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--databases", "oracle"])
    assert "oracle: the databases are sqlite, pg, mysql, mariadb" in capsys.readouterr().err


def test_lanes_share_all_rounds():
    assert rounds_of(50, 3) == [17, 17, 16]
    assert rounds_of(2, 1) == [2]


@pytest.mark.parametrize("database", ["sqlite", "pg", "mysql", "mariadb"])
@pytest.mark.parametrize("lanes", [1, 2])
def test_each_database_has_all_parts_once_and_each_lane_its_storms(database, lanes):
    shares = [{"repeat": number} for number in rounds_of(7, lanes)]
    rows = rows_of(database, shares)
    assert [share for _, parts, share in rows if STORMS in parts] == shares
    assert [part for _, parts, _ in rows for part in parts].count(STORMS) == lanes
    assert [part for _, parts, _ in rows for part in parts if part != STORMS] == ORDERS
    assert len({name for name, _, _ in rows}) == len(rows) == lanes + (database == HAS_ORDERS_APART)


@pytest.mark.once
@pytest.mark.parametrize(
    ("asked_for", "passed", "code"), [("nothing_has_this_name", 0, 1), ("test_a_running_node_is_refused", 1, 0)]
)
def test_a_row_may_have_none_of_the_tests_that_are_asked_for_but_not_all(
    tmp_path, monkeypatch, capsys, asked_for, passed, code
):
    monkeypatch.setattr("proof.__main__.HAS_ORDERS_APART", "sqlite")
    assert main(["--databases", "sqlite", "--json", str(tmp_path / "proof.json"), "-k", asked_for]) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{passed} passed, 0 failed")


def test_what_lanes_counted_is_added_up(report, tmp_path):
    tallies = [tmp_path / "tally", tmp_path / "tally"]
    assert results.read("sqlite", tallies, 1.0, failed=False).counts["slots"] == 2 * 1234


def test_more_lanes_than_rounds_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--repeat", "2", "--lanes", "3"])
    assert "--lanes parts the rounds of --repeat" in capsys.readouterr().err


@pytest.mark.once
def test_each_storm_is_repeated_and_each_saboteur_is_had_once():
    pytest_of_proof = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "CRONKITE_PROOF_REPEAT": "3"}
    environment.pop("PYTEST_ADDOPTS", None)
    listed = subprocess.run(
        [*pytest_of_proof, str(STORMS / "test_holders.py")],
        cwd=STORMS.parent.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    ).stdout
    named = [line.partition("::")[2] for line in listed.splitlines() if "::" in line]
    storm, saboteur = "test_rows_that_are_locked_hold_up_their_own_jobs_only", "test_where_nodes_wait_for_rows"
    assert [name for name in named if name.startswith(storm)] == [f"{storm}[round-{n}]" for n in (1, 2, 3)]
    assert len([name for name in named if name.startswith(saboteur)]) == 1


def test_a_line_of_evidence_that_is_half_written_is_read_later(tmp_path):
    evidence = tmp_path / "evidence"
    assert (ledger.runs(evidence), ledger.is_torn(evidence)) == ([], False)
    evidence.write_text("1 1700000000 7 node-1 4242 begin 12.5\n2 1700000000 3")
    assert [run.job for run in ledger.runs(evidence)] == [1]
    assert ledger.is_torn(evidence)
    with evidence.open("a") as file:
        file.write(" node-2 4243 begin 12.6\n")
    assert [run.job for run in ledger.runs(evidence)] == [1, 2]
    assert not ledger.is_torn(evidence)
