"""What did somebody mean who wrote an expression as another scheduler reads it?

Where that is known, there is one expression to write instead, which crontab takes. What stands within the fields is
:mod:`cronkite.signs`'s; here it is what stands around them, and their order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cronkite import grammar, intervals, names, signs
from cronkite.exceptions import ScheduleError
from cronkite.grammar import MAX_LENGTH, MONTH, NICKNAMES, SECOND, WEEKDAY, Field

FIVE, SIX, SEVEN = 5, 6, 7

_FIRST = "the seconds come last here, and not first"
_ZONE = "the time zone has a field of its own"
_COMMAND = "a schedule says when, and the job's function what"
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\r\n\v\f]")
_NOTHING = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe0e\ufe0f]")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_STARS = re.compile("[\u2217\u204e\u066d\u2731\uff0a\u00d7]|\\\\\\*")
_SLASHES = re.compile("[\u2044\u2215\uff0f]")
_COMMAS = re.compile("[\u060c\u3001\uff0c]")
_QUOTED = re.compile("[\"'`\u2018\u201c\u201e\u00ab](.*)[\"'`\u2018\u2019\u201c\u201d\u00bb]")
_NAMED_ZONE = re.compile(r"(?:CRON_TZ|TZ|TIMEZONE)[ \t]*=[ \t]*([\"']?):?([\w+/-]+)\1[ \t;]+(.*)", re.IGNORECASE)
_LAST_ZONE = re.compile(r"(.*[^ \t])[ \t]+\(?(UTC|GMT|[A-Z]\w+(?:/[\w+-]+)+)\)?")
_SETTING = re.compile(r"([A-Za-z_]\w*)=\S*[ \t]+(.*)")
_LABEL = re.compile(r"(?:-[ \t]*)?(?:cron|schedule|crontab)[ \t]*[:=][ \t]*(.*)", re.IGNORECASE)
_CALL = re.compile(r"cron[ \t]*\((.*)\)", re.IGNORECASE)
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


@dataclass(frozen=True)
class _Meant:
    """What the text may mean; ``then`` is what else there is to do, behind the expression."""

    text: str
    notes: tuple[tuple[Field | None, str], ...] = ()
    then: tuple[str, ...] = ()

    def add(self, note: str, text: str, then: str = "") -> _Meant:
        return replace(
            self, text=text, notes=(*self.notes, (None, note)), then=(*self.then, then) if then else self.then
        )


def explain(text: str, refusal: ScheduleError) -> ScheduleError:
    """Return the error that says what to write instead of what was refused; the refusal itself if that is unknown."""
    if len(text) > MAX_LENGTH:
        return refusal
    plain = _unwrapped(_plain(_Meant(text)))
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
    is_weekday = not second.startswith("*") and max(numbers[SECOND]) <= WEEKDAY.high and minute in {"0", "00"}
    several = len(numbers[SECOND]) > 1 and numbers[SECOND][-1] - numbers[SECOND][0] < len(numbers[SECOND])
    if not ((is_each_second and is_partial) or (is_weekday and (several or not day.startswith("*")))):
        return None
    first = " ".join(_seconds_last(words))
    if _refusal_of(first) is None:
        return first
    # Or the last star stood for the years.
    return " ".join(words[:FIVE]) if is_each_second else None


def _refusal_of(text: str) -> ScheduleError | None:
    try:
        grammar.read(grammar.split(text))
    except ScheduleError as refusal:
        return refusal
    return None


def _told(meant: _Meant) -> ScheduleError:
    fields = {each for each, _ in meant.notes}
    culprit = next(iter(fields)) if len(fields) == 1 else None
    what = "; ".join(dict.fromkeys(note for _, note in meant.notes))
    prefix = f"{culprit.name}: " if culprit else ""
    message = f"{prefix}{what}; write {meant.text!r}{''.join(meant.then)}"
    return ScheduleError(message, culprit.name if culprit else None, meant.text)


# Around the fields.


def _plain(meant: _Meant) -> _Meant:
    """Return the text in the characters that crontab has."""
    text = _BLANKS.sub(" ", meant.text)
    text = _DASHES.sub("-", _STARS.sub("*", _SLASHES.sub("/", _COMMAS.sub(",", _NOTHING.sub("", text)))))
    text = "".join(_ascii(character) for character in text).strip(" \t")
    strange = [_called(each) for each in sorted({*meant.text} - {*text, " ", "\t"})]
    if not strange:
        return replace(meant, text=text)
    return meant.add(f"crontab does not read {' and '.join(strange)}", text)


def _called(character: str) -> str:
    """Return the character, with its name where it may look like another one."""
    name = unicodedata.name(character, "").lower()
    return repr(character) if character.isascii() or not name else f"{character!r} ({name})"


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    wide = unicodedata.normalize("NFKC", character)
    return wide if "\uff01" <= character <= "\uff5e" else character


def _unwrapped(meant: _Meant) -> _Meant:
    """Return what is left without quotes, labels, settings and time zones."""
    while True:
        if found := _QUOTED.fullmatch(meant.text):
            meant = meant.add("it stands without quotes", found[1].strip())
        elif found := _LABEL.fullmatch(meant.text) or _CALL.fullmatch(meant.text):
            meant = meant.add("the expression stands alone", found[1].strip())
        elif found := _NAMED_ZONE.fullmatch(meant.text):
            meant = meant.add(_ZONE, found[3].strip(), f", and {found[2]!r} as the time zone")
        elif found := _SETTING.fullmatch(meant.text):
            meant = meant.add(f"{found[1]} cannot be set here", found[2].strip())
        elif found := _LAST_ZONE.fullmatch(meant.text):
            meant = meant.add(_ZONE, found[1], f", and {found[2]!r} as the time zone")
        else:
            return meant


def _readings(meant: _Meant) -> Iterator[_Meant]:
    """Yield what the text may mean, the likeliest first."""
    yield meant
    if found := intervals.closest(meant.text):
        expression, is_exact = found
        then = "" if is_exact else ", which is the closest that is always as far apart"
        yield meant.add(f"{meant.text!r} names no times of the clock", expression, then)
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


def _by_nickname(meant: _Meant, name: str, rest: str) -> Iterator[_Meant]:
    expression = f"@{name}" if f"@{name}" in NICKNAMES else _NICKNAMES.get(name)
    if not expression or (rest and not _is_command(rest.split(maxsplit=1)[0])):
        return
    yield meant.add(_COMMAND if rest else f"{meant.text!r} is {expression!r} here", expression)


def _translated(meant: _Meant, sunday: int) -> _Meant:
    said = signs.translate(meant.text.split(), sunday)
    then = tuple(f", and have the function return on all days but {duty}" for duty in dict.fromkeys(said.duties))
    return replace(meant, text=" ".join(said.words), notes=(*meant.notes, *said.notes), then=(*meant.then, *then))


# The fields' order.


def _orders(meant: _Meant) -> Iterator[tuple[int, _Meant]]:
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


def _with_seconds(meant: _Meant, words: list[str], sunday: int) -> Iterator[tuple[int, _Meant]]:
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


def _without_year(meant: _Meant, year: str) -> _Meant:
    if year == "*":
        return meant.add("no field names the year", meant.text)
    return meant.add("no field names the year", meant.text, f", and disable the job when {year} is over")
