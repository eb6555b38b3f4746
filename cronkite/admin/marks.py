"""By which mark is an outcome known, besides its colour?

A mark is a small drawing in a box of 12 by 12: fonts differ in what signs they have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.translation import gettext

from cronkite.models import Log, status_label
from cronkite.schedules.words import listed

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

Status = Log.Status

#: The lines of each mark.
PATHS: dict[str, str] = {
    Status.SUCCEEDED: "M2.5 6.5l2.5 2.5 4.5-6",
    Status.FAILED: "M3 3l6 6M9 3l-6 6",
    Status.TIMED_OUT: "M6 2.5v3.5l2.5 2M6 10.5a4.5 4.5 0 1 1 .01 0",
    Status.INTERRUPTED: "M4 3v6M8 3v6",
    Status.LOST: "M4 4.2a2 2 0 1 1 2.7 1.9q-.7.4-.7 1.4M6 9.6v.4",
    Status.MISSED: "M2.5 6h7",
    Status.RUNNING: "M4 2.5l5 3.5-5 3.5z",
    Status.HANDED_OVER: "M2.5 6h6.5M6 3l3 3-3 3",
}
#: The mark of a status that is unknown here, as newer code has written it.
UNKNOWN = "unknown", "M3 4h6M3 8h6"
#: The worst first: what is told of several runs of which only one can be shown.
WORST_FIRST: tuple[str, ...] = (
    Status.FAILED,
    Status.TIMED_OUT,
    Status.LOST,
    Status.INTERRUPTED,
    Status.MISSED,
    Status.RUNNING,
    Status.HANDED_OVER,
    Status.SUCCEEDED,
)


def worst(found: Collection[str]) -> str:
    """Return the worst of these statuses; nothing if there is none that a log can have."""
    return next((status for status in WORST_FIRST if status in found), "")


def tell(counts: Counter[str]) -> str:
    """Return how many there are of each outcome, in words."""
    said = gettext("%(count)d %(status)s")
    known = [*WORST_FIRST, *sorted(counts.keys() - {*WORST_FIRST})]
    return listed([said % {"count": counts[each], "status": status_label(each)} for each in known if counts[each]])


def drawing(status: str) -> tuple[str, str]:
    """Return the name of a mark's class, and its lines."""
    return (status, PATHS[status]) if status in PATHS else UNKNOWN


def mark(status: str) -> SafeString:
    """Return the mark alone; the words beside it say what it means."""
    return format_html(
        '<svg class="cronkite-mark cronkite-{}" viewBox="0 0 12 12" width="14" height="14" aria-hidden="true">'
        '<rect width="12" height="12" rx="2"/><path d="{}"/></svg>',
        *drawing(status),
    )


def outcome(status: str) -> SafeString:
    """Return the mark and the outcome's name."""
    return format_html('<span class="cronkite-outcome">{} {}</span>', mark(status), status_label(status))
