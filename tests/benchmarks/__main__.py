"""``python -m benchmarks`` measures how fast django-cronkite is, next to the raw driver and next to its peers.

    tox -e bench                                        PostgreSQL, three rounds, and each peer once
    tox -e bench -- --databases pg,mysql,mariadb,sqlite  one after the other, for each has the machine to itself
    tox -e bench -- --only burst,idle-tick --rounds 5   some measures, and no peer
    tox -e bench -- --quick                             small numbers, to see whether it works

Each database is a durable server of its own. At the end there is a table, which marks the targets that were missed; the
same, with all raw readings, as JSON in ``bench.json`` (``--json FILE`` names another), and a plot in ``bench.svg``
(``--svg FILE``). The exit code is 0 unless a measure crashed. A missed target is no failure, nor is a peer that cannot
do what it is asked, about which the table says why.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import machine, plot, table
from benchmarks.measures import MEASURES
from benchmarks.peers import PEERS
from benchmarks.report import Report
from benchmarks.session import Options
from benchmarks.sizes import SIZES
from databases.__main__ import SCHEMES
from databases.processes import follow


def session(name: str, options: Options, report: Report) -> None:
    """Run a session with a server of its own, show its lines, and add to the report what it wrote down."""
    Path(options.samples).touch()
    server = [sys.executable, "-m", "databases", name, "--durable", "--own", "--"]
    command = [*server, sys.executable, "-m", "benchmarks.session", json.dumps(asdict(options))]
    began = time.monotonic()

    def show(line: str) -> None:
        print(f"{name:<8}{time.monotonic() - began:>6.0f} s  {line}", flush=True)

    code = follow(command, dict(os.environ), show)
    report.databases[name] = name
    report.read(name, Path(options.samples))
    if code:
        report.failures.append({"database": name, "measure": "session", "failure": f"it ended with {code}"})


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--databases", default="pg", metavar="A,B", help=f"of {', '.join(SCHEMES)} (default: pg)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--peer-rounds", type=int, default=1, metavar="N", help="of six minutes a peer (default: 1)")
    parser.add_argument("--only", default="", metavar="A,B", help=f"of {', '.join([*MEASURES, *PEERS])}")
    parser.add_argument("--without-peers", action="store_true", help="django-cronkite and the raw driver only")
    parser.add_argument("--size", choices=SIZES, default="full", help="(default: full)")
    parser.add_argument("--quick", action="store_const", dest="size", const="quick", help="the same as --size quick")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--svg", type=Path, default=Path("bench.svg"), metavar="FILE")
    options = parser.parse_args(arguments)
    options.databases = options.databases.split(",")
    options.only = options.only.split(",") if options.only else [*MEASURES, *PEERS]
    for given, known in ((options.databases, SCHEMES), (options.only, {**MEASURES, **PEERS})):
        if unknown := set(given) - known.keys():
            parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(known)}")
    return options


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    options = parse(arguments)
    command = " ".join(["tox -e bench", *(["--", *arguments] if arguments else [])])
    report = Report(datetime.now(timezone.utc), command)
    report.about = {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "settings": {
            "servers": "as they come (durable), on this machine, by the loopback interface",
            "sqlite": "WAL, synchronous=NORMAL, transaction_mode=IMMEDIATE",
            "rounds": options.rounds,
            "peer rounds": options.peer_rounds,
            "sizes": asdict(SIZES[options.size]),
        },
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cronkite-bench-") as folder:
        for name in options.databases:
            samples = str(Path(folder, f"{name}.jsonl"))
            wants_peers = name == "pg" and not options.without_peers
            peers = [peer for peer in PEERS if peer in options.only] if wants_peers else []
            session(
                name, Options(samples, options.size, options.rounds, options.peer_rounds, options.only, peers), report
            )
    report.seconds = time.monotonic() - began
    options.json.write_text(report.as_json())
    options.svg.write_text(plot.svg(report))
    print(f"\n{table.text(report)}\n\n{options.json} says the same, with every reading, and {options.svg} shows it.")
    # The last line is as pytest's own.
    print(f"{report.passed} passed, {len(report.failures)} failed in {report.seconds:.2f}s", flush=True)
    return 1 if report.failures else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
