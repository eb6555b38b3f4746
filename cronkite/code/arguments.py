"""Do a job's arguments fit what it runs?

Those of a function are held against its signature, and those of a management command are read by the command's own
parser, which is kept from what it does at a command line: to write, to end the process, and to open files.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from django.core import management
from django.core.management.base import BaseCommand, CommandError
from django.db import connections, transaction

from cronkite.code import calls, commands, modules, trials
from cronkite.exceptions import FunctionError, HarmfulModule

#: How a module is imported.
Load = Callable[[str], ModuleType]

#: What Django gives each command, and nobody need be told of each time.
_COMMON = frozenset(
    ["help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color", "skip_checks"]
)
#: What only ``manage.py`` heeds, before the command begins: the process that runs a job has begun long ago.
_OF_THE_PROCESS = {"settings": "--settings", "pythonpath": "--pythonpath"}


#: The parsers that were built, by the names of their commands, where they are kept.
_NONE: dict[str, argparse.ArgumentParser] = {}
_kept: ContextVar[dict[str, argparse.ArgumentParser]] = ContextVar("_kept", default=_NONE)


class Unfit(Exception):
    """The command can't be called so; the message is a sentence or two for people."""


@dataclass(frozen=True)
class Usage:
    """What a command takes, as its parser writes it, and the first line of what it says of itself."""

    line: str
    doc: str


def problem(dotted: str, function: Any, args: Any, kwargs: Any) -> str | None:
    """Return why what ``dotted`` leads to, which is ``function``, can't be called so; ``None`` if it can.

    A command is neither run nor imported without having been tried apart: this is for processes that have other things
    to do, such as a web server.
    """
    if dotted.partition(" ")[0] != commands.CALL:
        return calls.signature_problem(function, args, kwargs)
    try:
        parse(args, kwargs, briefly)
    except (FunctionError, Unfit) as error:
        return str(error)
    return None


def briefly(module: str) -> ModuleType:
    """Return the module, after its import was tried apart for as long as somebody waits."""
    return trials.load(module, trials.BRIEF)


@contextmanager
def building_once() -> Iterator[None]:
    """Have each command's parser be built once during the block, where the arguments of many jobs are judged."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def parse(args: Any, kwargs: Any, load: Load = modules.load) -> argparse.Namespace:
    """Return what the command's own parser makes of the arguments; the command is not run.

    Raises :class:`FunctionError` for a command that may not be run here, or is not there, and :class:`Unfit` for
    arguments that it does not take, or only to show something, and for a parser that can't be built.
    """
    if said := commands.shape_problem(args, kwargs):
        raise Unfit(said)
    name, *rest = args
    kept = _kept.get()
    parser = kept.get(name) or _parser(name, load)
    if kept is not _NONE:
        kept[name] = parser
    with _harmless(parser):
        try:
            found = parser.parse_args(rest)
        except _Shows:
            raise Unfit(
                f"With these arguments, the command {name!r} only shows something, and does nothing: leave out --help "
                "and --version."
            ) from None
        except CommandError as error:
            raise Unfit(_misfit(name, error)) from None
        except (Exception, SystemExit) as error:
            raise Unfit(f"The command {name!r} cannot read its arguments: {modules.said(error)}") from error
    if getattr(found, "force_color", False) and getattr(found, "no_color", False):
        raise Unfit("Leave out --force-color or --no-color: they can't be used together.")
    for dest, option in _OF_THE_PROCESS.items():
        if getattr(found, dest, None):
            raise Unfit(f"Leave out {option}: it has no effect, as a job runs with the settings of its node.")
    return found


def usage(name: str, load: Load = briefly) -> Usage:
    """Return what the command takes beside what all commands take. Raises what :func:`parse` raises."""
    parser = _parser(name, load)
    with _harmless(parser):
        try:
            own = [action for action in parser._actions if action.dest not in _COMMON]  # noqa: SLF001 - no other way
            formatter = argparse.HelpFormatter(prog=f"manage.py {name}", width=10_000)
            if hasattr(formatter, "_set_color"):  # Python 3.14 colours it where it takes stdout for a terminal
                formatter._set_color(False)  # noqa: SLF001
            groups = [group for group in parser._mutually_exclusive_groups if {*group._group_actions} <= {*own}]  # noqa: SLF001
            formatter.add_usage(None, own, groups, prefix="")
            line = " ".join(formatter.format_help().split())
        except (Exception, SystemExit) as error:
            raise Unfit(_unbuilt(name, error)) from error
    return Usage(line, str(parser.description or "").strip().partition("\n")[0])


def _parser(name: str, load: Load) -> argparse.ArgumentParser:
    commands.demand(name)
    app = management.get_commands()[name]
    try:
        command = app if isinstance(app, BaseCommand) else _load(name, load)
    except Exception as error:
        why = error.deed if isinstance(error, HarmfulModule) else modules.said(error)
        raise Unfit(f"The command {name!r} cannot be imported here: {why}") from error
    if inspect.iscoroutinefunction(command.handle):
        raise Unfit(
            f"The command {name!r} cannot be run: its handle() is async, and Django awaits none. Have it call "
            "asgiref.sync.async_to_sync() of what is."
        )
    try:
        with _silence(), _savepoints():
            return command.create_parser("manage.py", name)
    except (Exception, SystemExit) as error:
        raise Unfit(_unbuilt(name, error)) from error


def _load(name: str, load: Load) -> BaseCommand:
    command = load(commands.module(name)).Command()
    if not isinstance(command, BaseCommand):
        raise TypeError("its Command is no management command")
    return command


def _unbuilt(name: str, error: BaseException) -> str:
    return f"What the command {name!r} takes cannot be told here: {modules.said(error)}"


def _misfit(name: str, error: CommandError) -> str:
    said = modules.text(error).removeprefix("Error: ").rstrip(".")
    return f"The arguments do not fit the command {name!r}: {said}."


class _Shows(Exception):
    """The parser was told to show something and to end the process."""


@contextmanager
def _harmless(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Have the parser, and those in it, judge and nothing else. It is of no use afterwards."""
    for each in _all(parser):
        each.exit = _exit  # type: ignore[method-assign, assignment]
        each._print_message = _say_nothing  # type: ignore[method-assign, assignment]  # noqa: SLF001
        for action in each._actions:  # noqa: SLF001
            if isinstance(action.type, argparse.FileType):
                # It would open the file, and empty one that is to be written.
                action.type = str
        each.color = False  # type: ignore[attr-defined, unused-ignore]
    with _silence(), _savepoints():
        yield


def _all(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for each in {id(each): each for each in action.choices.values()}.values():
                yield from _all(each)


def _exit(status: int = 0, message: str | None = None) -> None:
    if status:
        raise CommandError((message or "").strip())
    raise _Shows


def _say_nothing(*_: object) -> None:
    """Let nothing out."""


@contextmanager
def _savepoints() -> Iterator[None]:
    """Have a query that fails, of a parser that asks a database, break no transaction of the caller's."""
    with ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block and not connection.needs_rollback:
                stack.enter_context(transaction.atomic(using=connection.alias))
        yield


class _Muted:
    """A stream that drops what this thread writes, while it is told to, and passes on all else."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.thread: int | None = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self.thread:
            self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what this thread writes to stdout and stderr meanwhile."""
    before = sys.stdout, sys.stderr
    muted = _Muted(before[0]), _Muted(before[1])
    sys.stdout, sys.stderr = muted
    try:
        yield
    finally:
        # Where threads do so at once, one may be put back by another, and must write again.
        for each in muted:
            each.thread = None
        sys.stdout, sys.stderr = before
