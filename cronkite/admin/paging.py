"""How does a list of millions come in pages? Without a count of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.paginator import Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.db.models import QuerySet

    PaginatorBase = Paginator[Any]
else:
    PaginatorBase = Paginator

#: How many rows there are to page through; whoever looks for an older one narrows the list.
MOST = 5000


class ShortPaginator(PaginatorBase):
    """A paginator that counts no further than :data:`MOST`, and has pages for so many."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or :data:`MOST` if there are more."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:MOST].count()
