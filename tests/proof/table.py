"""The tables of a proof: on the terminal, and for the documents (``python -m proof.table proof.json``)."""

from __future__ import annotations

import sys
from pathlib import Path

from proof import results
from proof.results import Report, Result

#: The columns: what is counted, and what people call it.
COLUMNS = {
    "slots": "slots raced",
    "nodes": "nodes",
    "kills": "kills",
    "takeovers": "takeovers",
    "restarts": "server restarts",
    "interleavings": "interleavings",
    "saboteurs": "saboteurs caught",
    "duplicates": "duplicates",
    "unaccounted": "unaccounted",
}
#: Those of which there are to be none.
FAULTS = {"duplicates", "unaccounted"}


def text(report: Report) -> str:
    """Return the table, a line for each database."""
    head = ["database", *COLUMNS.values(), "seconds", ""]
    rows = [head, *(_row(result) for result in report.results)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    lines = ["  ".join(f"{cell:{'>' if n else '<'}{widths[n]}}" for n, cell in enumerate(row)) for row in rows]
    last, parts = report.parts[-1], len(report.parts)
    head = f"{last.command}, {last.date:%Y-%m-%d}" + (f", the last of {parts} parts" if parts > 1 else "")
    return "\n".join(line.rstrip() for line in [head, "", *lines])


def _row(result: Result) -> list[str]:
    counts = [f"{result.counts[count]:,}" for count in COLUMNS]
    return [result.version or result.database, *counts, f"{result.seconds:,.0f}", "FAILED" if result.failed else ""]


def rst(report: Report) -> str:
    """Return the table as the documents show it: a column for each database, without rows of what was no part of it."""
    rows = [["", *(result.version for result in report.results)]]
    rows += [
        [_title(name), *(f"{result.counts[count]:,}" for result in report.results)]
        for count, name in COLUMNS.items()
        if count in FAULTS or any(result.counts[count] for result in report.results)
    ]
    return _list_table(rows)


def parts(report: Report) -> str:
    """Return a table of the parts: a row for each, with the slots of all databases and how its tests ended."""
    rows = [["Part", "Commit", "Slots raced", "Minutes", "Passed", "Failed"]]
    for number, part in enumerate(report.parts, start=1):
        slots, minutes = sum(result.counts["slots"] for result in part.results), part.seconds / 60
        outcomes = [str(part.outcomes.get(word, 0)) for word in ("passed", "failed")]
        rows.append([f"{number}, {part.date:%-d %B %Y}", part.commit, f"{slots:,}", f"{minutes:.0f}", *outcomes])
    return _list_table(rows)


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def _list_table(rows: list[list[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'* -' if not n else '  -'} {cell}".rstrip() for n, cell in enumerate(row)]
    return "\n".join(lines)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        print(rst(results.load(path)), parts(results.load(path)), sep="\n\n")
