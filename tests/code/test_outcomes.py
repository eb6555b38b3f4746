"""What is kept of results, outputs and tracebacks, whatever a function did. No database."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import json
import re

import pytest
from django.utils.safestring import mark_safe
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cronkite.code import outcomes
from cronkite.code.outcomes import (
    DEPTH_LIMIT,
    HALF,
    OUTPUT_LIMIT,
    RESULT_LIMIT,
    keep_ends,
    keep_result,
)
from cronkite.code.outcomes import keep_text as keep

pytestmark = pytest.mark.once

#: The same examples at each run, and no verdict by the clock: the machine may be busy with the other tests.
STEADY = hypothesis_settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
#: Every character, the unkeepable ones often.
TEXT = st.text(st.characters() | st.characters(categories=["Cs"]) | st.just("\0"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ODD = st.binary() | st.dates() | st.decimals() | st.complex_numbers() | st.just(object)
VALUES = st.recursive(
    SCALARS | ODD,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(TEXT | st.integers() | st.booleans() | st.none() | st.floats(), inner)
        | st.frozensets(SCALARS)
    ),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner)
    ),
)


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Silent:
    def __repr__(self):
        raise ValueError("no repr")


class Rude:
    def __repr__(self):
        return "NUL \0 surrogate \udc80"


class Endless(dict):
    def items(self):
        while True:
            yield "key", "value"


def deep(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def is_keepable(value, depth=0):
    """An independent statement of what every database holds."""
    if isinstance(value, str):
        return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    if type(value) is int:
        return -(2**63) <= value < 2**63
    if type(value) is list:
        return depth < 90 and all(is_keepable(item, depth + 1) for item in value)
    if type(value) is dict:
        return depth < 90 and all(is_keepable(key) and is_keepable(item, depth + 1) for key, item in value.items())
    return value is None or type(value) in (bool, float)


@STEADY
@given(VALUES)
def test_every_value_is_kept_as_json_that_every_database_holds(value):
    kept = keep_result(value)
    assert is_keepable(kept)
    assert len(json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()) <= RESULT_LIMIT + 1000
    assert keep_result(kept) == kept


@STEADY
@given(JSON)
def test_json_is_kept_as_it_is(value):
    assert keep_result(value) == json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        (True, True),
        ((1, (2,)), [1, [2]]),
        ({2: "a", None: "b", False: "c", 1.5: "d"}, {"2": "a", "null": "b", "false": "c", "1.5": "d"}),
        (collections.OrderedDict(a=collections.Counter("aab")), {"a": {"a": 2, "b": 1}}),
        ([Colour.RED, Level.HIGH, {Colour.RED: Level.HIGH}], ["red", 3, {"red": 3}]),
        (mark_safe("<b>"), "<b>"),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
    ],
)
def test_what_json_can_hold_is_kept_as_json_does_it(value, kept):
    found = keep_result(value)
    assert found == kept
    assert json.dumps(found) == json.dumps(value)
    assert "Colour" not in repr(found)
    assert "Level" not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        -(2**63) - 1,
        [2**64],
        float("nan"),
        {"a": [float("inf")]},
        {"a": -float("inf")},
        b"bytes",
        [b"bytes", bytearray(b"bytes")],
        {1, 2},
        dt.date(2024, 2, 29),
        {"when": dt.datetime(2024, 2, 29, 1, 2)},
        decimal.Decimal("1.50"),
        1j,
        {(1, 2): 3},
        {1: "a", "1": "b"},
        {float("nan"): 1},
        "NUL \0",
        {"NUL \0": 1},
        "surrogate \udc80",
        ["\ud83d\ude00"],
        (b"a",),
        (b"a", "b"),
        {"a": b"a", "b": (1, [{}])},
        deep(DEPTH_LIMIT + 1),
    ],
)
def test_what_json_cannot_hold_is_kept_as_its_repr(value):
    assert keep_result(value) == repr(value)


def test_nesting_is_kept_up_to_the_limit():
    assert keep_result(deep(DEPTH_LIMIT)) == deep(DEPTH_LIMIT)


@pytest.mark.parametrize("levels", [200, 100_000])
def test_deeper_nesting_is_cut_with_an_ellipsis(levels):
    assert keep_result(deep(levels)) == "[" * 91 + "..." + "]" * 91


def test_what_holds_itself_is_cut_with_an_ellipsis():
    circle = {"a": 1}
    circle["self"] = circle
    kept = keep_result(circle)
    assert kept.startswith("{'a': 1, 'self': {'a': 1, 'self': {")
    assert "..." in kept


def test_what_is_small_in_memory_and_endless_as_text_is_cut():
    value = ["x"]
    for _ in range(80):
        value = [value, value]
    kept = keep_result(value)
    assert kept.endswith("... (cut)")
    assert len(kept) == RESULT_LIMIT


@pytest.mark.parametrize("size", [RESULT_LIMIT - 2, RESULT_LIMIT - 1, 10**7])
@pytest.mark.parametrize("character", ["a", "é", "\U0001f600", "\0", "\n"])
def test_a_result_is_cut_at_its_limit(size, character):
    value = character * size
    kept = keep_result(value)
    if character == "a" and size == RESULT_LIMIT - 2:  # two quotes
        assert kept == value
    else:
        assert kept.endswith("... (cut)")
        assert kept.startswith(repr(value[:100])[:-1])
        assert RESULT_LIMIT - 4 < len(kept.encode()) <= RESULT_LIMIT


def test_many_small_things_are_counted_too():
    assert keep_result([1] * 10**6).startswith("[1, 1, 1")
    assert keep_result(dict.fromkeys(range(10**6))).startswith("{0: None, 1: None")
    assert keep_result(b"a" * 10**6).endswith("aaa... (cut)")


def test_a_repr_that_is_too_long_by_itself_is_cut():
    kept = keep_result(set(range(10**5)))
    assert kept.startswith("{0, 1, 2")
    assert len(kept) == RESULT_LIMIT


def test_a_repr_that_raises_is_told():
    assert keep_result(Silent()) == "<Silent whose repr raised ValueError>"
    assert keep_result([1, Silent()]) == "[1, <Silent whose repr raised ValueError>]"


def test_a_repr_that_no_database_can_hold_is_cleaned():
    assert keep_result(Rude()) == "NUL \ufffd surrogate \ufffd"


def test_a_subclass_that_misbehaves_is_kept_as_its_repr():
    assert keep_result(Endless()) == "{}"


def test_a_number_too_long_to_be_written_is_told():
    # Python 3.10 got that limit in one of its last security releases.
    assert keep_result(10**5000) in ("1" + "0" * 5000, "<int whose repr raised ValueError>")


def test_a_dict_that_changes_while_it_is_written_is_cut():
    class Growing:
        def __repr__(self):
            value[len(value)] = 1
            return "growing"

    value = {0: Growing(), 1: 2}
    assert keep_result(value) == "{0: growing... (RuntimeError)"


@STEADY
@given(TEXT | st.binary())
def test_short_text_is_kept_whole(text):
    kept = keep(text)
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    assert kept == re.sub("[\0\ud800-\udfff]", "\ufffd", decoded)
    assert is_keepable(kept)


def test_text_at_the_limit_is_kept_whole():
    text = "a" * (OUTPUT_LIMIT - 2) + "é"
    assert keep(text) == text
    assert keep(text.encode()) == text


def test_of_longer_text_head_and_tail_are_kept_and_the_cut_is_counted():
    kept = keep("first\n" + "x" * OUTPUT_LIMIT + "\nlast")
    half = OUTPUT_LIMIT // 2
    assert kept == f"first\n{'x' * (half - 6)}\n[... 11 bytes cut ...]\n{'x' * (half - 5)}\nlast"


@STEADY
@given(
    head=st.text(st.characters(exclude_characters="\0\ufffd", exclude_categories=["Cs"]), max_size=20),
    filler=st.sampled_from(["a", "é", "€", "\U0001f600", "a\U0001f600€"]),
    repeated=st.integers(OUTPUT_LIMIT + 1, OUTPUT_LIMIT + 10),
    tail=st.text(st.characters(exclude_characters="\0\ufffd", exclude_categories=["Cs"]), max_size=20),
)
def test_a_cut_breaks_no_character_and_its_count_is_exact(head, filler, repeated, tail):
    text = head + filler * repeated + tail
    first, cut, last = re.split(r"\n\[\.\.\. (\d+) bytes cut \.\.\.\]\n", keep(text))
    assert text.startswith(first)
    assert text.endswith(last)
    assert len(first.encode()) + int(cut) + len(last.encode()) == len(text.encode())
    assert OUTPUT_LIMIT - 6 <= len(first.encode()) + len(last.encode()) <= OUTPUT_LIMIT


def test_bytes_that_are_no_text_are_kept_all_the_same():
    kept = keep(b"\x80\xff\xfe" * OUTPUT_LIMIT)
    assert "bytes cut" in kept
    assert is_keepable(kept)
    assert len(kept) <= OUTPUT_LIMIT + 40


def test_of_much_only_the_ends_have_to_be_known():
    kept = keep_ends(b"first\n" + b"\0" * (HALF - 6), b"\0" * (HALF - 4) + b"last", 10**10)
    assert kept.startswith("first\n\ufffd")
    assert kept.endswith("\ufffdlast")
    assert f"[... {10**10 - OUTPUT_LIMIT} bytes cut ...]" in kept


def test_two_ends_that_are_all_of_it_are_one_text():
    smile = "\U0001f600".encode()
    assert keep_ends(b"a " + smile[:2], smile[2:] + b" b", 8) == "a \U0001f600 b"
    assert keep_ends(b"", b"", 0) == ""


def test_a_traceback_names_the_error_and_its_cause():
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer \0") from error
    except ValueError as error:
        text = outcomes.traceback_text(error)
    assert text.startswith("Traceback (most recent call last):\n")
    assert "KeyError: 'inner'" in text
    assert text.endswith("ValueError: outer \ufffd\n")
    assert __file__ in text


def test_a_gigantic_traceback_is_cut():
    text = outcomes.traceback_text(ValueError("x" * 10**6))
    assert text.startswith("ValueError: xxx")
    assert len(text) <= OUTPUT_LIMIT + 40


def test_an_error_that_cannot_even_be_shown_is_named():
    class Unspeakable(Exception):
        @property
        def __cause__(self):
            raise LookupError

    assert outcomes.traceback_text(Unspeakable()) == "Unspeakable (it cannot be shown: LookupError)"
    assert outcomes.for_logger(Unspeakable()) is None
