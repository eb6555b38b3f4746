"""What stands in a crontab for the signs and names that other schedulers have in their fields?

``L``, ``W`` and ``#`` are those of Quartz, ``?`` is of Quartz and Amazon's EventBridge, ``R`` of croniter, ``~`` of
OpenBSD's cron, and ``..`` of systemd. What crontab cannot say, it says as closely as it can, and the function has to
see to the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cronkite.exceptions import ScheduleError
from cronkite.schedules import chosen, names
from cronkite.schedules.grammar import COMMON_DAYS, DAY, FIELDS, LONGEST_MONTHS, MONTH, WEEKDAY, Field, read_field

#: A first item of the day of month that names the 1st alone, and with its star has both day fields be asked.
BOTH_DAYS = "*/100"
#: The days on which the first, second, … fifth of each weekday may lie.
WEEKS = ("1-7", "8-14", "15-21", "22-28", "29-31")
DAYS_OF_WEEK = 7


@dataclass
class Said:
    """Fields as crontab has them; ``notes`` tell by field what stood there, and ``duties`` what is up to the function.

    ``duties`` follow "have the function return on all days but …".
    """

    words: list[str]
    notes: list[tuple[Field, str]] = field(default_factory=list)
    duties: list[str] = field(default_factory=list)


def translate(words: Sequence[str], sunday: int = 0) -> Said:
    """Return what five or six fields say, as far as it is understood; Sunday is ``sunday`` there, 0 or 1."""
    said = Said([*words])
    at = {each: place for place, each in enumerate(FIELDS[: len(words)])}
    if sunday:
        _renumber(said, at[WEEKDAY])
    for each, place in at.items():
        items = said.words[place].split(",")
        if each is DAY:
            months = _months(said.words[at[MONTH]])
            items = _from_the_end(items, months, said, said.words[at[WEEKDAY]])
        said.words[place] = ",".join(_item(item, each, said) for item in items)
    _of_the_month(said, at)
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
    for change in (_chosen, _stepped, _turned):
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


def _months(word: str) -> tuple[int, ...]:
    try:
        return read_field(word, MONTH)
    except ScheduleError:
        return tuple(range(MONTH.low, MONTH.high + 1))


def _from_the_end(items: Sequence[str], months: Sequence[int], said: Said, weekdays: str) -> list[str]:
    """Return the days of the month for ``L``, ``L-3``, ``LW`` and ``15W``; and all else as it is.

    Where the field of the weekdays names some, too, days of either field are meant.
    """
    found = [_days(item, months) for item in items]
    said.notes += [(DAY, f"{item!r} is not in crontab") for item, (days, _) in zip(items, found, strict=True) if days]
    if duties := [duty for _, duty in found if duty]:
        others = [days or item for item, (days, duty) in zip(items, found, strict=True) if not duty]
        either = [weekdays] if weekdays[0] not in "*?" else []
        said.duties.append(" and ".join([*others, *duties, *either]))
    return [days or item for item, (days, _) in zip(items, found, strict=True)]


def _days(item: str, months: Sequence[int]) -> tuple[str, str]:
    """Return the days for what crontab does not have, if it is that, and on which of them the function has to go on."""
    ends = {LONGEST_MONTHS[month - 1] for month in months}
    if 2 in months:  # noqa: PLR2004 - February
        ends.add(COMMON_DAYS)
    days, duty = "", ""
    upper = item.upper()
    if found := re.fullmatch(r"L(?:-([0-9]{1,2}))?", upper):
        back = int(found[1] or 0)
        if min(ends) > back:
            days = _span([str(end - back) for end in sorted({min(ends), max(ends)})], 1)
        duty = f"the one that is {back} before a month's last" if back else "a month's last"
        duty = duty if len(ends) > 1 else ""
    elif upper in {"LW", "WL"}:
        days, duty = f"{min(ends) - 2}-{max(ends)}", "a month's last from Monday to Friday"
    elif (found := re.fullmatch(r"([0-9]{1,2})W", upper)) and DAY.low <= int(found[1]) <= DAY.high:
        day = int(found[1])
        # It stays in its month: from Sunday the 31st, back to Friday.
        low, high = max(day - 1 - (day >= COMMON_DAYS), 1), min(max(day + 1, 3), DAY.high)
        days, duty = f"{low}-{high}", f"that from Monday to Friday nearest to {day}"
    return (days, duty) if days else ("", "")


def _of_the_month(said: Said, at: dict[Field, int]) -> None:
    """Have the day fields say ``mon#1``, the month's first Monday, and ``5L``, its last Friday, as well as they can."""
    items = said.words[at[WEEKDAY]].split(",")
    taken = [re.fullmatch(r"([A-Za-z]+?|[0-7])(?:#([1-5])|#?-?(L|l)|#-1)", item) for item in items]
    days, weeks = [], set()
    for item, match in zip(items, taken, strict=True):
        if item in {"L", "l"}:
            said.notes.append((WEEKDAY, f"{item!r} is 'sat' here"))
            days.append("sat")
            continue
        number = _number(names.short(match[1], WEEKDAY) or match[1], WEEKDAY) if match else None
        if match is None or number is None:
            days.append(item)
            continue
        said.notes.append((WEEKDAY, f"{item!r} is not in crontab"))
        days.append(WEEKDAY.names[number])
        weeks.add(int(match[2]) - 1 if match[2] else -1)
    said.words[at[WEEKDAY]] = ",".join(dict.fromkeys(days))
    if not weeks:
        return
    (week, *others), place = sorted(weeks), at[DAY]
    is_plain = not others and len(days) == sum(match is not None for match in taken) and said.words[place] == "*"
    if is_plain and week == 0:
        said.words[place] = f"{BOTH_DAYS},{WEEKS[0]}"
    elif is_plain and week > 0 and days == ["sun"]:
        # A star that names Sunday alone has both fields be asked, too.
        said.words[place], said.words[at[WEEKDAY]] = WEEKS[week], "*/7"
    elif is_plain and week > 0:
        said.duties.append(f"those from {WEEKS[week].replace('-', ' to ')}")
    elif is_plain:
        said.duties.append("those in a month's last seven days")
    else:
        said.duties.append("those that are meant")
