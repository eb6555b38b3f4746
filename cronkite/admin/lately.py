"""How have a job's runs gone lately? Its last outcomes, how often they failed, how long they took and if that grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

from django.template.loader import render_to_string
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext

from cronkite.admin import marks, shown, strips
from cronkite.models import Job, Log, status_label
from cronkite.reports.vitals import FAILURES

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

Status = Log.Status

#: How many of the newest runs are counted, by an index: however long the log is, no more of it is read.
RUNS = 100
#: With fewer runs than that, a trend is an accident; and so many per cent are none.
ENOUGH, SLIGHT = 10, 10
#: How many durations are drawn; the width of one, and the height of the longest, in pixels.
DRAWN, STEP, HEIGHT = 60, 5, 40


@dataclass(frozen=True)
class Row:
    """One of the last outcomes."""

    log: Log
    outcome: SafeString
    when: SafeString | str
    duration: str


@dataclass(frozen=True)
class Run:
    """What is counted of a run; ``took`` is in seconds, and ``None`` where it has not ended."""

    pk: int
    status: str
    took: float | None


def show(job: Job, strip: strips.Strip, logs_url: str, timeline_url: str) -> str:
    """Return the piece of the job's page, by one query however many logs there are; the addresses are of its logs."""
    runs = _newest(job)
    context = {
        "strip": strip.draw() if strip.logs else "",
        "rows": [_row(log) for log in reversed(strip.logs)],
        "facts": [*_facts(runs)],
        "durations": draw(runs),
        "logs_url": logs_url,
        "timeline_url": timeline_url,
    }
    return render_to_string("cronkite/lately.html", context)


def _newest(job: Job) -> list[Run]:
    """Return the newest runs, the newest first."""
    logs = Log.objects.filter(job=job, fence__isnull=False).order_by("-fence")
    found = logs.values_list("pk", "status", "started_at", "finished_at")[:RUNS]
    return [
        Run(pk, status, (end - start).total_seconds() if start and end else None) for pk, status, start, end in found
    ]


def _row(log: Log) -> Row:
    when = gettext("by hand") if log.slot is None else shown.instant(log.slot)
    took = log.finished_at - log.started_at if log.started_at and log.finished_at else None
    return Row(log, marks.outcome(log.status), when, shown.NOTHING if took is None else shown.precise(took))


def _facts(runs: Sequence[Run]) -> Iterator[str]:
    # A run that was interrupted, because its node was stopped, says nothing about the job.
    told = [run for run in runs if run.status not in {Status.RUNNING, Status.HANDED_OVER, Status.INTERRUPTED}]
    if told:
        failed = sum(run.status in FAILURES for run in told)
        said = ngettext(
            "Failed: %(failed)d of the last %(count)d run (%(rate)s %%).",
            "Failed: %(failed)d of the last %(count)d runs (%(rate)s %%).",
            len(told),
        )
        yield said % {
            "failed": failed,
            "count": len(told),
            "rate": number_format(round(100 * failed / len(told), 1), 1),
        }
    if durations := _durations(runs):
        said = ngettext(
            "Duration of %(count)d run that succeeded: median %(median)s, 95th percentile %(high)s.",
            "Duration of %(count)d runs that succeeded: median %(median)s, 95th percentile %(high)s.",
            len(durations),
        )
        usual, high = _precise(median(durations)), _precise(percentile(durations, 95))
        yield said % {"count": len(durations), "median": usual, "high": high}
        if len(durations) >= ENOUGH:
            yield _trend(durations)


def _precise(seconds: float) -> str:
    return shown.precise(timedelta(seconds=seconds))


def _durations(runs: Sequence[Run]) -> list[float]:
    return [run.took for run in runs if run.status == Status.SUCCEEDED and run.took is not None]


def percentile(durations: Sequence[float], per_cent: int) -> float:
    """Return the shortest duration that so many per cent of all do not exceed.

    >>> percentile(range(1, 21), 95)
    19
    """
    return sorted(durations)[ceil(len(durations) * per_cent / 100) - 1]


def _trend(durations: Sequence[float]) -> str:
    """Compare the newer half with the older one, by their medians."""
    half = len(durations) // 2
    newer, older = median(durations[:half]), median(durations[half:])
    change = round(100 * (newer / older - 1)) if older else 0
    if abs(change) < SLIGHT:
        return gettext("Trend: the newer half took as long as the older one.")
    said = (
        gettext("Trend: the newer half took %(change)d %% longer than the older one.")
        if change > 0
        else gettext("Trend: the newer half took %(change)d %% less than the older one.")
    )
    return said % {"change": abs(change)}


def draw(runs: Sequence[Run]) -> SafeString | str:
    """Return the durations as bars, the newest at the right; nothing where there are none."""
    ended = [run for run in runs[:DRAWN] if run.took is not None][::-1]
    longest = max((run.took for run in ended if run.took), default=0.0)
    if not longest:
        return ""
    bars = []
    for number, run in enumerate(ended):
        assert run.took is not None
        height = max(1, round(HEIGHT * (run.took / longest)))
        told = f"{status_label(run.status)}, {_precise(run.took)}"
        bars.append((run.status, number * STEP, HEIGHT - height, STEP - 1, height, told))
    drawn = format_html_join(
        "",
        '<rect class="cronkite-part-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        bars,
    )
    label = gettext("How long the last %(count)d runs took; the longest %(longest)s") % {
        "count": len(ended),
        "longest": _precise(longest),
    }
    return format_html(
        '<svg class="cronkite-durations" width="{}" height="{}" role="img" aria-label="{}">{}</svg>',
        len(ended) * STEP,
        HEIGHT,
        label,
        drawn,
    )
