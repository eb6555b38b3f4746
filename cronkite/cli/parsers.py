"""How do subcommands come to their arguments without being imported before they are asked for?"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from types import ModuleType
from typing import Any

from django.core.management.base import CommandParser

from cronkite.cli import COMMANDS


class SubcommandParser(CommandParser):
    """A subcommand's parser, which asks the subcommand's module for its arguments when it has something to parse."""

    def __init__(self, *, subcommand: str, **kwargs: Any) -> None:
        super().__init__(formatter_class=RawDescriptionHelpFormatter, **kwargs)
        self._subcommand = subcommand
        self._is_complete = False

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Complete the parser, and parse."""
        if not self._is_complete:
            self._is_complete = True
            module = of(self._subcommand)
            self.description = module.__doc__
            module.add_arguments(self)
            _add_everyones(self)
        return super().parse_known_args(args, namespace)


def add_subcommands(parser: ArgumentParser) -> None:
    """Let ``parser`` take a subcommand, or none."""
    known = parser.add_subparsers(
        dest="subcommand", metavar="COMMAND", title="commands", parser_class=SubcommandParser, required=False
    )
    for name, words in COMMANDS.items():
        known.add_parser(name, help=words, subcommand=name)


def of(subcommand: str) -> ModuleType:
    """Return the module of a subcommand."""
    return import_module(f"cronkite.cli.{subcommand}{'_' if iskeyword(subcommand) else ''}")


def _add_everyones(parser: ArgumentParser) -> None:
    """Add what each command of Django's takes, which may then stand behind the subcommand, too."""
    group = parser.add_argument_group("options of every command")
    # Not given here, none of them may undo what was given before the subcommand.
    absent: dict[str, Any] = {"default": argparse.SUPPRESS}
    group.add_argument("-v", "--verbosity", type=int, choices=[0, 1, 2, 3], help="how much to say", **absent)
    group.add_argument("--settings", metavar="MODULE", help="the settings to use, as in project.settings", **absent)
    group.add_argument("--pythonpath", metavar="FOLDER", help="a folder to find modules in", **absent)
    group.add_argument("--traceback", action="store_true", help="show where an error comes from", **absent)
    group.add_argument("--skip-checks", action="store_true", help="do without the system checks", **absent)
    group.add_argument("--no-color", action="store_true", help="use no colours", **absent)
    group.add_argument(
        "--force-color", action="store_true", help="use colours even where nobody may see them", **absent
    )
