"""What is said of jobs that come from an export?"""

from __future__ import annotations

from collections import Counter
from typing import Any

from cronkite.cli.terminal import Terminal, printable
from cronkite.code import pings
from cronkite.importing import exported, moves
from cronkite.importing.moves import Move, Wish
from cronkite.importing.planned import Given

#: How each state is shown: what stands first, and the style.
SIGNS = {
    "new": ("+", "SUCCESS"),
    "same": ("=", ""),
    "differs": ("~", "WARNING"),
    "changed": ("~", "WARNING"),
    "refused": ("!", "ERROR"),
}


def run(given: Given, options: dict[str, Any], terminal: Terminal) -> int:
    """Import what was exported, or show what would be, and tell of each group and job; return the exit code.

    Raises :class:`~cronkite.importing.planned.NothingToRead` before anything is written.
    """
    found = exported.load(given.where)
    wish = Wish(options["enable"], given.overwrite, not options["only_show"])
    groups, jobs = [], []
    for move in moves.groups(found.groups, wish):
        groups.append(move)
        if not options["json"]:
            _tell("group ", move, wish, terminal)
    for move in moves.jobs(found.jobs, wish):
        jobs.append(move)
        if not options["json"]:
            _tell("", move, wish, terminal)
    if options["json"]:
        terminal.json({"groups": list(map(_for_programs, groups)), "jobs": list(map(_for_programs, jobs))})
    _sum_up(groups, jobs, wish, terminal)
    return int(any(move.state == "refused" for move in groups + jobs))


def _tell(kind: str, move: Move, wish: Wish, terminal: Terminal) -> None:
    sign, style = SIGNS[move.state]
    name = f"{sign} {kind}{printable(move.planned.name)}"
    done = {
        "new": "added" if wish.write else "to be added",
        "same": "here already",
        "differs": "here otherwise, and kept; --overwrite changes it",
        "changed": "overwritten" if wish.write else "to be overwritten",
        "refused": "it can't come",
    }[move.state]
    if move.state == "new":
        stands = "" if move.job is None else ", enabled" if move.job.enabled else ", disabled"
        terminal.say(f"{name}: {done}{stands}. {printable(move.planned.becomes)}", style)
    else:
        terminal.say(f"{name}: {done}.", style)
    for column, (here, there) in sorted(move.columns.items()):
        was, becomes = pings.shown(column, here), pings.shown(column, there)
        terminal.say(f"    {column}: {was!r} here, {becomes!r} in the file")
    for sentence in move.planned.problems:
        terminal.say(f"    {printable(sentence)}")


def _sum_up(groups: list[Move], jobs: list[Move], wish: Wish, terminal: Terminal) -> None:
    if away := [printable(move.planned.name) for move in groups if move.state == "refused"]:
        terminal.note(f"{len(away)} of the groups can't come: {', '.join(away)}.")
    if not jobs:
        terminal.note(f"There is nothing to import: {exported.TITLE} has no jobs.")
        return
    counts = Counter(move.state for move in jobs)
    added, overwritten = ("Added", "overwritten") if wish.write else ("Would be added", "would be overwritten")
    terminal.note(
        f"{added}: {counts['new']}, here already: {counts['same']}, here otherwise and kept: {counts['differs']}, "
        f"{overwritten}: {counts['changed']}, can't come: {counts['refused']}."
    )
    held = [
        move
        for move in jobs
        if move.job and not move.job.enabled and (move.planned.columns or {}).get("enabled", move.state == "new")
    ]
    if wish.enable and counts["new"] + counts["changed"]:
        terminal.note(f"What is enabled there is enabled here now. {exported.AWAY}")
    elif held:
        terminal.note(f"{len(held):,} enabled in the file, and disabled here: --enable enables them.")


def _for_programs(move: Move) -> dict[str, Any]:
    planned, job = move.planned, move.job
    return {
        "source": planned.source,
        "key": planned.key,
        "name": planned.name,
        "state": move.state,
        "job": job.pk if job else None,
        "enabled": job.enabled if job else None,
        "columns": {
            column: {"here": pings.shown(column, here), "file": pings.shown(column, there)}
            for column, (here, there) in move.columns.items()
        },
        "becomes": planned.becomes,
        "problems": planned.problems,
    }
