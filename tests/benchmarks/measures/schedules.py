"""What does the search for the next slot cost, next to croniter's own?

``Schedule.next_after`` against ``croniter.get_next`` of one instance, both parsed already, in the same zone and from
the same instants, over a dozen expressions. A round's value is the median over the expressions of the best of five
passes; the ratio for each expression is in the raw readings. Then what it costs to parse an expression, and to be given
one that was parsed before.
"""

from __future__ import annotations

import random
import timeit
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from benchmarks.bench import Bench, Reading
from benchmarks.stats import median
from cronkite import schedules
from cronkite.schedules import Schedule

ZONE = "Europe/Berlin"
EXPRESSIONS = (
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "17 3 * * *",
    "0 0 * * 0",
    "30 2 1 * *",
    "0 9-17 * * mon-fri",
    "*/15 8-18 * * 1-5",
    "0 0 1 1 *",
    "0 12 13 * fri",
    "5,35 */6 1-15 * *",
    "* * * * * */10",
)
PASSES = 5


def measure(bench: Bench) -> Iterator[Reading]:
    """Measure a round."""
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(ZONE))
    chance = random.Random(0)
    instants = [start + timedelta(seconds=chance.randrange(366 * 86400)) for _ in range(bench.sizes.instants)]
    ours, theirs, ratios = [], [], []
    for expression in EXPRESSIONS:
        schedule, plain = Schedule(expression, ZONE), croniter(expression, start)
        ours.append(_microseconds(lambda at, s=schedule: s.next_after(at), instants))
        theirs.append(_microseconds(lambda at, p=plain: p.get_next(datetime, start_time=at), instants))
        ratios.append(round(ours[-1] / theirs[-1], 3))
    yield Reading("next.croniter", "croniter's get_next", median(theirs), "µs", theirs)
    yield Reading("next.ours", "Schedule.next_after", median(ours), "µs", ours)
    told = dict(zip(EXPRESSIONS, ratios, strict=True))
    yield Reading("next.ratio", "next_after / get_next, median of the expressions", median(ratios), "times", [told])
    yield Reading("next.worst", "next_after / get_next, the worst expression", max(ratios), "times")
    parsed = [_microseconds(lambda _, e=expression: Schedule(e, ZONE), instants) for expression in EXPRESSIONS]
    cached = [_microseconds(lambda _, e=expression: schedules.get(e, ZONE), instants) for expression in EXPRESSIONS]
    yield Reading("parse", "an expression parsed", median(parsed), "µs", parsed)
    yield Reading("parse.cached", "an expression parsed before", median(cached), "µs", cached)


def _microseconds(call, instants: list[datetime]) -> float:
    def over_all() -> None:
        for instant in instants:
            call(instant)

    passes = timeit.repeat(over_all, schedules.schedule._next_after.cache_clear, number=1, repeat=PASSES)
    return min(passes) / len(instants) * 1e6
