"""Which time zone is meant by a name that is none?"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from difflib import get_close_matches
from functools import lru_cache

from cronkite.schedules.zonenames import every, today

#: How many places of one name are suggested, and how much a name must be like another to be taken for it.
SUGGESTED, LIKENESS = 3, 0.8
#: Names that people prefix to others: directories of the system's data.
_PREFIX = re.compile(r"(posix|right|zoneinfo|usr/share/zoneinfo)/")
_OFFSET = re.compile(r"(etc/)?(?:utc|gmt)?_?([+-])0?(\d{1,2})(?::?00)?")
#: The offsets, in hours, that Etc/GMT has names for.
_HOURS = range(-12, 15)


def spelling(name: str) -> str:
    """Return the name as it is spelled in the database, if only case, blanks or the like are wrong; else nothing.

    >>> spelling("europe/berlin"), spelling(" America/New York"), spelling("Europe/Berlin"), spelling("Mars/Crater")
    ('Europe/Berlin', 'America/New_York', '', '')
    """
    return "" if name in every() else _by_key().get(_key(name), "")


@lru_cache(maxsize=256)
def suggestions(name: str) -> list[str]:
    """Return which zones may be meant by a name that is none.

    >>> suggestions("utc"), suggestions("Berlin"), suggestions("Europe/Berln"), suggestions("posix/Asia/Tokyo")
    (['UTC'], ['Europe/Berlin'], ['Europe/Berlin'], ['Asia/Tokyo'])

    The sign of these is the other way round than everywhere else, and so is it in the database (POSIX has it so):

    >>> suggestions("UTC+2"), suggestions("-05:00"), suggestions("+05:30"), suggestions("AEST")
    (['Etc/GMT-2'], ['Etc/GMT+5'], [], [])

    Who writes the database's own prefix has its sign, too:

    >>> suggestions("Etc/GMT+02"), suggestions("etc/utc-3"), suggestions("Etc/GMT+13")
    (['Etc/GMT+2'], ['Etc/GMT-3'], [])
    """
    key = _key(name)
    if key in _by_key():
        return [_by_key()[key]]
    if key == "z":
        return ["UTC"]
    if offset := _OFFSET.fullmatch(key):
        hours = int(offset[3]) if (offset[2] == "+") != bool(offset[1]) else -int(offset[3])
        return ["UTC"] if not hours else [f"Etc/GMT{-hours:+d}"] if hours in _HOURS else []
    if "/" not in key:
        # Letters of abbreviations are alike by chance: AEST is no EST.
        return _by_place().get(key, [])[:SUGGESTED]
    places = _by_place().get(key.rpartition("/")[2], [])[:SUGGESTED]
    return places or [_by_key()[each] for each in get_close_matches(key, _by_key(), 1, LIKENESS)]


@lru_cache(maxsize=1)
def _by_key() -> dict[str, str]:
    return {_key(name): name for name in sorted(every())}


@lru_cache(maxsize=1)
def _by_place() -> dict[str, list[str]]:
    """Return today's names by what stands behind their last slash."""
    found = defaultdict(list)
    for name in sorted(today()):
        if "/" in name and not name.startswith("Etc/"):
            found[_key(name).rpartition("/")[2]].append(name)
    return dict(found)


def _key(name: str) -> str:
    """Return what is the same for names that differ by case, accents, blanks, or the stroke between words."""
    letters = unicodedata.normalize("NFKD", name[:100].strip().replace("\\", "/").casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).strip("/")
    # The sign of an offset stays.
    return re.sub(r"[\s_]+|-(?!\d)", "_", _PREFIX.sub("", plain))
