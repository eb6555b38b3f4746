"""What did a benchmark come to? All samples, and what they are next to each other and to the targets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.stats import median, ratio
from benchmarks.targets import TARGETS, Target


@dataclass(frozen=True)
class Sample:
    """A reading: what was measured, on which database, in which round. ``raw`` is what the value was made of."""

    database: str
    measure: str
    round: int
    key: str
    title: str
    value: float
    unit: str
    raw: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What became of a target: the ratio to ``over`` (a title), or the value where there is none."""

    target: Target
    value: float
    over: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the target was met."""
        return self.target.is_met(self.value)


@dataclass(frozen=True)
class Line:
    """All samples of one thing on one database."""

    database: str
    measure: str
    key: str
    title: str
    unit: str
    values: list[float]
    verdicts: list[Verdict]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return float(median(self.values))


@dataclass
class Report:
    """A benchmark. ``date`` is UTC; ``about`` tells of the machine, the versions and the settings."""

    date: datetime
    command: str
    seconds: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    passed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def read(self, database: str, path: Path) -> None:
        """Add what a session wrote down."""
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if "reading" in line:
                self.samples.append(Sample(database, line["measure"], line["round"], **line["reading"]))
            elif "version" in line:
                self.databases[database] = line["version"]
            elif "failure" in line:
                self.failures.append({"database": database, **line})
            elif "passed" in line:
                self.passed += 1
            elif "peer" in line:
                self.peers[line["peer"]] = line["about"]

    def values(self, database: str, key: str) -> list[float]:
        """Return the values of all rounds."""
        return [sample.value for sample in self.samples if sample.key == key and sample.database == database]

    def lines(self) -> Iterator[Line]:
        """Yield a line for each thing that was measured, with its verdicts, in the order of the first samples."""
        seen: dict[tuple[str, str], Sample] = {}
        for sample in self.samples:
            seen.setdefault((sample.database, sample.key), sample)
        for sample in sorted(seen.values(), key=lambda sample: list(self.databases).index(sample.database)):
            values = self.values(sample.database, sample.key)
            verdicts = list(self._verdicts(sample, values))
            said = (sample.database, sample.measure, sample.key, sample.title, sample.unit)
            yield Line(*said, values, verdicts)

    def _verdicts(self, sample: Sample, values: list[float]) -> Iterator[Verdict]:
        for any_target in TARGETS:
            target = any_target.bound(sample.database) if any_target.key == sample.key else None
            if target is None:
                continue
            if not target.over:
                yield Verdict(target, float(median(values)))
                continue
            over = self._best(sample.database, target) if target.over.startswith("best:") else target.over
            bases = self.values(sample.database, over)
            if (times := ratio(values, bases)) is not None:
                title = next(s.title for s in self.samples if s.key == over and s.database == sample.database)
                yield Verdict(target, times, title)

    def _best(self, database: str, target: Target) -> str:
        name = target.over.partition(":")[2]
        keys = [f"peer.{peer}.{name}" for peer, about in self.peers.items() if about["records"] and peer != "cronkite"]
        found = {key: median(values) for key in keys if (values := self.values(database, key))}
        if not found:
            return ""
        choose = max if target.least is not None else min
        return choose(found, key=found.__getitem__)

    def missed(self) -> list[Verdict]:
        """Return the verdicts on targets that were not met."""
        return [verdict for line in self.lines() for verdict in line.verdicts if not verdict.is_met]

    def as_json(self) -> str:
        """Return all of it."""
        said = {**asdict(self), "date": self.date.isoformat(timespec="seconds"), "seconds": round(self.seconds, 1)}
        medians = [
            {
                "database": line.database,
                "key": line.key,
                "title": line.title,
                "median": line.median,
                "unit": line.unit,
                "targets": [
                    {"over": v.over, "value": v.value, "target": str(v.target), "met": v.is_met} for v in line.verdicts
                ],
            }
            for line in self.lines()
        ]
        return json.dumps({**said, "medians": medians}, indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> Report:
    """Return the report that ``as_json`` wrote into a file."""
    said = json.loads(path.read_text())
    del said["medians"]
    said["date"] = datetime.fromisoformat(said["date"])
    said["samples"] = [Sample(**sample) for sample in said["samples"]]
    return Report(**said)
