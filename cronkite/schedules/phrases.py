"""Which expression is meant by words such as ``daily at noon``, ``weekly on monday`` or ``every weekday at 17:00``?

In English alone. A word that is not understood leaves the whole so: nobody is told to write half of what was meant.
"""

from __future__ import annotations

import re

from cronkite.schedules import names
from cronkite.schedules.grammar import DAY, HOUR, MINUTE, NICKNAMES, WEEKDAY

#: How often, by the word for it: minute, hour, day of month, month, day of week, as far as nothing else is said.
_OFTEN = {
    **{name: NICKNAMES[f"@{name}"] for name in ("hourly", "daily", "monthly", "yearly", "annually")},
    "nightly": NICKNAMES["@daily"],
    "weekly": "0 0 * * sun",
}
_UNITS = {"hour": "hourly", "day": "daily", "night": "nightly", "week": "weekly", "month": "monthly", "year": "yearly"}
_TIME = re.compile(r"([0-9]{1,2})(?:[:.h]([0-9]{2}))?[ ]?(am|pm|a\.m\.?|p\.m\.?|h)?(?:[ ]?o'?clock)?")
#: The hours of half a day.
HALF = 12
_MOMENTS = {"noon": (12, 0), "midday": (12, 0), "midnight": (0, 0)}
_DAY = re.compile(r"(?:the )?([0-9]{1,2})(?:st|nd|rd|th)(?: day)?(?: of (?:the|each|every) month)?")
_PAST = re.compile(r"(?:minute |:)([0-5]?[0-9])|([0-5]?[0-9]) (?:minutes )?past(?: the hour)?")
#: Words that speak of times, in which no command begins.
_OF_TIME = re.compile(
    r"(?:at|on|in|from|until|till|to|through|thru|between|and|or|und|oder|bis|except|but|only|not|every|each|if|when|"
    r"noon|midday|midnight|[ap]m|utc|gmt|[0-9].*)",
    re.IGNORECASE,
)


def closest(text: str) -> tuple[str, str] | None:
    """Return the expression, and that there is nothing more to say of it; ``None`` if the words mean something else.

    >>> closest("@daily 03:00"), closest("every monday and friday at 9:30 pm"), closest("monthly on the 15th")
    (('0 3 * * *', ''), ('30 21 * * mon,fri', ''), ('0 0 15 * *', ''))
    """
    said = " ".join(text.lower().replace(",", " and ").removeprefix("@").split())
    said = re.sub(r" and(?= (?:and|on|at) )", "", said)
    every, _, what = said.partition(" ")
    is_every = every in {"every", "each"}
    often, _, rest = (what if is_every else said).partition(" ")
    word = _UNITS.get(often) if is_every else often
    if not (rest or is_every) or often in {"on", "at"}:
        # Alone, a word is a nickname; a day or a time that stands alone is that of each week or day.
        word, rest = "daily", said
    if word in _OFTEN:
        fields = _OFTEN[word].split()
    else:
        word, fields, rest = "weekly", _OFTEN["daily"].split(), f"{often} {rest}".strip()
        if not _days(re.split(r" (?=at )| (?=[0-9])", rest)[0]):
            return None
    found = _say(fields, word, rest) if rest else fields if is_every else None
    return (" ".join(found), "") if found else None


def tells_time(text: str) -> bool:
    """Whether the text begins as one about times does, and not as a command or a user.

    >>> tells_time("and fri"), tells_time("03:00"), tells_time("root /bin/true")
    (True, True, False)
    """
    return bool(_OF_TIME.fullmatch(text.split(maxsplit=1)[0]))


def _say(fields: list[str], often: str, rest: str) -> list[str] | None:
    """Return the fields with what is said of them; ``None`` if not all of that is understood."""
    fields = [*fields]
    for part in re.split(r"(?:^| )on | (?=at )|(?<!\bat) (?=[0-9]{1,2}:|noon$|midnight$)", rest):
        if not part:
            continue
        if often == "hourly":
            past = _PAST.fullmatch(part.removeprefix("at "))
            if not past:
                return None
            fields[0] = str(int(past[1] or past[2]))
        elif time := _time(part):
            fields[0], fields[1] = str(time[1]), str(time[0])
        elif often in {"weekly", "daily", "nightly"} and (days := _days(part)):
            fields[4] = days
        elif often == "monthly" and (day := _DAY.fullmatch(part)) and DAY.low <= int(day[1]) <= DAY.high:
            fields[2] = str(int(day[1]))
        else:
            return None
    return fields


def _time(text: str) -> tuple[int, int] | None:
    """Return the hour and the minute; ``None`` if it is not certainly a time."""
    moment = text.removeprefix("at ")
    if moment in _MOMENTS:
        return _MOMENTS[moment]
    found = _TIME.fullmatch(moment)
    # A number with nothing before and behind may be anything.
    if not found or (moment == text and not (found[2] or found[3])):
        return None
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "")[:1]
    if half in {"a", "p"}:
        if not 1 <= hour <= HALF:
            return None
        hour = hour % HALF + (HALF if half == "p" else 0)
    return (hour, minute) if hour <= HOUR.high and minute <= MINUTE.high else None


def _days(text: str) -> str:
    """Return a list of weekdays; nothing if a word of it is none."""
    words = re.sub(r" (?:to|through|thru|until) ", "-", text)
    items = re.split(r" (?:and|or|&) |,| ", words)
    days = [[names.short(word, WEEKDAY) for word in item.split("-")] for item in items if item and item != "and"]
    return ",".join("-".join(map(str, item)) for item in days) if all(None not in item for item in days) else ""
