"""What may the address of a list ask for? What the list has filters for, in values that every database understands.

Anything else in it is left out and told: an address may have been cut, or made up. Else Django would ask the database,
and each of these has questions of its own that it answers with an error: a NUL character, a number of twenty digits,
the year 10000, half a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IS_FACETS_VAR, IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
else:
    AdminBase = admin.ModelAdmin

#: The longest text that is asked for: SQLite takes no pattern of more than 50,000 bytes, and no term of 1,000 parts.
LONGEST = 200
#: Years that every database and every zone can tell.
FIRST_YEAR, LAST_YEAR = 1971, 9000
#: Whole numbers end before this.
MOST = 2**63
#: How many names are told, and how much of each.
NAMED, NAME = 5, 40

#: What every list understands beside its filters. Django's mark of an error is not among them: it has said it by then.
COMMON = {PAGE_VAR, ORDER_VAR, SEARCH_VAR, IS_POPUP_VAR, TO_FIELD_VAR, IS_FACETS_VAR, ALL_VAR}
#: The questions that may be asked of a column of any kind, and those of texts alone.
COMPARISONS = {"exact", "in", "gt", "gte", "lt", "lte"}
TEXT_COMPARISONS = {"iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith"}
TRUTHS = {"0", "1", "true", "false"}

_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def is_text(value: str) -> bool:
    """Whether every database can be asked for the text."""
    return len(value) <= LONGEST and not _CONTROL.search(value)


def text(request: HttpRequest, name: str) -> str:
    """Return the parameter of the page's address; nothing if it is missing, or no text to ask a database for."""
    value = request.GET.get(name, "")
    return value if is_text(value) else ""


def is_key(value: str) -> bool:
    """Whether the text can be a row's key: whole, and no larger than what databases take."""
    return value.isascii() and value.isdecimal() and len(value) <= len(str(MOST)) and int(value) < MOST


def moment(value: str) -> datetime | None:
    """Return the instant that the text names, on the clock of the active zone if it names none; ``None`` if none."""
    try:
        found = parse_datetime(value)
    except ValueError:
        return None
    if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        return None
    return timezone.make_aware(found) if timezone.is_naive(found) else found


class SearchForm(forms.Form):
    """What is searched for: no more than any database can be asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the form; its one field is named as Django's lists name it."""
        super().__init__(*args, **kwargs)
        self.fields = {SEARCH_VAR: forms.CharField(required=False, strip=False, max_length=LONGEST)}


class SoundChangeList(ChangeList):
    """A list that searches for nothing that a database can't be asked for."""

    search_form_class = SearchForm


class SoundAddresses(AdminBase):
    """A ``ModelAdmin`` whose list leaves out of its address what it does not know."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; if the address has more in it, say so, and do without that."""
        known = self._known(request)
        kept = QueryDict(mutable=True)
        left_out = []
        for name, values in request.GET.lists():
            if self._is_sound(name, values[-1], known):
                # Of several the last one counts, as for Django.
                kept[name] = values[-1]
            elif name != ERROR_FLAG:
                left_out.append(name)
        if left_out and request.method == "GET":
            said = gettext("Left out of the address, as this list has no such filter or value: %(names)s.")
            messages.warning(request, said % {"names": ", ".join(_named(left_out))})
        request.GET = kept  # type: ignore[assignment]  # it is one that can be changed
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row, or ``None``; an empty name of a column in the address is none."""
        return super().get_object(request, object_id, from_field or None)

    def _known(self, request: HttpRequest) -> dict[str, Any]:
        """Return the parameters of the list's filters, each with the filter, if that can tell what it takes."""
        found: dict[str, Any] = {}
        for each in self.get_list_filter(request):
            names = getattr(each, "parameters", None) or [getattr(each, "parameter_name", None)]
            found.update((name, each) for name in names if name)
        return found

    def _is_sound(self, name: str, value: str, known: dict[str, Any]) -> bool:
        if name == PAGE_VAR:
            return is_key(value)
        if name in COMMON:
            # Of what is searched for, the form says what is wrong.
            return name == SEARCH_VAR or is_text(value)
        if name in known:
            takes = getattr(known[name], "takes", None)
            return is_text(value) and (takes is None or not value or takes(name, value))
        return is_text(name) and is_lookup(self.model, name, value)


def is_lookup(model: type[models.Model], name: str, value: str) -> bool:
    """Whether the two are a question about a column of ``model`` that every database answers."""
    path, _, lookup = name.partition("__")
    try:
        field: Any = model._meta.get_field(path)  # noqa: SLF001 - documented, in spite of its name
    except FieldDoesNotExist:
        return False
    # Letter by letter, the rows that there are would tell what is secret.
    if getattr(field, "is_secret", False) or (field.is_relation and not field.concrete):
        return False
    if field.is_relation:
        field, lookup = field.target_field, re.sub(r"^(pk|id)(__|$)", "", lookup)
    lookup = lookup or "exact"
    if lookup == "isnull":
        return value.lower() in TRUTHS
    if isinstance(field, models.JSONField):
        return False
    if lookup in TEXT_COMPARISONS:
        return isinstance(field, (models.CharField, models.TextField)) and is_text(value)
    return lookup in COMPARISONS and all(
        _is_value(field, each) for each in (value.split(",") if lookup == "in" else [value])
    )


def _is_value(field: models.Field[Any, Any], text: str) -> bool:
    """Whether the text names a value of the column."""
    if not is_text(text):
        return False
    if isinstance(field, models.DateTimeField):
        found = moment(text)
        # Without a zone, Django takes it for a mistake.
        return found is not None and parse_datetime(text) == found
    try:
        value = field.to_python(text)
    except ValidationError:
        return False
    return not isinstance(value, int) or -MOST < value < MOST


def _named(names: list[str]) -> Iterator[str]:
    for name in names[:NAMED]:
        yield name[:NAME].encode("unicode_escape").decode() if _CONTROL.search(name) else name[:NAME]
    if len(names) > NAMED:
        yield "…"
