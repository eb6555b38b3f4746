"""Who wants to be told that something is wrong with a job, and after how many failures in a row?"""

from __future__ import annotations

import re
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

#: More failures in a row are not counted.
MOST_FAILURES = 20
#: The word for nobody.
OFF = "off"
#: How long the text may be, in characters.
LONGEST = 255

_AFTER = re.compile(r"(?:(?P<who>.*?)\s+)?after\s+(?P<number>\d{1,9})", re.DOTALL)


class Wish(NamedTuple):
    """Those to be told, or nobody in particular: then the project's; ``after`` so many failures in a row."""

    who: tuple[str, ...] = ()
    after: int = 1
    is_off: bool = False


def canonical(text: object) -> str:
    """Return the text by which a wish is kept; raise :class:`ValueError` for what is none.

    >>> canonical("ada@example.com,bob@example.com  after 3"), canonical("after 1"), canonical(" Off ")
    ('ada@example.com, bob@example.com after 3', '', 'off')
    """
    if not isinstance(text, str):
        raise ValueError(f'An alert is a text, as in "ada@example.com after 3", and not {text!r}.')  # noqa: TRY004
    if text.strip().lower() == OFF:
        return OFF
    found = _AFTER.fullmatch(text.strip())
    names, number = (found["who"] or "", int(found["number"])) if found else (text, 1)
    if not 1 <= number <= MOST_FAILURES:
        raise ValueError(f"An alert comes after 1 to {MOST_FAILURES} failures in a row, not after {number}.")
    who = list(dict.fromkeys(names.replace(",", " ").split()))
    for name in who:
        _demand(name)
    kept = " ".join(filter(None, [", ".join(who), f"after {number}" if number > 1 else ""]))
    if len(kept) > LONGEST:
        raise ValueError(f"An alert has at most {LONGEST} characters, not {len(kept)}: name a mailing list.")
    return kept


def of(kept: str) -> Wish:
    """Return what a text says that is kept; of one that is none, what nothing says.

    >>> of("ada@example.com after 3")
    Wish(who=('ada@example.com',), after=3, is_off=False)
    """
    try:
        text = canonical(kept)
    except ValueError:
        return Wish()
    if text == OFF:
        return Wish(is_off=True)
    found = _AFTER.fullmatch(text)
    names, number = (found["who"] or "", int(found["number"])) if found else (text, 1)
    return Wish(tuple(names.replace(",", " ").split()), number)


def _demand(name: str) -> None:
    if name.lower() in {"after", OFF} or not name.isprintable():
        raise ValueError(f'{name!r} is nobody to tell. Write it as in "ada@example.com after 3", or "off".')
    if "@" in name.lstrip("@#"):
        try:
            validate_email(name)
        except ValidationError:
            raise ValueError(f"{name!r} is no e-mail address.") from None
