"""The plot of a benchmark: an SVG of bars, for light and for dark pages (``python -m benchmarks.plot bench.json``).

One panel for each question, one bar for each answer, its value written beside it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks import report
from benchmarks.report import Report
from benchmarks.table import number

WIDTH, LABELS, VALUES = 840, 350, 90
ROW, GAP, HEAD = 22, 26, 30
#: The longest label, in characters.
LONGEST = 52
STYLE = """
  .page { fill: #ffffff } .ink { fill: #1f2328 } .quiet { fill: #59636e }
  .ours { fill: #0a7d5a } .other { fill: #8c959f } .axis { stroke: #d1d9e0 }
  text { font: 13px system-ui, sans-serif } .title { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .ink { fill: #f0f6fc } .quiet { fill: #9198a1 }
    .ours { fill: #3fb68b } .other { fill: #656c76 } .axis { stroke: #3d444d }
  }
"""
#: The panels of a database: title, whether its scale is logarithmic, and the keys of the bars.
PANELS = (
    (
        "Burst of no-op jobs, jobs/s (longer is better)",
        False,
        ("burst.best", "burst.all.pace", "raw.two", "raw.batches"),
    ),
    (
        "Commands, ms (shorter is better)",
        False,
        ("cron.few.wall", "cron.many.wall", "cron.most.wall", "bare.few.wall", "first.cron", "first.bare"),
    ),
    (
        "Start after the slot, ms (shorter is better)",
        False,
        ("start.p50", "start.p99", "start.most.p50", "start.most.p99"),
    ),
)
PEER_PANELS = (
    ("Jobs due at once, jobs/s (longer is better)", False, "pace"),
    ("Start after the slot, median, ms, logarithmic (shorter is better)", True, "p50"),
    ("Slots run twice by two nodes (fewer is better)", False, "twice"),
    ("Idle, processor seconds a minute (shorter is better)", False, "cpu"),
    ("Idle, memory in MB (shorter is better)", False, "memory"),
)


@dataclass(frozen=True)
class Bar:
    """A value with its name."""

    label: str
    value: float
    is_ours: bool


@dataclass(frozen=True)
class Panel:
    """Bars to be compared."""

    title: str
    is_log: bool
    bars: list[Bar]


def svg(about: Report) -> str:
    """Return the plot."""
    panels = list(_panels(about))
    height = GAP + sum(HEAD + ROW * len(panel.bars) + GAP for panel in panels) + ROW
    machine = about.about.get("machine", {})
    foot = f"{about.date:%Y-%m-%d}, {machine.get('cores', '?')} cores of {machine.get('cpu', 'a machine')}"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" aria-label="{escape(about.command)}">'
        ),
        f"<style>{STYLE}</style>",
        '<rect class="page" width="100%" height="100%"/>',
    ]
    top = GAP
    for panel in panels:
        parts += _draw(panel, top)
        top += HEAD + ROW * len(panel.bars) + GAP
    parts += [f'<text class="quiet" x="16" y="{top}">{escape(foot)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def _panels(about: Report) -> Iterator[Panel]:
    lines = {(line.database, line.key): line for line in about.lines()}
    for database, version in about.databases.items():
        for title, is_log, keys in PANELS:
            found = [lines[database, key] for key in keys if (database, key) in lines]
            bars = [
                Bar(line.title, line.median, not line.key.startswith(("raw", "bare", "first.bare"))) for line in found
            ]
            if bars:
                yield Panel(f"{version}: {title}", is_log, bars)
    for title, is_log, key in PEER_PANELS:
        bars = [
            Bar(told["title"], line.median, peer == "cronkite")
            for peer, told in about.peers.items()
            for line in lines.values()
            if line.key == f"peer.{peer}.{key}"
        ]
        if bars:
            yield Panel(f"Peers: {title}", is_log, bars)


def length(value: float, bars: list[Bar], is_log: bool) -> float:
    """Return which part of the panel's width a bar is long, 0 to 1; a logarithmic scale begins a decade lower."""
    most = max(bar.value for bar in bars)
    if most <= 0 or value <= 0:
        return 0.0
    if not is_log:
        return value / most
    least = 10 ** (math.floor(math.log10(min(bar.value for bar in bars if bar.value > 0))) - 1)
    return math.log(value / least) / math.log(most / least)


def _draw(panel: Panel, top: float) -> Iterator[str]:
    yield f'<text class="ink title" x="16" y="{top}">{escape(panel.title)}</text>'
    room = WIDTH - LABELS - VALUES
    start, end = top + HEAD - ROW / 2, top + HEAD + ROW * (len(panel.bars) - 0.5)
    yield f'<line class="axis" x1="{LABELS}" x2="{LABELS}" y1="{start:g}" y2="{end:g}"/>'
    for n, bar in enumerate(panel.bars):
        middle = top + HEAD + ROW * n
        wide = room * length(bar.value, panel.bars, panel.is_log)
        label = bar.label if len(bar.label) <= LONGEST else f"{bar.label[: LONGEST - 1]}…"
        kind = "ours" if bar.is_ours else "other"
        yield f'<text class="ink" x="{LABELS - 8}" y="{middle + 4:g}" text-anchor="end">{escape(label)}</text>'
        yield f'<rect class="{kind}" x="{LABELS}" y="{middle - 7:g}" width="{wide:.1f}" height="14" rx="2"/>'
        yield f'<text class="quiet" x="{LABELS + wide + 6:.1f}" y="{middle + 4:g}">{number(bar.value)}</text>'


if __name__ == "__main__":
    sys.stdout.write(svg(report.load(Path(sys.argv[1]))))
