"""How does a list of millions come in pages? Without a count of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.paginator import Paginator
from django.db.models import Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.models import QuerySet

    PaginatorBase = Paginator[Any]
else:
    PaginatorBase = Paginator

#: How many rows there are to page through; whoever looks for an older one narrows the list.
MOST = 5000


#: How many logs are searched for a text, of those that an index finds: a text has none.
SEARCHED = 20_000


def newest(logs: QuerySet[Any], among: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of the logs that are of the newest :data:`SEARCHED` ``among`` others: a condition on their keys."""
    oldest = among.order_by("-pk").values("pk")[SEARCHED - 1 : SEARCHED]
    return logs.filter(pk__gte=Coalesce(Subquery(oldest), Value(0)))


class ShortPaginator(PaginatorBase):
    """A paginator that counts no further than :data:`MOST`, and has pages for so many."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or :data:`MOST` if there are more."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by().values("pk")[:MOST].count()
