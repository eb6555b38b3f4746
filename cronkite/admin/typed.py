"""How does a person name a management command, and what does the job's row say then?

In the box for the function, as at a command line: ``manage.py report --days 3``. The row has the function that calls
commands, and the command's name and arguments as its arguments, before those that are in their own box.
"""

from __future__ import annotations

import json
import re
import shlex

from cronkite.code import commands

#: What stands before a command's name, at a command line or in a crontab.
_PROGRAM = re.compile(r"\s*(?:\S*python[\d.]*\s+)?\S*manage\.py\s+(?=\S)")


def line(name: str) -> str:
    """Return how a command is offered."""
    return f"manage.py {name}"


def is_line(function: str) -> bool:
    """Whether a command was typed in the place of a function."""
    return _PROGRAM.match(function) is not None


def translated(function: str, args: str, command: str = "") -> tuple[str, str]:
    """Return the function and the arguments, as JSON, that are meant by what was typed into their boxes.

    ``command`` is the one that the job has: where the arguments begin with it, they are those of before, of which it is
    replaced, or all, if more was typed than a name. What is no command, or can't be read, is returned as it is.

    >>> translated("manage.py report --days 3", '["north"]')
    ('cronkite.commands.call', '["report", "--days", "3", "north"]')
    >>> translated("manage.py report", '["clearsessions"]', command="clearsessions")
    ('cronkite.commands.call', '["report"]')
    >>> translated("manage.py report --days 3", '["report", "--days", "1"]', command="report")
    ('cronkite.commands.call', '["report", "--days", "3"]')
    >>> translated("shop.crontab.bill", "[]"), translated("manage.py report", "[")
    (('shop.crontab.bill', '[]'), ('manage.py report', '['))
    """
    found = _PROGRAM.match(function)
    if not found or commands.line_problem(function):
        return function, args
    try:
        words, rest = shlex.split(function[found.end() :]), json.loads(args if args.strip() else "[]")
    except (ValueError, RecursionError):
        return function, args
    if not isinstance(rest, list) or not words:
        return function, args
    if command and rest[:1] == [command]:
        rest = rest[1:] if words[1:] == [] else []
    return commands.CALL, json.dumps([*words, *rest], ensure_ascii=False)
