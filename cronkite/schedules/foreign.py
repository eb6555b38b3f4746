"""What did somebody mean who wrote an expression as another scheduler reads it?

Where that is known, there is one expression to write instead, which crontab takes. What stands around the fields is
:mod:`cronkite.schedules.wrappings`'s, and what stands within them :mod:`cronkite.schedules.signs`'s. Here it is their
order.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from cronkite.exceptions import ScheduleError
from cronkite.schedules import chosen, every, grammar, intervals, names, once, phrases, signs, wrappings
from cronkite.schedules.grammar import MAX_LENGTH, MONTH, NICKNAMES, SECOND, WEEKDAY
from cronkite.schedules.wrappings import Meant

FIVE, SIX, SEVEN = 5, 6, 7
#: So many seconds of a minute, apart from each other, may be meant.
FEW = 2
#: From where on a nickname is a misspelt one.
ALIKE = 0.8

#: The fields' names in the ``crontab()`` of Celery and huey, by our order; those that come first are the same in both.
CALLED = {
    "minute": 0, "hour": 1, "day_of_month": 2, "day": 2, "month_of_year": 3, "month": 3, "day_of_week": 4
}  # fmt: skip
FIRST_CALLED = 2

_FIRST = "the seconds come last here, and not first"
#: So much of a command is repeated.
_SHOWN = 40
_YEARS = re.compile(r"\*|(?:19|20|21)[0-9]{2}(?:[-,/](?:[0-9]{1,4}))*|\*/[0-9]+")
#: What may stand in a field of other schedulers, beside names.
_SIGNS = re.compile(r"[0-9*,/?#~()LWHR-]*")

#: Nicknames of others.
_NICKNAMES = {
    "minutely": "* * * * *",
    "every_minute": "* * * * *",
    "every_second": "* * * * * *",
    "noon": "0 12 * * *",
    "weekdays": "0 0 * * mon-fri",
    "weekends": "0 0 * * sat,sun",
    "quarterly": "0 0 1 */3 *",
    "semiannually": "0 0 1 */6 *",
    "semimonthly": "0 0 1,15 * *",
}
_AND, _TO, _ENTRY = r"and|or|und|oder", r"to|through|thru|till|until|bis", r"(?:[0-9]{1,2}|[^\W\d_]{2,12})\.?"
#: What stands between two schedules, or between two numbers or names.
_BETWEEN = re.compile(rf"[ \t]*(?:[|;\r\n]+|&+|\+)[ \t]*|,?[ \t]+(?:{_AND})[ \t]+|,[ \t]+", re.IGNORECASE)
_JOINED = re.compile(
    rf"(?<!\S)({_ENTRY})(?:[ \t]*[&+]|,?[ \t]+(?:{_AND}|({_TO}))(?=[ \t]))[ \t]*(?=({_ENTRY})(?:[ \t&+]|$))",
    re.IGNORECASE,
)


def explain(text: str, refusal: ScheduleError) -> ScheduleError:
    """Return the error that says what to write instead of what was refused; the refusal itself if that is unknown."""
    if len(text) > MAX_LENGTH or refusal.suggestion:
        return refusal
    if schedules := _several(text):
        return ScheduleError(
            f"these are {len(schedules)} schedules, and a job has one; have a job for each: "
            + ", ".join(map(repr, schedules))
        )
    plain = wrappings.remove(Meant(text))
    if plain.notes:
        # What is wrong with it otherwise, if nothing comes of it.
        refusal = _refusal_of(plain.text) or refusal
    for meant in _readings(plain):
        if meant.notes and _refusal_of(meant.text) is None:
            first = suspect(meant.text)
            return _told(meant.add(_FIRST, first) if first else meant)
    if found := re.fullmatch(r"@[ \t]*(reboot|restart|startup|start)(?:[ \t].*)?", plain.text, re.IGNORECASE):
        return ScheduleError(
            f"'@{found[1]}' names no times, as nodes start at any time; call the function where your project "
            f"starts, or write one of {', '.join(NICKNAMES)}, or five fields"
        )
    if re.fullmatch(r"(?!H\()(?:\w+\.)*\w*[ \t]*\(.*\)", plain.text):
        return ScheduleError(
            f"{plain.text!r} is a call, and a schedule a text; write five fields with blanks between them: "
            "minute, hour, day of month, month, day of week"
        )
    return refusal


def suspect(text: str) -> str | None:
    """Return what is meant by six fields that can be read, if it seems that the seconds were to come first.

    >>> suspect("0 */5 * * * *"), suspect("* * * * * */5")
    ('*/5 * * * *', None)
    """
    try:
        words = grammar.split(text)
        numbers = chosen.read(words)
    except ScheduleError:
        return None
    if len(words) != SIX:
        return None
    minute, _, day, _, _, second = words
    is_each_second = second.startswith("*") and len(numbers[SECOND]) == len(range(SECOND.high + 1))
    is_partial = len(numbers[grammar.MINUTE]) <= grammar.MINUTE.high
    named = numbers[SECOND]
    # Where the last is chosen, what it comes to here says nothing; and who writes H has no weekdays there.
    is_weekday = not second.startswith("*") and named[-1] <= WEEKDAY.high and minute.isdigit()
    is_weekday = is_weekday and not chosen.is_in(second)
    # Nobody has a job run in so many seconds one after the other, and then not until the next hour.
    several = len(named) > FEW or (len(named) > 1 and named[-1] - named[0] < len(named))
    on_days = several or (int(minute) == 0 and not day.startswith("*")) if is_weekday else False
    if not ((is_each_second and is_partial) or on_days):
        return None
    first, five = " ".join(_seconds_last(words)), " ".join(words[:FIVE])
    # Or the last star stands for the years: the fifth field has what a weekday has, or there is no such hour.
    is_year = second == "*" and words[2:4] == ["*", "*"] and not words[4].startswith("*")
    if _refusal_of(first) is None and not is_year:
        return first
    return five if is_each_second else None


def _refusal_of(text: str) -> ScheduleError | None:
    try:
        if (every.read(text) or once.read(text)) is None:
            chosen.read(grammar.split(text))
    except ScheduleError as refusal:
        return refusal
    return None


def _several(text: str) -> list[str]:
    """Return the schedules, if the text is more than one; each of them can be read."""
    words = text.split()
    size = next((size for size in (FIVE, SIX) if len(words) in range(2 * size, MAX_LENGTH, size)), 0)
    each_so_long = [" ".join(words[start : start + size]) for start in range(0, len(words), size)] if size else []
    for parts in (_BETWEEN.split(text.strip().rstrip(";,")), each_so_long):
        if len(parts) > 1 and all(_refusal_of(part) is None for part in parts):
            return parts
    return []


def _told(meant: Meant) -> ScheduleError:
    fields = {each for each, _ in meant.notes}
    culprit = next(iter(fields)) if len(fields) == 1 else None
    what = "; ".join(dict.fromkeys(note for _, note in meant.notes))
    prefix = f"{culprit.name}: " if culprit else ""
    message = f"{prefix}{what}; write {meant.text!r}{''.join(meant.then)}"
    return ScheduleError(message, culprit.name if culprit else None, meant.text)


# What is left.


def _readings(meant: Meant) -> Iterator[Meant]:
    """Yield what the text may mean, the likeliest first."""
    yield meant
    if called := _by_call(meant.text):
        yield _translated(meant.add("a schedule is a text of five fields", called), 0)
    yield from _by_time(meant)
    if once.is_in(meant.text):
        return
    if found_name := re.fullmatch(r"@?[ \t]*([A-Za-z_]+)(?:[ \t]+(.*))?", meant.text):
        yield from _by_nickname(meant, found_name[1].lower(), found_name[2] or "")
    text = _JOINED.sub(_as_list, meant.text)
    if text != meant.text:
        meant = meant.add("a list has commas, and a range a dash", text)
    text = re.sub(r"(?<!\S)\*{2,6}(?!\S)", lambda stars: " ".join(stars[0]), meant.text)
    if text != meant.text:
        meant = meant.add("fields have blanks between them", text)
    # No field begins or ends with what is between numbers.
    text = re.sub(r"[ \t]*,[ \t]*|[ \t]+/(?=[0-9]+(?:[ \t,]|$))|(?<=\*)/[ \t]+(?=[0-9])", lambda m: m[0].strip(), text)
    text = re.sub(r"(?<=[0-9A-Za-z])(?:[ \t]+-[ \t]*|-[ \t]+)(?=(?:[0-9]{1,2}|[A-Za-z]{3,9})(?:[ \t,/]|$))", "-", text)
    if text != meant.text:
        meant = meant.add("there are no blanks within a field", text)
    for sunday, each in _orders(meant):
        yield _translated(each, sunday)


def _by_time(meant: Meant) -> Iterator[Meant]:
    """Yield what a date, an interval or words for a time of the day may mean."""
    if moment := once.closest(re.sub("@?at[ \t]+", "", meant.text, flags=re.IGNORECASE)):
        yield meant.add(f"{meant.text!r} is {moment!r} here", moment)
    if once.is_in(meant.text):
        return
    if found := intervals.closest(meant.text) or phrases.closest(meant.text):
        expression, remark = found
        then = f", {remark}" if remark else ""
        if expression.startswith(every.NICKNAME):
            yield meant.add(f"{meant.text!r} is {expression!r} here", expression, then)
        else:
            yield _translated(meant.add(f"{meant.text!r} is no list of fields", expression, then), 0)


def _by_call(text: str) -> str:
    """Return the fields of ``crontab(minute=0, hour="*/3")``, in their order; nothing if there is more to it."""
    found = re.fullmatch(r"(?:\w+\.)*(?:crontab)?[ \t]*(\(.+\))", text, re.IGNORECASE)
    try:
        call = ast.parse(f"crontab{found[1]}", mode="eval").body if found else None
        if not isinstance(call, ast.Call) or len(call.args) > FIRST_CALLED:
            return ""
        given = [(number, ast.literal_eval(each)) for number, each in enumerate(call.args)]
        given += [(CALLED[each.arg or ""], ast.literal_eval(each.value)) for each in call.keywords]
    except (SyntaxError, ValueError, KeyError, MemoryError, RecursionError):
        return ""
    fields = ["*"] * FIVE
    for number, value in given:
        # A set or list of numbers is one of Celery's ways, too.
        several = isinstance(value, (list, tuple, set))
        fields[number] = ",".join(map(str, value)) if several else "".join(str(value).split())
    return " ".join(fields) if given and all(fields) else ""


def _as_list(found: re.Match[str]) -> str:
    """Return ``mon,`` for ``mon and``, and ``mon-`` for ``mon to``, between names or numbers."""
    are_named = all(each[0].isdigit() or _is_name(each) for each in found.group(1, 3))
    return f"{found[1]}{'-' if found[2] else ','}" if are_named else found[0]


def _is_name(word: str) -> bool:
    return any(names.short(word, each) for each in (WEEKDAY, MONTH))


def _by_nickname(meant: Meant, name: str, rest: str) -> Iterator[Meant]:
    expression = f"@{name}" if f"@{name}" in NICKNAMES else _NICKNAMES.get(name)
    # Another beginning is another word: biweekly is not weekly.
    alike = get_close_matches(f"@{name}", [each for each in NICKNAMES if each[1] == name[0]], n=1, cutoff=ALIKE)
    expression = expression or (alike[0] if alike else None)
    if not expression or (rest and not _is_command(rest)):
        return
    yield meant.add(_command(rest) if rest else f"{meant.text!r} is {expression!r} here", expression)


def _translated(meant: Meant, sunday: int) -> Meant:
    said = signs.translate(meant.text.split(), sunday)
    return replace(meant, text=" ".join(said.words), notes=(*meant.notes, *said.notes))


# The fields' order.


def _orders(meant: Meant) -> Iterator[tuple[int, Meant]]:
    """Yield the fields in crontab's order, with Sunday's number there, for each order that they may have."""
    words = meant.text.split()
    five = replace(meant, text=" ".join(words[:FIVE]))
    if len(words) == FIVE:
        yield 0, meant
    elif len(words) == SIX:
        if _YEARS.fullmatch(words[-1]) and ("?" in {words[2], words[4]} or words[-1][0] != "*"):
            yield int("?" in words), _without_year(five, words[-1])
        yield from _with_seconds(meant, words, int("?" in words))
    elif len(words) == SEVEN and _YEARS.fullmatch(words[-1]):
        yield from _with_seconds(_without_year(meant, words[-1]), words[:SIX], int("?" in words))
    rest = " ".join(words[FIVE:])
    if rest and _is_command(rest):
        yield 0, five.add(_command(rest), five.text)


def _with_seconds(meant: Meant, words: list[str], sunday: int) -> Iterator[tuple[int, Meant]]:
    """Yield six fields with the seconds last, unless they seem to come first; and with what is first last."""
    in_place = replace(meant, text=" ".join(words))
    # A question mark is a day's, if a field is another scheduler's.
    if not {words[3], words[5]} & {"?"} and suspect(_translated(in_place, 0).text) is None:
        yield 0, in_place
    last = _seconds_last(words)
    then = ", which is on each day that either day field names" if _are_both_days(last) else ""
    yield sunday, meant.add(_FIRST, " ".join(last), then)


def _are_both_days(words: Sequence[str]) -> bool:
    return not any(words[place][0] in "*?" for place in (2, 4))


def _is_command(rest: str) -> bool:
    """Whether what stands behind the fields can be no field and no time, so that it is a user or a command."""

    def unnamed(found: re.Match[str]) -> str:
        return "" if _is_name(found[0]) else "x"

    word = rest.split(maxsplit=1)[0]
    if word[0] == "#":
        return True
    is_field = _SIGNS.fullmatch(re.sub(r"[^\W\d_]{2,}", unnamed, word))
    return not is_field and word[0] not in "+-&|" and not phrases.tells_time(rest)


def _command(rest: str) -> str:
    """Return what is said of what stands behind the fields."""
    if rest[0] == "#":
        return "a remark has no room here"
    shown = rest if len(rest) <= _SHOWN else f"{rest[: _SHOWN - 1]}…"
    return f"a schedule says when, and {shown!r} is for the job's function"


def _seconds_last(words: Sequence[str]) -> list[str]:
    """Return the fields with the first one last, or left out if it is 0 and nothing else."""
    first, *others = words
    first = "0" if re.fullmatch(r"0+", first) else first
    return others if first == "0" else [*others, first]


def _without_year(meant: Meant, year: str) -> Meant:
    if year == "*":
        return meant.add("no field names the year", meant.text)
    return meant.add("no field names the year", meant.text, f", and have the job enabled in {year} alone")
