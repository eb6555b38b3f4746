"""In which order are jobs listed? By name, or what needs attention, ran last or runs next first.

Each takes one look into an index for each job, however many logs there are.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from cronkite.admin import states
from cronkite.database import clock
from cronkite.health import USUAL
from cronkite.models import Log
from cronkite.models.queries import is_stale, is_stuck, may_retry
from cronkite.reports.vitals import FAILURES

if TYPE_CHECKING:
    from django.db.models.expressions import OrderBy
    from django.utils.functional import _StrOrPromise

#: What can be asked for, and its name.
NAMES: dict[str, _StrOrPromise] = {
    "attention": _("needs attention first"),
    "last": _("last run first"),
    "next": _("next run first"),
}
#: A job that is free and due for so long is late, as the strip on top has it.
LATE = timedelta(seconds=USUAL.late.warning or 0)


def by(name: str, *, outcomes: bool) -> list[Any]:
    """Return the order, one of :data:`NAMES`, or by name; without ``outcomes``, nothing is told of how runs ended."""
    if name == "attention":
        return [attention(outcomes=outcomes).asc(), "name", "id"]
    if name == "last" and outcomes:
        return [newest_first(), "name", "id"]
    if name == "next":
        return [F("next_run").asc(nulls_last=True), "name", "id"]
    return ["name", "id"]


def attention(*, outcomes: bool) -> Case:
    """Return how urgent a job is, from 0 on: stuck, failing, unable to run here, late, waiting for a run, well, off."""
    free = Q(lock__isnull=True, due_at__lt=clock.Now() - LATE)
    has_failed = Exists(last_claim().filter(status__in=FAILURES))
    is_gone = Exists(last_claim().filter(status=Log.Status.RUNNING)) & is_stale()
    ranks = [
        is_stuck(),
        (has_failed | is_gone) & may_retry() if outcomes else Q(pk__in=[]),
        states.hindered() & Q(enabled=True),
        free & (Q(enabled=True) | Q(asked_at__isnull=False)),
        Q(asked_at__isnull=False),
        Q(enabled=True),
    ]
    whens = [When(condition, then=Value(rank)) for rank, condition in enumerate(ranks)]
    return Case(*whens, default=Value(len(ranks)), output_field=IntegerField())


def last_run() -> OrderBy:
    """Return the order by when the last run began; what never ran comes first or, with the newest first, at the end."""
    began = last_claim().values_list(Coalesce("started_at", "created"))[:1]
    return Subquery(began).asc(nulls_first=True)


def newest_first() -> OrderBy:
    """Return :func:`last_run`, the other way round."""
    order = last_run()
    order.reverse_ordering()
    return order


def last_claim() -> Any:
    """Return the log of a job's last claim, for a query over jobs."""
    return Log.objects.filter(job=OuterRef("pk"), fence=OuterRef("fence")).order_by()
