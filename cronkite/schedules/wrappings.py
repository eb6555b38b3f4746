"""What stands around an expression, or only looks like its characters, and what is left without that?

Quotes, labels, settings, time zones; blanks that do not break or have no width, dashes, digits of other scripts.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, replace

from cronkite.schedules import once, zonehints, zonenames
from cronkite.schedules.grammar import Field

_ZONE = "the time zone has a field of its own"
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\r\n\v\f]")
_NOTHING = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe0e\ufe0f]")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_STARS = re.compile("[\u2217\u204e\u066d\u2731\uff0a\u00d7]|\\\\\\*")
_SLASHES = re.compile("[\u2044\u2215\uff0f]")
_COMMAS = re.compile("[\u060c\u3001\uff0c]")
_QUOTED = re.compile("[\"'`\u2018\u201c\u201e\u00ab](.*)[\"'`\u2018\u2019\u201c\u201d\u00bb]")
_NAMED_ZONE = re.compile(r"(?:CRON_TZ|TZ|TIMEZONE)[ \t]*=[ \t]*([\"']?):?([\w+/-]+)\1[ \t;]+(.*)", re.IGNORECASE)
#: A zone behind five fields at least.
_LAST_ZONE = re.compile(r"((?:\S+[ \t]+){4,}\S+)[ \t]+\(?([A-Za-z][\w+/-]*)\)?")
#: What may be meant as one, behind five or six fields: a place, an abbreviation, an offset, two words.
_LAST_MEANT = re.compile(
    r"((?:\S+[ \t]+){4}\S+(?:[ \t]+[0-9*?/,-]+)?)[ \t]+\(?((?:(?:utc|gmt|etc/\w+)?[ \t]*[+-][0-9]{1,2}(?::?[0-9]{2})?|"
    r"[a-z][\w-]*(?:/[\w-]+)*(?:[ \t]+[a-z]+)?))\)?",
    re.IGNORECASE,
)
#: A zone behind a date and a time: its name alone, or in brackets.
_ZONE_OF_MOMENT = re.compile(
    r"(?:@?at[ \t]+)?([0-9]{4}\S*?(?:[ \t]+[0-9:]+)?)[ \t]*[ \t(\[][ \t]*([a-z][\w+/-]*)[)\]]?", re.IGNORECASE
)
_SETTING = re.compile(r"([A-Za-z_]\w*)=\S*[ \t]+(.*)")
#: A setting whose value is the expression, as its name says, and which begins with a field, or with systemd's days.
_SETTING_OF_IT = re.compile(
    r"\w*(?:cron|sched|calendar)\w*[ \t]*=[ \t]*((?:[0-9*?/,-]+|(?:mon|tue|wed|thu|fri|sat|sun)\S*)[ \t].*)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:-[ \t]+)?(?:cron|schedule|crontab)[ \t]*[:=][ \t]*(.*)|-[ \t]+(.*)", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]+|#x[0-9a-f]+|nbsp|ndash|minus|ast);", re.IGNORECASE)
_ENDED = re.compile(r"(.*[^;,. \t])[ \t]*[;,.]+")
_CALL = re.compile(r"cron[ \t]*\((.*)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Meant:
    """What a text may mean: what is left of it, and notes of what was strange, by field if it was one's.

    ``then`` is what else there is to do, behind the expression.
    """

    text: str
    notes: tuple[tuple[Field | None, str], ...] = ()
    then: tuple[str, ...] = ()

    def add(self, note: str, text: str, then: str = "") -> Meant:
        """Return what is left after one more strange thing."""
        return replace(
            self, text=text, notes=(*self.notes, (None, note)), then=(*self.then, then) if then else self.then
        )


def remove(meant: Meant) -> Meant:
    """Return what is left of the text in characters that crontab has, with a note of what was removed."""
    return _unwrapped(_plain(meant))


def _plain(meant: Meant) -> Meant:
    """Return the text in the characters that crontab has."""
    if _ENTITY.search(meant.text):
        meant = meant.add("it is written for HTML", html.unescape(meant.text))
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


def _unwrapped(meant: Meant) -> Meant:
    """Return what is left without quotes, labels, settings and time zones."""
    while True:
        if found := _QUOTED.fullmatch(meant.text):
            meant = meant.add("it stands without quotes", found[1].strip())
        elif found := _LABEL.fullmatch(meant.text) or _CALL.fullmatch(meant.text):
            meant = meant.add("the expression stands alone", found[found.lastindex or 0].strip())
        elif found := _ENDED.fullmatch(meant.text):
            meant = meant.add("nothing stands behind the last field", found[1])
        elif found := _NAMED_ZONE.fullmatch(meant.text):
            meant = meant.add(_ZONE, found[3].strip(), _as_zone(found[2]))
        elif found := _SETTING_OF_IT.fullmatch(meant.text):
            meant = meant.add("the expression stands alone", found[1].strip())
        elif found := _SETTING.fullmatch(meant.text):
            meant = meant.add(f"{found[1]} cannot be set here", found[2].strip())
        elif found := _behind_fields(meant.text):
            meant = meant.add(_ZONE, found[1], _as_zone(found[2]))
        elif (found := _ZONE_OF_MOMENT.fullmatch(meant.text)) and _zone(found[2]) and once.closest(found[1]):
            meant = meant.add(_ZONE, once.closest(found[1]), _as_zone(found[2]))
        else:
            return meant


def _zone(name: str) -> str:
    """Return the zone that is meant by a name, which may be misspelled; nothing if that is none."""
    return name if name in zonenames.every() else zonehints.spelling(name)


def _behind_fields(text: str) -> re.Match[str] | None:
    """Return the fields, and the zone behind them; ``None`` if there is none."""
    if (found := _LAST_ZONE.fullmatch(text)) and _zone(found[2]):
        return found
    found = _LAST_MEANT.fullmatch(text)
    return found if found and _is_meant_as_zone(found[2]) else None


def _is_meant_as_zone(text: str) -> bool:
    """Whether it is an offset, or like the name of a zone or of its place."""
    is_offset = re.fullmatch(r"(?:utc|gmt|etc/\w+)?[ \t]*[+-][0-9:]+", text, re.IGNORECASE)
    return bool(is_offset or _zone(text) or zonehints.suggestions(text))


def _as_zone(name: str) -> str:
    """Return what else there is to do about a zone that stands beside an expression."""
    zones = [_zone(name)] if _zone(name) else zonehints.suggestions(name)
    return f", and {' or '.join(map(repr, zones))} as the time zone" if zones else (
        f", and a time zone beside it ({name!r} is none)"
    )  # fmt: skip
