"""What is read back from the text of a traceback is what was raised. No database."""

from __future__ import annotations

import traceback

import pytest

from cronkite.code.outcomes import traceback_text
from cronkite.monitors import tracebacks
from cronkite.monitors.tracebacks import Raised

pytestmark = pytest.mark.once


class OddError(Exception):
    pass


def divide(text):
    return 1 / (0 if text else 1)


def raise_odd(text):
    raise OddError(text)


def raise_from(text):
    try:
        divide(text)
    except ZeroDivisionError as error:
        raise OddError("it is odd") from error


def text_of(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return traceback_text(error), traceback.extract_tb(error.__traceback__)
    raise AssertionError


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (divide, "ZeroDivisionError", "division by zero"),
        (raise_odd, f"{__name__}.OddError", "a: b"),
        (raise_from, f"{__name__}.OddError", "it is odd"),
    ],
)
def test_the_last_exception_is_read_with_its_frames(function, kind, message):
    text, frames = text_of(function, "a: b")
    raised = tracebacks.read(text)
    assert (raised.kind, raised.message) == (kind, message)
    assert [(each.file, each.line, each.function) for each in raised.frames] == [
        (each.filename, each.lineno, each.name) for each in frames
    ]
    assert raised.frames[-1].code == frames[-1].line


def test_a_message_of_several_lines_is_kept_whole():
    text, _ = text_of(raise_odd, "first\n  second: third\n\nfourth")
    assert tracebacks.read(text).message == "first\n  second: third\n\nfourth"


def test_an_exception_that_says_nothing_has_its_class():
    assert tracebacks.read("Traceback (most recent call last):\nKeyboardInterrupt\n") == Raised(
        "KeyboardInterrupt", "", ()
    )


@pytest.mark.parametrize("text", ["", "\n", "its process was killed", "Traceback (most recent call last):\n"])
def test_a_text_that_tells_of_no_exception_is_none(text):
    assert tracebacks.read(text) is None
