"""A module that ends or holds the process that imports it harms only its own jobs, and is named."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress

import pytest
from django.db import connection
from django.urls import reverse
from nodes import HERE, PATIENCE, manage, nodes, until

from cronkite.checks import setting_checks
from cronkite.code import apart, functions, taster, trials
from cronkite.declared import discovery
from cronkite.exceptions import FunctionNotFound, HarmfulModule
from cronkite.models import Job, Log

pytestmark = pytest.mark.single

#: Seconds after which an import that ends by no other means is ended, and those that one which does may take.
SOON, LATE = 5, 60
#: What a module does when it is imported, and what is said of it.
HARMS = {
    "exits": ("import sys; sys.exit(0)", "it called sys.exit(0)"),
    "exits_with_a_word": ("raise SystemExit('no key')", "it called sys.exit('no key')"),
    "exits_hard": ("import os; os._exit(3)", "its process exited with code 3"),
    "exits_well": ("import os; os._exit(0)", "its process exited with code 0"),
    "becomes_another": ("import os; os.execv('/bin/true', ['true'])", "its process exited with code 0"),
    "hangs": ("import time\nwhile True: time.sleep(3600)", f"its import took longer than {SOON} s"),
    "spins": ("while True: pass", f"its import took longer than {SOON} s"),
    "stops": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", f"its import took longer than {SOON} s"),
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its process was killed by SIGSEGV"),
    "kills_all": ("import os, signal; os.kill(0, signal.SIGTERM)", "its process was killed by SIGTERM"),
    "interrupts": ("raise KeyboardInterrupt", "it raised KeyboardInterrupt"),
    "generates": ("raise GeneratorExit('x')", "it raised GeneratorExit: x"),
    "raises_the_base": ("class Stop(BaseException): pass\nraise Stop", "it raised Stop"),
    "closes": ("import os; os.closerange(3, 1024)", apart.CLOSED),
    "closes_all": ("import os; os.closerange(0, 1024)", apart.CLOSED),
    "daemonizes": ("import os\nif os.fork(): os._exit(0)\nos.setsid()", "its process exited with code 0"),
    "exits_when_looked_at": (
        """
class Lazy:
    __name__ = "lazy"

    def __getattr__(self, name):
        raise SystemExit(4)

    def __call__(self):
        pass

lazy = Lazy()
""",
        "it called sys.exit(4)",
    ),
}
#: Those whose import never ends.
ENDLESS = ("hangs", "spins", "stops")
#: What does no harm, or none to others.
ODDITIES = {
    "starts_a_thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "forks": "import os\npid = os.fork()",
    "moves": "import os; os.chdir('/')",
    "reads": "import sys; sys.stdin.read()",
    "takes_signals": (
        "import signal\nfor number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)\n"
        "signal.alarm(600)"
    ),
    "leaves_a_process": (
        "import subprocess\nnothing = subprocess.DEVNULL\n"
        "subprocess.Popen(['sleep', '600'], stdout=nothing, stderr=nothing)"
    ),
}
JOB = """
def job():
    "Declared."
    import os
    return os.getcwd()

job.schedule = "* * * * * *"
"""


def limit_of(*codes):
    """Return the limit (seconds) for modules of which one may never end; not longer, as that is waited for."""
    return SOON if any(code.endswith(HARMS[harm][0]) for code in codes for harm in ENDLESS) else LATE


@pytest.fixture
def project(tmp_path):
    """Return a function that writes apps, by name with the code of their ``crontab``, and returns the environment."""

    def write(**apps):
        for name, code in apps.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").touch()
            (tmp_path / name / "crontab.py").write_text(f"{code}\n{JOB}")
        return {
            "DJANGO_SETTINGS_MODULE": "trying.settings",
            "CRONKITE_TEST_APPS": " ".join(apps),
            "CRONKITE_TEST_IMPORT_LIMIT": str(limit_of(*apps.values())),
            "CRONKITE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    yield write
    # What a module leaves behind when it is imported in earnest lives on.
    for pid in strangers(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture(params=["fork", "fresh"])
def way(request, tmp_path):
    """How imports are tried: with a thread in the process, a fork of it would not be safe."""
    if request.param == "fork":
        return {}
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    return {"threaded": request.param}


def threaded(environment, way):
    """Let the processes have a thread, if they are to."""
    if way:
        environment["CRONKITE_TEST_APPS"] += " threaded"
    return environment


def ran(name):
    return Log.objects.filter(function=f"{name}.crontab.job", status=Log.Status.SUCCEEDED)


def strangers(tmp_path):
    """Return the processes that have this project on their path, and are none of the nodes that a test has ended."""
    return [pid for pid in os.listdir("/proc") if pid.isdecimal() and str(tmp_path).encode() in environment_of(pid)]


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


# What nodes and commands do.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", ["exits", "exits_hard", "hangs", "kills_all", "closes"])
def test_a_loop_runs_the_jobs_of_all_other_modules_and_names_the_one_that_harms(project, way, harm):
    code, deed = HARMS[harm]
    environment = threaded(project(first="", **{harm: code}, last=""), way)
    with nodes(("cron", "loop", "--workers", "1"), **environment) as (loop,):
        until(lambda: ran("first").exists() and ran("last").exists())
        loop.signal(signal.SIGTERM)
        assert loop.wait() == 0, loop.output
    said = f"The jobs that {harm}.crontab declares could not be looked at. {harm}.crontab cannot be imported: {deed}."
    assert said in loop.output
    assert not Job.objects.filter(function=f"{harm}.crontab.job").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("harm", "end"), [("exits_hard", 3), ("exits_well", 0)])
def test_untried_it_would_end_the_loop(project, harm, end):
    """The saboteur: the loop goes on because the import is tried first."""
    environment = project(first="", **{harm: HARMS[harm][0]}, last="")
    with nodes(("cron", "loop"), CRONKITE_TEST_SABOTAGE="untried", **environment) as (loop,):
        assert loop.wait() == end
    assert not ran("last").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("oddity", ODDITIES)
def test_what_a_module_changes_of_the_process_is_put_back(project, way, oddity, tmp_path):
    environment = threaded(project(**{oddity: ODDITIES[oddity]}, last=""), way)
    # A stdin that never ends.
    reader, writer = os.pipe()
    with nodes(("cron", "loop", "--workers", "1"), stdin=reader, **environment) as (loop,):
        os.close(reader)
        until(lambda: ran(oddity).exists() and ran("last").count() > 2)
        loop.signal(signal.SIGTERM)
        assert loop.wait() == 0, loop.output
    os.close(writer)
    assert ran("last")[0].result == str(HERE)
    # One loop, not two: each process that ticks has a row, and all runs are of one node.
    assert set(Log.objects.values_list("node", flat=True)) == {"node-1"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", ["exits", "exits_hard", "hangs", "closes"])
def test_migrate_makes_the_jobs_of_all_other_modules_and_names_the_one_that_harms(project, harm):
    code, deed = HARMS[harm]
    done = manage("migrate", "--verbosity", "0", **project(first="", **{harm: code}, last=""))
    assert done.returncode == 0, done.stderr
    assert f"{harm}.crontab cannot be imported: {deed}." in done.stderr
    assert set(Job.objects.values_list("function", flat=True)) == {"first.crontab.job", "last.crontab.job"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", ["exits", "exits_hard", "hangs"])
def test_sync_and_list_and_why_name_it(project, harm):
    code, deed = HARMS[harm]
    environment = project(**{harm: code}, last="")
    Job.objects.bulk_create([Job(name="mine", function=f"{harm}.crontab.job", schedule="@yearly", enabled=False)])
    done = manage("cron", "sync", **environment)
    assert done.returncode == 1, done.stderr
    assert (
        f"! {harm}.crontab can't be imported, so its jobs are left alone. {deed[:1].upper()}{deed[1:]}." in done.stdout
    )
    assert "+ job (last.crontab.job): added" in done.stdout
    listed = json.loads(manage("cron", "list", "mine", "--json", **environment).stdout)
    assert listed[0]["problem"] == f"'{harm}.crontab.job' cannot be imported here: {deed}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", ["exits", "exits_hard", "exits_well"])
def test_cron_run_of_such_a_job_has_not_succeeded(project, harm):
    code, deed = HARMS[harm]
    environment = project(**{harm: code})
    Job.objects.bulk_create([Job(name="mine", function=f"{harm}.crontab.job", schedule="@yearly", enabled=False)])
    done = manage("cron", "run", "mine", **environment)
    assert done.returncode == 1
    assert f"Job 'mine' cannot be run here. '{harm}.crontab.job' cannot be imported here: {deed}" in done.stderr
    assert not Log.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_check_names_them_and_other_commands_wait_for_none(project, way):
    harms = {harm: HARMS[harm] for harm in ("exits", "exits_hard", "hangs", "closes")}
    codes = {harm: code for harm, (code, _) in harms.items()}
    environment = threaded(project(first="", **codes, raises="raise LookupError('no key')", last=""), way)
    done = manage("check", **environment)
    assert done.returncode == 1, done.stderr
    for harm, (_, deed) in harms.items():
        assert f"(cronkite.E005) {harm}.crontab cannot be imported: {deed}." in done.stderr
    assert "(cronkite.E005) raises.crontab cannot be imported: it raised LookupError: no key." in done.stderr
    assert done.stderr.count("cronkite.E005") == 5
    assert "E005" not in manage("cron", **environment).stderr
    assert "E005" not in manage("showmigrations", **environment).stderr


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("harm", ["exits", "exits_hard", "hangs"])
def test_an_admin_that_asks_for_such_a_module_keeps_nothing_from_starting(project, tmp_path, harm):
    code, deed = HARMS[harm]
    environment = project(asking="", **{harm: code}, last="")
    asks = "from cronkite.models import Job\nJob.auto_discover('{}.crontab', delete_first=True)\n"
    (tmp_path / "asking" / "admin.py").write_text(asks.format(harm) + asks.format("last"))
    done = manage("cron", **environment)
    assert done.returncode == 0, done.stderr
    assert f"The jobs that {harm}.crontab declares could not be looked at. " in done.stderr
    assert f"{harm}.crontab cannot be imported: {deed}." in done.stderr
    assert set(Job.objects.values_list("function", flat=True)) == {"last.crontab.job"}


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_of_the_trials(project, way, tmp_path):
    """No process: neither one that hangs, nor what a module has started."""
    leaves = ODDITIES["leaves_a_process"]
    codes = {harm: f"{leaves}\n{HARMS[harm][0]}" for harm in ("exits", "exits_hard", "hangs", "daemonizes")}
    manage("check", **threaded(project(**codes), way))
    until(lambda: not strangers(tmp_path))


@pytest.mark.django_db(transaction=True)
def test_a_signal_ends_a_process_that_waits_for_a_trial(project, way, tmp_path):
    begun = tmp_path / "begun"
    code = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\nwhile True: time.sleep(3600)"
    environment = threaded(project(hangs=code), way) | {"CRONKITE_TEST_IMPORT_LIMIT": "600"}
    with nodes(("cron", "loop"), **environment) as (loop,):
        until(begun.exists)
        loop.signal(signal.SIGINT)
        assert loop.wait() != 0
    until(lambda: not strangers(tmp_path))


# In a process that goes on; that of the tests has a thread, so there are fresh interpreters only.


def set_patience(monkeypatch, seconds):
    for name in ("LONG", "BRIEF"):
        monkeypatch.setattr(trials, name, trials.Patience(float(seconds), setup=60.0))


@pytest.fixture
def harmful(tmp_path, monkeypatch):
    """Write modules that do harm into a package that is as good as an app's, and return a function's dotted name."""
    monkeypatch.syspath_prepend(tmp_path)
    set_patience(monkeypatch, LATE)
    monkeypatch.setattr(trials, "_verdicts", {})

    def write(code, name="harmful"):
        (tmp_path / f"cronkite_test_{name}.py").write_text(f"{code}\n{JOB}")
        return f"cronkite_test_{name}"

    yield write
    for name in list(sys.modules):
        if name.startswith("cronkite_test_"):
            del sys.modules[name]


@pytest.mark.parametrize("harm", HARMS)
def test_it_is_refused_with_what_it_did_and_not_imported(harmful, monkeypatch, harm):
    code, deed = HARMS[harm]
    name = harmful(code)
    set_patience(monkeypatch, limit_of(code))
    with pytest.raises(HarmfulModule) as caught:
        trials.load(name, trials.LONG)
    assert (str(caught.value), caught.value.deed) == (f"{name} cannot be imported: {deed}", deed)
    assert name not in sys.modules


def test_what_raises_an_exception_raises_it_here_too(harmful):
    with pytest.raises(LookupError, match="no key"):
        trials.load(harmful("raise LookupError('no key')"), trials.LONG)


def test_a_verdict_is_kept_for_a_while_and_not_for_ever(harmful, monkeypatch):
    name = harmful(HARMS["exits"][0])
    with pytest.raises(HarmfulModule):
        trials.load(name, trials.LONG)
    harmful("")
    with pytest.raises(HarmfulModule):
        trials.load(name, trials.LONG)
    monkeypatch.setattr(trials, "KEPT", 0.0)
    assert trials.load(name, trials.LONG).job


def test_what_is_imported_or_is_not_there_or_is_our_own_is_not_tried(monkeypatch):
    monkeypatch.setattr(apart, "try_imports", lambda names, patience: pytest.fail(f"tried {names}"))
    names = ["app.jobs", "app.absent", "absent", "absent.deeper", "app.jobs.deeper", "cronkite.crontab"]
    import app.jobs  # noqa: F401

    monkeypatch.delitem(sys.modules, "cronkite.crontab", raising=False)
    assert trials.try_all(names, trials.LONG) == {}


def test_where_no_process_can_be_started_it_is_imported_as_it_is(harmful, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(apart, "_may_fork", lambda: False)
    monkeypatch.setattr(apart.subprocess, "Popen", fail)
    assert trials.load(harmful("", "one"), trials.LONG)
    assert "no process can be started. no more processes" in caplog.text
    monkeypatch.setattr(apart, "_interpreter", lambda: None)
    assert trials.load(harmful("", "two"), trials.LONG)


def test_where_django_cannot_be_set_up_it_is_imported_as_it_is_and_not_tried_again(harmful, monkeypatch, caplog):
    monkeypatch.setattr(apart, "_may_fork", lambda: False)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "absent")
    name = harmful("raise LookupError('no key')")
    for _ in range(2):
        with pytest.raises(LookupError):
            trials.load(name, trials.LONG)
    assert caplog.text.count("could not be tried apart: its process exited with code 1") == 1


def test_a_server_with_python_within_is_no_interpreter(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "/usr/sbin/uwsgi")
    assert os.access(apart._interpreter(), os.X_OK)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert apart._interpreter() is None


def test_a_child_of_a_trial_asks_for_no_jobs(monkeypatch):
    monkeypatch.setattr(taster, "_is_taster", True)
    discovery.auto_discover("app.absent")
    assert trials.try_all(["app.hanging"], trials.LONG) == {}


@pytest.mark.django_db
def test_the_admin_names_it_and_goes_on(harmful, settings, admin_client, make_job, monkeypatch):
    settings.CRONKITE_ALLOWED_FUNCTIONS = ["cronkite_test_*", "app.*"]
    name = harmful(HARMS["exits_hard"][0])
    monkeypatch.setattr(discovery, "crontabs", lambda: [name, "app.declared"])
    job = make_job(f"{name}.job", declared_as=f"{name}.job")
    problem = f"&#x27;{name}.job&#x27; cannot be imported here: its process exited with code 3"
    page = admin_client.get(reverse("admin:cronkite_job_change", args=[job.pk])).content.decode()
    assert f"{name}.job declares it, or did; this node does not find it. {problem}" in page
    assert 'value="app.declared.nightly"' in page  # a suggestion
    for query in ({}, {"state": "missing"}):
        assert problem in admin_client.get(reverse("admin:cronkite_job_changelist"), query).content.decode()
    takes = admin_client.get(reverse("admin:cronkite_job_preview"), {"function": f"{name}.job"}).json()["takes"]
    assert problem in takes


@pytest.mark.parametrize("harm", ["exits", "exits_hard", "interrupts"])
def test_a_function_of_such_a_module_is_not_there(harmful, settings, harm):
    settings.CRONKITE_ALLOWED_FUNCTIONS = ["cronkite_test_*"]
    code, deed = HARMS[harm]
    name = harmful(code)
    functions.try_all([f"{name}.job", "os.system", "no name"])
    with pytest.raises(FunctionNotFound) as caught:
        functions.look_up(f"{name}.job")
    assert str(caught.value) == f"'{name}.job' cannot be imported here: {deed}"


def test_checks_are_asked_for_by_check_and_by_programs(monkeypatch):
    for argv, expected in [
        (["manage.py", "check"], True),
        (["manage.py", "runserver"], False),
        (["/usr/bin/django-admin", "shell"], False),
        (["/usr/lib/python3/site-packages/django/__main__.py", "check", "--deploy"], True),
        (["/usr/bin/pytest"], True),
        ([], True),
    ]:
        monkeypatch.setattr(sys, "argv", argv)
        assert setting_checks.is_asked() is expected, argv


def test_a_trial_that_takes_long_holds_up_no_other(monkeypatch):
    """Of tasks that are to be handed over, each module is tried in a thread of its own."""
    begun, over = threading.Event(), threading.Event()

    def try_imports(names, patience):
        if names == ["app.hanging"]:
            begun.set()
            over.wait(PATIENCE)
        return {name: trials.Verdict() for name in names}

    monkeypatch.setattr(apart, "try_imports", try_imports)
    monkeypatch.setattr(trials, "_is_worth_it", lambda name: True)
    monkeypatch.setattr(trials, "_verdicts", {})
    hanging = threading.Thread(target=trials.try_all, args=(["app.hanging"], trials.BRIEF), daemon=True)
    hanging.start()
    assert begun.wait(PATIENCE)
    quick = threading.Thread(target=trials.try_all, args=(["app.quick"], trials.BRIEF), daemon=True)
    quick.start()
    quick.join(PATIENCE)
    assert not quick.is_alive()
    assert hanging.is_alive()
    over.set()
    hanging.join(PATIENCE)
    assert set(trials._verdicts) == {"app.hanging", "app.quick"}
