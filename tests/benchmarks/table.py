"""The table of a benchmark: on the terminal, and for the documents (``python -m benchmarks.table bench.json``)."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import report
from benchmarks.report import Line, Report, Verdict

HEAD = ("", "median", "from", "to", "rounds", "times", "of", "target", "")
PEER_HEAD = ("", "jobs/s", "start p50", "start p99", "idle CPU", "memory", "run twice", "keeps a record")
PEER_KEYS = ("pace", "p50", "p99", "cpu", "memory", "twice")


def number(value: float) -> str:
    """Return the number with three digits that count, and no more; what is whole, such as a count, has no others.

    >>> number(0.01234), number(1.5), number(12345.6), number(0), number(99.96), number(50.0)
    ('0.0123', '1.50', '12,346', '0', '100', '50')
    """
    if abs(value) >= 99.95 or value == int(value):
        return f"{value:,.0f}"
    decimals = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.9995 else 3
    return f"{value:.{decimals}f}" if abs(value) >= 0.1 else f"{value:.3g}"


def text(about: Report) -> str:
    """Return the table: a line for each thing measured and each target, and a row for each peer."""
    rows = [HEAD]
    database = None
    for line in about.lines():
        if line.database != database:
            database = line.database
            rows.append((about.databases[database], *[""] * (len(HEAD) - 1)))
        rows += _rows(line)
    parts = [_heading(about), _aligned(rows)]
    if about.peers:
        parts.append(_aligned([PEER_HEAD, *peer_rows(about)]))
        parts.append("\n".join(f"{told['title']}: {note}" for told in about.peers.values() for note in told["notes"]))
    parts += [f"FAILED on {failed['database']}: {failed['measure']}, {failed['failure']}" for failed in about.failures]
    missed = len(about.missed())
    parts.append(f"{missed or 'No'} target{'s' if missed > 1 else ''} missed.")
    return "\n\n".join(filter(None, parts))


def peer_rows(about: Report) -> list[tuple[str, ...]]:
    """Return the rows of the peers' table."""
    rows = []
    for peer, told in about.peers.items():
        cells = []
        for key in PEER_KEYS:
            found = next((line for line in about.lines() if line.key == f"peer.{peer}.{key}"), None)
            cells.append(f"{number(found.median)} {found.unit}".strip() if found else "-")
        rows.append((told["title"], *cells, "yes" if told["records"] else "no"))
    return rows


def rst(about: Report) -> str:
    """Return the targets as the documents show them, and the peers."""
    targets = [("Measured", "Value", "Times", "Target")]
    for line in about.lines():
        for verdict in line.verdicts:
            of = f"{number(verdict.value)} of: {verdict.over}" if verdict.over else ""
            mark = "" if verdict.is_met else " (missed)"
            targets.append((line.title, f"{number(line.median)} {line.unit}".strip(), of, f"{verdict.target}{mark}"))
    parts = [_list_table(targets)]
    if about.peers:
        parts.append(_list_table([PEER_HEAD, *peer_rows(about)]))
    return "\n\n".join(parts)


def _heading(about: Report) -> str:
    machine = about.about.get("machine", {})
    lines = [f"{about.command}, {about.date:%Y-%m-%d}"]
    if machine:
        lines.append(
            f"{machine['cores']} cores of {machine['cpu']}, {machine['memory']}, {machine['system']}, "
            f"Python {machine['python']}, load {machine['load']} at the start"
        )
        lines.append(", ".join(f"{name} {version}" for name, version in about.about["versions"].items()))
    for told in about.peers.values():
        versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
        lines.append(f"{told['title']}: {versions}. {told['settings']}")
    return "\n".join(lines)


def _rows(line: Line) -> list[tuple[str, ...]]:
    spread = (number(min(line.values)), number(max(line.values)), str(len(line.values)))
    title = f"  {line.title}"
    first, *others = line.verdicts or [None]
    rows = [(title, f"{number(line.median)} {line.unit}".strip(), *spread, *_cells(first))]
    return rows + [("", "", "", "", "", *_cells(verdict)) for verdict in others]


def _cells(verdict: Verdict | None) -> tuple[str, str, str, str]:
    if verdict is None:
        return "", "", "", ""
    times = f"{verdict.value:.3f}" if verdict.over else ""
    return times, verdict.over, str(verdict.target), "met" if verdict.is_met else "MISSED"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    to_the_right = {n for n in range(1, len(rows[0])) if rows[0][n] not in {"of", "target", "", "keeps a record"}}
    return "\n".join(
        "  ".join(f"{cell:{'>' if n in to_the_right else '<'}{widths[n]}}" for n, cell in enumerate(row)).rstrip()
        for row in rows
    )


def _list_table(rows: list[tuple[str, ...]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'* -' if not n else '  -'} {cell}".rstrip() for n, cell in enumerate(row)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(rst(report.load(Path(sys.argv[1]))))
