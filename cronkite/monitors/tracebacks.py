"""What does a log's traceback say, read back from its text?"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FRAME = re.compile(
    r'^  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)$\n?(?:^    (?P<code>.*)$)?', re.MULTILINE
)
_BEGIN = "Traceback (most recent call last):\n"
_KIND = re.compile(r"[\w.]+")


@dataclass(frozen=True)
class Frame:
    """A line of code that was being run, and the line itself as far as it was known."""

    file: str
    line: int
    function: str
    code: str


@dataclass(frozen=True)
class Raised:
    """The exception that a traceback ends with: its class's name, what it says, and where, the innermost frame last."""

    kind: str
    message: str
    frames: tuple[Frame, ...]


def read(text: str) -> Raised | None:
    """Return what was raised; ``None`` if the text does not tell, as where a run was killed."""
    _, begin, last = text.rpartition(_BEGIN)
    frames = list(_FRAME.finditer(last)) if begin else []
    end = frames[-1].end() if frames else 0
    # What stands below the frames: marks under a part of the last one's line, and then the exception.
    said = re.sub(r"\A(?:\s*[~^]+\s*$\n?)?\s*", "", last[end:], flags=re.MULTILINE)
    kind, _, message = said.strip().partition(": ")
    if not _KIND.fullmatch(kind):
        return None
    found = (Frame(each["file"], int(each["line"]), each["function"], each["code"] or "") for each in frames)
    return Raised(kind, message, tuple(found))
