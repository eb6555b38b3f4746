"""Which command of ``manage.py`` does a line of shell call, and what of the line is about something else?"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings

from cronkite.importing import shell
from cronkite.importing.shell import Command, NotRead, Word

#: What a line may do first, or last, without a job having to.
FIRST = frozenset({"cd", "pushd", ".", "source", "export", "set", "umask", "ulimit", "true", ":"})
LAST = frozenset({"true", ":", "exit", "popd", "cd"})
#: What only tells of the call: what a run's log does, or a monitor.
TELLS = frozenset({"echo", "printf", "date", "logger", "mail", "mailx", "sendmail", "curl", "wget"})
SINKS = TELLS | {"tee", "cat", "ts", "systemd-cat", "head", "tail", "grep", "sed", "awk", "rotatelogs", "multilog"}
CONTAINERS = frozenset({"docker", "podman", "docker-compose", "kubectl", "lxc", "ssh"})
#: What starts another program and has no arguments of its own but options: those that take a value.
STARTS: dict[str, tuple[str, ...]] = {
    "env": ("-u", "-C"), "nice": ("-n",), "ionice": ("-c", "-n"), "nohup": (), "time": ("-f", "-o"), "setsid": (),
    "exec": (), "command": (), "chronic": (), "cronic": (), "run-one": (), "stdbuf": ("-i", "-o", "-e"), "chrt": (),
    "sudo": ("-u", "-g"), "runuser": ("-u", "-g"), "systemd-run": ("-u", "-p"), "systemd-cat": ("-t", "-p"),
}  # fmt: skip
#: Those which run what stands in an environment that they make, after ``run``.
RUNS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye", "conda", "mamba", "micromamba", "dotenv", "honcho"})
#: Their options that take a value, before ``run`` or after it.
RUNS_VALUES = (
    "-C", "--directory", "-P", "--project", "--env-file", "--python", "--with", "--with-requirements", "--extra",
    "--group", "--only-group", "--package", "--index-url", "--cache-dir", "-n", "--name", "-p", "--prefix", "--cwd",
    "-f", "--file", "-e", "--env",
)  # fmt: skip
#: What has a user first, and then what that one starts.
AS_USER = frozenset({"gosu", "su-exec", "setuidgid"})
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
#: Options of Python's that take a value, and those of Django's commands which a job has no use for.
PYTHON_VALUES, DJANGO_VALUES = ("-W", "-X"), ("--settings", "--pythonpath")
DJANGO_ADMIN = frozenset({"django-admin", "django-admin.py"})
#: How much of what can't come is repeated.
SHOWN = 60
#: How deep lines within lines are read.
DEEPEST = 4

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=(.*)", re.DOTALL)
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Call:
    """The command with its arguments, and after how many seconds it is ended; or what is in the way of that."""

    words: list[str] = field(default_factory=list)
    timeout: int | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: The locks of ``flock`` that it takes.
    locks: list[str] = field(default_factory=list)

    @property
    def is_tick(self) -> bool:
        """Whether it is the one line of a node's."""
        return self.words[:1] == ["cron"]


def read(line: str) -> Call:
    """Return what the line calls; ``problems`` say why it can be no job.

    >>> call = read("cd /srv/shop && timeout 10m venv/bin/python manage.py bill --all >> bill.log 2>&1")
    >>> call.words, call.timeout, call.problems
    (['bill', '--all'], 600, [])
    """
    call = Call()
    _read(line, call, 0)
    if not call.words and not call.problems:
        call.problems.append(_why_not(line))
    return call


def _why_not(line: str) -> str:
    """Say why a line that could be read calls nothing that could be a job."""
    for command in shell.commands(line):
        if any(_base(word) == "manage.py" or _base(word) in DJANGO_ADMIN for word in command.words[1:]):
            return (
                f"It calls manage.py by way of {_name(command)!r}, which is not known here. If the job can do without "
                "that, take it out in a copy of the crontab, and import that."
            )
    return "It calls no manage.py. A job's function can start a program; else it stays where it is."


def _read(line: str, call: Call, depth: int) -> None:
    try:
        commands = shell.commands(line)
    except NotRead as error:
        call.problems.append(f"It can't be read: {error}.")
        return
    named = [_named(command.words, Call()) for command in commands]
    places = [place for place, words in enumerate(named) if words is not None]
    if len(places) > 1:
        call.problems.append(
            f"It calls manage.py {len(places)} times. Write a command, or a function, that does it all."
        )
    elif places:
        _read_around(commands, places[0], call)
        _call(commands[places[0]], call)
    elif inner := [text for command in commands for text in _inner(command.words, call)]:
        # A shell in the shell: what stands around it is judged as what stands around a call.
        _read_around(commands, next(n for n, each in enumerate(commands) if _inner(each.words, Call())), call)
        if depth < DEEPEST:
            _read(inner[0], call, depth + 1)
    elif found := next(
        (words[0].text for words in (c.words for c in commands) if words and _base(words[0]) in CONTAINERS), ""
    ):
        call.problems.append(
            f"It is run by {_base(Word(found))}, so somewhere else. If that is where the project's nodes are, take out "
            "what stands before manage.py, in a copy of the crontab, and import that."
        )


def _read_around(commands: list[Command], place: int, call: Call) -> None:
    """Judge what stands before and behind what is called."""
    for command in commands[:place]:
        _read_before(command, call)
    if commands[place].before in {"|", "|&"}:
        call.problems.append("It gets its input from another program, and a job has none.")
    elif commands[place].before == "||":
        first = _shown(commands[place - 1])
        call.problems.append(f"It is called only if {first!r} fails. Have the command find that out.")
    for command in commands[place + 1 :]:
        name = _name(command)
        if name in (SINKS if command.before in {"|", "|&"} else TELLS):
            call.notes.append(f"{_shown(command)!r} is left out: each run has a log, and monitors are told of it.")
        elif name not in LAST:
            call.problems.append(f"It does something else next: {_shown(command)!r}. Have the command do that, too.")


def _read_before(command: Command, call: Call) -> None:
    name = _name(command)
    if _ASSIGNMENT.fullmatch(command.words[0].text if command.words else ""):
        _keep_variables(command.words, call)
    elif name == "sleep":
        call.notes.append(f"It was begun later, by {_shown(command)!r}. A job's jitter does that.")
    elif name == "export":
        _keep_variables(command.words[1:], call)
    elif name in TELLS:
        call.notes.append(f"{_shown(command)!r} is left out.")
    elif name not in FIRST:
        call.problems.append(f"It does something else first: {_shown(command)!r}. Have the command do that, too.")


def _name(command: Command) -> str:
    return _base(command.words[0]) if command.words else ""


def _call(command: Command, call: Call) -> None:
    """Fill in what is called."""
    for operator, target in command.redirections:
        if "<" in operator and target != "/dev/null":
            call.problems.append("It gets its input from a file, and a job has none.")
        elif ">" in operator and target != "/dev/null" and not operator.endswith(">&"):
            call.notes.append("What it writes is kept in the log of each run.")
    arguments = _without_settings(list(_named(command.words, call) or ()), call)
    if unknown := next((word.text for word in arguments if not word.is_plain), ""):
        call.problems.append(
            f"The shell puts something else in the place of {unknown!r}. Have the command find it out."
        )
    call.words = [word.text for word in arguments]
    if not call.words:
        call.problems.append("It calls manage.py without a command.")
    elif call.words[0] == "runcrons":
        call.problems.append("It runs the jobs of django-cron: `manage.py cron import django-cron`.")
    elif call.words[:2] == ["crontab", "run"]:
        call.problems.append("It runs a job of django-crontab: `manage.py cron import django-crontab`.")


def _without_settings(words: list[Word], call: Call) -> list[Word]:
    """Return the words without those options of every command which say where the project is."""
    arguments: list[Word] = []
    while words:
        word = words.pop(0)
        option, has_value, value = word.text.partition("=")
        if option not in DJANGO_VALUES:
            arguments.append(word)
            continue
        value = value if has_value else (words.pop(0).text if words else "")
        if option == "--settings":
            call.problems += other_settings(value)
    return arguments


def settings_module() -> str:
    """Return the name of the settings that are used here."""
    return settings.SETTINGS_MODULE or os.environ.get("DJANGO_SETTINGS_MODULE", "")


def other_settings(module: str) -> list[str]:
    """Say that a job can't have settings of its own, if these are not the project's."""
    if module == settings_module():
        return []
    return [f"It has other settings, {module}, and a job has those of its node. Import it with these."]


def _named(words: list[Word], call: Call) -> list[Word] | None:
    """Return the words behind ``manage.py``, if it is that which they call, and keep in ``call`` what is around it."""
    words = _start(words, call)
    if not words:
        return None
    name = _base(words[0])
    if _PYTHON.fullmatch(name) or (not words[0].is_plain and len(words) > 1 and _base(words[1]) == "manage.py"):
        words = _skip_options(words[1:], PYTHON_VALUES)
        if [word.text for word in words[:2]] == ["-m", "django"]:
            return words[2:]
        name = _base(words[0]) if words else ""
    return words[1:] if name == "manage.py" or name in DJANGO_ADMIN else None


def _start(words: list[Word], call: Call) -> list[Word]:
    """Return the words without what only starts the program that they call."""
    while words:
        name = _base(words[0])
        if found := _ASSIGNMENT.fullmatch(words[0].text):
            _keep_variable(found, call)
            words = words[1:]
        elif name in _STARTERS:
            words = _STARTERS[name](words[1:], call)
        elif name in STARTS:
            words = _skip_options(words[1:], STARTS[name])
            if name in {"sudo", "runuser"}:
                call.notes.append("It ran as another user: nodes run it as their own.")
        elif name in AS_USER and len(words) > 1:
            words = words[2:]
            call.notes.append(f"It ran as another user, by {name}: nodes run it as their own.")
        elif name in RUNS and (rest := _skip_options(words[1:], RUNS_VALUES)) and rest[0].text == "run":
            words = _skip_options(rest[1:], RUNS_VALUES)
        else:
            break
    return words


def _flock(words: list[Word], call: Call) -> list[Word]:
    words = _skip_options(words, ("-w", "--timeout", "--wait", "-E", "--conflict-exit-code"))
    if words:
        call.locks.append(words[0].text)
        call.notes.append(f"Its lock, {words[0].text}, is not needed: two runs of one job do not overlap.")
    return words[1:]


def _timeout(words: list[Word], call: Call) -> list[Word]:
    words = _skip_options(words, ("-k", "--kill-after", "-s", "--signal"))
    if words and (found := _DURATION.fullmatch(words[0].text)):
        call.timeout = max(1, round(float(found[1]) * _SECONDS[found[2]])) if float(found[1]) else None
    return words[1:]


_STARTERS: dict[str, Callable[[list[Word], Call], list[Word]]] = {"flock": _flock, "timeout": _timeout}


def _inner(words: list[Word], call: Call) -> list[str]:
    """Return the line that is handed to a shell, as by ``sh -c`` or ``flock FILE -c``."""
    words = _start(words, call)
    for place, word in enumerate(words):
        name = _base(words[0])
        is_shell = name in SHELLS or name == "su" or place == 0
        if is_shell and re.fullmatch(r"-[a-z]*c|--command", word.text) and len(words) > place + 1:
            return [words[place + 1].text]
    return []


def _skip_options(words: list[Word], with_value: tuple[str, ...]) -> list[Word]:
    while words and words[0].text.startswith("-") and words[0].text not in {"-m", "-c"}:
        # As in `-n 10`; `-n10` and `--adjustment=10` are one word.
        words = words[2:] if words[0].text in with_value else words[1:]
    return words


def _keep_variables(words: list[Word], call: Call) -> None:
    for word in words:
        if found := _ASSIGNMENT.fullmatch(word.text):
            _keep_variable(found, call)


def _keep_variable(found: re.Match[str], call: Call) -> None:
    name, value = found.groups()
    if name == "DJANGO_SETTINGS_MODULE":
        call.problems += other_settings(value)
    elif name not in {"PATH", "HOME", "SHELL", "PYTHONUNBUFFERED", "LANG", "LC_ALL"}:
        # Its value may be a secret.
        call.notes.append(f"It had {name} in its environment: have the nodes have it, too, if it counts.")


def _base(word: Word) -> str:
    return word.text.rpartition("/")[2]


def _shown(command: Command) -> str:
    text = " ".join(word.text for word in command.words)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
