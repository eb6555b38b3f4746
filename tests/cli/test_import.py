"""What `manage.py cron import` says and does."""

from __future__ import annotations

import io

import pytest
from terminals import cron

from cronkite.code.commands import CALL
from cronkite.importing.crontab import VARIABLES
from cronkite.models import Job

pytestmark = pytest.mark.django_db

CRONTAB = """\
MAILTO=ops@example.com
15 4 * * mon-fri  cd /srv/shop && timeout 600 venv/bin/python manage.py report north --days 3 >> report.log 2>&1
@daily ./manage.py clearsessions
0 5 * * * pg_dump shop
* * * * * cd /srv/shop && venv/bin/python manage.py cron
"""


@pytest.fixture
def crontab(tmp_path):
    path = tmp_path / "crontab"
    path.write_text(CRONTAB)
    return str(path)


def test_import_makes_jobs_that_are_disabled_and_tells_of_each_line(crontab):
    said = cron("import", "crontab", crontab)
    assert said.code == 1
    assert said.out.splitlines() == [
        f"- line 1, MAILTO=ops@example.com: {VARIABLES['MAILTO']}",
        f"+ report north --days 3: added, disabled. 15 4 * * mon-fri, {CALL}('report', 'north', '--days', '3')",
        "    What it writes is kept in the log of each run.",
        "+ clearsessions: added, disabled. @daily, cronkite.commands.call('clearsessions')",
        "! line 4, 0 5 * * * pg_dump shop: it can't come.",
        "    It calls no manage.py. A job's function can start a program; else it stays where it is.",
        "- line 5, * * * * * cd /srv/shop && venv/bin/python manage.py cron: It is a node's own line, and stays.",
    ]
    assert "Added: 2, here already: 0, can't come: 1." in said.err
    assert "`manage.py cron enable JOB`" in said.err
    assert "`crontab -e`, on every machine" in said.err
    assert dict(Job.objects.values_list("name", "enabled")) == {"report north --days 3": False, "clearsessions": False}
    assert Job.objects.get(name="report north --days 3").timeout == 600


def test_what_was_imported_runs_its_command(crontab):
    cron("import", "crontab", crontab)
    assert Job.objects.get(name="report north --days 3").run() == "all is reported"


def test_import_twice_adds_nothing_and_says_so(crontab):
    cron("import", "crontab", crontab)
    said = cron("import", "crontab", crontab)
    job = Job.objects.get(name="clearsessions")
    assert f"= clearsessions: here already (id {job.pk}), disabled." in said.out
    assert "Added: 0, here already: 2, can't come: 1." in said.err
    assert Job.objects.count() == 2


def test_import_with_a_dry_run_says_the_same_and_writes_nothing(crontab):
    said = cron("import", "crontab", crontab, "--dry-run")
    assert said.code == 1
    assert "+ clearsessions: to be added, disabled. @daily" in said.out
    assert "Would be added: 2" in said.err
    assert not Job.objects.exists()


def test_import_says_clearly_what_is_enabled_in_both_worlds(crontab):
    said = cron("import", "crontab", crontab, "--enable", "--dry-run")
    assert "2 would be enabled here, and there too" in said.err
    said = cron("import", "crontab", crontab, "--enable")
    assert "+ clearsessions: added, enabled." in said.out
    assert "2 are enabled here, and there too, and so each runs twice until the old schedule is gone" in said.err
    assert "report north --days 3, clearsessions. Take the lines out" in said.err
    # And again, as long as they are there.
    assert "2 are enabled here, and there too" in cron("import", "crontab", crontab).err


def test_import_for_programs(crontab):
    said = cron("import", "crontab", crontab, "--json")
    assert [each["state"] for each in said.json] == ["nothing", "new", "new", "refused", "nothing"]
    report = said.json[1]
    job = Job.objects.get(name="report north --days 3")
    assert (report["job"], report["name"], report["source"], report["enabled"]) == (job.pk, job.name, "crontab", False)
    assert report["columns"]["args"] == ["report", "north", "--days", "3"]
    assert said.json[3]["problems"]


def test_import_reads_stdin_and_takes_the_zone_of_the_machine(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("0 3 * * * ./manage.py clearsessions\n"))
    said = cron("import", "crontab", "-", "--timezone", "Europe/Berlin")
    assert said.code == 0
    assert Job.objects.get().timezone == "Europe/Berlin"


def test_import_refuses_a_command_that_may_not_run_and_arguments_that_do_not_fit(tmp_path):
    path = tmp_path / "crontab"
    path.write_text("0 3 * * * ./manage.py migrate\n0 3 * * * ./manage.py report north --nonsense\n")
    said = cron("import", "crontab", str(path))
    assert said.code == 1
    assert said.out.count("it can't come") == 2
    assert "CRONKITE_ALLOWED_COMMANDS" in said.out
    assert "nonsense" in said.out
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["celery", "somewhere"], "celery is in one place"),
        (["celery", "--timezone", "UTC"], "--timezone is not for celery"),
        (["crontab", "--table", "x"], "--table is not for crontab"),
    ],
)
def test_import_refuses_a_command_line_that_makes_no_sense(arguments, words):
    said = cron("import", *arguments)
    assert said.code == 2
    assert words in said.err


def test_import_of_what_is_not_there_exits_with_1_and_says_what_to_do(settings):
    said = cron("import", "crontab", "/nowhere/crontab")
    assert (said.code, "no file '/nowhere/crontab'" in said.err) == (1, True)
    settings.CRONJOBS = []
    said = cron("import", "django-crontab")
    assert (said.code, "There is nothing to import" in said.err) == (0, True)


def test_import_of_a_package_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cronkite.importing.beat", None)
    said = cron("import", "beat")
    assert (said.code, "is not installed here" in said.err) == (1, True)


def test_what_was_understood_of_a_line_that_cant_come_is_shown(tmp_path):
    path = tmp_path / "crontab"
    path.write_text("28 4 * * * ./manage.py report west\n")
    said = cron("import", "crontab", str(path))
    assert f"! report west: it can't come. 28 4 * * *, {CALL}('report', 'west')" in said.out
