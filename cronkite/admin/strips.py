"""What became of a job's newest slots? The last outcomes of many jobs, by two queries however many these are.

The newest logs of one job are at an end of an index: that of (job, slot), or of (job, fence) for runs by hand, which
have no slot. So the first query asks for the twentieth of each, and the second for what is not older.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import OuterRef, Q, Subquery
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext

from cronkite.admin import marks
from cronkite.models import Job, Log

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

#: How many outcomes a strip shows.
LENGTH = 20
#: The width of one of them, and the height, in pixels.
STEP, HEIGHT = 8, 14


@dataclass(frozen=True)
class Strip:
    """A job's newest logs, oldest first, and the log of its last claim if that is still there."""

    logs: tuple[Log, ...]
    last_run: Log | None

    def __str__(self) -> str:
        """Tell the outcomes as counts, for who can't see the drawing."""
        told = marks.tell(Counter(log.status for log in self.logs))
        return gettext("The last %(count)d outcomes: %(told)s") % {"count": len(self.logs), "told": told}

    def draw(self) -> SafeString:
        """Return the outcomes as a drawing, the newest at the right."""
        drawn = [
            (name, STEP * number, str(log), path)
            for number, log in enumerate(self.logs, start=LENGTH - len(self.logs))
            for name, path in [marks.drawing(log.status)]
        ]
        cells = format_html_join(
            "",
            '<svg class="cronkite-mark cronkite-{}" x="{}" width="7" height="14" viewBox="1 -4 10 20">'
            '<title>{}</title><rect x="1" y="-4" width="10" height="20" rx="2"/><path d="{}"/></svg>',
            drawn,
        )
        return format_html(
            '<svg class="cronkite-strip" width="{}" height="{}" role="img" aria-label="{}">{}</svg>',
            LENGTH * STEP,
            HEIGHT,
            str(self),
            cells,
        )


def of(jobs: Sequence[Job]) -> dict[int, Strip]:
    """Return the strip of each job, by the job's key."""
    if not jobs:
        return {}
    logs = Log.objects.filter(job=OuterRef("pk"))
    bounds = Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list(
        "pk",
        Subquery(logs.filter(slot__isnull=False).order_by("-slot").values("slot")[LENGTH - 1 : LENGTH]),
        Subquery(logs.filter(fence__isnull=False).order_by("-fence").values("fence")[LENGTH - 1 : LENGTH]),
    )
    newest = Q(pk__in=[])
    for pk, slot, fence in bounds:
        newest |= Q(job=pk, slot__isnull=False) if slot is None else Q(job=pk, slot__gte=slot)
        newest |= Q(job=pk, fence__isnull=False) if fence is None else Q(job=pk, fence__gte=fence)
    found: dict[int, list[Log]] = {job.pk: [] for job in jobs}
    for log in Log.objects.filter(newest).defer(*Log.TEXTS, "reason").order_by("id"):
        found[log.job_id].append(log)  # type: ignore[index]  # each has a job: it was asked for by that
    return {pk: Strip(tuple(logs_[-LENGTH:]), _last_run(logs_)) for pk, logs_ in found.items()}


def _last_run(logs: list[Log]) -> Log | None:
    return max((log for log in logs if log.fence is not None), key=lambda log: log.fence or 0, default=None)
