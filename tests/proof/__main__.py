"""``python -m proof`` shows that promises P1 to P4 hold: under every order, every storm and every fault.

    tox -e proof                                 all four databases at a time; about twenty minutes on two cores
    tox -e proof -- --databases sqlite,pg        some of them
    tox -e proof -- --slots 1000000              go on until so many slots have been raced, on each
    tox -e proof -- --repeat 50                  all storms fifty times in a row, the saboteurs once, on each
    tox -e proof -- --repeat 50 --lanes 3        the same in three rows at a time, as storms wait more than they work
    tox -e proof -- --slots 100000 --add         add what comes of it to what proof.json says: a million in parts
    tox -e proof -- --databases pg -k frozen     what follows is for pytest

Each database, and each lane of it, is a durable server of its own, made for the purpose, because it is going to be
killed. At the end there is a table, and the same as JSON in ``proof.json`` (``--json FILE`` names another). The exit
code is 0 if none failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

from databases.__main__ import SCHEMES
from databases.processes import follow
from proof import results, table
from proof.results import Result

HERE = Path(__file__).parent
USAGE = "proof [--databases A,B] [--slots N] [--repeat N [--lanes N]] [--json FILE] [--add] [PYTEST…]"
#: The part that is repeated, and the others. Storms wait more than they work, and those only work: so one database has
#: both at a time, and two cores have enough to do from the first minute to the last.
STORMS = HERE / "race"
ORDERS = [HERE / "interleavings", HERE / "model"]
HAS_ORDERS_APART = "mysql"
#: pytest's exit code where none of the tests was asked for.
NONE_ASKED_FOR = 5
#: pytest's last line.
SUMMARY = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s.*$")
#: What pytest's summary says of a test that failed.
FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+.*)$")


class Run(threading.Thread):
    """Parts of the proof on one database, in processes of their own; each of their lines is shown with its name."""

    def __init__(
        self, name: str, database: str, parts: list[Path], more: dict[str, int], arguments: list[str], folder: Path
    ) -> None:
        super().__init__(name=name)
        self.database = database
        self.tally = folder / f"{self.name}.jsonl"
        self.tally.touch()
        self.seconds = 0.0
        self.code: int | None = None
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []
        server = [sys.executable, "-m", "databases", database, "--durable", "--own", "--restart", "--clock"]
        # A storm of a million slots does not hang. What does is found by the storms' own deadlines.
        limit = ["-o", "faulthandler_timeout=0"] if "slots" in more else ["-o", "faulthandler_timeout=1200"]
        pytest = [
            sys.executable,
            "-m",
            "pytest",
            *map(str, parts),
            "-p",
            "no:cacheprovider",
            "--durations=5",
            *limit,
            *arguments,
        ]
        self.command = [*server, "--", *pytest]
        asked = {f"CRONKITE_PROOF_{option.upper()}": str(number) for option, number in more.items()}
        self.environment = {**os.environ, "CRONKITE_PROOF_TALLY": str(self.tally), **asked}

    @property
    def has_failed(self) -> bool:
        """Whether it has ended otherwise than well."""
        return self.code not in (0, NONE_ASKED_FOR)

    def run(self) -> None:
        """Run to the end."""
        began = time.monotonic()
        self.code = follow(self.command, self.environment, lambda line: self._show(line, time.monotonic() - began))
        self.seconds = time.monotonic() - began

    def _show(self, line: str, seconds: float) -> None:
        if found := SUMMARY.match(line):
            for count in found[1].split(", "):
                number, word = count.split()
                self.outcomes[{"error": "failed", "errors": "failed"}.get(word, word)] += int(number)
        if found := FAILURE.match(line):
            self.failures.append(f"{self.name}: {found[1]}")
        if line:
            print(f"{self.name:<13}{seconds:>6.0f} s  {line}", flush=True)


def rows_of(database: str, shares: list[dict[str, int]]) -> list[tuple[str, list[Path], dict[str, int]]]:
    """Return what is run at a time on a database: names, the parts of the proof that each has, and its share of storms.

    The first lane has all parts, unless the orders have a row of their own, and the others have the storms alone.
    """
    is_apart = database == HAS_ORDERS_APART
    first, *others = shares
    rows = [(database, [STORMS] if is_apart else [STORMS, *ORDERS], first)]
    rows += [(f"{database}-{lane}", [STORMS], share) for lane, share in enumerate(others, start=2)]
    return rows + ([(f"{database}-orders", ORDERS, {})] if is_apart else [])


def result(database: str, rows: list[Run]) -> Result:
    """Return what came of all rows of a database."""
    tallies = [run.tally for run in rows]
    seconds = max(run.seconds for run in rows)
    return results.read(database, tallies, seconds, failed=any(run.has_failed for run in rows))


def rounds_of(repeat: int, lanes: int) -> list[int]:
    """Return how many rounds each lane has."""
    return [repeat // lanes + (lane < repeat % lanes) for lane in range(lanes)]


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="proof", usage=USAGE)
    parser.add_argument("--databases", default=",".join(SCHEMES))
    parser.add_argument("--slots", type=int)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("proof.json"))
    parser.add_argument("--add", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    names = options.databases.split(",")
    if unknown := set(names) - SCHEMES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: the databases are {', '.join(SCHEMES)}")
    if not 1 <= options.lanes <= (options.repeat or 1):
        parser.error("--lanes parts the rounds of --repeat: give at least as many of these")
    # It is read again at the end, as others may add to it meanwhile. What can't be read is told before the hours.
    try:
        if options.add and options.json.exists():
            results.load(options.json)
    except (ValueError, LookupError, TypeError) as error:
        parser.error(f"--add: {options.json} is no sum of proofs ({error!r}); name another with --json")
    slots = {} if options.slots is None else {"slots": options.slots}
    repeats = [{}] if options.repeat is None else [{"repeat": n} for n in rounds_of(options.repeat, options.lanes)]
    shares = [slots | repeat for repeat in repeats]
    words = " ".join(["tox -e proof", *(["--", shlex.join(arguments)] if arguments else [])])
    date, commit, began = datetime.now(timezone.utc), results.commit(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cronkite-proof-") as folder:
        runs = [
            Run(row, name, parts, share, rest, Path(folder))
            for name in names
            for row, parts, share in rows_of(name, shares)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        found = [result(name, [run for run in runs if run.database == name]) for name in names]
    seconds, outcomes = round(time.monotonic() - began, 1), sum((run.outcomes for run in runs), Counter())
    report = results.Report([results.Part(date, commit, words, seconds, dict(outcomes), found)])
    if options.add and options.json.exists():
        report = results.load(options.json) + report
    options.json.write_text(report.as_json())
    print(f"\n{table.text(report)}\n\n{options.json} says the same.")
    for run in runs:
        for failure in run.failures:
            print(f"FAILED {failure}")
    counts = {"passed": outcomes["passed"], "failed": outcomes["failed"], **outcomes}
    # The last line is as pytest's own.
    print(
        f"{', '.join(f'{number} {word}' for word, number in counts.items())} in {time.monotonic() - began:.2f}s",
        flush=True,
    )
    return 1 if any(run.has_failed for run in runs) or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
