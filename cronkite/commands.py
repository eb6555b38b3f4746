"""The function of jobs that run a management command."""

from __future__ import annotations

from typing import Any

from django.core.management import CommandError, call_command

from cronkite.code import arguments as parsers
from cronkite.exceptions import FunctionError


def call(command: str, /, *arguments: str) -> Any:
    """Run a management command as a job, if ``CRONKITE_ALLOWED_COMMANDS`` allows it; return what it returns.

    The job's ``args`` are the command's name and its arguments, texts as on the command line, and it has no ``kwargs``:
    ``["clearsessions"]``, ``["report", "--days", "3"]``. The command runs in the run's own process by Django's
    ``call_command``, so system checks are skipped, and without colours unless ``--force-color`` is among its arguments.

    Raises :class:`django.core.management.CommandError` if the command may not be run, or does not take the arguments,
    before anything of it has run, and whatever it raises: ``SystemExit`` is an end, too.
    """
    try:
        found = parsers.parse([command, *arguments], {})
    except (FunctionError, parsers.Unfit) as error:
        raise CommandError(str(error)) from None
    colours = {} if getattr(found, "force_color", False) else {"no_color": True}
    return call_command(command, *arguments, **colours)
