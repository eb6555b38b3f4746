"""What ``cron export`` writes: all that people decide, nothing that nodes keep, and the same text each time."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest
import yaml
from terminals import cron

from cronkite import exporting, requests
from cronkite.claims import claiming
from cronkite.models import Group, Job
from cronkite.models.fields import Arguments, Unreadable

pytestmark = pytest.mark.django_db


def test_it_has_what_a_save_may_write_and_nothing_else(make_job):
    """A column that is added later has to be in one of the two, and comes by itself."""
    job = make_job(name="bill", group="reports", declared_as="app.jobs.ok")
    claiming.claim_by_hand(job, "web-1")
    requests.ask(job, "anna")
    (record,) = cron("export").json["jobs"]
    kept = {
        *("id", "revision", "next_run", "planned_at", "last_slot", "fence", "lock", "locked_by", "locked_at"),
        *("seated_in", "seat", "jittered_slot", "jittered_to", "retry_at", "retry_slot", "retry_attempt", "engine"),
        *("follow_at", "asked_at", "asked_by", "asked_with", "asked_with_at", "due_at"),
    }
    assert not kept & record.keys()
    # What a job pings is for who asks for it alone.
    (full,) = cron("export", "--with-pings").json["jobs"]
    assert record == {column: value for column, value in full.items() if column != "ping"}
    record = full
    assert record.keys() >= Job.DEFINITION
    columns = {field.name for field in Job._meta.concrete_fields}
    assert record.keys() == Job.DEFINITION == columns - kept, (
        "what is a new column: decided by people, or kept by nodes?"
    )
    editable = {field.name for field in Job._meta.concrete_fields if field.editable and not field.primary_key}
    assert editable <= record.keys()


def test_its_order_does_not_depend_on_the_database(make_job):
    make_job(name="b", kwargs={"zz": 1, "a": {"y": [{"q": 1, "b": 2}], "x": None}})
    make_job("app.jobs.fail", name="a")
    Group.objects.create(name="second")
    Group.objects.create(name="first", max_running=3)
    said = cron("export")
    assert [job["name"] for job in said.json["jobs"]] == ["a", "b"]
    assert said.json["groups"] == [{"name": "first", "max_running": 3}, {"name": "second", "max_running": 1}]
    first = said.json["jobs"][0]
    assert list(first)[:4] == ["name", "function", "args", "kwargs"]
    assert json.dumps(said.json["jobs"][1]["kwargs"]) == '{"a": {"x": null, "y": [{"b": 2, "q": 1}]}, "zz": 1}'
    assert said.json["cronkite"] == exporting.VERSION
    assert said.out.endswith("}\n")
    assert not said.out.endswith("\n\n")
    # Each column has a line of its own, so that a difference shows one.
    assert '      "timezone": "",\n' in said.out


def test_a_few_jobs_come_with_their_groups_alone(make_job):
    make_job(name="bill", group="money")
    make_job("app.jobs.fail", name="refund")
    make_job("app.jobs.echo", name="other", group="others")
    Group.objects.bulk_create([Group(name="money", max_running=2), Group(name="others")])
    said = cron("export", "bill", "app.jobs.fail", "bill").json
    assert [job["name"] for job in said["jobs"]] == ["bill", "refund"]
    assert said["groups"] == [{"name": "money", "max_running": 2}]
    said = cron("export", "nobody")
    assert (said.code, said.out) == (2, "")
    assert "There is no job 'nobody'" in said.err


def test_what_a_job_pings_is_left_out_and_that_is_said_unless_it_is_asked_for(make_job, tmp_path):
    make_job(name="bill", ping="https://hc-ping.com/s3cret")
    make_job("app.jobs.fail", name="quiet")
    path = tmp_path / "jobs.yaml"
    shown, written = cron("export"), cron("export", "-o", str(path))
    for text, said in ((shown.out, shown), (path.read_text(), written)):
        assert "ping" not in text
        assert "s3cret" not in said.out + said.err
        assert said.err.endswith("1 job pings a URL, which is left out: --with-pings writes it.\n")
    assert cron("export", "quiet").err == ""
    said = cron("export", "--with-pings")
    assert [job["ping"] for job in said.json["jobs"]] == ["https://hc-ping.com/s3cret", ""]
    assert said.err == ""


def test_there_may_be_nothing_to_export():
    assert cron("export").json == {"cronkite": exporting.VERSION, "groups": [], "jobs": []}


def test_yaml_says_the_same_in_lines_that_people_read(make_job):
    make_job(
        name="請求書", description="Bills.\nEach night.", schedule="*/10 * * * *", args=["yes", "1", 1.5, None, {}]
    )
    make_job("app.jobs.fail", name="x" * 200, args=["yes", "1", 1.5, None, {}])
    said = cron("export", "--format", "yaml")
    assert yaml.safe_load(said.out) == cron("export").json
    assert "  description: |-\n    Bills.\n    Each night.\n" in said.out
    assert f"\n- name: {'x' * 200}\n" in said.out
    assert "name: 請求書\n" in said.out
    assert "&id" not in said.out


def test_without_pyyaml_it_says_what_to_install(make_job, monkeypatch):
    make_job()
    monkeypatch.setitem(sys.modules, "yaml", None)
    said = cron("export", "--format", "yaml")
    assert (said.code, said.out) == (1, "")
    assert "pip install PyYAML, or use JSON" in said.err
    assert cron("export", "--json").json["jobs"]


def test_a_file_is_written_whole_and_keeps_its_mode(make_job, tmp_path):
    make_job(name="bill")
    path = tmp_path / "jobs.json"
    said = cron("export", "--output", str(path))
    assert (said.code, said.out) == (0, "")
    assert f"1 job and 0 groups are in {path}." in said.err
    assert path.read_text(encoding="utf-8") == cron("export").out
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    path.write_text("old")
    cron("export", "-o", str(link))
    assert link.is_symlink()
    assert json.loads(path.read_text())["jobs"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["jobs.json", "link.json"]


def test_a_file_that_ends_so_is_yaml(make_job, tmp_path):
    make_job(name="bill")
    cron("export", "-o", str(tmp_path / "jobs.yml"))
    assert (tmp_path / "jobs.yml").read_text().startswith("cronkite: 1\n")


def test_what_cannot_be_written_leaves_what_was_there(make_job, tmp_path, monkeypatch):
    make_job(name="bill")
    said = cron("export", "-o", str(tmp_path / "gone" / "jobs.json"))
    assert said.code == 1
    assert "cannot be written: No such file or directory" in said.err
    assert "Is a directory" in cron("export", "-o", str(tmp_path)).err
    path = tmp_path / "jobs.json"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    said = cron("export", "-o", str(path))
    assert said.code == 1
    assert "No space left on device" in said.err
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_written_to(make_job):
    make_job(name="bill")
    reads, writes = os.pipe()
    assert cron("export", "-o", f"/dev/fd/{writes}").code == 0
    os.close(writes)
    with open(reads) as pipe:
        assert json.load(pipe)["jobs"]


def test_arguments_that_nobody_can_read_are_told_with_their_job(make_job, tmp_path, monkeypatch):
    job = make_job(name="bill")
    # Some databases keep numbers that are too long for Python, and none keeps them all.
    monkeypatch.setattr(Arguments, "from_db_value", lambda self, value, *others: Unreadable(value))
    said = cron("export", "-o", str(tmp_path / "jobs.json"))
    assert said.code == 1
    assert f"The args of job {job.pk} ('bill') can't be read, so it can't be exported." in said.err
    assert not list(tmp_path.iterdir())


def test_five_thousand_jobs_are_two_queries(django_assert_num_queries):
    Job.objects.bulk_create(
        [Job(name=f"job {n}", function="app.jobs.ok", schedule="0 3 * * *") for n in range(5000)], batch_size=500
    )
    with django_assert_num_queries(2):
        said = cron("export")
    assert len(said.json["jobs"]) == 5000
