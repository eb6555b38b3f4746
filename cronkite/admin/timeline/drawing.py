"""How is a lane drawn? As SVG, of pieces that the page holds once: a week has thousands of bars.

It is put together here, as a template takes longer to draw one bar than the database to find what it shows. Whatever
people have written, and whatever a translation says, is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import mark_safe

from cronkite.admin import marks
from cronkite.admin.timeline.lanes import BAR, TOP, Bar, Lane

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

#: In pixels: the height of the bar of missed slots.
MISSED = 8


def symbols(lines: Iterable[str]) -> SafeString:
    """Return what lanes are drawn of: the lines at these places, and for each outcome its mark, and a bar that has it.

    Marks and bars are where the first row is.
    """
    return format_html(
        '<svg class="cronkite-symbols" width="0" height="0" aria-hidden="true">'
        '<symbol id="cronkite-lines">{}</symbol>{}</svg>',
        format_html_join(
            "", '<line class="cronkite-line" x1="{}" x2="{}" y1="0" y2="100%"/>', ((place, place) for place in lines)
        ),
        format_html_join(
            "",
            '<symbol id="cronkite-{}"><rect class="cronkite-part-{}" width="100%" y="{}" height="{}" rx="2"/>'
            '<svg y="{}" width="100%" height="{}" viewBox="0 0 12 12"><path class="cronkite-sign" d="{}"/></svg>'
            "</symbol>"
            '<symbol id="cronkite-sign-{}"><svg y="{}" width="100%" height="{}" viewBox="0 0 12 12">'
            '<path class="cronkite-sign" d="{}"/></svg></symbol>',
            (
                (status, status, TOP, BAR, TOP, BAR, path, status, TOP, BAR, path)
                for status, path in (*marks.PATHS.items(), marks.UNKNOWN)
                if status != marks.Status.MISSED
            ),
        ),
    )


def draw(lane: Lane, now: str) -> SafeString:
    """Return the lane's drawing, with a line where ``now`` is. Each bar is a link, and says what it is."""
    pieces = [
        f'<svg class="cronkite-track" width="100%" height="{lane.height}" role="group"',
        f' aria-label="{escape(lane.name)}"><use href="#cronkite-lines"/>\n',
        *(_coming(bar) for bar in lane.ahead),
        _lock(lane),
        *(_run(bar) for bar in lane.runs),
        *(_missed(bar, lane.missed_y) for bar in lane.missed),
        f'<line class="cronkite-now" x1="{now}" x2="{now}" y1="0" y2="100%"/>' if now else "",
        "</svg>",
    ]
    return mark_safe("".join(pieces))  # noqa: S308 - what is not of this module is escaped


def _coming(bar: Bar) -> str:
    shape = (
        f'<rect class="cronkite-ahead" x="{bar.x}" width="{bar.width}" y="5" height="10" rx="2"/>'
        if bar.is_wide
        else f'<circle class="cronkite-ahead" cx="{bar.x}" cy="10" r="3"/>'
    )
    return f'<g class="cronkite-bar" role="img">{_title(bar.label)}{shape}</g>\n'


def _lock(lane: Lane) -> str:
    if lane.lock is None:
        return ""
    return (
        f'<g class="cronkite-bar" role="img">{_title(lane.lock.reason)}<line class="cronkite-lock-{lane.lock.kind}" '
        f'x1="{lane.lock.x}" x2="{lane.lock.end}" y1="{lane.floor}" y2="{lane.floor}"/></g>\n'
    )


def _run(bar: Bar) -> str:
    parts = bar.parts
    place = f'x="{bar.x}" width="{bar.width}"'
    row = f' y="{bar.y - TOP}"' if bar.row else ""
    if len(parts) == 1:
        shape = f'<use href="#cronkite-{_kind(bar.status)}" {place}{row}/>'
    else:
        shape = "".join(
            f'<rect class="cronkite-part-{_kind(part.status)}" {place} y="{part.y}" height="{part.height}" rx="2"/>'
            for part in parts
        )
        shape += f'<use href="#cronkite-sign-{_kind(bar.status)}" {place}{row}/>'
    return _link(bar, shape)


def _missed(bar: Bar, y: int) -> str:
    return _link(bar, f'<rect x="{bar.x}" width="{bar.width}" y="{y}" height="{MISSED}" rx="2"/>')


def _link(bar: Bar, shape: str) -> str:
    kind = _kind(bar.status)
    return f'<a class="cronkite-bar cronkite-{kind}" href="{escape(bar.url)}">{_title(bar.label)}{shape}</a>\n'


def _kind(status: str) -> str:
    """Return the name of a mark: whatever newer code, or somebody's SQL, has written as a status is no markup."""
    return marks.drawing(status)[0]


def _title(label: str) -> str:
    """Return what is read aloud, and shown by browsers; the page's script shows it in a better way."""
    return f"<title>{escape(label)}</title>"
