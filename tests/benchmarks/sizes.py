"""How much is measured?"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The numbers of a run: ``full`` is what the targets are about, ``quick`` shows whether it works."""

    #: Other jobs in the table.
    few: int
    many: int
    most: int
    #: How often a command is started in a round.
    starts: int
    #: No-op jobs that are due in one slot, and the numbers of worker processes to do them with.
    burst: int
    workers: tuple[int, ...]
    nodes: int
    #: Second-by-second slots in a round.
    slots: int
    #: How long (seconds) an idle node is watched, and how many runs it then does.
    idle: float
    runs: int
    #: Instants that a schedule is asked about.
    instants: int
    #: Rows of the log, and how often a row is written and the due are asked for.
    logs: int
    asks: int
    #: For the peers: jobs due at once; slots for two nodes; jobs that are not due; minutes of slots.
    peer_burst: int
    peer_slots: int
    peer_jobs: int
    peer_minutes: int


SIZES = {
    "full": Sizes(
        few=10,
        many=10_000,
        most=1_000_000,
        starts=40,
        burst=10_000,
        workers=tuple(sorted({os.cpu_count() or 2, 4, 8, 16})),
        nodes=8,
        slots=60,
        idle=60.0,
        runs=10_000,
        instants=200,
        logs=10_000_000,
        asks=1000,
        peer_burst=2000,
        peer_slots=50,
        peer_jobs=100_000,
        peer_minutes=2,
    ),
    "quick": Sizes(
        few=10,
        many=1000,
        most=20_000,
        starts=5,
        burst=1000,
        workers=(4, 8, 16),
        nodes=4,
        slots=10,
        idle=10.0,
        runs=1000,
        instants=50,
        logs=100_000,
        asks=200,
        peer_burst=200,
        peer_slots=20,
        peer_jobs=2000,
        peer_minutes=1,
    ),
    # For the test of the benchmark: nothing can be learned from it.
    "smoke": Sizes(
        few=1,
        many=2,
        most=20,
        starts=1,
        burst=10,
        workers=(2,),
        nodes=2,
        slots=2,
        idle=0.5,
        runs=10,
        instants=2,
        logs=100,
        asks=5,
        peer_burst=10,
        peer_slots=5,
        peer_jobs=20,
        peer_minutes=1,
    ),
}
