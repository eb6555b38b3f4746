"""How is something said to a person at a terminal, or to a program?"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.management.color import Style
from django.core.serializers.json import DjangoJSONEncoder

from cronkite.runs import capture

#: What stands where there is nothing.
NOTHING = "-"
#: What stands where something was cut off.
CUT, CUT_IN_ASCII = "…", "~"
GAP = "  "
#: How far what is said below a row is indented.
BELOW = "    "
#: A column is not made narrower than this to fit, if the others can give.
NARROWEST = 8

Paint = Callable[[str], str]


class Unwritable(Exception):
    """What was asked for could not be written, as the disk is full, say; the message tells why."""


@dataclass(frozen=True)
class Cell:
    """A text of a table, and the name of the style (of Django's) that it is shown in.

    ``more`` is said behind it, after ``joint``, or at a terminal, which has no room for that, below its row.
    """

    text: str
    style: str = ""
    more: str = ""
    joint: str = ": "


@dataclass(frozen=True)
class Terminal:
    """Where a command writes to: ``out`` for what was asked for, ``err`` for what is said about it."""

    out: OutputWrapper
    err: OutputWrapper
    style: Style
    #: Whether colours are wanted wherever the output goes.
    force_color: bool = False

    def say(self, text: str = "", style: str = "") -> None:
        """Write a line, or several; nothing in them moves the cursor."""
        self._write(self.painted(self.encodable(_printable_lines(text)), style))

    def note(self, text: str) -> None:
        """Write a line that is no part of what was asked for."""
        self.err.write(_printable_lines(text), self.plain)

    def finish(self) -> None:
        """Have what was said arrive, before the exit code is given; raises :class:`Unwritable`.

        Where nobody reads any more, as behind ``| head``, the rest is for nobody, and that is no error.
        """
        self._put(self.out.flush)

    def json(self, value: Any) -> None:
        """Write a value for programs."""
        text = json.dumps(value, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
        if self.encodable(text) != text:
            # JSON has escapes of its own.
            text = json.dumps(value, cls=DjangoJSONEncoder, indent=2)
        self._write(text)

    def program(self, text: str) -> None:
        """Write a text for programs, as it is: lines that end, in letters that are :meth:`encodable`."""
        self._put(lambda: self.out.write(text, ending=""))

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str | Cell]], yielding: Collection[str] = ()) -> None:
        """Write rows as aligned columns; at a terminal they are cut to fit, those with the ``yielding`` heads first."""
        room = self.width()
        cells = [[self._clean(cell if isinstance(cell, Cell) else Cell(cell)) for cell in row] for row in rows]
        cut = CUT if self.encodable(CUT) == CUT else CUT_IN_ASCII
        # Where all there is to say stands below, a column has nothing left.
        kept = [n for n in range(len(heads)) if not cells or any(row[n].text for row in cells)]
        columns = [[heads[n], *(row[n].text or NOTHING for row in cells)] for n in kept]
        giving = [place for place, n in enumerate(kept) if heads[n] in yielding]
        widths = fitted([max(map(width, column)) for column in columns], room, giving)
        for row in [[Cell(head, "MIGRATE_HEADING") for head in heads], *cells]:
            shown = [
                self.painted(padded(row[n].text or NOTHING, wide, cut), row[n].style)
                for n, wide in zip(kept, widths, strict=True)
            ]
            self._write(GAP.join(shown).rstrip())
            for cell in row:
                if cell.more:
                    self.say(
                        textwrap.fill(cell.more, room or 0, initial_indent=BELOW, subsequent_indent=BELOW), cell.style
                    )

    def width(self) -> int | None:
        """Return how many columns a line has, or ``None`` where nobody looks, and nothing has to be cut."""
        return shutil.get_terminal_size().columns if self.out.isatty() else None

    def painted(self, text: str, style: str) -> str:
        """Return the text in a style, if the output goes to where colours are seen."""
        if not style or not (self.force_color or self.out.isatty()):
            return text
        paint: Paint = getattr(self.style, style)
        return paint(text)

    def encodable(self, text: str) -> str:
        """Return the text as it can be written: where that is in ASCII, with escapes for the rest."""
        return capture.encodable(text, getattr(self.out, "encoding", None))

    def _write(self, text: str) -> None:
        self._put(lambda: self.out.write(text))

    def _put(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            _hang_up()
        except OSError as error:
            _hang_up()
            raise Unwritable(f"The output cannot be written: {error.strerror or error}.") from error

    def _clean(self, cell: Cell) -> Cell:
        """Return the cell as it can be shown; where lines are as long as one likes, all of it in one."""
        text, more = (self.encodable(printable(each)) for each in (cell.text, cell.more))
        if self.width() is None:
            return Cell(cell.joint.join(filter(None, [text, more])), cell.style)
        return Cell(text, cell.style, more)

    @staticmethod
    def plain(text: str) -> str:
        """Return the text as it is: a style that is none."""
        return text


def _hang_up() -> None:
    """Have what is left in the buffer go nowhere, as the interpreter writes it once more when it ends."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def printable(text: str) -> str:
    """Return a text of one line in which nothing can move the cursor: a job's name is what anybody may have entered.

    >>> printable("night\\x1b[2Jly\\n")
    'night\\\\x1b[2Jly\\\\n'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    >>> width("äöü"), width("日本")
    (3, 4)
    """
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def padded(text: str, wide: int, cut: str = CUT) -> str:
    """Return the text, cut or filled up to ``wide`` columns.

    >>> padded("nightly", 5), padded("ok", 5), padded("日本語", 4)
    ('nigh…', 'ok   ', '日… ')
    """
    if width(text) > wide:
        while width(text) > wide - 1:
            text = text[:-1]
        text += cut
    return text + " " * (wide - width(text))


def fitted(widths: Sequence[int], room: int | None, yielding: Collection[int] = ()) -> list[int]:
    """Return the widths of columns that fit into ``room``, by taking from the widest as long as that helps.

    The ``yielding`` columns give what they can before the others have to.

    >>> fitted([4, 50, 30], None), fitted([4, 50, 30], 60), fitted([4, 50, 30], 60, [2])
    ([4, 50, 30], [4, 26, 26], [4, 44, 8])
    """
    found = list(widths)
    if room is None:
        return found
    room -= len(GAP) * (len(found) - 1)
    for columns in (yielding, range(len(found))):
        while sum(found) > room and columns and max(found[n] for n in columns) > NARROWEST:
            found[max(columns, key=lambda n: found[n])] -= 1
    return found
