"""How is the outcome shown to a person?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from accounts import MISSED, Account, Entry, Window

#: A cell has room for one word.
WORDS = {"succeeded": "ok", "timed_out": "timeout", "interrupted": "stopped"}


def show(entries: list[Entry], accounts: list[Account], window: Window) -> None:
    """Print what became of each slot, why some were missed or failed, and the sums."""
    print(
        "\nA row for each second, a column for each job. In a cell: the node that ran the slot (1 is node-1), how the\n"
        "run ended, and how many milliseconds after its slot it began.\n"
    )
    print(*_grid(entries, [account.job for account in accounts]), sep="\n")
    _print_rest(entries, accounts, window)


def _print_rest(entries: list[Entry], accounts: list[Account], window: Window) -> None:
    _print_reasons("Missed slots, and why", [entry for entry in entries if entry.ended == MISSED])
    _print_reasons("Runs that did not succeed", [e for e in entries if e.ended not in (MISSED, "succeeded")])
    start, end = window.opened[1], window.closed[0]
    print(f"\nThe sums, {start:%H:%M:%S} to {end:%H:%M:%S} UTC\n")
    print(*_sums(accounts), sep="\n")


def show_tasks(entries: list[Entry], accounts: list[Account], window: Window) -> None:
    """Print what became of each slot, one after the other, of jobs that are handed over to an engine; and the sums."""
    print("\nA row for each slot of each job. How late it is: the milliseconds from the slot to the task's begin.\n")
    rows = [["slot", "job", "handed over by", "run by", "ended", "late"], *map(_row, entries)]
    lines = align(rows, numbers=[5])
    lines.insert(1, "-" * max(map(len, lines)))
    print(*lines, sep="\n")
    _print_rest(entries, accounts, window)


def _row(entry: Entry) -> list[str]:
    late = f"{entry.late * 1000:.0f}" if entry.worker else ""
    ended = WORDS.get(entry.ended, entry.ended).replace("_", " ")
    return [f"{entry.slot:%H:%M:%S}", entry.job, entry.node or "-", entry.worker or "-", ended, late]


def align(rows: Sequence[Sequence[str]], gap: str = "  ", numbers: Sequence[int] = ()) -> list[str]:
    """Return the rows as lines whose columns stand below each other; those of ``numbers`` are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return lines


def _grid(entries: list[Entry], jobs: list[str]) -> list[str]:
    # A name on two lines makes a narrower column: "rebuild_" above "search_index".
    halves = [job.partition("_") for job in jobs]
    rows = [
        ["", *(first + underscore if rest else "" for first, underscore, rest in halves)],
        ["slot", *(rest or first for first, _, rest in halves)],
    ]
    for slot, group in groupby(entries, key=lambda entry: entry.slot):
        cells = {entry.job: _cell(entry) for entry in group}
        rows.append([f"{slot:%H:%M:%S}", *(cells.get(job, "") for job in jobs)])
    lines = align(rows)
    lines.insert(2, "-" * max(map(len, lines)))
    return lines


def _cell(entry: Entry) -> str:
    if entry.ended == MISSED:
        return "- missed"
    word = WORDS.get(entry.ended, entry.ended)
    return f"{entry.node.removeprefix('node-')} {word:<6}{entry.late * 1000:>5.0f}"


def _print_reasons(title: str, entries: Iterable[Entry]) -> None:
    stretches: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        stretches.setdefault((entry.job, entry.reason), []).append(f"{entry.slot:%H:%M:%S}")
    if stretches:
        print(f"\n{title}\n")
        for (job, reason), times in stretches.items():
            print(f"  {job}, {' '.join(times)}\n      {reason}")


def _sums(accounts: list[Account]) -> list[str]:
    head = ["job", "schedule", "due", "run", "missed", "run twice", "unaccounted"]
    rows = [
        [
            account.job,
            account.schedule,
            *map(str, (account.due, account.run, account.ended[MISSED], len(account.twice), len(account.unaccounted))),
        ]
        for account in accounts
    ]
    totals = [str(sum(int(row[i]) for row in rows)) for i in range(2, len(head))]
    lines = align([head, *rows, ["all", "", *totals]], numbers=range(2, len(head)))
    width = max(map(len, lines))
    lines.insert(1, "-" * width)
    lines.insert(-1, "-" * width)
    nodes = sum((account.nodes for account in accounts), Counter())
    workers = sum((account.workers for account in accounts), Counter())
    if not workers:
        return [*lines, "", f"Runs by node: {_shares(nodes)}"]
    return [*lines, "", f"Handed over by node: {_shares(nodes)}", f"Run by worker: {_shares(workers)}"]


def _shares(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
