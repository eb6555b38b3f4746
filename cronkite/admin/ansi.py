"""How is what programs write to a terminal shown on a page? Its colours as classes, all else that steers is left out.

``ESC [ … m`` sets colours and weights (ECMA-48, 8.3.117). The 16 colours that terminals have names for are shown, by a
class for each, as a strict Content-Security-Policy lets no style into the page; others are left out. A carriage return
begins the line anew, as a progress bar does: what is last written of it is shown. What follows a backspace is written
over the letter before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

#: What steers a terminal: titles and links (OSC and its kin, up to their end, or that of the line: some have none), CSI
#: with its parameters, other escapes.
_CONTROL = re.compile(
    r"\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\|(?=\n)|$)"
    r"|(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\[[0-?]*[ -/]*"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
)
#: What was overwritten: the part of a line that a carriage return was followed by more of.
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\r\n])", re.MULTILINE)
#: One parameter, with what stands behind its colons.
_PARAMETER = re.compile(r"(?P<code>\d*)(?P<more>(?::\d{0,3})*)")

#: Which code switches which class on; colours by their number, bright ones from 8 on.
_SWITCHES = {1: "bold", 2: "dim", 3: "italic", 4: "underlined", 9: "struck"}
#: What ends what.
_ENDS = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"underlined"}, 29: {"struck"}}
_COLOUR, _DEFAULT, _BACKGROUND, _LINE = 38, 39, 48, 58
#: Behind 38, 48 and 58: one of 256 colours, by one number, or any, by three.
_BY_NUMBER, _BY_LIGHT = 5, 2


def show(text: str) -> SafeString:
    """Return the text for a page, escaped, with its colours."""
    return format_html_join("", "{}", ((_piece(part, classes),) for part, classes in _pieces(text)))


def strip(text: str) -> str:
    """Return the text without all that steers a terminal."""
    return "".join(part for part, _ in _pieces(text))


def _piece(part: str, classes: tuple[str, ...]) -> SafeString:
    if not classes:
        return format_html("{}", part)
    return format_html('<span class="{}">{}</span>', mark_safe(" ".join(classes)), part)  # noqa: S308 - names of ours


def _pieces(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the text in pieces that look alike, each with its classes."""
    text = _written_over(_OVERWRITTEN.sub("", text.replace("\r\n", "\n")).replace("\r", ""))
    look = _Look()
    begin = 0
    for control in _CONTROL.finditer(text):
        if control.start() > begin:
            yield text[begin : control.start()], look.classes
        begin = control.end()
        if control["final"] == "m":
            look.change(control["parameters"])
    if begin < len(text):
        yield text[begin:], look.classes


def _written_over(text: str) -> str:
    """Return the text with what follows a backspace in the place of the letter before; what steers is no letter."""
    if "\b" not in text:
        return text
    pieces: list[str] = []
    #: Where the letters of the line are, and how far from its end the next one goes.
    letters: list[int] = []
    back = begin = 0
    for control in [*_CONTROL.finditer(text), None]:
        for letter in text[begin : control.start() if control else len(text)]:
            if letter == "\n":
                letters, back = [], 0
                pieces.append(letter)
            elif back:
                pieces[letters[-back]] = letter
                back -= 1
            else:
                letters.append(len(pieces))
                pieces.append(letter)
        if control is None:
            break
        begin = control.end()
        if control[0] == "\b":
            back = min(back + 1, len(letters))
        else:
            pieces.append(control[0])
    return "".join(pieces)


class _Look:
    """How what comes next looks."""

    def __init__(self) -> None:
        self._switched: set[str] = set()
        self._colour: int | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        colour = () if self._colour is None else (f"cronkite-ansi-{self._colour}",)
        return (*colour, *(f"cronkite-ansi-{each}" for each in sorted(self._switched)))

    def change(self, parameters: str) -> None:
        """Do what one sequence says. A background is left out: what is on it must be readable on the page's own."""
        found = [_PARAMETER.fullmatch(each) for each in parameters.split(";")]
        # A private one sets something else.
        plain = [] if None in found else [(int(each["code"][:4] or 0), each["more"]) for each in found if each]
        rest = iter(plain)
        for code, more in rest:
            if code == 0:
                self._switched, self._colour = set(), None
            elif code in _SWITCHES and more == ":0":
                # 4:0 is no line, and 4:3 a curly one.
                self._switched.discard(_SWITCHES[code])
            elif code in _SWITCHES:
                self._switched.add(_SWITCHES[code])
            elif code in _ENDS:
                self._switched -= _ENDS[code]
            elif 30 <= code < _COLOUR:  # noqa: PLR2004
                self._colour = code - 30
            elif 90 <= code < 98:  # noqa: PLR2004
                self._colour = code - 90 + 8
            elif code == _DEFAULT:
                self._colour = None
            elif code in {_COLOUR, _BACKGROUND, _LINE}:
                # What belongs to it stands behind its own colons, or in the parameters that follow.
                behind = map(int, re.findall(r"\d+", more)) if more else (each for each, _ in rest)
                number = self._other(behind)
                self._colour = number if code == _COLOUR else self._colour

    @staticmethod
    def _other(rest: Iterator[int]) -> int | None:
        """Take the parameters of a colour that has no code of its own; return its number if it is one of the 16."""
        kind = next(rest, None)
        if kind == _BY_NUMBER:
            number = next(rest, 16)
            return number if number < 16 else None  # noqa: PLR2004
        if kind == _BY_LIGHT:
            for _ in range(3):
                next(rest, None)
        return None
