"""How does a value say what it is, where a row of a list is a card and has no head? By a label that tables hide."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html
from django.utils.text import capfirst

from cronkite.admin import shown

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

#: What stands where there is nothing: a table needs it, and a card does not.
NONE = format_html('<span class="cronkite-none">{}</span>', shown.NOTHING)


def labelled(name: str, column: Callable[[Any], Any]) -> Callable[[Any], SafeString]:
    """Return the list's column of this name, which has a description, with that beside each of its values."""

    @wraps(column)
    def show(record: Any) -> SafeString:
        value = column(record)
        if value == shown.NOTHING:
            return NONE
        label = capfirst(str(column.short_description))  # type: ignore[attr-defined]  # of admin.display
        return format_html('<span class="cronkite-label">{}:</span> {}', label, value)

    # By this, the cell's class is named.
    show.__name__ = name
    return show
