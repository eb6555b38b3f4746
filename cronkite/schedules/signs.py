"""What stands in a crontab for the signs and names that other schedulers have in their fields?

``?`` is of Quartz and Amazon's EventBridge, ``L5`` and ``R`` of croniter, ``~`` of OpenBSD's cron, and ``..`` of
systemd. ``L``, ``W`` and ``#``, of Quartz, are read here, too, but in capital letters alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cronkite.exceptions import ScheduleError
from cronkite.schedules import chosen, names
from cronkite.schedules.grammar import DAY, FIELDS, WEEKDAY, Field, read_field

DAYS_OF_WEEK = 7


@dataclass
class Said:
    """Fields as crontab has them; ``notes`` tell by field what stood there."""

    words: list[str]
    notes: list[tuple[Field, str]] = field(default_factory=list)


def translate(words: Sequence[str], sunday: int = 0) -> Said:
    """Return what five or six fields say, as far as it is understood; Sunday is ``sunday`` there, 0 or 1."""
    said = Said([*words])
    at = {each: place for place, each in enumerate(FIELDS[: len(words)])}
    if sunday:
        _renumber(said, at[WEEKDAY])
    for each, place in at.items():
        said.words[place] = ",".join(_item(item, each, said) for item in said.words[place].split(","))
    return said


def _item(item: str, field: Field, said: Said) -> str:
    """Return one item of a list."""
    if _is_read(item, field):
        return item
    new = re.sub(r"(?<=\w)\.\.(?=\w)", "-", item)
    if field.names:
        new = re.sub(r"[^\W\d_]{2,}\.?", lambda word: names.short(word[0], field) or word[0], new)
    new = "*" if new == "?" else new
    if new.startswith("/"):
        new = f"*{new}"
    if new != item and all(_is_read(each, field) for each in new.split(",")):
        said.notes.append((field, f"{item!r} is {new!r} here"))
        return new
    for change in (_looked_up, _chosen, _stepped, _turned):
        note, found = change(new, field)
        if found and all(_is_read(each, field) for each in found.split(",")):
            said.notes.append((field, note))
            return found
    return new


def _is_read(text: str, field: Field) -> bool:
    try:
        chosen.check_item(text, field)
    except ScheduleError:
        return False
    return True


def _number(text: str, field: Field) -> int | None:
    try:
        (number,) = read_field(text, field)
    except (ScheduleError, ValueError):
        return None
    return number


#: The last weekday of those that have a step, and the other name of the first one, which is 0 as well.
SATURDAY, SUNDAY = 6, 7


def _stepped(item: str, field: Field) -> tuple[str, str]:
    """``5/15``: from 5 on."""
    first, slash, step = item.partition("/")
    low = _number(first, field)
    if not slash or low is None or not re.fullmatch(r"[0-9]+", step):
        return "", ""
    # A week ends on Saturday there; 7, which is Sunday here, would be one day more.
    high = min(field.high, SATURDAY) if field.high == SUNDAY else field.high
    span = f"{first}-{high}/{step}"
    if low + int(step) > high:
        span = first
    elif low == field.low:
        # Of a day, the star has the other day field count as well, as it does where this is read.
        span = f"*/{step}" if int(step) > 1 else "*"
    return f"{item!r} has a step but no range", span


def _turned(item: str, field: Field) -> tuple[str, str]:
    """``22-2``: past the end, and on from the beginning."""
    span, slash, step = item.partition("/")
    first, dash, last = span.partition("-")
    low, high = _number(first, field), _number(last, field)
    if not dash or low is None or high is None or (slash and not re.fullmatch(r"0*[1-9][0-9]*", step)):
        return "", ""
    is_named = first.isalpha() or last.isalpha()
    end = field.high - (field is WEEKDAY)
    size, by = end - field.low + 1, int(step or 1)
    if field is WEEKDAY and high == 0 and not is_named:
        members = [range(low, DAYS_OF_WEEK + 1, by)]  # to Sunday, which is 7, too
    elif low <= high:
        members = [range(low, high + 1, by)]
    else:
        up = range(low, end + 1, by)
        members = [up, range(up[-1] + by - size, high + 1, by)]
    label = (lambda n: field.names[n - field.low]) if is_named and field.names else str
    found = ",".join(_span([label(n) for n in piece], by) for piece in members if piece)
    return f"the range {span!r} runs backwards", found


def _span(labels: Sequence[str], step: int) -> str:
    if len(labels) == 1 or (step > 1 and len(labels) == 2):  # noqa: PLR2004 - no shorter as a range
        return ",".join(labels)
    return f"{labels[0]}-{labels[-1]}" + (f"/{step}" if step > 1 else "")


def _looked_up(item: str, field: Field) -> tuple[str, str]:
    """``l``, ``WL``, ``L5``, ``fri#-1``, ``FridayL``: a day that depends on the month."""
    new, upper = "", item.upper()
    if field is DAY:
        new = "LW" if upper in {"LW", "WL"} else upper if re.fullmatch(r"L(?:-[0-9]+)?|[0-9]+W", upper) else ""
    elif field is WEEKDAY and upper == "L":
        new = "sat"
    elif field is WEEKDAY:
        found = re.fullmatch(r"L([0-7])|([^\W\d_]+?|[0-7])(?:#([1-5])|#?-?L|#-1)", item, re.IGNORECASE)
        if found:
            weekday = found[1] or names.short(found[2], field) or found[2]
            new = f"{weekday}#{found[3]}" if found[3] else f"{weekday}L"
    return (f"{item!r} is {new!r} here", new) if new and new != item else ("", "")


def _chosen(item: str, field: Field) -> tuple[str, str]:
    """``R``, ``~``, ``0~29``, ``h``: a number that the scheduler chooses, as ``H`` is here."""
    found = re.fullmatch(r"[HRhr](?:\(([0-9]{1,2})-([0-9]{1,2})\))?(?:/([0-9]{1,3}))?", item)
    found = found or re.fullmatch(r"([0-9]{0,2})~([0-9]{0,2})(?:/([0-9]{1,3}))?", item)
    if not found:
        return "", ""
    low, high, step = found.groups()
    span = f"({low or field.low}-{high or field.high})" if low or high else ""
    new = f"H{span}" + (f"/{step}" if step else "")
    return f"{item!r} is {new!r} here", new


def _renumber(said: Said, place: int) -> None:
    """Give the days of the week their names, where Sunday is 1."""
    word = said.words[place]

    def name(number: re.Match[str]) -> str:
        return WEEKDAY.names[int(number[0]) - 1]

    new = re.sub(r"(?<![/#\d])[1-7](?!\d)", name, word)
    if new != word and not re.search(r"(?<![/#\d])[089]", word):
        said.words[place] = new
        said.notes.append((WEEKDAY, f"{word!r} counts from Sunday as 1, as Quartz does, and is {new!r} here"))
