"""What is said after an action? What became of each job, as its row tells it then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest
from django.utils.translation import ngettext

from cronkite.admin import shown, states
from cronkite.code import functions
from cronkite.health import USUAL
from cronkite.models import Job, Node
from cronkite.models.queries import CHUNK

#: Without a tick for so long, no next one is near.
SILENT = timedelta(seconds=USUAL.silent.warning or 0)


def of_requests(request: HttpRequest, asked: Sequence[Job], waiting: Sequence[Job]) -> None:
    """Tell what becomes of the requests: of ``asked`` they are new, of ``waiting`` there was one already."""
    # As they are now: a run may have begun since the list was read, or ended.
    now = _again(asked)
    functions.try_all({job.callee for job in asked})
    last_tick = Node.objects.aggregate(last=Max("ticked_at"))["last"]
    kinds: defaultdict[str, list[Job]] = defaultdict(list)
    for job in asked:
        kinds[_kind(now.get(job.pk), last_tick)].append(now.get(job.pk, job))
    for kind, jobs in kinds.items():
        level = messages.SUCCESS if kind in {"next", "taken"} else messages.WARNING
        messages.add_message(request, level, _sentence(kind, len(jobs)) % _told(jobs))
    if waiting:
        said = ngettext(
            "%(count)d job was waiting for its run already: %(names)s.",
            "%(count)d jobs were waiting for their runs already: %(names)s.",
            len(waiting),
        )
        messages.info(request, said % _told([*waiting]))


def _kind(job: Job | None, last_tick: datetime | None) -> str:
    """Return what stands between the request and its run."""
    if job is None:
        return "gone"
    if not job.is_asked:
        return "taken"
    if states.missing(job.callee):
        return "missing"
    if job.is_stuck:
        return "stuck"
    if job.is_locked and not job.is_stale:
        return "locked"
    return "silent" if last_tick is not None and job.now - last_tick > SILENT else "next"


def _sentence(kind: str, count: int) -> str:
    return {
        "next": ngettext(
            "%(count)d job will be run by the next tick: %(names)s.",
            "%(count)d jobs will be run by the next tick: %(names)s.",
            count,
        ),
        "silent": ngettext(
            "No node ticks; %(count)d job will be run when one does: %(names)s.",
            "No node ticks; %(count)d jobs will be run when one does: %(names)s.",
            count,
        ),
        "taken": ngettext(
            "%(count)d job was taken by a node already: %(names)s.",
            "%(count)d jobs were taken by nodes already: %(names)s.",
            count,
        ),
        "locked": ngettext(
            "%(count)d job is locked, and will be run when its lock is free: %(names)s.",
            "%(count)d jobs are locked, and will be run when their locks are free: %(names)s.",
            count,
        ),
        "stuck": ngettext(
            "%(count)d job is stuck, and will not be run until somebody unlocks it: %(names)s.",
            "%(count)d jobs are stuck, and will not be run until somebody unlocks them: %(names)s.",
            count,
        ),
        "missing": ngettext(
            "The function of %(count)d job is missing here; the request waits for a node that has it: %(names)s.",
            "The functions of %(count)d jobs are missing here; the requests wait for a node that has them: %(names)s.",
            count,
        ),
        "gone": ngettext(
            "%(count)d job is gone: %(names)s.",
            "%(count)d jobs are gone: %(names)s.",
            count,
        ),
    }[kind]


def _told(jobs: list[Job]) -> dict[str, object]:
    return {"count": len(jobs), "names": shown.names(jobs)}


def _again(jobs: Sequence[Job]) -> dict[int, Job]:
    """Return the rows of the jobs as they are now, by their keys."""
    keys = [job.pk for job in jobs]
    found: dict[int, Job] = {}
    for start in range(0, len(keys), CHUNK):
        found |= {job.pk: job for job in Job.objects.with_now().filter(pk__in=keys[start : start + CHUNK])}
    return found
