"""How are numbers written so that Prometheus reads them?

In its text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/): UTF-8, a line for each
sample, and before the samples of a name what it is about and its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

#: What the format is called over HTTP.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: In the values of labels, and in what is said of a name, where quotes stand for themselves.
_IN_LABELS = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_IN_WORDS = str.maketrans({"\\": r"\\", "\n": r"\n"})
#: What readers that go by lines take for the end of one, or terminals for an order; no name is in need of them.
_CONTROLS = {
    code: repr(chr(code))[1:-1] for code in [*range(32), *range(127, 160), 0x2028, 0x2029] if code != ord("\n")
}


@dataclass(frozen=True)
class Sample:
    """A number, and the labels that tell it from others of its name."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """Numbers of one name, which says the unit; ``words`` tell what they are.

    All are gauges. What might be counters are sums over rows, and these fall when logs are pruned or jobs deleted;
    Prometheus would take that for a counter that began anew at zero.
    """

    name: str
    words: str
    samples: tuple[Sample, ...]


def text(metrics: Iterable[Metric], spell: Callable[[str], str] = str) -> str:
    """Return all of it; what has no samples is left out.

    ``spell`` returns the value of a label in the letters that there are where it is written to.
    """
    return "".join(line for metric in metrics if metric.samples for line in _lines(metric, spell))


def _lines(metric: Metric, spell: Callable[[str], str]) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.words.translate(_IN_WORDS)}\n"
    yield f"# TYPE {metric.name} gauge\n"
    for sample in metric.samples:
        labels = ",".join(f'{name}="{_label(value, spell)}"' for name, value in sample.labels.items())
        yield f"{metric.name}{{{labels}}} {sample.value}\n" if labels else f"{metric.name} {sample.value}\n"


def _label(value: str, spell: Callable[[str], str]) -> str:
    return spell(value.translate(_CONTROLS)).translate(_IN_LABELS)
