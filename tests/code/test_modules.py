"""What a module raises when it is imported is an error of that module, and what it changes is put back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from cronkite.code import functions, modules
from cronkite.exceptions import FunctionNotFound, HarmfulModule

NAME = "cronkite_test_harmful"
WORSE = {
    "import sys; sys.exit(3)": "it called sys.exit(3)",
    "import sys; sys.exit()": "it called sys.exit()",
    "raise KeyboardInterrupt": "it raised KeyboardInterrupt",
    "raise GeneratorExit('x')": "it raised GeneratorExit: x",
    "class Stop(BaseException): pass\nraise Stop": "it raised Stop",
    "class Mute(BaseException):\n    def __str__(self): raise ValueError\nraise Mute": (
        "it raised Mute: (its message cannot be shown)"
    ),
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a module of this code."""
    monkeypatch.syspath_prepend(tmp_path)
    yield (tmp_path / f"{NAME}.py").write_text
    sys.modules.pop(NAME, None)


@pytest.mark.parametrize("code", WORSE)
def test_what_is_no_exception_says_what_the_module_did(written, settings, code):
    written(code)
    with pytest.raises(HarmfulModule) as caught:
        modules.load(NAME)
    assert str(caught.value) == f"{NAME} cannot be imported: {WORSE[code]}"
    settings.CRONKITE_ALLOWED_FUNCTIONS = [f"{NAME}.*"]
    with pytest.raises(FunctionNotFound, match="cannot be imported here: it ") as not_found:
        functions.resolve(f"{NAME}.job")
    assert str(not_found.value).endswith(WORSE[code])


def test_an_exception_is_raised_as_it_is(written):
    written("raise LookupError('no key')")
    with pytest.raises(LookupError, match="no key"):
        modules.load(NAME)


def test_a_person_s_interrupt_is_let_through(written):
    written("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)")
    # Another test, or what started this one, may have them ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            modules.load(NAME)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_directory_and_signals_and_alarm_are_put_back(written):
    before = os.getcwd(), signal.getsignal(signal.SIGTERM)
    written("import os, signal; os.chdir('/'); signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.alarm(600)")
    modules.load(NAME)
    assert (os.getcwd(), signal.getsignal(signal.SIGTERM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_a_module_that_cannot_be_imported_has_set_is_put_back(written, monkeypatch):
    monkeypatch.delenv("CRONKITE_TEST_SET", raising=False)
    umask, limit, timeout = os.umask(0o022), sys.getrecursionlimit(), socket.getdefaulttimeout()
    code = "import os, socket, sys; os.umask(0o777); os.environ['CRONKITE_TEST_SET'] = 'yes'; "
    code += "socket.setdefaulttimeout(0.001); sys.setrecursionlimit(limit(sys._getframe())); 1 / 0"
    # Hardly more than what the import needs: as much again is not there to put the rest back.
    depth = "def limit(frame, depth=0):\n    return limit(frame.f_back, depth + 1) if frame else depth + 12\n"
    written(depth + code)
    try:
        with pytest.raises(ZeroDivisionError):
            modules.load(NAME)
        assert (os.umask(0o022), sys.getrecursionlimit(), socket.getdefaulttimeout()) == (0o022, limit, timeout)
        assert "CRONKITE_TEST_SET" not in os.environ
    finally:
        sys.setrecursionlimit(limit)
        socket.setdefaulttimeout(timeout)
        os.umask(umask)


def test_in_another_thread_the_signals_are_left_alone(written):
    written("import os; os.chdir('/')")
    found, before = [], os.getcwd()
    thread = threading.Thread(target=lambda: found.append(modules.load(NAME)))
    thread.start()
    thread.join(60)
    assert found
    assert os.getcwd() == before


@pytest.mark.parametrize("stdin", ["", "</dev/null", "<&-"])
@pytest.mark.parametrize("code", ["import sys; sys.stdin and sys.stdin.read()", "import os; pid = os.fork()"])
def test_who_waits_for_a_person_or_forks_holds_and_doubles_nothing(written, tmp_path, code, stdin):
    """In a process of its own, whose stdin is a pipe that nobody writes to, or is none."""
    written(code)
    script = f"import os; from cronkite.code import modules; modules.load({NAME!r}); os.write(1, b'went on')"
    with subprocess.Popen(
        ["sh", "-c", f'exec "$0" -c "$1" {stdin}', sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout.read() == b"went on"
            assert process.wait(60) == 0
        finally:
            process.kill()
