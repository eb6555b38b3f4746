"""How does a shell read a line, as far as can be told without being one?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

#: What stands between commands, and what leads their input and output, longest first.
_BETWEEN = ("&&", "||", ";;", ";", "|&", "|", "&", "(", ")", "\n")
_REDIRECTION = re.compile(r"(?:[0-9]+|&)?(?:>>|>\||>&|<&|<<<|<<|<>|>|<)")
#: What has a shell put something else there, outside of quotes, and within double ones.
_EXPANDS, _EXPANDS_QUOTED = "$`*?[{", "$`"
#: What makes a program of commands, where a command would stand.
_RESERVED = frozenset({"!", "{", "if", "then", "else", "fi", "for", "while", "until", "do", "done", "case", "function"})


class NotRead(Exception):
    """The line can't be read; the message says why."""


@dataclass(frozen=True)
class Word:
    """A word of a command. ``is_plain`` is false where the shell would put something else in its place."""

    text: str
    is_plain: bool = True


@dataclass
class Command:
    """The words of a command, the redirections of its input and output, and what stood before it (as in ``&&``)."""

    before: str = ""
    words: list[Word] = field(default_factory=list)
    redirections: list[tuple[str, str]] = field(default_factory=list)


def commands(line: str) -> list[Command]:
    """Return the commands of a line, in their order.

    Raises :class:`NotRead` for quotes that do not end, and for a line that is more than a list of commands.

    >>> found = commands("cd '/srv/my shop' && ./manage.py check > x 2>&1")
    >>> [[word.text for word in command.words] for command in found]
    [['cd', '/srv/my shop'], ['./manage.py', 'check']]
    """
    found = [Command()]
    tokens = _tokens(line)
    for kind, word in tokens:
        if kind == "word":
            if not found[-1].words and word.text in _RESERVED:
                raise NotRead(f"it is a program of the shell's, with {word.text!r}. Have the command do what that does")
            found[-1].words.append(word)
        elif kind == "redirection":
            found[-1].redirections.append((word.text, _target(tokens, word.text)))
        else:
            found.append(Command(before=word.text))
    return [each for each in found if each.words or each.redirections]


def _target(tokens: Iterator[tuple[str, Word]], operator: str) -> str:
    kind, word = next(tokens, ("", Word("")))
    if kind != "word":
        raise NotRead(f"nothing stands behind its {operator!r}")
    return word.text


def _tokens(line: str) -> Iterator[tuple[str, Word]]:
    place = 0
    while place < len(line):
        if line[place] in " \t":
            place += 1
        elif line[place] == "#":
            return
        elif found := _REDIRECTION.match(line, place):
            place = found.end()
            yield "redirection", Word(found[0])
        elif between := next((each for each in _BETWEEN if line.startswith(each, place)), ""):
            if between in {"(", ")", ";;"}:
                raise NotRead("it has commands within brackets")
            place += len(between)
            yield "between", Word(between)
        else:
            word, place = _word(line, place)
            yield "word", word


def _word(line: str, place: int) -> tuple[Word, int]:
    text, is_plain = "", line[place] != "~"
    while place < len(line) and line[place] not in " \t\n;|&<>":
        letter = line[place]
        if letter in "'\"":
            quoted, plain, place = _quoted(line, place)
            text, is_plain = text + quoted, is_plain and plain
            continue
        if line.startswith(("$(", "`"), place):
            place, start = _substitution_end(line, place), place
            text, is_plain = text + line[start:place], False
            continue
        if letter == "\\" and place + 1 < len(line):
            place += 1
            letter = line[place]
        elif letter in "()":
            raise NotRead("it has commands within brackets")
        elif letter in _EXPANDS:
            is_plain = False
        text, place = text + letter, place + 1
    return Word(text, is_plain), place


def _quoted(line: str, place: int) -> tuple[str, bool, int]:
    """Return what stands within the quotes that begin at ``place``, whether it is meant as it is, and what follows."""
    quote, text, is_plain = line[place], "", True
    place += 1
    while place < len(line) and line[place] != quote:
        if quote == '"':
            if line[place] == "\\" and line[place + 1 : place + 2] in {'"', "\\", "$", "`"}:
                place += 1
            elif line[place] in _EXPANDS_QUOTED:
                is_plain = False
        text, place = text + line[place], place + 1
    if place >= len(line):
        raise NotRead("its quotes do not end")
    return text, is_plain, place + 1


def _substitution_end(line: str, place: int) -> int:
    """Return where ``$(…)`` or `````…````` ends that begins at ``place``."""
    if line[place] == "`":
        end = line.find("`", place + 1)
        if end < 0:
            raise NotRead("its quotes do not end")
        return end + 1
    depth = 0
    for end in range(place + 1, len(line)):
        depth += {"(": 1, ")": -1}.get(line[end], 0)
        if not depth:
            return end + 1
    raise NotRead("its brackets do not end")
