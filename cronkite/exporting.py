"""What have people decided on jobs, as a text that is read elsewhere, and whose lines tell of each change?

It has all that a ``save()`` of a job may write, and nothing that nodes keep; :mod:`cronkite.importing.exported` reads
it. What a job pings is left out unless it is asked for: who knows that can tell of runs that never were, and it is of
one environment. Two databases that say the same make the same text, whatever keys the rows have, and however each
orders JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from importlib import import_module
from typing import Any, Literal

from cronkite.exceptions import CronkiteError
from cronkite.models import Group, Job
from cronkite.models.fields import Unreadable

#: The number of the format, which grows when what an older release would make of it is wrong; and where it stands.
VERSION, VERSION_KEY = 1, "cronkite"
#: The columns of a job, in the model's order.
COLUMNS = [field.name for field in Job._meta.concrete_fields if field.name in Job.DEFINITION]  # noqa: SLF001 - documented
#: Those that have nothing in them that is for nobody else.
OPEN_COLUMNS = [column for column in COLUMNS if column != "ping"]
#: The columns of a group.
GROUP_COLUMNS = ["name", "max_running"]

Form = Literal["json", "yaml"]


class NotExportable(CronkiteError):
    """A job can't be told of in such a text; the message says why, and what to do."""


class YamlMissing(CronkiteError):
    """YAML is asked for, and the package is not there that reads and writes it."""

    def __init__(self) -> None:
        super().__init__("YAML takes the package PyYAML, which is not there: pip install PyYAML, or use JSON.")


def document(jobs: Iterable[Job], groups: Iterable[Group], columns: Collection[str] = OPEN_COLUMNS) -> dict[str, Any]:
    """Return what is written of these columns of the ``jobs``, and of the ``groups``; no database decides the order.

    Raises :class:`NotExportable` for a job whose columns hold what is no JSON to Python.
    """
    told = [{column: getattr(group, column) for column in GROUP_COLUMNS} for group in groups]
    return {
        VERSION_KEY: VERSION,
        "groups": sorted(told, key=lambda group: str(group["name"])),
        "jobs": sorted((_record(job, columns) for job in jobs), key=_order),
    }


def text(document: dict[str, Any], form: Form, *, in_ascii: bool = False) -> str:
    """Return the document as JSON or YAML, ending with a newline; raises :class:`YamlMissing`."""
    if form == "yaml":
        return _in_yaml(document, in_ascii)
    return json.dumps(document, indent=2, ensure_ascii=in_ascii) + "\n"


def yaml() -> Any:
    """Return the package PyYAML; raises :class:`YamlMissing`."""
    try:
        return import_module("yaml")
    except ImportError:
        raise YamlMissing from None


def _record(job: Job, columns: Collection[str]) -> dict[str, Any]:
    return {column: _plain(job, column, getattr(job, column)) for column in columns}


def _plain(job: Job, column: str, value: Any) -> Any:
    """Return the value of the column, with the names in JSON objects sorted: each database has its own order."""
    if isinstance(value, Unreadable):
        raise NotExportable(
            f"The {column} of job {job.pk} ({job.name!r}) can't be read, so it can't be exported. Enter them anew in "
            "the admin, or name the jobs that are to be exported."
        )
    if isinstance(value, dict):
        return {name: _plain(job, column, value[name]) for name in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(job, column, each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return job._meta.get_field(column).value_to_string(job)  # type: ignore[union-attr]  # noqa: SLF001 - documented


def _order(record: dict[str, Any]) -> tuple[str, ...]:
    """Return what jobs are sorted by: what people call them; of one name, by all else."""
    return str(record["name"]), str(record["function"]), json.dumps(record)


def _in_yaml(document: dict[str, Any], in_ascii: bool) -> str:
    package = yaml()

    class Dumper(package.SafeDumper):  # type: ignore[misc, name-defined]  # the package may be missing
        """Writes what people read: no marks for what stands in two places, and a text of some lines as such."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def represent(dumper: Any, value: str) -> Any:
        # Escapes for what nobody sees: some of that ends a line to YAML.
        is_seen = value.replace("\n", "").isprintable()
        style = ("|" if "\n" in value else None) if is_seen else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, represent)
    written: str = package.dump(
        document, Dumper=Dumper, sort_keys=False, allow_unicode=not in_ascii, width=10**9, default_flow_style=False
    )
    return written
