"""The table of a proof: on the terminal, and for the documents (``python -m proof.table proof.json``)."""

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
    parts = f", the last of {report.parts} parts" if report.parts > 1 else ""
    return "\n".join(line.rstrip() for line in [f"{report.command}, {report.date:%Y-%m-%d}{parts}", "", *lines])


def _row(result: Result) -> list[str]:
    counts = [f"{result.counts[count]:,}" for count in COLUMNS]
    return [result.version or result.database, *counts, f"{result.seconds:,.0f}", "FAILED" if result.failed else ""]


def rst(report: Report) -> str:
    """Return the table as the documents show it: a column for each database, without rows of what was no part of it."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    rows = [["", *(result.version for result in report.results)]]
    rows += [
        [title[0].upper() + title[1:], *(f"{result.counts[count]:,}" for result in report.results)]
        for count, title in COLUMNS.items()
        if count in FAULTS or any(result.counts[count] for result in report.results)
    ]
    for row in rows:
        lines += [f"   {'* -' if not n else '  -'} {cell}".rstrip() for n, cell in enumerate(row)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(rst(results.load(Path(sys.argv[1]))))
