"""What do the lines of a crontab become?

As ``man 5 crontab`` of Debian's cron has it, and ``CRON_TZ`` as in cronie's: lines with a schedule and a command, and
lines that set variables for those below.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cronkite.importing import commands
from cronkite.importing.commands import Call
from cronkite.importing.planned import Given, NothingToRead, Plan, Planned, stdin

TITLE = "crontab"
WHERE = "FILE"
TAKES = ("timezone", "is_system")
AWAY = "Take the lines out with `crontab -e`, on every machine, and leave the one that calls `manage.py cron`."

#: What calls a command of ``manage.py`` as a job.
FUNCTION = "cronkite.commands.call"
#: How long (seconds) the program ``crontab`` may take.
PATIENCE = 30
FIELDS = 5
#: How much of a line that becomes no job is repeated.
SHOWN = 70

_VARIABLE = re.compile(r"""(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*)""")
_FIELD = re.compile(r"[*0-9][*0-9,/-]*\s")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
#: What is said of variables that are cron's own, or the shell's.
VARIABLES = {
    "MAILTO": "It names who gets mail. Here the logger `cronkite` tells of failures; see docs/guides/monitoring.rst.",
    "MAILFROM": "It is about cron's mail, and there is none here.",
    "CONTENT_TYPE": "It is about cron's mail, and there is none here.",
    "CONTENT_TRANSFER_ENCODING": "It is about cron's mail, and there is none here.",
    "SHELL": "It is about the shell, and a job needs none.",
    "PATH": "It is about the shell, and a job needs none.",
    "HOME": "It is about the shell, and a job needs none.",
    "LOGNAME": "It is about the shell, and a job needs none.",
    "CRON_TZ": "It is the time zone of the jobs below.",
    "TZ": "It is the commands' clock, and not that of the schedule. Jobs have the project's; it is left out.",
    "RANDOM_DELAY": "Nodes begin in time; a job's jitter has it begun later.",
    "START_HOURS_RANGE": "It is about machines that are switched off, and is left out.",
}


@dataclass
class _State:
    """What the lines until here have set."""

    timezone: str
    is_system: bool
    #: What holds where no line says another.
    given_timezone: str = ""
    comment: str = ""
    #: The variables that are neither cron's nor the shell's.
    names: list[str] = field(default_factory=list)
    settings: str = ""
    keys: dict[str, int] = field(default_factory=dict)
    locks: dict[str, int] = field(default_factory=dict)


def read(given: Given) -> Iterator[Planned]:
    """Yield what becomes of each line that is neither blank nor a remark."""
    return read_lines(_text(given.where), given.timezone, given.is_system or _is_system(given.where))


def read_lines(text: str, timezone: str = "", is_system: bool = False) -> Iterator[Planned]:
    """Do the same for the ``text`` of a crontab, of a machine in ``timezone`` (empty: the project's)."""
    state = _State(timezone, is_system, timezone)
    # Not splitlines(): cron's lines end with a newline alone.
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip(" \t\r")
        if not line or line.startswith("#"):
            state.comment = _readable(line.lstrip("# \t"))
            continue
        if found := _VARIABLE.fullmatch(line):
            yield _variable(found[2], _unquoted(found[3]), number, state)
        else:
            yield _job(line, number, state)
        state.comment = ""


def _variable(name: str, value: str, number: int, state: _State) -> Planned:
    becomes = VARIABLES.get(name, "It is for the jobs below.")
    if name == "CRON_TZ":
        state.timezone = value or state.given_timezone
    elif name == "DJANGO_SETTINGS_MODULE":
        state.settings = value
    elif name not in VARIABLES:
        state.names.append(name)
    # Its value may be a secret.
    shown = f"{name}={value}" if name in VARIABLES else f"{name}=…"
    return Planned(TITLE, f"line {number}, {shown}", None, becomes)


def _readable(text: str) -> str:
    """Return the text with a mark for each byte that is no UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _job(line: str, number: int, state: _State) -> Planned:
    shown = _readable(line if len(line) <= SHOWN else line[: SHOWN - 1] + "…")
    plan = Plan(TITLE, f"line {number}, {shown}")
    if _readable(line) != line:
        plan.problems.append("It is not in UTF-8: convert a copy, as by `iconv -f LATIN1 -t UTF-8`, and import that.")
        return plan.done()
    schedule, rest = _schedule(line)
    command, given_input = _input(_without_user(rest, plan, state))
    if not plan.problems and (problem := _no_line(schedule, command)):
        plan.problems.append(problem)
    if plan.problems:
        return plan.done()
    call = commands.read(command)
    if given_input:
        call.problems.append("What stands behind % is its input, and a job has none.")
    if state.settings:
        call.problems += commands.other_settings(state.settings)
    if call.is_tick:
        return Planned(TITLE, plan.name, None, "It is a node's own line, and stays.")
    plan.problems += call.problems
    plan.notes += call.notes
    if call.problems and not state.is_system:
        plan.problems += _user_hint(command)
    if not plan.problems:
        return _known(plan, schedule, call, number, state)
    return plan.done()


def _no_line(schedule: str, command: str) -> str:
    """Say why these can't be a line that runs now and then; nothing if they can."""
    if schedule.lower() == "@reboot":
        return "It is about the start of one machine, and so it stays there."
    if _FIELD.match(command):
        return "It has more than five fields, as some other programs than cron take. Write five."
    return "" if command else "It is no line of a crontab: five fields, or a word as @daily, and a command."


def _user_hint(command: str) -> list[str]:
    """Say how a line is read that says as which user it runs, if it would call something without its first word."""
    user, *rest = command.split(maxsplit=1)
    if not rest or not _USER.fullmatch(user) or commands.read(rest[0]).problems:
        return []
    return [f"If {user} is the user as which it runs, as in /etc/crontab, say --system."]


def _without_user(rest: str, plan: Plan, state: _State) -> str:
    """Return what stands behind the user, where there is one."""
    if not state.is_system:
        if re.match(r"root\s", rest):
            plan.problems.append("It seems to say as which user it runs: say --system.")
        return rest
    user, rest = [*rest.split(maxsplit=1), "", ""][:2]
    plan.notes.append(f"It ran as {user}: nodes run it as their own user.")
    if not _USER.fullmatch(user):
        plan.problems.append(f"There is no user in it, but {user!r}: leave --system out if it is somebody's own.")
    return rest


def _known(plan: Plan, schedule: str, call: Call, number: int, state: _State) -> Planned:
    plan.key = " ".join(filter(None, [schedule, state.timezone, shlex.join(call.words)]))
    if (first := state.keys.setdefault(plan.key, number)) != number:
        return Planned(TITLE, plan.name, None, f"It is the same as line {first}, and one job.")
    plan.name = " ".join(call.words)
    plan.columns = {
        "function": FUNCTION,
        "args": call.words,
        "schedule": schedule,
        "timezone": state.timezone,
        "description": state.comment,
    }
    if call.timeout is not None:
        plan.columns["timeout"] = call.timeout
    for lock in call.locks:
        if (first := state.locks.setdefault(lock, number)) != number:
            plan.notes.append(
                f"Line {first} takes the lock {lock}, too: to keep the two apart, put both jobs into a group."
            )
    if state.names:
        plan.notes.append(f"It had {', '.join(state.names)} in its environment: have the nodes have it, if it counts.")
        # Once is enough: lines that set variables say themselves that they are for all below.
        state.names.clear()
    return plan.done()


def _schedule(line: str) -> tuple[str, str]:
    """Return the schedule of the line, and what stands behind it."""
    # A dash before it keeps some crons from logging.
    line = line.removeprefix("-")
    count = FIELDS if not line.startswith("@") else 2 if line.lower().startswith("@every ") else 1
    words = line.split(maxsplit=count)
    return " ".join(words[:count]), words[count] if len(words) > count else ""


def _input(rest: str) -> tuple[str, str]:
    r"""Return the command, and what cron hands it as input: what stands behind the first ``%`` that is no ``\%``."""
    found = re.search(r"(?<!\\)%", rest)
    command, text = (rest[: found.start()], rest[found.end() :]) if found else (rest, "")
    return command.replace(r"\%", "%").strip(), text.strip(" %")


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _is_system(where: str) -> bool:
    path = Path(where)
    return (path.parent.name, path.name) == ("etc", "crontab") or path.parent.name == "cron.d"


def _text(where: str) -> str:
    """Return the crontab; a byte that is no UTF-8 becomes a surrogate, as Python has it."""
    return _bytes(where).decode("utf-8-sig", errors="surrogateescape")


def _bytes(where: str) -> bytes:
    if where == "-":
        return stdin()
    try:
        if where:
            return Path(where).read_bytes()
        done = subprocess.run(["crontab", "-l"], capture_output=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        what = f"There is no file {where!r}" if where else "There is no program crontab here"
        raise NothingToRead(f"{what}. Name a file with the crontab, or - for stdin.") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NothingToRead(f"The crontab can't be read: {error}") from None
    if done.returncode:
        raise NothingToRead(f"crontab -l says: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
