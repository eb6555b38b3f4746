"""What does code declare of a job, and what was overridden here?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext

from cronkite.admin import shown
from cronkite.code import declarations, functions, pings
from cronkite.code.declarations import Declaration
from cronkite.declared import discovery
from cronkite.exceptions import FunctionError
from cronkite.models import Job

if TYPE_CHECKING:
    from django.utils.safestring import SafeString


@dataclass(frozen=True)
class Difference:
    """A column of a job that is not what code declares."""

    label: str
    declared: Any
    here: Any


def declaration_of(job: Job) -> Declaration | None:
    """Return what code declares of the job; ``None`` if it declares nothing, or is not on this node."""
    return _find(job)[0]


def _find(job: Job) -> tuple[Declaration | None, str]:
    """Return what code declares of the job, and why this node does not find it."""
    if job.declared_as is None:
        return None, ""
    try:
        return declarations.named(job.declared_as, functions.look_up(job.declared_as)), ""
    except FunctionError as error:
        return None, str(error)


def differences(job: Job) -> list[Difference]:
    """Return what was overridden here."""
    declaration = declaration_of(job)
    if declaration is None:
        return []
    found = declaration.differences(job).items()
    return [
        Difference(_label(column), pings.shown(column, declared), pings.shown(column, here))
        for column, (here, declared) in found
    ]


def _label(column: str) -> str:
    fields = {field.name: field for field in Job._meta.concrete_fields}  # noqa: SLF001 - public, whatever its name
    return str(capfirst(fields[column].verbose_name))


def restore(job: Job) -> list[str]:
    """Make the job what code declares, and return the labels of what changed. Raises what :meth:`Job.save` raises."""
    declaration = declaration_of(job)
    return [] if declaration is None else [_label(column) for column in discovery.overwrite(job, declaration)]


def show(job: Job) -> SafeString | str:
    """Return a table of what was overridden, or a sentence where nothing was."""
    declaration, problem = _find(job)
    if declaration is None:
        said = gettext("%(function)s declares it, or did; this node does not find it.") % {"function": job.declared_as}
        return f"{said} {problem}".strip()
    found = differences(job)
    if not found:
        return gettext("%(function)s declares it, and nothing was overridden.") % {"function": job.declared_as}
    rows = format_html_join(
        "",
        '<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>',
        ((each.label, _text(each.declared), _text(each.here)) for each in found),
    )
    return format_html(
        '<table class="cronkite-declared"><caption>{}</caption><thead><tr><th scope="col">{}</th>'
        '<th scope="col">{}</th><th scope="col">{}</th></tr></thead><tbody>{}</tbody></table>',
        gettext("%(function)s declares it; this was overridden here:") % {"function": job.declared_as},
        gettext("Field"),
        gettext("In code"),
        gettext("Here"),
        rows,
    )


def _text(value: Any) -> str:
    if value is None or value == "":
        return shown.NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
