"""What has ``cron export`` written down, here or elsewhere?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from cronkite.code.groups import MOST_RUNNING
from cronkite.exporting import COLUMNS, GROUP_COLUMNS, VERSION, VERSION_KEY, YamlMissing, yaml
from cronkite.importing.planned import Given, NothingToRead, Planned, stdin, told
from cronkite.models import Group, Job

TITLE = "the export"
WHERE = "the file, or - for stdin"
TAKES = ("overwrite",)
AWAY = "Disable them where they were exported, unless they are to run in both places."

SOURCE = "exported"
#: What a job can't do without.
NEEDED = ("name", "function", "schedule")
#: What holds arguments, and has to be of which kind.
ARGUMENTS: dict[str, tuple[type, str]] = {
    "args": (list, 'a list, as in ["a", 1]'),
    "kwargs": (dict, 'an object, as in {"a": 1}'),
}
#: What stands at the top.
PARTS = (VERSION_KEY, "groups", "jobs")


@dataclass(frozen=True)
class Exported:
    """What is in an export; of a group, ``columns`` holds its ``max_running``, if that is said."""

    groups: list[Planned]
    jobs: list[Planned]


def read(given: Given) -> Iterator[Planned]:
    """Yield the jobs of the export that is in the file ``given.where``, in its order; see :func:`load`."""
    yield from load(given.where).jobs


def load(where: str) -> Exported:
    """Return what is in the file, or what comes from stdin (``-``).

    Raises :class:`~cronkite.importing.planned.NothingToRead` for what is no export, or one that only a newer release
    understands. What is wrong with one job is told with that.
    """
    document = _parse(_read(where))
    if isinstance(document, list) and document and all(isinstance(each, dict) and "model" in each for each in document):
        raise NothingToRead("That is a fixture, as `manage.py dumpdata` writes them: `manage.py loaddata` reads it.")
    if not isinstance(document, dict) or VERSION_KEY not in document:
        raise NothingToRead(f'That is no export of django-cronkite: it has no "{VERSION_KEY}" that tells its version.')
    version = document[VERSION_KEY]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise NothingToRead(f'"{VERSION_KEY}" has to be the version of the export, as in {VERSION}, not {version!r}.')
    if version > VERSION:
        raise NothingToRead(
            f"That was exported by a newer django-cronkite: its version is {version}, and {VERSION} is known here. "
            "Upgrade django-cronkite here, or export with the release that is here."
        )
    if unknown := sorted(map(str, document.keys() - {*PARTS})):
        raise NothingToRead(f"An export has no {', '.join(unknown)}. It has {', '.join(PARTS)}.")
    for part in ("groups", "jobs"):
        if not isinstance(document.get(part, []), list):
            raise NothingToRead(f'"{part}" has to be a list.')
    return Exported(
        [_group(record, number) for number, record in enumerate(document.get("groups", []), start=1)],
        [_job(record, number) for number, record in enumerate(document.get("jobs", []), start=1)],
    )


def _read(where: str) -> str:
    if not where:
        raise NothingToRead("Which file? Write `manage.py cron import exported FILE`, or - for stdin.")
    try:
        data = stdin() if where == "-" else Path(where).read_bytes()
    except OSError as error:
        raise NothingToRead(f"{where} can't be read: {error.strerror or error}.") from None
    try:
        # Editors of some systems begin a file with a mark of the encoding.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "What comes from stdin" if where == "-" else where
        raise NothingToRead(
            f"{what} is no text in UTF-8, as an export is. Some shells write what a program says in another encoding: "
            "have `manage.py cron export --output FILE` write the file by itself."
        ) from None


def _parse(text: str) -> Any:
    """Return what the text holds: JSON if it looks like that, else YAML, if that can be read here."""
    try:
        if text.lstrip().startswith(("{", "[")):
            return json.loads(text)
        package = yaml()
    except YamlMissing as error:
        raise NothingToRead(f"That is no JSON. {error}") from None
    except (ValueError, RecursionError) as error:
        raise NothingToRead(f"That is no JSON: {error}.") from None
    try:
        return package.safe_load(text)
    except (package.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise NothingToRead(f"That is neither JSON nor YAML: {said}.") from None


def _job(record: Any, number: int) -> Planned:
    name, columns, problems = _columns(record, Job, COLUMNS, NEEDED, f"job {number}")
    if not problems and not columns["name"]:
        problems = ["It has no name."]
    if problems:
        return Planned(SOURCE, name, None, "", tuple(problems), (), f"job {number}")
    columns = {column: value for column, value in columns.items() if column != "name"}
    return Planned(SOURCE, name, columns, told(columns), (), (), f"job {number}")


def _group(record: Any, number: int) -> Planned:
    name, columns, problems = _columns(record, Group, GROUP_COLUMNS, ("name",), f"group {number}")
    running = columns.get("max_running", 1)
    if not problems and not columns["name"]:
        problems = ["It has no name."]
    if not problems and not 1 <= running <= MOST_RUNNING:
        problems = [f"max_running has to be from 1 to {MOST_RUNNING}, not {running}."]
    if problems:
        return Planned(SOURCE, name, None, "", tuple(problems), (), f"group {number}")
    becomes = f"{running} {'job runs' if running == 1 else 'jobs run'} at a time"
    return Planned(SOURCE, columns["name"], {"max_running": running}, becomes, (), (), f"group {number}")


def _columns(
    record: Any, model: type[models.Model], known: list[str], needed: tuple[str, ...], place: str
) -> tuple[str, dict[str, Any], list[str]]:
    """Return what a record is called, what it says of the columns, and what is wrong with that."""
    if not isinstance(record, dict):
        return place, {}, [f"It has to be an object of columns and values, not {record!r}."]
    name = record.get("name")
    problems = [f"It has no {column}." for column in needed if column not in record]
    columns: dict[str, Any] = {}
    for column, value in record.items():
        if column not in known:
            problems.append(_unknown(str(column), known))
            continue
        try:
            columns[column] = _value(model._meta.get_field(column), value)  # noqa: SLF001 - documented
        except (ValidationError, TypeError) as error:
            said = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            problems.append(f"{column}: {said}")
    return (name if isinstance(name, str) and name else place), columns, problems


def _unknown(column: str, known: list[str]) -> str:
    if close := get_close_matches(column, known, 1):
        return f"It has a {column!r}, which is unknown here. Is {close[0]!r} meant?"
    return (
        f"It has a {column!r}, which is unknown here. If a newer django-cronkite has exported it, upgrade; else take "
        "it out."
    )


def _value(field: Any, value: Any) -> Any:
    """Return the value for the column; raises :class:`TypeError` or :class:`ValidationError` for what is none."""
    if value is None and field.null:
        return None
    kinds: dict[type, tuple[type, str]] = {
        models.CharField: (str, 'a text, in quotes, as in "bill"'),
        models.TextField: (str, 'a text, in quotes, as in "bill"'),
        models.BooleanField: (bool, "true or false"),
        models.IntegerField: (int, "a whole number"),
    }
    for kind, (wanted, words) in kinds.items():
        # To Python, true is a number.
        if isinstance(field, kind) and (
            not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool)
        ):
            raise TypeError(f"This has to be {words}, not {value!r}.")
    if isinstance(value, str) and "\0" in value:
        raise TypeError("This has a NUL character, and databases take none: take it out.")
    if field.name in ARGUMENTS:
        kind, words = ARGUMENTS[field.name]
        if not isinstance(value, kind):
            raise TypeError(f"This has to be {words}, not {value!r}.")
        return _as_json(value)
    return field.to_python(value)


def _as_json(value: Any) -> Any:
    """Return the value as it is read from a database: YAML has more kinds of things than JSON."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise TypeError(f"This can't be kept as JSON: {error}.") from None
