"""What went wrong with a run, in one line? The exception's own line, or else the reason."""

from __future__ import annotations

import re

from django.db.models import CharField, QuerySet
from django.db.models.functions import Left, Right

from cronkite.admin import ansi
from cronkite.models import Log

#: How much of a traceback's end, and of a reason's beginning, lists read: characters.
TAIL, HEAD = 3000, 300
#: How long the line is that a list shows.
LONGEST = 160

#: A frame of a traceback, and the lines of code, marks and repetitions below it.
_FRAMES = re.compile(r'^  File ".*\n(?:^ {4}.*(?:\n|\Z)|^  \[Previous line.*(?:\n|\Z))*', re.MULTILINE)
#: The lines of code below a frame whose own line was cut off.
_CODE = re.compile(r"^ {4}(?! *[|+]).*\n", re.MULTILINE)
#: What names a group of exceptions that is no other's member: it stands the least far to the right.
_GROUP = re.compile(r"^  \| (\S.* \(\d+ sub-exceptions?\))$", re.MULTILINE)
#: What stands in the place of members that are not shown, and the rule above it.
_REST = re.compile(r"and \d+ more exceptions?|\.\.\. -+")
#: What leads the lines of an exception group, and the rules between its members.
_LEADING = re.compile(r"^[ |+-]+")


def with_ends(logs: QuerySet[Log]) -> QuerySet[Log]:
    """Give each log what :func:`line` needs, without the long texts: ``tail`` and ``head``."""
    return logs.annotate(
        tail=Right("exc_info", TAIL, output_field=CharField()), head=Left("reason", HEAD, output_field=CharField())
    )


def line(status: str, traceback: str, reason: str) -> str:
    """Return what went wrong: of a traceback, or its end, the exception; else the reason, unless all is well."""
    found = exception(traceback)
    if not found and status != Log.Status.SUCCEEDED:
        found = reason.strip().partition("\n")[0]
    return found if len(found) <= LONGEST else f"{found[:LONGEST]}…"


def exception(traceback: str) -> str:
    """Return the line of a traceback, or of its end, that names the exception: the first one below the last frame.

    Of a group of exceptions, the one that names the group; where that was cut off, the last one that names a member.
    """
    text = ansi.strip(traceback)
    if groups := _GROUP.findall(text):
        return str(groups[-1])
    end = _last_end(_FRAMES, text) or _last_end(_CODE, text)
    if end and (below := text[end:].strip()):
        return below.partition("\n")[0].strip()
    for each in reversed(text.splitlines()):
        bare = _LEADING.sub("", each).strip()
        if bare and not _REST.fullmatch(bare):
            return bare
    return ""


def _last_end(pattern: re.Pattern[str], text: str) -> int:
    return max((found.end() for found in pattern.finditer(text)), default=0)
