"""What is declared and becomes no job is told of, with what to do: a project of its own, and its manage.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings as ours
from django.core.checks import run_checks
from django.db import connection

from cronkite.checks import declared_checks, job_checks, setting_checks
from cronkite.code.declarations import Declaration
from cronkite.declared import discovery, strays
from cronkite.models import Job

MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """
SECRET_KEY = "tests"
USE_TZ = True
ROOT_URLCONF = "project.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "cronkite", "shop"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {name!r},
    "OPTIONS": {{"transaction_mode": "IMMEDIATE", "timeout": 20}}}}}}
"""
SEND = "import cronkite\n\n@cronkite.cron('0 3 * * *')\ndef send():\n    'Send.'\n"
BY_ATTRIBUTE = "def send(): ...\nsend.schedule = '0 3 * * *'\n"
HIDING = "def hide(function):\n    def wrapper():\n        return function()\n    return wrapper\n"


@pytest.fixture
def project(tmp_path):
    """Return a function that writes files of a project, and one that calls its manage.py; each by path."""

    def write(**files):
        files = {"project/__init__": "", "shop/__init__": "", "project/urls": "urlpatterns = []", **files}
        files["project/settings"] = SETTINGS.format(name=str(tmp_path / "db")) + files.pop("settings", "")
        files["manage"] = MANAGE
        for name, text in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def manage(*arguments, code=0):
            done = subprocess.run(
                [sys.executable, "-W", "error", "manage.py", *arguments],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == code, done.stdout + done.stderr
            return " ".join((done.stdout + done.stderr).split())

        return manage

    return write


#: All at once, as each question costs a process: modules, and what is said of them.
FILES = {
    "shop/tasks": SEND,
    "shop/jobs/__init__": "",
    "shop/jobs/nightly": SEND,
    "shop/seen": SEND,
    "project/urls": "import shop.seen\nurlpatterns = []",
    "shop/attributes": BY_ATTRIBUTE,
    "shop/hiding": HIDING,
    "project/crontab": SEND,
    "crontab": SEND,
    "shop/crontab": """
from shop.attributes import send
from shop.hiding import hide

hidden = hide(print)
hidden.schedule = "@daily"

def slip(): ...
slip.schedule = "61 * * * *"

def listed(): ...
listed.schedule = ["@daily"]
""",
}
TOLD = [
    ("shop.tasks: It declares jobs, and nothing imports it, so they are none.", "from shop.tasks import"),
    ("shop.jobs.nightly: It declares jobs, and nothing imports it", "from shop.jobs.nightly import"),
    ("shop.attributes: send: declared here, and no job.", 'cronkite.cron("…")(send)'),
    ("shop.hiding: wrapper: declared here, and no job.", "functools.wraps"),
    ("project/crontab.py: It is in no installed app", "Add 'project' to INSTALLED_APPS"),
    ("/crontab.py: It is in no installed app", "Move it into the package of an installed app"),
    ("shop.crontab.slip: Its schedule is none. minute: 61", "Write a crontab expression"),
    ("shop.crontab.listed: Its schedule is no text, but ['@daily'].", "Write a crontab expression"),
]
SEEN = ("shop.seen: send: declared here, and no job.", "from shop.seen import send")


@pytest.mark.single
def test_check_migrate_and_sync_tell_of_each_with_what_to_do(project):
    manage = project(**FILES)
    asked = {
        "check": manage("check"),
        # Django's checks go in no order; with this one alone, nobody else has imported the URLconf.
        "ours": manage("check", "--tag", "cronkite"),
        "migrate": manage("migrate"),
        "sync": manage("cron", "sync", code=1),
    }
    for command, said in asked.items():
        # `manage.py cron` imports no URLconf; but it finds by its text what nothing imports.
        seen = SEEN if command != "sync" else ("shop.seen: It declares jobs", "from shop.seen import")
        for words in (words for told in [*TOLD, seen] for words in told):
            assert words in said, command
    assert asked["check"].count("cronkite.W010") == len(TOLD) + 1
    assert "The jobs are what the code declares" not in asked["sync"]


@pytest.mark.single
@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("from cronkite import cron\n@cron('@daily')\ndef f(): ...", True),
        ("from cronkite import cron as every\n@every('@daily')\ndef f(): ...", True),
        ("import cronkite\nnightly = cronkite.cron('@daily')\n@nightly\ndef f(): ...", True),
        ("import cronkite as c\ndef f(): ...\nc.cron('@daily')(f)", True),
        ("import cronkite\nnightly = cronkite.cron\nnightly('@daily')(print)", True),
        ("try:\n    from cronkite import cron\nexcept ImportError:\n    pass\nelse:\n    cron('@daily')(print)", True),
        ("if True:\n    from cronkite import (\n        cron,\n    )\n    @cron(\n'@daily')\n    def f(): ...", True),
        ("from cronkite import cron", False),
        ("from cronkite.models import Job\n# @cron('@daily')", False),
        ('"@cron(1)"\nimport cronkite', False),
        ("from other import cron\nimport cronkite\n@cron('@daily')\ndef f(): ...", False),
        ("import cronkite\nother.cron('@daily')", False),
    ],
)
def test_the_text_of_a_module_tells_whether_it_declares_jobs(text, does):
    assert strays._declares(text) is does


@pytest.mark.single
def test_nothing_is_told_of_what_becomes_a_job(project):
    own = "from cronkite.models import Job\nJob.auto_discover('shop.nightly')\n"
    manage = project(
        **{
            "shop/crontab": f"from shop.tasks import send\n{BY_ATTRIBUTE.replace('send', 'fetch')}",
            "shop/tasks": SEND,
            "shop/nightly": SEND.replace("send", "bill"),
            "shop/apps": f"from django.apps import AppConfig\nclass Shop(AppConfig):\n    name = 'shop'\n"
            f"    def ready(self):\n        {own.replace(chr(10), chr(10) + ' ' * 8)}",
            "crontab": "# about something else\n",
            "shop/migrations/__init__": "",
            "shop/tests/__init__": SEND,
        }
    )
    assert "W010" not in manage("check")
    said = manage("migrate")
    assert "Jobs that code declares: + " in said
    for name, function in (("send", "shop.tasks.send"), ("fetch", "shop.crontab.fetch"), ("bill", "shop.nightly.bill")):
        assert f"+ {name} ({function}): added, 0 3 * * *" in said
    assert "!" not in said
    assert "Jobs that code declares" not in manage("migrate")
    assert manage("cron", "sync", "--check") == "The jobs are what the code declares."


@pytest.mark.single
def test_migrate_says_what_it_kept_and_what_it_could_not_read(project, tmp_path):
    manage = project(**{"shop/crontab": SEND})
    manage("migrate", "--verbosity", "0")
    (tmp_path / "shop" / "crontab.py").write_text(SEND.replace("0 3 *", "30 4 *"))
    said = manage("migrate")
    assert "~ send: not what the code says, and kept. `manage.py cron sync` shows the difference." in said
    (tmp_path / "shop" / "crontab.py").write_text("raise LookupError('no key at all')")
    said = manage("migrate")
    assert "! shop.crontab, which could not be looked at: it raised LookupError: no key at all" in said
    assert manage("migrate", "--verbosity", "0").count("Jobs that code declares") == 0
    assert "cronkite.E005" in manage("check", code=1)
    assert "E005" not in manage("showmigrations")


@pytest.mark.single
def test_jobs_that_may_not_run_are_counted(project, tmp_path):
    manage = project(
        **{"shop/crontab": SEND + BY_ATTRIBUTE.replace("send", "_hidden")},
        settings='\nCRONKITE_ALLOWED_FUNCTIONS = ["INSTALLED_APPS"]\n',
    )
    assert "1 declared job may not be run: shop.crontab._hidden." in manage("check")
    manage("migrate", "--verbosity", "0")
    settings = tmp_path / "project" / "settings.py"
    settings.write_text(settings.read_text().replace('INSTALLED_APPS"]', 'django.core.management.call_command"]'))
    said = manage("check", "--database", "default")
    assert "(cronkite.W009) 2 declared jobs may not be run: shop.crontab.send, shop.crontab._hidden." in said
    assert "(cronkite.W009) 1 enabled job may not be run: shop.crontab.send." in said
    assert 'To allow what installed apps define beside it, add "INSTALLED_APPS".' in said


@pytest.mark.django_db
def test_enabled_jobs_are_looked_at_only_where_django_asks_for_the_database(make_job, settings):
    make_job()
    make_job("app.jobs.fail")
    Job.objects.filter(function="app.jobs.fail").update(enabled=False)
    settings.CRONKITE_ALLOWED_FUNCTIONS = ["os.system"]
    assert "W009" not in {message.id[-4:] for message in run_checks(tags=[setting_checks.TAG])}
    assert job_checks.check_enabled_jobs() == []
    assert job_checks.check_enabled_jobs(databases=["other"]) == []
    (message,) = job_checks.check_enabled_jobs(databases=["default"])
    assert message.msg == "1 enabled job may not be run: app.jobs.ok."
    settings.CRONKITE_ALLOWED_FUNCTIONS = None
    assert job_checks.check_enabled_jobs(databases=["default"]) == []


@pytest.mark.django_db(transaction=True)
def test_before_the_first_migration_there_is_nothing_to_look_at(monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE cronkite_job RENAME TO cronkite_later")
    try:
        assert job_checks.check_enabled_jobs(databases=["default"]) == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE cronkite_later RENAME TO cronkite_job")


def test_many_names_are_cut(monkeypatch):
    assert ours.USE_TZ
    declared = [Declaration(f"shop.crontab.f{number}", "", "", "@daily") for number in range(12)]
    monkeypatch.setattr(discovery, "declared_by_apps", lambda: declared)
    (message,) = declared_checks.messages()
    assert message.msg.startswith("12 declared jobs may not be run: shop.crontab.f0, ")
    assert message.msg.endswith("shop.crontab.f4 and 7 more.")
    assert json.dumps(message.hint)
