"""How do events become bars? What lies too close together becomes one bar that says how many it holds.

Places are in hundredths of the window's width. A bar has a least width, so that it can be seen and hit. Where bars
would overlap, they are merged, but into pieces of a certain width only: what happened when can still be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from django.utils.translation import gettext, ngettext

from cronkite.admin import marks, shown
from cronkite.admin.timeline.events import AHEAD, Event
from cronkite.admin.timeline.windows import Window, percent
from cronkite.models import status_label

#: The least width of a bar, which has room for a mark, and how wide merged ones grow.
LEAST, WIDEST = 1.4, 2.2
#: How many runs at a time a node's lane shows one above the other.
ROWS = 4
#: What is no width, but a rounding.
TINY = 0.01
#: In pixels: the space above the first row, the height of a row, and that of the slots missed and of the lock below.
TOP, ROW, FLOOR = 2, 18, 14
#: In pixels: the height of a bar, and the least of what can be seen of a part of it.
BAR, THIN = 16, 4


#: Gives the address that a bar of these events leads to.
Link = Callable[[Sequence[Event]], str]


@dataclass(frozen=True)
class Part:
    """A piece of a bar in the colour of ``status``, in pixels."""

    status: str
    y: int
    height: int


@dataclass(frozen=True)
class Bar:
    """One or more events, drawn as one."""

    left: float
    right: float
    events: tuple[Event, ...]
    row: int = 0
    url: str = ""

    @property
    def x(self) -> str:
        """Where it begins, for SVG."""
        return percent(self.left)

    @property
    def width(self) -> str:
        """How wide it is, for SVG."""
        return percent(self.right - self.left)

    @property
    def is_wide(self) -> bool:
        """Whether it is more than a point."""
        return self.right - self.left > LEAST + TINY

    @property
    def y(self) -> int:
        """How far down it begins, in pixels."""
        return TOP + self.row * ROW

    @cached_property
    def status(self) -> str:
        """The worst of its events' statuses."""
        found = {event.status for event in self.events}
        # One that newer code has written is unknown here.
        return marks.worst(found) or min(found - {AHEAD}, default=AHEAD)

    @property
    def parts(self) -> list[Part]:
        """What it is drawn of: all of it as most of its events were, upon that the shares of the others, in proportion.

        What is worse comes from below, what is better from above; the worse, the surer it can be seen.
        """
        counts = self.counts
        if len(counts) == 1:
            return [Part(self.status, self.y, BAR)]
        most = max(counts, key=lambda status: (counts[status], status == self.status))
        found, top, bottom, worse = [Part(most, self.y, BAR)], self.y, self.y + BAR, True
        for status in marks.WORST_FIRST:
            if status == most:
                worse = False
            elif counts[status] and (room := bottom - top - THIN) >= THIN:
                share = min(room, max(THIN, round(BAR * counts[status] / counts.total())))
                found.append(Part(status, bottom - share if worse else top, share))
                top, bottom = (top, bottom - share) if worse else (top + share, bottom)
        return found

    @cached_property
    def counts(self) -> Counter[str]:
        """How many runs of each status it stands for."""
        counts: Counter[str] = Counter()
        for event in self.events:
            counts[event.status] += event.count
        return counts

    @cached_property
    def label(self) -> str:
        """What it says when it is pointed at, or read aloud."""
        if (
            len(self.events) == 1
            and (self.events[0].count == 1 or self.status == marks.Status.MISSED)
            and (self.status != AHEAD)
        ):
            return _one(self.events[0])
        if self.status == AHEAD:
            return _to_come(self.events)
        first, last = min(event.start for event in self.events), max(event.end for event in self.events)
        is_counted = all(event.log_id is None for event in self.events) and not (first.second or last.second)
        begin, end = shown.stretch(first, last) if is_counted else (shown.plain(first), shown.plain(last))
        told = marks.tell(self.counts)
        return gettext("%(first)s to %(last)s: %(told)s") % {"first": begin, "last": end, "told": told}


@dataclass(frozen=True)
class Lock:
    """For how long the lock has been held: ``kind`` is "held", or "silent" without a sign of life for too long."""

    kind: str
    x: str
    end: str
    reason: str


@dataclass(frozen=True)
class Lane:
    """A job's or a node's bars: its runs in one row or more, below them the slots that it missed."""

    name: str
    url: str = ""
    note: str = ""
    runs: list[Bar] = field(default_factory=list)
    missed: list[Bar] = field(default_factory=list)
    ahead: list[Bar] = field(default_factory=list)
    lock: Lock | None = None
    rows: int = 1

    @property
    def missed_y(self) -> int:
        """How far down the missed slots are, in pixels."""
        return TOP + self.rows * ROW

    @property
    def floor(self) -> int:
        """How far down the lock is, in pixels."""
        return self.missed_y + FLOOR - 3

    @property
    def height(self) -> int:
        """Its height, in pixels."""
        return self.missed_y + FLOOR

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not (self.runs or self.missed or self.ahead or self.lock)


def merge(events: Iterable[Event], window: Window, link: Link) -> list[Bar]:
    """Return the bars of events that come by their beginnings; ``link`` gives the address that a bar leads to."""
    found: list[tuple[float, float, list[Event]]] = []
    for event in events:
        left = window.at(event.start)
        right = max(window.at(event.end), left + LEAST)
        if not found or left > found[-1][1] - TINY:
            left = max(left, found[-1][1]) if found else left
            found.append((left, right, [event]))
            continue
        begin, end, merged = found[-1]
        if left - begin < WIDEST:
            merged.append(event)
            found[-1] = (begin, max(end, right), merged)
        else:
            found[-1] = (begin, left, merged)
            found.append((left, right, [event]))
    return [Bar(left, min(right, 100.0), tuple(merged), url=link(merged)) for left, right, merged in found]


def stack(events: Iterable[Event], window: Window, link: Link) -> list[Bar]:
    """Return the bars of a node, which runs several jobs at a time.

    Runs that are points, and those that are merely counted, are merged: a bar shows what came of them in proportion.
    The others lie one above the other where they overlap, as far as :data:`ROWS` suffice.
    """
    points: list[Event] = []
    long: list[Event] = []
    for event in events:
        is_point = event.log_id is None or window.at(event.end) - window.at(event.start) <= LEAST
        (points if is_point else long).append(event)
    bars = merge(points, window, link) + [bar for event in long for bar in merge([event], window, link)]
    rows: list[list[Bar]] = [[]]
    for bar in sorted(bars, key=lambda bar: bar.left):
        free = next((row for row in rows if not row or row[-1].right <= bar.left + TINY), None)
        if free is None and len(rows) < ROWS:
            free = []
            rows.append(free)
        elif free is None:
            free = rows[-1]
        free.append(bar)
    if len(rows) == ROWS:
        rest = sorted((event for bar in rows[-1] for event in bar.events), key=lambda event: event.start)
        rows[-1] = merge(rest, window, link)
    return [replace(bar, row=number) for number, row in enumerate(rows) for bar in row]


def _to_come(slots: Sequence[Event]) -> str:
    """Say which slots are to come; one whose count is 0 stands for all from its start on."""
    job, first, last = slots[0].job_name, shown.plain(slots[0].start), shown.plain(slots[-1].start)
    if not slots[-1].count:
        return gettext("%(job)s: more slots from %(first)s on") % {"job": job, "first": first}
    if len(slots) == 1:
        return gettext("%(job)s: slot %(first)s") % {"job": job, "first": first}
    return ngettext(
        "%(job)s: %(count)d slot from %(first)s to %(last)s",
        "%(job)s: %(count)d slots from %(first)s to %(last)s",
        len(slots),
    ) % {"job": job, "first": first, "last": last, "count": len(slots)}


def _one(event: Event) -> str:
    about = {
        "job": event.job_name,
        "status": status_label(event.status),
        "start": shown.plain(event.start),
        "end": shown.plain(event.end),
        "node": event.node,
        "span": shown.precise(event.end - event.start),
    }
    if event.status == marks.Status.MISSED and event.count == 1:
        said = gettext("%(job)s: 1 slot missed, %(start)s") % about
    elif event.status == marks.Status.MISSED:
        said = ngettext(
            "%(job)s: %(count)d slot missed, %(start)s to %(end)s",
            "%(job)s: %(count)d slots missed, %(start)s to %(end)s",
            event.count,
        ) % {**about, "count": event.count}
    elif event.status == marks.Status.RUNNING:
        said = gettext("%(job)s: running on %(node)s since %(start)s (%(span)s)") % about
    else:
        said = gettext("%(job)s: %(status)s, from %(start)s on %(node)s, took %(span)s") % about
    return f"{said}. {event.reason}" if event.reason else said
