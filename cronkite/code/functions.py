"""Which function a dotted name means, if it may be run at all.

A job's row names code to call, so the right to edit jobs must not become the right to run anything. A name is
therefore judged twice: before the import, because to import a module is to run it, and after it, because a permitted
module also holds what it has imported itself (``app.crontab.system`` after ``from os import system``).
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from django.apps import apps

from cronkite import conf
from cronkite.code import calls, commands, modules, trials
from cronkite.exceptions import FunctionError, FunctionNotAllowed, FunctionNotFound, HarmfulModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

#: The length of the column that holds a dotted name, in characters.
LONGEST_NAME = 255
#: More layers than any decorated function has; it ends the search in objects that invent attributes.
MOST_WRAPPERS = 100

#: What may be run whatever the patterns are: it does only what another setting asks for, or another job's function.
OWN = frozenset(
    {
        commands.CALL,
        "cronkite.crontab.prune_logs",
        "cronkite.importing.classes.do",
        "cronkite.tasks.run",
        "cronkite.tasks.run_by_celery",
    }
)

_SETTING = "CRONKITE_ALLOWED_FUNCTIONS"
#: What stands before a command's name, at a command line.
_COMMAND_LINE = re.compile(r"\s*(?:\S*python[\d.]*\s+)?(?:\S*manage\.py(?:\s+|$)|\S*django-admin\s+|-m\s+django\s+)")


def resolve(dotted: str) -> Callable[..., Any]:
    """Return the function, or the task of a task queue, that ``module.path.name`` leads to; :mod:`cronkite.code.calls`
    knows how to call both.

    Behind the name of the function that calls management commands may stand that of a command, as in
    :func:`cronkite.code.commands.callee`, which is judged, too, and imported: what this node can't have, another may.

    Raises :class:`FunctionNotAllowed` if it may not be run here nor on any node with these settings,
    :class:`FunctionNotFound` if this node cannot import it now. The message is a sentence or two for people.

    The module is imported here and now, whatever that does to this process: for processes that are there for the run.
    """
    function = _resolve(dotted, modules.load)
    if command := commands.of(dotted):
        _import_command(command)
    return function


def look_up(dotted: str) -> Callable[..., Any]:
    """Do what :func:`resolve` does in a process that has other things to do, such as a web server.

    The module's import is tried apart first, for as long as :data:`cronkite.code.trials.BRIEF` says. If it ends the
    process or takes longer, :class:`FunctionNotFound` says so. A command is not imported.
    """
    return _resolve(dotted, lambda module_path: trials.load(module_path, trials.BRIEF))


def refusal(dotted: str) -> str:
    """Say why no function of this name may be run, as far as can be told without importing anything; or nothing."""
    if command := commands.of(dotted):
        return commands.refusal(command)
    try:
        module_path, _ = _split(dotted)
        _refuse_foreign_module(dotted, module_path)
    except FunctionNotAllowed as error:
        return str(error)
    return ""


def try_all(dotted_names: Iterable[str]) -> None:
    """Try the imports of these functions' modules together, so that :func:`look_up` need not do so one by one."""
    found = []
    for dotted in dotted_names:
        with suppress(FunctionNotAllowed):
            module_path, _ = _split(dotted)
            _refuse_foreign_module(dotted, module_path)
            found.append(module_path)
    trials.try_all(found, trials.BRIEF)


def _resolve(dotted: str, load: Callable[[str], ModuleType]) -> Callable[..., Any]:
    if command := commands.of(dotted):
        commands.demand(command)
        dotted = commands.CALL
    module_path, name = _split(dotted)
    _refuse_foreign_module(dotted, module_path)
    module = _import(dotted, module_path, load)
    try:
        target = getattr(module, name)
    except (Exception, SystemExit) as error:  # a module's own __getattr__ may raise anything
        message = f"{dotted!r} was not found: on this node the module {module_path!r} has no {name!r}."
        raise FunctionNotFound(message) from error
    try:
        _refuse_wrong_kind(dotted, target)
        _refuse_foreign_definition(dotted, target)
    except FunctionError:
        raise
    except (Exception, SystemExit) as error:  # an object may raise anything when it is looked into
        raise FunctionNotAllowed(f"{dotted!r} is refused: to look at it raised {modules.said(error)}.") from error
    return target  # type: ignore[no-any-return]


def definition(function: Any) -> Any:
    """Return what lies inside all wrappers: partials, decorators that use ``functools.wraps``, methods and tasks.

    Raises ``ValueError`` if there is no end to them.
    """
    for _ in range(MOST_WRAPPERS):
        wrapped = calls.inner(function)
        if wrapped is None:
            return function
        function = wrapped
    raise ValueError("The wrappers around the function do not end.")


def _split(dotted: str) -> tuple[str, str]:
    """Return the module's path and the function's name; refuse what is no plain, public dotted name."""
    if len(dotted) > LONGEST_NAME:
        raise FunctionNotAllowed(
            f"{dotted[:40] + '...'!r} is refused: it has {len(dotted)} characters, and at most {LONGEST_NAME} fit."
        )
    if command := _COMMAND_LINE.match(dotted):
        _refuse_command_line(dotted, dotted[command.end() :].split()[:1])
    parts = dotted.split(".")
    if parts == [dotted] and dotted in commands.names():
        _refuse_command_line(dotted, [dotted])
    if parts == [dotted] or not all(part.isidentifier() for part in parts):
        raise FunctionNotAllowed(
            f"{dotted!r} is refused: it is no dotted name. Write the module's path, a dot and the function's name, "
            "as in 'app.crontab.send_report'."
        )
    for part in parts:
        if part.startswith("_"):
            raise FunctionNotAllowed(
                f"{dotted!r} is refused: {part!r} is private, because it begins with an underscore. "
                "Give the function a public name."
            )
    return ".".join(parts[:-1]), parts[-1]


def _refuse_command_line(line: str, command: list[str]) -> NoReturn:
    """Refuse what is written as at a command line, with what to write instead."""
    problem = commands.line_problem(line)
    raise FunctionNotAllowed(
        f"{line!r} is a management command, and no function: the function is {commands.CALL!r}, and the arguments are "
        f"the command's name and its own, as in {json.dumps([*(command or ['clearsessions']), '--option'])}."
        f"{problem and ' '}{problem}"
    )


def _refuse_foreign_module(dotted: str, module_path: str) -> None:
    """Refuse, before anything is imported, a module that no job's function can be in."""
    settings = conf.get()
    if (settings.allows_apps and _is_in_an_app(module_path)) or _matches(dotted, settings.allowed_functions):
        return
    if settings.allows_apps:
        raise FunctionNotAllowed(
            f"{dotted!r} is refused: {module_path!r} is not in the package of an installed app. "
            f"Write a function in an app that calls it, or {_addition(dotted)}."
        )
    raise FunctionNotAllowed(
        f"{dotted!r} is refused: nothing in {_SETTING} matches it. Add the name there if it may be run."
        f"{_replaced_rule(module_path)}"
    )


def _addition(dotted: str) -> str:
    """Say how to allow a function without disallowing all others."""
    patterns = [*conf.get().allowed_functions, dotted]
    return f"allow it, too: {_SETTING} = [{', '.join(map(_quoted, patterns))}]"


def _replaced_rule(module_path: str) -> str:
    """Say how what installed apps define may run again, to who has listed something else, and meant to add it."""
    return (
        f' To allow what installed apps define beside it, add "{conf.DEFAULT_RULE}".'
        if _is_in_an_app(module_path)
        else ""
    )


def _quoted(text: str) -> str:
    return f'"{text}"'


def _import(dotted: str, module_path: str, load: Callable[[str], ModuleType]) -> ModuleType:
    """Return the module; whatever its import raises means that this node does not have the function."""
    try:
        return load(module_path)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError):
            _refuse_path_through_a_module(dotted, module_path)
        why = error.deed if isinstance(error, HarmfulModule) else modules.said(error)
        raise FunctionNotFound(f"{dotted!r} cannot be imported here: {why}") from error


def _import_command(name: str) -> None:
    """Import a management command that may be run; raise :class:`FunctionNotFound` if this node can't."""
    try:
        if module := commands.module(name):
            modules.load(module)
    except Exception as error:
        why = error.deed if isinstance(error, HarmfulModule) else modules.said(error)
        raise FunctionNotFound(f"The command {name!r} cannot be imported here: {why}") from error


def _refuse_path_through_a_module(dotted: str, module_path: str) -> None:
    """Refuse ``app.crontab.os.system``: it reaches through a module into what that has imported, or into a class."""
    parts = module_path.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        parent = sys.modules.get(".".join(parts[:depth]))
        if parent is None:
            continue
        if not hasattr(parent, "__path__") or parts[depth] in vars(parent):
            raise FunctionNotAllowed(
                f"{dotted!r} is refused: {parts[depth]!r} is no module of its own in {parent.__name__!r}, and a "
                "job's function must stand in a module itself, not inside something else there."
            )
        return


def _refuse_wrong_kind(dotted: str, target: Any) -> None:
    """Refuse what cannot be called as a job."""
    reason = None
    if inspect.isclass(target):
        reason = "it is a class, not a function"
    elif inspect.ismodule(target):
        reason = "it is a module, not a function in it"
    elif not callable(target) and calls.task_function(target) is None:
        reason = f"it is no function but a value of the type {type(target).__name__!r}"
    elif inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        reason = "it is a generator function: a call would run none of its code"
    if reason:
        raise FunctionNotAllowed(f"{dotted!r} is refused: {reason}.")


def _refuse_foreign_definition(dotted: str, target: Any) -> None:
    """Refuse a function that a permitted module has only imported, or wrapped, from one that is not."""
    if calls.is_mock(target):
        return  # of a test, which has put it in the place of what the name led to
    settings = conf.get()
    if dotted in settings.allowed_functions:
        return  # whoever listed exactly this name means what it leads to
    try:
        defined = definition(target)
    except ValueError as error:
        raise FunctionNotAllowed(f"{dotted!r} is refused. {error}") from None
    if inspect.isclass(defined):
        raise FunctionNotAllowed(f"{dotted!r} is refused: it leads to a class, {defined.__qualname__!r}.")
    # A callable object's module is its class's; built-ins such as [].append have None.
    module_path = getattr(defined, "__module__", None) or "builtins"
    name = f"{module_path}.{getattr(defined, '__qualname__', type(defined).__qualname__)}"
    if (settings.allows_apps and _is_in_an_app(module_path)) or _matches(name, settings.allowed_functions):
        return
    where = (
        "which is not in the package of an installed app"
        if settings.allows_apps
        else f"and {_SETTING} does not have it"
    )
    raise FunctionNotAllowed(
        f"{dotted!r} is refused: what it leads to is defined as {name!r}, {where}. "
        f"Write a function that calls it, or {_addition(dotted)}."
    )


def _is_in_an_app(module_path: str) -> bool:
    """Whether the module belongs to an installed app's package."""
    return any(f"{module_path}.".startswith(f"{app.name}.") for app in apps.get_app_configs())


def _matches(dotted: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns covers the dotted name; case counts, on every system."""
    return dotted in OWN or any(fnmatchcase(dotted, pattern) for pattern in patterns)
