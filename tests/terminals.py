"""Commands as people give them: what they wrote to stdout and stderr, and their exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO

from django.core.management import CommandError, call_command


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def time_of(slot):
    """Return the time of a slot as people type it."""
    return slot.strftime("%Y-%m-%dT%H:%M:%SZ")


def cron(*arguments, out=None):
    """Give ``manage.py cron`` these arguments, in this process."""
    out, err, code = out or StringIO(), StringIO(), 0
    try:
        call_command("cron", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        code = end.code
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    return Said(code, out.getvalue(), err.getvalue())
