"""What does the page of one log tell, and where does it lead?

What decides comes first: how it ended, and what went wrong. Then what it wrote, and then the bookkeeping. Rows that
have nothing to say are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from cronkite.admin import ansi, engines, problems, rights, shown, urls
from cronkite.models import Job, Log

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise
    from django.utils.safestring import SafeString

#: From how many lines, or characters, on a text is long: its end is a click away.
LONG_LINES, LONG = 40, 6000
#: How long a JSON value may be that stands on one line.
LINE = 80
#: What of the timeline is shown: the moment is in the middle of an hour.
HALF_AN_HOUR = timedelta(minutes=30)

#: The fields by group, each with what tells whether a log has it.
GROUPS: list[tuple[_StrOrPromise | None, dict[str, Callable[[Log], Any]]]] = [
    (
        None,
        {
            "ended": lambda log: True,
            "problem": lambda log: log.exc_info,
            "why": lambda log: log.reason,
        },
    ),
    (
        gettext_lazy("What came of it"),
        {
            "output_text": lambda log: log.output or log.status == Log.Status.RUNNING,
            "traceback": lambda log: log.exc_info,
            "result_text": lambda log: log.result is not None,
        },
    ),
    (
        gettext_lazy("What ran"),
        {
            "job": lambda log: _job(log) is not None,
            "job_name": lambda log: (job := _job(log)) is None or job.name != log.job_name,
            "command": lambda log: log.what != log.function,
            "function": lambda log: log.what == log.function,
            "arguments": lambda log: log.args,
            "keyword_arguments": lambda log: log.kwargs,
            "slot_at": lambda log: True,
            "attempt": lambda log: log.attempt > 1,
            "missed_slots": lambda log: log.missed,
            "late": lambda log: log.slot and log.started_at,
        },
    ),
    (
        # Django's own "Run" is a button, and one word has one translation for all of a project.
        pgettext_lazy("what is known of a run", "Run"),
        {
            "start": lambda log: log.started_at,
            "end": lambda log: log.finished_at,
            "duration": lambda log: log.started_at and log.finished_at,
            "node": lambda log: log.node,
            "engine_used": lambda log: log.engine,
            "queue": lambda log: log.queue,
            "task_id": lambda log: log.task_id,
            "worker": lambda log: log.worker,
            "fence": lambda log: log.fence,
            "recorded": lambda log: True,
        },
    ),
]

#: An instant as reasons have it.
_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\b")


def fieldsets(log: Log) -> list[tuple[_StrOrPromise | None, dict[str, Any]]]:
    """Return the groups of fields that have something to say of the log."""
    found = [(title, [name for name, has in fields.items() if has(log)]) for title, fields in GROUPS]
    return [(title, {"fields": names}) for title, names in found if names]


def title(log: Log) -> str:
    """Name the log by its job and its slot, on the clock of the page."""
    return f"{log.job_name}, {shown.plain(log.slot) if log.slot else _('by hand')}"


def reason(log: Log) -> str:
    """Return the reason, with its instants on the clock of the page."""
    return _INSTANT.sub(_local, log.reason)


def _local(found: re.Match[str]) -> str:
    try:
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
    except ValueError:
        return found[0]
    return shown.plain(moment)


def problem(log: Log) -> SafeString:
    """Return the line of the traceback that names the exception."""
    return format_html('<strong class="cronkite-bad">{}</strong>', problems.exception(log.exc_info))


def text(value: str, label: _StrOrPromise, name: str) -> SafeString:
    """Return a text as it was written, with its colours, a button that copies it, and a way to its end if it is long.

    The button is for scripts, and hidden until one shows it. What is too long for the page can be scrolled, by keyboard
    as well.
    """
    lines = value.count("\n") + 1
    is_long = lines > LONG_LINES or len(value) > LONG
    end = format_html('<span id="{}-end"></span>', name) if is_long else ""
    jump = format_html(' <a href="#{}-end">{}</a>', name, _("Jump to the end")) if is_long else ""
    said = ngettext("%(count)d line", "%(count)d lines", lines) % {"count": lines}
    return format_html(
        '<div class="cronkite-block"><p class="cronkite-tools">'
        '<button type="button" class="cronkite-copy" data-copies="{0}" data-done="{1}" hidden>{2}</button>{3}'
        ' <span class="quiet">{4}</span></p>'
        '<pre class="cronkite-text" id="{0}" tabindex="0" role="region" aria-label="{5}">{6}{7}</pre></div>',
        name,
        _("Copied"),
        _("Copy"),
        jump,
        said if is_long else "",
        label,
        ansi.show(value),
        end,
    )


def output(log: Log) -> SafeString:
    """Return what a run has written, or has until now."""
    if log.output or log.status != Log.Status.RUNNING:
        return text(log.output, _("output"), "cronkite-output")
    said = _("Nothing yet. What it writes is shown here while it runs.")
    return format_html('<span class="quiet">{}</span>', said)


def engine(log: Log) -> str:
    """Return the engine, and which of its backends."""
    return f"{log.engine} ({log.backend})" if log.backend else log.engine


def value(found: Any, label: _StrOrPromise, name: str) -> SafeString:
    """Return a JSON value as text, on one line if it fits; of what was cut, the beginning."""
    line = shown.json_text(found)
    return text(line if len(line) <= LINE else shown.json_text(found, indent=2), label, name)


def _job(log: Log) -> Job | None:
    """Return the job, if it is there: a database without foreign keys may have lost it."""
    try:
        return log.job
    except Job.DoesNotExist:
        return None


def links(request: HttpRequest, log: Log, site: str) -> Iterator[tuple[_StrOrPromise, str]]:
    """Yield where the page leads, label and address: only to what the person may see."""
    may_view_job = rights.may_view_jobs(request.user)

    url = partial(urls.url, site)
    if address := engines.page(log, site, request.user):
        yield _("Its task"), address
    if log.job_id is None:
        return
    if may_view_job:
        yield _("Job"), url("job_change", log.job_id)
    if may_run(request):
        yield _("Run again"), url("log_again", log.pk)
    yield _("Its logs"), url("log_changelist", job=log.job_id)
    before, after = _neighbours(log)
    if before is not None:
        yield _("Run before"), url("log_change", before)
    if after is not None:
        yield _("Run after"), url("log_change", after)
    if may_view_job:
        moment = log.started_at or log.slot or log.created
        with suppress(OverflowError):  # the calendar ends there
            until = (moment + HALF_AN_HOUR).isoformat()
            yield _("Timeline then"), url("job_timeline", job=log.job_id, window="hour", until=until)


def may_run(request: HttpRequest) -> bool:
    """Whether the person may have the log's job run: it takes to see the job, too."""
    return request.user.has_perm("cronkite.run_job") and rights.may_view_jobs(request.user)


def _neighbours(log: Log) -> tuple[int | None, int | None]:
    """Return the keys of the logs just before and after: of runs by the order of claims, of missed slots by slots."""
    # Each by an index whose end is at once where it is looked for, however many logs there are.
    column = "slot" if log.fence is None else "fence"
    logs = Log.objects.filter(job=log.job_id)
    here = getattr(log, column)
    before = logs.filter(**{f"{column}__lt": here}).order_by(f"-{column}").values_list("pk", flat=True).first()
    after = logs.filter(**{f"{column}__gt": here}).order_by(column).values_list("pk", flat=True).first()
    return before, after
