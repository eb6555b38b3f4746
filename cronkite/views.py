"""How does a monitor learn over HTTP if all is well?

In a project's ``urls.py``::

    path("cron/health/", cronkite.views.health)

It answers to users who may view jobs and logs, and to nobody else. To open it to a monitor that has no user, say whom
it answers::

    path("cron/health/", cronkite.views.health, {"allow": cronkite.views.bearer(os.environ["PROBE_TOKEN"])})
    path("cron/health/", cronkite.views.health, {"allow": cronkite.views.anybody})

It answers JSON, or to Prometheus, which says what it reads, in numbers; ``?format=prometheus`` has others see them.

It is no probe of a container, which a job that fails would then restart: those look at :mod:`cronkite.nodes.beacons`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import translation
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from cronkite.health import UNKNOWN, USUAL, Level, Limits, numbers, report
from cronkite.reports import exposition

logger = logging.getLogger("cronkite")

Allow = Callable[[HttpRequest], bool]


def may_view(request: HttpRequest) -> bool:
    """Allow users who may view jobs and logs, as these say how runs ended."""
    user = getattr(request, "user", None)
    return user is not None and user.has_perms(["cronkite.view_job", "cronkite.view_log"])


def anybody(request: HttpRequest) -> bool:
    """Allow whoever asks: the names of jobs and nodes are then public."""
    return True


def bearer(token: str) -> Allow:
    """Make a rule that allows whoever sends the header ``Authorization: Bearer`` with this token.

    Raises :class:`ValueError` for an empty token, as from a variable that is not set.
    """
    if not token:
        raise ValueError("The token is empty, so that anybody could send it.")

    def has_token(request: HttpRequest) -> bool:
        kind, _, sent = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and constant_time_compare(sent.strip(), token)

    return has_token


@never_cache
@vary_on_headers("Accept")
@require_safe
def health(request: HttpRequest, allow: Allow = may_view, limits: Limits = USUAL) -> HttpResponseBase:
    """Answer 200 if all is well or there are but warnings, 503 if not, with what there is to know as JSON.

    To Prometheus, which reads nothing of an answer that is an error, it is 200 in each case, with the level among the
    numbers. 403, with nothing else, for those whom ``allow`` does not allow; 400 for a ``format`` that is none.
    """
    form = request.GET.get("format") or _accepted(request)
    try:
        if not allow(request):
            return JsonResponse({"detail": "You may not view this."}, status=HTTPStatus.FORBIDDEN)
        if form not in {"json", "prometheus"}:
            detail = "The format is json or prometheus, as in ?format=prometheus."
            return JsonResponse({"detail": detail}, status=HTTPStatus.BAD_REQUEST)
        with translation.override(None):
            found = report(limits=limits)
            if form == "prometheus":
                return HttpResponse(exposition.text(numbers(found, limits)), content_type=exposition.CONTENT_TYPE)
    except Error:
        # What the database says may name hosts and users; it is for the log.
        logger.exception("The health of the jobs cannot be told.")
        if form == "prometheus":
            return HttpResponse(exposition.text(UNKNOWN), content_type=exposition.CONTENT_TYPE)
        return JsonResponse({"level": Level.UNKNOWN.name}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    status = HTTPStatus.OK if found.level < Level.CRITICAL else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse(found.as_dict(), status=status)


def _accepted(request: HttpRequest) -> str:
    """Return the format that is asked for in ``Accept``: JSON, unless it names Prometheus's, by its version, alone."""
    named = request.accepted_types
    if any((kind.main_type, kind.sub_type) == ("application", "json") for kind in named):
        return "json"
    is_scrape = any((kind.main_type, kind.sub_type) == ("text", "plain") and "version" in kind.params for kind in named)
    return "prometheus" if is_scrape else "json"
