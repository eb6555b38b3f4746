"""What ``cron export`` wrote becomes rows elsewhere: each once, and as it was decided."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from terminals import cron

from cronkite import exporting
from cronkite.claims import claiming
from cronkite.database import clock
from cronkite.declared import differences
from cronkite.declared.discovery import auto_discover
from cronkite.models import Group, Job

pytestmark = pytest.mark.django_db
BILL = {"name": "bill", "function": "app.jobs.ok", "schedule": "0 3 * * *"}


@pytest.fixture
def export(tmp_path):
    def export(*options):
        path = tmp_path / "jobs.json"
        assert cron("export", "-o", str(path), *options).code == 0
        return str(path)

    return export


@pytest.fixture
def write(tmp_path):
    def write(*jobs, groups=(), **others):
        path = tmp_path / "written.json"
        path.write_text(json.dumps({"cronkite": 1, "groups": groups, "jobs": jobs, **others}))
        return str(path)

    return write


def take(path, *options):
    return cron("import", "exported", path, *options)


def states(said):
    return {job["name"]: job["state"] for job in said.json["jobs"]}


def decided():
    jobs = Job.objects.values(*sorted(Job.DEFINITION))
    return sorted(jobs, key=lambda job: (job["name"], job["function"], job["schedule"], repr(job["args"])))


def test_all_that_people_decide_comes_and_nothing_that_nodes_keep(make_job, export):
    # Each field has a value that is not its default.
    job = make_job(
        name="Rechnungen für März 🐙",
        description="Bills.\nEach night.",
        schedule="0 3 * * *",
        timezone="Europe/Berlin",
        args=[{"ä": [1, None, 1.5]}, "日本"],
        kwargs={"b": 1, "a": {"d": 1, "c": 2}},
        catch_up="all",
        grace=600,
        timeout=60,
        run_mode="here",
        backend="",
        queue="",
        priority=3,
        overlap="wait for the task",
        jitter=5,
        retries=2,
        retry_delay=30,
        retry_until="last retry",
        on_lost="retry",
        labels="gpu, eu",
        group="reports",
        alert="ada@example.com after 3",
        ping="https://hc-ping.com/s3cret",
    )
    make_job("app.jobs.fail", name="off", enabled=False)
    Group.objects.create(name="reports", max_running=3)
    Job.objects.filter(name="off").update(function="app.jobs.ok")
    claiming.claim_by_hand(job, "web-1")
    path, before = export("--with-pings"), decided()
    Job.objects.all().delete()
    Group.objects.all().delete()
    said = take(path, "--enable")
    assert (said.code, decided()) == (0, before)
    assert Group.objects.get().max_running == 3
    job = Job.objects.get(name=job.name)
    assert (job.lock, job.fence, job.last_slot, job.asked_at) == (None, 0, None, None)
    assert job.next_run == job.get_schedule().next_after(job.planned_at)
    # And back: the text is the same.
    text = Path(path).read_text()
    assert Path(export("--with-pings")).read_text() == text


def test_a_file_says_of_each_column_what_it_is_so_that_none_is_forgotten(make_job, export):
    make_job(name="bill", declared_as="app.jobs.ok")
    path = export("--with-pings")
    assert json.loads(Path(path).read_text())["jobs"][0].keys() == Job.DEFINITION == {*exporting.COLUMNS}


def test_a_job_keeps_what_it_pings_here_where_the_file_does_not_tell_another(make_job, export):
    job = make_job(name="bill", ping="https://hc-ping.com/production")
    path = export()
    job.ping, job.timeout = "https://hc-ping.com/staging", 60
    job.save()
    assert states(take(path, "--overwrite", "--json")) == {"bill": "changed"}
    job.refresh_from_db()
    assert (job.ping, job.timeout) == ("https://hc-ping.com/staging", None)
    path = export("--with-pings")
    Job.objects.filter(pk=job.pk).update(ping="https://hc-ping.com/production")
    take(path, "--overwrite")
    job.refresh_from_db()
    assert job.ping == "https://hc-ping.com/staging"


def test_that_a_job_pings_another_url_is_told_and_not_which(make_job, export):
    job = make_job(name="bill", ping="https://hc-ping.com/s3cret")
    path = export("--with-pings")
    Job.objects.filter(pk=job.pk).update(ping="https://other.example/s3cret")
    said = take(path)
    assert "    ping: 'https://other.example/…' here, 'https://hc-ping.com/…' in the file" in said.lines
    as_json = take(path, "--json", "--overwrite")
    (told,) = as_json.json["jobs"]
    assert told["columns"] == {"ping": {"here": "https://other.example/…", "file": "https://hc-ping.com/…"}}
    assert "s3cret" not in said.out + said.err + as_json.out + as_json.err


def test_nothing_is_enabled_unless_that_is_wished(write):
    path = write({**BILL, "enabled": True}, {**BILL, "name": "off", "enabled": False})
    said = take(path)
    assert said.lines[0].startswith("+ bill: added, disabled. 0 3 * * *, app.jobs.ok()")
    for err in (said.err, take(path, "--overwrite").err):
        assert "1 enabled in the file, and disabled here: --enable enables them." in err
    assert set(Job.objects.values_list("enabled", flat=True)) == {False}
    said = take(path, "--overwrite", "--enable")
    assert "    enabled: False here, True in the file" in said.lines
    assert dict(Job.objects.values_list("name", "enabled")) == {"bill": True, "off": False}
    # One that is enabled here is not disabled for want of the option.
    assert states(take(path, "--overwrite", "--json")) == {"bill": "same", "off": "same"}
    assert dict(Job.objects.values_list("name", "enabled")) == {"bill": True, "off": False}


def test_twice_imports_nothing_twice(make_job, export):
    for number in range(3):
        Job.objects.create(**{**BILL, "name": "twins", "args": [number]})
    Job.objects.create(**BILL)
    make_job("app.jobs.fail", declared_as="app.jobs.fail")
    path, before = export(), decided()
    assert set(states(take(path, "--json")).values()) == {"same"}
    Job.objects.all().delete()
    for _ in range(2):
        take(path, "--enable")
        assert decided() == before
    revisions = set(Job.objects.values_list("revision", flat=True))
    take(path, "--enable", "--overwrite")
    assert set(Job.objects.values_list("revision", flat=True)) == revisions


def test_a_job_that_is_here_otherwise_is_kept_or_overwritten(make_job, write):
    job = make_job(name="bill", schedule="0 4 * * *", timeout=60)
    claim = claiming.claim_by_hand(job, "web-1")
    path = write({**BILL, "description": "new"})
    said = take(path)
    assert said.lines == [
        "~ bill: here otherwise, and kept; --overwrite changes it.",
        "    description: '' here, 'new' in the file",
        "    schedule: '0 4 * * *' here, '0 3 * * *' in the file",
    ]
    assert (said.code, Job.objects.get().schedule) == (0, "0 4 * * *")
    assert take(path, "--overwrite", "--dry-run").lines[0] == "~ bill: to be overwritten."
    assert Job.objects.get().schedule == "0 4 * * *"
    assert take(path, "--overwrite").lines[0] == "~ bill: overwritten."
    job.refresh_from_db()
    # What the file is silent about is left alone; and so is what nodes keep.
    assert (job.schedule, job.description, job.timeout, job.enabled) == ("0 3 * * *", "new", 60, True)
    assert (job.lock, job.fence) == (claim.token, 1)
    assert job.next_run == job.get_schedule().next_after(job.planned_at)


def test_a_dry_run_says_the_same_and_writes_nothing(write):
    path = write(
        BILL, {**BILL, "name": "bad", "schedule": "0 25 * * *"}, groups=[{"name": "reports", "max_running": 2}]
    )
    said = take(path, "--dry-run", "--json")
    assert not Job.objects.exists()
    assert not Group.objects.exists()
    assert states(said) == states(take(path, "--json")) == {"bill": "new", "bad": "refused"}
    assert Group.objects.get().max_running == 2


def test_what_is_wrong_is_told_by_name_and_keeps_no_other_from_coming(write):
    path = write(
        {**BILL, "name": "typo", "timout": 60},
        {**BILL, "name": "newer", "moon_phase": "full"},
        {"name": "empty"},
        {**BILL, "name": "kinds", "timeout": "60", "enabled": 1, "retries": True, "args": "abc", "description": 5},
        {**BILL, "name": "late", "schedule": "0 25 * * *"},
        {**BILL, "name": "foreign", "function": "os.system"},
        {**BILL, "name": "x" * 256},
        "nonsense",
        {**BILL, "name": 7},
        {**BILL, "labels": "no/such"},
        {**BILL, "name": "good"},
    )
    said = take(path)
    assert said.code == 1
    told = "\n".join(said.lines)
    for sentence in (
        "! typo: it can't come.\n    It has a 'timout', which is unknown here. Is 'timeout' meant?",
        "It has a 'moon_phase', which is unknown here. If a newer django-cronkite has exported it, upgrade;",
        "! empty: it can't come.\n    It has no function.\n    It has no schedule.",
        "    timeout: This has to be a whole number, not '60'.",
        "    enabled: This has to be true or false, not 1.",
        "    retries: This has to be a whole number, not True.",
        "    args: This has to be a list",
        "    description: This has to be a text, in quotes",
        "! late: it can't come.\n",
        "'os.system' is refused",
        "! job 8: it can't come.\n    It has to be an object of columns and values, not 'nonsense'.",
        "! job 9: it can't come.\n    name: This has to be a text",
        "    labels: ",
    ):
        assert sentence in told
    assert [job.name for job in Job.objects.all()] == ["good"]
    assert "Added: 1," in said.err
    assert "can't come: 10." in said.err


def test_groups_are_made_kept_or_overwritten(write):
    Group.objects.create(name="here", max_running=5)
    path = write(
        groups=[
            {"name": "Reports", "max_running": 2},
            {"name": "here", "max_running": 1},
            {"name": "", "max_running": 0},
        ]
    )
    said = take(path)
    assert said.lines[:3] == [
        "+ group reports: added. 2 jobs run at a time",
        "~ group here: here otherwise, and kept; --overwrite changes it.",
        "    max_running: 5 here, 1 in the file",
    ]
    assert said.lines[3] == "! group group 3: it can't come."
    assert said.code == 1
    take(path, "--overwrite")
    assert dict(Group.objects.values_list("name", "max_running")) == {"reports": 2, "here": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"cronkite": 99, "jobs": []}',
            "exported by a newer django-cronkite: its version is 99, and 1 is known here.",
        ),
        ('{"cronkite": "1"}', "has to be the version of the export, as in 1, not '1'"),
        ('{"cronkite": true}', "not True"),
        ('{"jobs": []}', 'no export of django-cronkite: it has no "cronkite"'),
        ("[]", "no export of django-cronkite"),
        ("", "no export of django-cronkite"),
        ("just: [words", "neither JSON nor YAML"),
        ('{"cronkite": 1,', "no JSON: Expecting"),
        ("[" * 100_000, "no JSON"),
        ('{"cronkite": 1, "jbos": []}', "An export has no jbos. It has cronkite, groups, jobs."),
        ('{"cronkite": 1, "jobs": {}}', '"jobs" has to be a list'),
    ],
)
def test_what_is_no_export_is_refused_whole_with_what_to_do(tmp_path, text, words):
    path = tmp_path / "jobs.json"
    path.write_text(text)
    said = take(str(path))
    assert (said.code, said.out) == (1, "")
    assert words in said.err


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    assert "can't be read: No such file" in take(str(tmp_path / "gone")).err
    assert "can't be read: Is a directory" in take(str(tmp_path)).err
    (tmp_path / "latin").write_bytes(b'{"cronkite": 1, "jobs": [{"name": "M\xe4rz"}]}')
    assert "no text in UTF-8" in take(str(tmp_path / "latin")).err
    assert "Which file?" in cron("import", "exported").err
    said = cron("import", "crontab", "x", "--overwrite")
    assert (said.code, "--overwrite is not for crontab" in said.err) == (2, True)


def test_yaml_is_read_as_json_is(tmp_path, monkeypatch):
    path = tmp_path / "jobs.yaml"
    path.write_text(
        "# by hand\ncronkite: 1\njobs:\n"
        "- name: bill\n  function: app.jobs.ok\n  schedule: 0 3 * * *\n  kwargs: {1: a}\n"
        "- name: dated\n  function: app.jobs.ok\n  schedule: 0 3 * * *\n  args: [2026-01-01]\n"
    )
    for _ in range(2):
        said = take(str(path))
        assert said.code == 1
        assert "args: This can't be kept as JSON: Object of type date" in "\n".join(said.lines)
    assert Job.objects.get().kwargs == {"1": "a"}
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert (
        "That is no JSON. YAML takes the package PyYAML, which is not there: pip install PyYAML" in take(str(path)).err
    )


def test_what_was_exported_as_yaml_comes_back(make_job, tmp_path):
    make_job(name="on", description="a\n  b \n", args=["yes", "0o7", "2026-01-01", "~", "1_000", " x", "\x1b", "\x85"])
    path, before = tmp_path / "jobs.yaml", decided()
    cron("export", "-o", str(path))
    Job.objects.all().delete()
    assert take(str(path), "--enable").code == 0
    assert decided() == before
    assert yaml.safe_load(path.read_text())["cronkite"] == 1


def test_it_comes_from_stdin_too(write, monkeypatch):
    with open(write(BILL)) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert take("-").code == 0
    assert Job.objects.get().name == "bill"


def test_a_declared_job_is_known_by_its_declaration_and_keeps_its_rules(settings, export):
    auto_discover("app.declared")
    declared = Job.objects.exclude(declared_as=None).order_by("name").first()
    function = declared.declared_as
    Job.objects.filter(pk=declared.pk).update(name="edited there", timeout=77)
    path = export()
    # Here the code has just made it, and somebody has given it a name of his own.
    Job.objects.filter(pk=declared.pk).update(name="edited here", timeout=None)
    number = Job.objects.count()
    assert states(take(path, "--json"))["edited there"] == "differs"
    take(path, "--overwrite")
    declared.refresh_from_db()
    assert (declared.name, declared.timeout, declared.declared_as) == ("edited there", 77, function)
    assert Job.objects.count() == number
    # To those who declare, it is a job of theirs that people have edited.
    changed = {each.job.pk: each.columns for each in differences.find().changed}
    assert "timeout" in changed.get(declared.pk, {"timeout": None})
    # Where the declaration has made none yet, it is the job that the declaration will find.
    Job.objects.all().delete()
    take(path)
    auto_discover("app.declared")
    assert Job.objects.filter(declared_as=function).count() == 1
    assert Job.objects.count() == number


def test_the_same_declaration_twice_in_a_file_is_taken_once(write):
    said = take(write({**BILL, "declared_as": "app.jobs.ok"}, {**BILL, "name": "b", "declared_as": "app.jobs.ok"}))
    assert said.code == 1
    assert "    The file has it twice." in said.lines
    assert Job.objects.get().name == "bill"


def test_jobs_by_one_name_are_told_apart_or_refused(write):
    for number in (1, 2):
        Job.objects.create(**{**BILL, "args": [number]})
    # By what they call: each has another schedule now.
    both = [{**BILL, "args": [number], "schedule": f"{number} 4 * * *"} for number in (2, 1)]
    assert take(write(*both), "--overwrite").code == 0
    assert {job.args[0]: job.schedule for job in Job.objects.all()} == {1: "1 4 * * *", 2: "2 4 * * *"}
    # The one that is left over.
    assert take(write(both[0], {**both[1], "args": [3]}), "--overwrite").code == 0
    assert sorted(job.args[0] for job in Job.objects.all()) == [2, 3]
    said = take(write({**BILL, "args": [9]}), "--overwrite")
    assert said.code == 1
    assert "it can't be told which is which: call each by a name of its own" in said.out
    assert sorted(job.args[0] for job in Job.objects.all()) == [2, 3]


def test_a_one_off_that_is_done_here_is_not_enabled_again(write):
    soon = clock.now("default") + timedelta(days=1)
    path = write({**BILL, "schedule": f"@at {soon:%Y-%m-%dT%H:%M}Z", "enabled": True})
    take(path, "--enable")
    job = Job.objects.get()
    slot = job.get_schedule().next_after(clock.now("default"))
    Job.objects.filter(pk=job.pk).write(enabled=False, next_run=None, last_slot=slot)
    assert states(take(path, "--enable", "--overwrite", "--json")) == {"bill": "same"}
    assert not Job.objects.get().enabled


def test_names_that_differ_in_case_or_accents_alone_are_two_jobs(write):
    names = ["Bill", "bill", "bïll", "x" * 200, "請求書"]
    path = write(*({**BILL, "name": name} for name in names))
    take(path)
    assert set(states(take(path, "--json")).values()) == {"same"}
    assert sorted(Job.objects.values_list("name", flat=True)) == sorted(names)


def test_hundreds_of_jobs_are_looked_up_once(write, django_assert_max_num_queries):
    path = write(*({**BILL, "name": f"job {number}"} for number in range(300)))
    take(path)
    with django_assert_max_num_queries(4):
        said = take(path, "--json")
    assert set(states(said).values()) == {"same"}


def test_a_job_needs_a_name_that_a_database_can_keep(write):
    said = take(write(BILL | {"name": ""}, BILL | {"name": "nul\0"}, BILL), "--dry-run")
    assert said.code == 1
    assert "! job 1: it can't come.\n    It has no name." in said.out
    assert "NUL character" in said.out
    assert "Would be added: 1," in said.err


def test_what_comes_from_stdin_in_another_encoding_is_refused_whole(write, monkeypatch):
    path = Path(write(BILL | {"name": "Größe"}))
    data = path.read_text().encode().decode("unicode_escape").encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), errors="surrogateescape"))
    said = take("-")
    assert said.code == 1
    assert "What comes from stdin is no text in UTF-8" in said.err
    assert "--output FILE" in said.err


def test_a_fixture_is_known_as_one(tmp_path):
    path = tmp_path / "fixture.json"
    path.write_text(json.dumps([{"model": "cronkite.job", "fields": {}}]))
    assert "`manage.py loaddata` reads it" in take(str(path)).err


def test_groups_that_cant_come_are_told_at_the_end_too(write):
    said = take(write(BILL, groups=[{"name": "Big Group"}]))
    assert said.code == 1
    assert "1 of the groups can't come: Big Group." in said.err
