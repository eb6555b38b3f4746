"""What decides, before a person says yes? Of each job that is to be acted on, what stands in the way or is at stake."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext

from cronkite.admin import declared, shown, states
from cronkite.code import commands, functions
from cronkite.models import Job, Log

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString

#: How many jobs are told one by one; and how long, in characters, what they are called with may be.
SHOWN, LONGEST = 25, 500


@dataclass(frozen=True)
class Line:
    """A job, and what is to be known of it; ``calls`` is how its function is called, where that matters."""

    job: Job
    calls: str
    facts: list[SafeString | str]


@dataclass(frozen=True)
class Decisive:
    """What is to be known of all: how many there are of each kind, and lines for the first, odd ones before others."""

    counts: list[str]
    lines: list[Line]
    more: int


def look(action: str, jobs: Sequence[Job]) -> Decisive:
    """Return what decides whether ``action`` is done to the jobs; by two queries, however many these are."""
    functions.try_all({job.callee for job in jobs})
    missing = {name: problem for name in {job.callee for job in jobs} if (problem := states.missing(name))}

    def is_plain(job: Job) -> bool:
        return job.enabled and not (job.is_locked or job.is_asked or job.callee in missing)

    first = sorted(jobs, key=is_plain)[:SHOWN]
    started = _started(first)
    lines = [
        Line(job, _call(job) if action == "run" else "", [*_facts(action, job, missing.get(job.callee, ""), started)])
        for job in first
    ]
    return Decisive(_counts(jobs, missing) if len(jobs) > 1 else [], lines, len(jobs) - len(first))


def _facts(action: str, job: Job, problem: str, started: dict[int, datetime]) -> Iterator[SafeString | str]:
    if job.is_locked:
        yield _lock(job, started.get(job.pk))
    if action == "run":
        yield from _of_run(job, problem)
    if action in {"run", "delete_selected"} and job.is_asked:
        yield _asked(job)
    if action == "unlock" and not job.is_locked:
        yield gettext("It is not locked: there is nothing to unlock.")
    if action == "restore":
        yield declared.show(job) if job.declared_as else gettext("Code declares nothing of it.")
    if action == "delete_selected":
        yield from _of_deletion(job)


def _of_run(job: Job, problem: str) -> Iterator[SafeString | str]:
    if job.is_stuck:
        yield gettext("It is stuck: the new run waits until somebody unlocks the job.")
    elif job.is_stale:
        yield gettext("The new run takes the lock over.")
    elif job.is_locked:
        yield gettext("The new run waits until that one has ended.")
    if not job.enabled:
        yield gettext("It is disabled: it runs this once all the same.")
    if problem:
        said = gettext("Its function is missing here: a node that has it takes the request.")
        yield format_html('<span class="cronkite-bad">{}</span> {}', said, problem)


def _of_deletion(job: Job) -> Iterator[str]:
    yield gettext("Its logs stay, without a job.")
    if job.declared_as:
        said = gettext("%(function)s declares it: while code does, it comes back. Disable it instead.")
        yield said % {"function": job.declared_as}


def _lock(job: Job, started: datetime | None) -> SafeString:
    assert job.locked_at is not None
    told = {"node": job.locked_by, "seen": shown.away(job.locked_at, job.now)}
    if started is None:
        said = gettext("Locked by %(node)s; its run was last seen alive %(seen)s.") % told
    else:
        told |= {"started": shown.plain(started), "span": shown.span(job.now - started)}
        said = (
            gettext("Locked by %(node)s; its run began at %(started)s, %(span)s ago, and was last seen alive %(seen)s.")
            % told
        )
    return format_html('<span class="{}">{}</span>', "cronkite-bad" if job.is_stuck or job.is_stale else "", said)


def _asked(job: Job) -> str:
    assert job.asked_at is not None
    told = {"name": job.asked_by, "when": shown.away(job.asked_at, job.now)}
    return gettext("A run was asked for by %(name)s, %(when)s, and no node has taken it yet.") % told


def _call(job: Job) -> str:
    """Return how the function is called, as Python is written, or the command, as at a command line."""
    if command := commands.of(job.callee):
        given = [value if isinstance(value, str) else shown.json_text(value) for value in job.args[1:]]
        return Truncator(shlex.join(["manage.py", command, *given])).chars(LONGEST)
    given = (
        [shown.json_text(value) for value in job.args]
        if isinstance(job.args, list)
        else [f"*{shown.json_text(job.args)}"]
    )
    named = job.kwargs.items() if isinstance(job.kwargs, dict) else [("**", job.kwargs)]
    given += [f"{name}={shown.json_text(value)}" for name, value in named]
    return Truncator(f"{job.function}({', '.join(given)})").chars(LONGEST)


def _started(jobs: Sequence[Job]) -> dict[int, datetime]:
    """Return when the runs began that hold the jobs' locks, by the jobs' keys."""
    holders = {(job.pk, job.fence) for job in jobs if job.is_locked}
    # By the index of (job, fence); a few too many are found, and left out.
    logs = Log.objects.filter(job__in=[pk for pk, _ in holders], fence__in=[fence for _, fence in holders])
    found = logs.order_by().values_list("job_id", "fence", "started_at")
    return {pk: started for pk, fence, started in found if (pk, fence) in holders and pk and started}


def _counts(jobs: Sequence[Job], missing: dict[str, str]) -> list[str]:
    """Say how many there are of what one looks out for."""
    count = Counter(
        kind
        for job in jobs
        for kind, holds in (
            ("disabled", not job.enabled),
            ("locked", job.is_locked),
            ("missing", job.callee in missing),
            ("asked", job.is_asked),
        )
        if holds
    )
    said = {
        "disabled": ngettext("%(count)d is disabled.", "%(count)d are disabled.", count["disabled"]),
        "locked": ngettext("%(count)d is locked.", "%(count)d are locked.", count["locked"]),
        "missing": ngettext(
            "The function of %(count)d is missing here.",
            "The functions of %(count)d are missing here.",
            count["missing"],
        ),
        "asked": ngettext(
            "A run of %(count)d was asked for already.", "Runs of %(count)d were asked for already.", count["asked"]
        ),
    }
    return [text % {"count": count[kind]} for kind, text in said.items() if count[kind]]
