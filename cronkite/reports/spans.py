"""How long is that, in a few letters of the language that is active?"""

from __future__ import annotations

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from cronkite.schedules.durations import largest


def in_short(seconds: float) -> str:
    """Return what :func:`cronkite.schedules.durations.in_short` does, with units that can be translated.

    >>> [in_short(seconds) for seconds in (0.25, 12, 119, 120, 7199, 7200, 200000)]
    ['0.25 s', '12 s', '119 s', '2 min', '119 min', '2 h', '2 d']
    """
    number, letters = largest(seconds)
    if not isinstance(number, int):
        return _("%(seconds)s s") % {"seconds": number_format(number, 2)}
    if letters == "d":
        return _("%(days)d d") % {"days": number}
    if letters == "h":
        return _("%(hours)d h") % {"hours": number}
    if letters == "min":
        return _("%(minutes)d min") % {"minutes": number}
    return _("%(seconds)d s") % {"seconds": number}
