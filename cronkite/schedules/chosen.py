"""Which number is chosen for a job, where its expression says ``H``?

As in Jenkins, from which this is: one that stays the same for a job, and differs between jobs, so that what need not
run at once does not. An item of a list may be

- ``H``: one number of the field's range, and of the days of the month one up to 28, which every month has;
- ``H(0-29)``: one of that range;
- ``H/15``: every 15th number, from one of the first 15 on; and ``H(0-29)/10``, likewise within the range.

What is chosen is written as ``man 5 crontab`` has it, and means just that: ``H/15`` may be ``7-59/15``. So no ``H``
begins with ``*``, whatever depends on that. Two items of one list may have the same number.

The numbers come from a hash of a *seed*, a text that tells the job from others. They are the same with every Python, on
every machine, for ever: whatever changed them would move the slots of all such jobs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from cronkite.exceptions import ScheduleError
from cronkite.schedules import grammar
from cronkite.schedules.grammar import COMMON_DAYS, DAY, FIELDS, LONGEST_MONTHS, MONTH, WEEKDAY, Field

#: An item that is to be chosen begins so, at a field's beginning or behind a comma.
_BEGINNING = re.compile(r"(?<![^ \t,])H")
_ITEM = re.compile(r"H(?:\(([^()-]+)-([^()-]+)\))?(?:/([^/]*))?")


def is_in(text: str) -> bool:
    """Whether there is an item to be chosen in an expression, or in a part of one.

    >>> is_in("H 3 * * *"), is_in("0,H(30-59) * * * *"), is_in("0 3 * * THU")
    (True, True, False)
    """
    return bool(_BEGINNING.search(text))


def resolve(text: str, seed: str) -> str:
    """Return the expression that this one is for whom ``seed`` stands; itself where nothing is to be chosen.

    Raises :class:`ScheduleError`.

    >>> resolve("H 3 * * *", "shop.crontab.bill"), resolve("H 3 * * *", "shop.crontab.remind")
    ('25 3 * * *', '53 3 * * *')
    """
    return " ".join(choose(grammar.split(text), seed)) if is_in(text) else text


def later(slot: datetime, jitter: int, seed: str) -> datetime:
    """Return when the slot is begun: then, or up to so many seconds later, by a number that stays the same for both.

    >>> from datetime import timezone
    >>> slot = datetime(2026, 11, 28, 3, tzinfo=timezone.utc)
    >>> [f"{later(slot, 60, seed):%H:%M:%S.%f}" for seed in ("shop.crontab.bill", "shop.crontab.remind")]
    ['03:00:08.192000', '03:00:56.324000']
    """
    said = f"{seed} {slot.astimezone(timezone.utc).isoformat()}".encode(errors="surrogatepass")
    number = int.from_bytes(hashlib.sha256(said).digest()[:8], "big")
    return slot + timedelta(milliseconds=number % (jitter * 1000 + 1))


def spell(text: str, seed: str) -> str:
    """Return the expression as people read it: as it is written and, if there was something to choose, what it is.

    One that can't be read is returned as it is.

    >>> spell("H 3 * * *", "shop.crontab.bill"), spell("0 3 * * *", "shop.crontab.bill")
    ('H 3 * * * = 25 3 * * *', '0 3 * * *')
    """
    with suppress(ScheduleError):
        return f"{text} = {resolve(text, seed)}" if is_in(text) else text
    return text


def read(words: list[str], seed: str = "") -> dict[Field, tuple[int, ...]]:
    """Return the numbers that each of the fields names; see :func:`cronkite.schedules.grammar.read`.

    Whether there is anything wrong does not depend on the ``seed``: what never runs for one job is refused for all.
    """
    if any(is_in(words[FIELDS.index(field)]) for field in (DAY, MONTH)):
        _demand_day(words)
    return grammar.read(choose(words, seed))


def choose(words: Sequence[str], seed: str) -> list[str]:
    """Return the fields, with numbers where there was something to choose. Raises :class:`ScheduleError`."""
    return [_field(word, field, seed) for word, field in zip(words, FIELDS, strict=False)]


def check_item(item: str, field: Field) -> None:
    """Raise :class:`ScheduleError` if an item of a list, with something to choose in it or not, can't be read."""
    _choices(item, field)


def _field(word: str, field: Field, seed: str) -> str:
    items, drawn = word.split(","), 0
    for place, item in enumerate(items):
        if is_in(item):
            choices = _choices(item, field)
            items[place] = _written(choices[_draw(seed, field, drawn) % len(choices)])
            drawn += 1
    return ",".join(items)


def _draw(seed: str, field: Field, number: int) -> int:
    """Return a large number, which is another one for each field, and for each item of a list."""
    # A name may hold half a letter, which no encoding has.
    text = f"{field.name}\n{number}\n{seed}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def _choices(item: str, field: Field) -> list[range]:
    """Return the numbers that an item may stand for, by choice: one choice only where nothing is to be chosen."""
    if not is_in(item):
        return [grammar.read_item(item, field)]
    found = _ITEM.fullmatch(item)
    if not found:
        low, high = _span(field)
        examples = f"H, H({low}-{high}), H/2 or H({low}-{high})/2"
        raise ScheduleError(f"{field.name}: {item!r} is not understood; write {examples}", field.name)
    low, high = _read_span(item, field, found[1], found[2]) if found[1] else _span(field)
    if found[3] is None:
        return [range(number, number + 1) for number in range(low, high + 1)]
    size, step = high - low + 1, int(found[3]) if grammar.is_number(found[3]) else 0
    if not 1 < step <= size:
        # Jenkins takes H/1 for H, where everybody else takes it for all numbers.
        raise ScheduleError(
            f"{field.name}: the step in {item!r} must be a number from 2 to {size}; write H for one number, or * for "
            "each of them",
            field.name,
        )
    return [range(low + offset, high + 1, step) for offset in range(step)]


def _span(field: Field) -> tuple[int, int]:
    """Return the first and the last number that ``H`` may be."""
    return field.low, {DAY: COMMON_DAYS, WEEKDAY: field.high - 1}.get(field, field.high)


def _read_span(item: str, field: Field, first: str, last: str) -> tuple[int, int]:
    low, high = (grammar.read_number(each, item, field) for each in (first, last))
    if low > high:
        # Sunday comes last in what people write, and is 7, too.
        instead = f"H({first}-{field.high})" if field is WEEKDAY and high == field.low else f"H({last}-{first})"
        raise ScheduleError(f"{field.name}: the range in {item!r} runs backwards; write {instead}", field.name)
    if low == high:
        raise ScheduleError(f"{field.name}: {item!r} leaves nothing to choose; write {first}", field.name)
    if field is WEEKDAY:
        high = min(high, low + 6)  # or Sunday would be chosen twice as often
    return low, high


def _written(numbers: range) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    return f"{numbers[0]}-{numbers.stop - 1}/{numbers.step}"


def _demand_day(words: list[str]) -> None:
    """Raise :class:`ScheduleError` if there is a choice with which no day would ever be named."""
    if grammar.is_either_day(words):
        return
    days, months = ([_choices(item, field) for item in words[FIELDS.index(field)].split(",")] for field in (DAY, MONTH))
    looked_up = [day.needs for day in grammar.month_days(words[FIELDS.index(DAY)], DAY)]
    first = min([*looked_up, *(max(numbers[0] for numbers in choices) for choices in days if all(choices))])
    longest = max(min(max(LONGEST_MONTHS[month - 1] for month in numbers) for numbers in choices) for choices in months)
    if first > longest:
        raise ScheduleError(
            f"day of month: {words[2]!r} may name no day that a month in {words[3]!r} has, and then this never runs; "
            f"write days up to {longest}",
            DAY.name,
        )
