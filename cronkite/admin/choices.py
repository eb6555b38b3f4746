"""Which functions and zones may be picked? Those that are offered while one types; any other can be typed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.html import format_html, format_html_join

from cronkite.admin import typed
from cronkite.code import commands
from cronkite.code.commands import CALL
from cronkite.declared import discovery
from cronkite.models import Group, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.forms.renderers import BaseRenderer
    from django.utils.safestring import SafeString

#: More would make the page heavy, and nobody reads them.
MOST = 1000


class SuggestingInput(AdminTextInputWidget):
    """A box for a text, with suggestions of which each browser shows those that fit."""

    def __init__(self, suggest: Callable[[], Iterable[str]], attrs: dict[str, Any] | None = None) -> None:
        """``suggest`` is called when the box is shown."""
        super().__init__(attrs)
        self.suggest = suggest

    def render(
        self, name: str, value: Any, attrs: Mapping[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        """Return the box and, beside it, the list of suggestions."""
        listed = f"{(attrs or {}).get('id', name)}_list"
        box = super().render(name, value, {**(attrs or {}), "list": listed}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((each,) for each in self.suggest()))
        return format_html('{}<datalist id="{}">{}</datalist>', box, listed, options)


def declared_functions() -> list[str]:
    """Return the dotted names of functions that apps declare jobs of, and of those that jobs have now; and commands."""
    declared = {declaration.function for declaration in discovery.declared_by_apps()}
    used = Job.objects.order_by().values_list("function", flat=True).distinct()[:MOST]
    return [*sorted({*declared, *used} - {CALL}), *map(typed.line, commands.names())][:MOST]


def groups() -> list[str]:
    """Return the names of the groups that there are."""
    return list(Group.objects.values_list("name", flat=True)[:MOST])


@lru_cache(maxsize=1)
def zones() -> list[str]:
    """Return the names of the time zones that this node knows."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")
