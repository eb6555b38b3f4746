"""What did somebody mean who wrote an expression as another scheduler reads it?

Where that is known, there is one expression to write instead, which crontab takes. What stands around the fields is
:mod:`cronkite.wrappings`'s, and what stands within them :mod:`cronkite.signs`'s. Here it is their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from cronkite import grammar, intervals, names, signs, wrappings
from cronkite.exceptions import ScheduleError
from cronkite.grammar import MAX_LENGTH, MONTH, NICKNAMES, SECOND, WEEKDAY
from cronkite.wrappings import Meant

FIVE, SIX, SEVEN = 5, 6, 7
#: So many seconds of a minute, apart from each other, may be meant.
FEW = 2
#: From where on a nickname is a misspelt one.
ALIKE = 0.8

#: The fields' names in Celery's crontab, in our order.
CELERY = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")

_FIRST = "the seconds come last here, and not first"
_COMMAND = "a schedule says when, and the job's function what"
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
}


def explain(text: str, refusal: ScheduleError) -> ScheduleError:
    """Return the error that says what to write instead of what was refused; the refusal itself if that is unknown."""
    if len(text) > MAX_LENGTH:
        return refusal
    plain = wrappings.remove(Meant(text))
    if plain.notes:
        # What is wrong with it otherwise, if nothing comes of it.
        refusal = _refusal_of(plain.text) or refusal
    for meant in _readings(plain):
        if meant.notes and _refusal_of(meant.text) is None:
            first = suspect(meant.text)
            return _told(meant.add(_FIRST, first) if first else meant)
    if found := re.fullmatch(r"@[ \t]*(reboot|restart|startup|start)", plain.text, re.IGNORECASE):
        return ScheduleError(
            f"'@{found[1]}' names no times, as nodes start at any time; call the function where your project "
            f"starts, or write one of {', '.join(NICKNAMES)}, or five fields"
        )
    return refusal


def suspect(text: str) -> str | None:
    """Return what is meant by six fields that can be read, if it seems that the seconds were to come first.

    >>> suspect("0 */5 * * * *"), suspect("* * * * * */5")
    ('*/5 * * * *', None)
    """
    try:
        words = grammar.split(text)
        numbers = grammar.read(words)
    except ScheduleError:
        return None
    if len(words) != SIX:
        return None
    minute, _, day, _, _, second = words
    is_each_second = second.startswith("*") and len(numbers[SECOND]) == len(range(SECOND.high + 1))
    is_partial = len(numbers[grammar.MINUTE]) <= grammar.MINUTE.high
    named = numbers[SECOND]
    is_weekday = not second.startswith("*") and named[-1] <= WEEKDAY.high and minute.isdigit()
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
        grammar.read(grammar.split(text))
    except ScheduleError as refusal:
        return refusal
    return None


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
    if found_call := re.fullmatch(r"(?:crontab)?[ \t]*\((.*=.*)\)", meant.text, re.IGNORECASE):
        yield _translated(meant.add("a schedule is a text of five fields", _by_keyword(found_call[1])), 0)
    if found := intervals.closest(meant.text):
        expression, remark = found
        then = f", {remark}" if remark else ""
        yield _translated(meant.add(f"{meant.text!r} is no list of fields", expression, then), 0)
    if found_name := re.fullmatch(r"@?[ \t]*([A-Za-z_]+)(?:[ \t]+(.*))?", meant.text):
        yield from _by_nickname(meant, found_name[1].lower(), found_name[2] or "")
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


def _by_keyword(text: str) -> str:
    """Return the fields of Celery's ``crontab(minute=0, hour="*/3")``, in their order."""
    pairs = re.findall(r"(\w+)[ \t]*=[ \t]*(?:[\"']([^\"']*)[\"']|([^,\"' \t]+))", text)
    given = {name: quoted or bare for name, quoted, bare in pairs}
    return " ".join(given.get(name) or "*" for name in CELERY)


def _by_nickname(meant: Meant, name: str, rest: str) -> Iterator[Meant]:
    expression = f"@{name}" if f"@{name}" in NICKNAMES else _NICKNAMES.get(name)
    if not expression and (alike := get_close_matches(f"@{name}", NICKNAMES, n=1, cutoff=ALIKE)):
        expression = alike[0]
    if not expression or (rest and not _is_command(rest.split(maxsplit=1)[0])):
        return
    yield meant.add(_COMMAND if rest else f"{meant.text!r} is {expression!r} here", expression)


def _translated(meant: Meant, sunday: int) -> Meant:
    said = signs.translate(meant.text.split(), sunday)
    then = tuple(f", and have the function return on all days but {duty}" for duty in dict.fromkeys(said.duties))
    return replace(meant, text=" ".join(said.words), notes=(*meant.notes, *said.notes), then=(*meant.then, *then))


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
    if len(words) > FIVE and _is_command(words[FIVE]):
        yield 0, five.add(_COMMAND, five.text)


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
    return not any(words[place][0] in "*?" or re.search("[LW#]", words[place].upper()) for place in (2, 4))


def _is_command(word: str) -> bool:
    """Whether it can be no field, so that it is a user or a command."""

    def unnamed(found: re.Match[str]) -> str:
        return "" if any(names.short(found[0], each) for each in (WEEKDAY, MONTH)) else "x"

    return word[0] == "#" or not _SIGNS.fullmatch(re.sub(r"[^\W\d_]{2,}", unnamed, word))


def _seconds_last(words: Sequence[str]) -> list[str]:
    """Return the fields with the first one last, or left out if it is 0 and nothing else."""
    first, *others = words
    first = "0" if re.fullmatch(r"0+", first) else first
    return others if first == "0" else [*others, first]


def _without_year(meant: Meant, year: str) -> Meant:
    if year == "*":
        return meant.add("no field names the year", meant.text)
    return meant.add("no field names the year", meant.text, f", and disable the job when {year} is over")
