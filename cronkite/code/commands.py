"""Which management commands may be jobs?

A job that runs one has the function :data:`CALL`, and its arguments are the command's name and then its own arguments,
as on the command line. Nothing is imported here: a command is judged by its name, and by the app that has it.
"""

from __future__ import annotations

import difflib
import re
import shlex
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core import management

from cronkite import conf
from cronkite.exceptions import FunctionError, FunctionNotAllowed, FunctionNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The function that calls a command; see :mod:`cronkite.commands`.
CALL = "cronkite.commands.call"
#: Of Django's own commands, the one that is allowed without being named: it has to be run now and then.
USUAL = frozenset({"clearsessions"})
#: How much of a command's name is shown, in characters.
LONGEST = 100

_SETTING = "CRONKITE_ALLOWED_COMMANDS"
#: What has no meaning but to a shell, outside of quotes.
_FOR_A_SHELL = re.compile(r"[;&|<>`]|\$(?=[\w({])")
_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""")


def named(function: str, args: Any) -> str:
    """Return the name of the command that a job with this function and these arguments runs; nothing if it runs none.

    >>> named("cronkite.commands.call", ["clearsessions"]), named("shop.crontab.bill", ["clearsessions"])
    ('clearsessions', '')
    """
    return args[0] if function == CALL and isinstance(args, list) and args and isinstance(args[0], str) else ""


def callee(function: str, args: Any) -> str:
    """Return the text by which :mod:`cronkite.code.functions` finds and judges what a job runs.

    That is the function's dotted name and, if a command is called, the command's behind it.

    >>> callee("cronkite.commands.call", ["clearsessions"]), callee("shop.crontab.bill", [])
    ('cronkite.commands.call clearsessions', 'shop.crontab.bill')
    """
    return f"{function} {command}" if (command := named(function, args)) else function


def home(callee: str) -> str:
    """Return what is imported for such a text: the function's module or, if a command is called, that command.

    >>> home("cronkite.commands.call clearsessions"), home("shop.crontab.bill")
    ('cronkite.commands.call clearsessions', 'shop.crontab')
    """
    return callee if " " in callee else callee.rpartition(".")[0]


def of(callee: str) -> str:
    """Return the name of the command that such a text has, or nothing."""
    function, _, command = callee.partition(" ")
    return command if function == CALL else ""


def shown(callee: str) -> str:
    """Return how people read such a text.

    >>> shown("cronkite.commands.call clearsessions"), shown("shop.crontab.bill")
    ('manage.py clearsessions', 'shop.crontab.bill')
    """
    return f"manage.py {command[:LONGEST]}" if (command := of(callee)) else callee


def line_problem(line: str) -> str:
    """Say why a command line, as somebody has typed it, can't be read here, where no shell does; or nothing.

    >>> line_problem("manage.py report > report.txt")
    "No shell reads it, which '>' would be for: leave that out, or put it in quotes if it is an argument."
    >>> line_problem("manage.py report --title 'a > b'"), line_problem("manage.py report 'north")
    ('', 'It cannot be read: No closing quotation.')
    """
    try:
        shlex.split(line)
    except ValueError as error:
        return f"It cannot be read: {error}."
    if found := _FOR_A_SHELL.search(_QUOTED.sub("", line)):
        return (
            f"No shell reads it, which {found[0]!r} would be for: leave that out, or put it in quotes if it is an "
            "argument."
        )
    return ""


def shape_problem(args: Any, kwargs: Any) -> str:
    """Say why these can't be a command and its arguments, whichever commands there are; or nothing."""
    if kwargs:
        first = str(next(iter(kwargs))) if isinstance(kwargs, dict) else "days"
        option = f"--{first.replace('_', '-')}"
        return (
            "A command takes no keyword arguments. Write its options among the arguments, as on the command line: "
            f'["{named(CALL, args) or "clearsessions"}", "{option}", "..."].'
        )
    if not isinstance(args, (list, tuple)) or not args:
        return 'Name the command, and then its arguments, as in ["clearsessions"].'
    for value in args:
        if not isinstance(value, str):
            return f'A command takes texts, as on the command line: write "{value}", with quotation marks.'
    return "" if args[0] else 'The name of the command is empty. Write it first, as in ["clearsessions"].'


def demand(name: str) -> None:
    """Raise :class:`FunctionNotFound` if there is no such command here, :class:`FunctionNotAllowed` if it may not be
    run as a job. The message is a sentence or two for people."""
    app = management.get_commands().get(name)
    if app is None:
        near = difflib.get_close_matches(name, names(), n=1)
        advice = f" Did you mean {near[0]!r}?" if near else ""
        raise FunctionNotFound(f"There is no management command {name[:LONGEST]!r} on this node.{advice}")
    if _is_ours(name, app):
        raise FunctionNotAllowed(
            f"The command {name!r} is refused: it is what runs the jobs, and can't be one of them. To have logs "
            "deleted, set CRONKITE_LOG_MAX_DAYS."
        )
    settings = conf.get()
    if _is_allowed(name, app, settings):
        return
    if not settings.allows_commands_of_apps:
        replaced = "" if _is_djangos(name, app) else f' To allow those of installed apps beside it, add "{_RULE}".'
        raise FunctionNotAllowed(
            f"The command {name!r} is refused: nothing in {_SETTING} matches it. Add the name there if it may be run "
            f"as a job.{replaced}"
        )
    patterns = ", ".join(f'"{each}"' for each in [*settings.allowed_commands, name])
    whose = "one of Django's own" if _is_djangos(name, app) else "of no installed app"
    raise FunctionNotAllowed(
        f"The command {name!r} is refused: it is {whose}. If it may be run as a job, allow it, too: "
        f"{_SETTING} = [{patterns}]."
    )


def refusal(name: str) -> str:
    """Say why no job may run the command, or nothing."""
    try:
        demand(name)
    except FunctionError as error:
        return str(error)
    return ""


def module(name: str) -> str:
    """Return the module of a command that there is; nothing if a project has put the command itself in its place."""
    return _module(name, management.get_commands()[name])


def _module(name: str, app: Any) -> str:
    return f"{app}.management.commands.{name}" if isinstance(app, str) else ""


def names() -> list[str]:
    """Return the names of the commands that may be jobs here; nothing is imported for it."""
    settings = conf.get()
    return sorted(
        name
        for name, app in management.get_commands().items()
        if not _is_ours(name, app) and _is_allowed(name, app, settings)
    )


_RULE = conf.DEFAULT_RULE


def _is_ours(name: str, app: Any) -> bool:
    """Whether it is ``manage.py cron``: a tick within a run would claim jobs that others are to have."""
    return name == "cron" and _app_name(app) == "cronkite"


def _is_allowed(name: str, app: Any, settings: conf.Conf) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in settings.allowed_commands if pattern != _RULE):
        return True
    return settings.allows_commands_of_apps and (name in USUAL or not _is_djangos(name, app))


def _is_djangos(name: str, app: Any) -> bool:
    """Whether Django has a command of that name: whoever has put another in its place has it do as much, and more."""
    return _is_django(_app_name(app)) or name in _names_of_django(
        tuple(config.path for config in apps.get_app_configs() if _is_django(config.name))
    )


@lru_cache(maxsize=4)
def _names_of_django(paths: Iterable[str]) -> frozenset[str]:
    found = set(management.find_commands(management.__path__[0]))
    for path in paths:
        found.update(management.find_commands(f"{path}/management"))
    return frozenset(found)


def _is_django(app: str) -> bool:
    return f"{app}.".startswith("django.")


def _app_name(app: Any) -> str:
    """Return the name of the app; a project may have put a command itself in its place."""
    return app if isinstance(app, str) else type(app).__module__
