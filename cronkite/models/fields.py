"""Which kinds of columns does Django lack?

Migrations need not know of most of them, and take them for Django's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.checks import CheckMessage
from django.core.exceptions import ValidationError
from django.db import DataError, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, GeneratedField
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Least

from cronkite.code import groups, labels, pings, wishes
from cronkite.code.declarations import MOST_SECONDS
from cronkite.database import clock, texts
from cronkite.models import rhythm

SECOND = timedelta(seconds=1)

if TYPE_CHECKING:
    # What they hold, which Django's classes do not take at runtime.
    CharField = models.CharField[str | Combinable, str]
    OptionalField = models.CharField[str | Combinable | None, str | None]
    TextField = models.TextField[str | Combinable, str]
    NumberField = models.PositiveIntegerField[int | Combinable | None, int | None]
    UUIDField = models.UUIDField[UUID | Combinable | None, UUID | None]
else:
    CharField, TextField, NumberField = models.CharField, models.TextField, models.PositiveIntegerField
    OptionalField, UUIDField = models.CharField, models.UUIDField


def earliest(*instants: str | Combinable) -> Coalesce:
    """Return the earliest of these instants, columns or expressions, nulls aside; null if all of them are."""
    first, *others = (F(each) if isinstance(each, str) else each for each in instants)
    rest = earliest(*others) if len(others) > 1 else others[0]
    # Where one of the two is null, it is null on SQLite, MySQL and MariaDB, and the other one on PostgreSQL.
    return Coalesce(Least(first, rest), first, rest)


class AsDjangos:
    """A field that is one of Django's own to migrations, which need not know of ours."""

    def deconstruct(self) -> Any:
        """Name the class of Django's that this is a kind of."""
        name, _, args, kwargs = super().deconstruct()  # type: ignore[misc]  # of the field that this is mixed into
        kind = next(each for each in type(self).__mro__ if getattr(models, each.__name__, None) is each)
        return name, f"django.db.models.{kind.__name__}", args, kwargs


class KeptByDatabase(AsDjangos, GeneratedField):
    """A generated column that connects to no database when it is checked.

    Django's own asks the server, at the start of each command, whether it knows such columns. All that Django supports
    do; a tick would connect twice, and with the server out of reach it would not come to wait for it.
    """

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Check what needs no database."""
        return super().check(**{**kwargs, "databases": []})


class ShortText(AsDjangos, CharField):
    """A text that every database refuses if it is too long, or has what one of them does not take; SQLite takes any."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return a text, also where SQLite has kept what is none."""
        return value if value is None or isinstance(value, str) else str(value)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Raise :class:`django.db.DataError`, as the other databases would."""
        if isinstance(value, str):
            if self.max_length is not None and len(value) > self.max_length:
                _refuse(self, f"has at most {self.max_length} characters, not {len(value)}")
            _refuse_unstorable(self, value)
        return super().get_db_prep_save(value, connection)


class Canonical(ShortText):
    """A text that is kept in one of the ways in which people write it; subclasses say in which."""

    #: Returns the text that is kept; raises :class:`ValueError` for what is none.
    canonical: Callable[[Any], str]

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Have the object know the text that is stored."""
        value = super().pre_save(model_instance, add)
        if not hasattr(value, "resolve_expression"):
            value = self.canonical(value)
            setattr(model_instance, self.attname, value)
        return value

    def to_python(self, value: Any) -> Any:
        """Return the text; raise :class:`ValidationError` for what is none."""
        try:
            return self.canonical("" if value is None else value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Labels(Canonical):
    """Labels of nodes, kept as one text: sorted, with commas."""

    canonical = staticmethod(labels.canonical)


class GroupName(Canonical):
    """The name of a group of jobs."""

    canonical = staticmethod(groups.canonical)


class Wish(Canonical):
    """Who wants to be told that something is wrong, and after how many failures in a row."""

    canonical = staticmethod(wishes.canonical)


class PingUrl(Canonical):
    """A URL that is told of a job's runs, and nobody who may only look at jobs."""

    is_secret = True
    canonical = staticmethod(pings.canonical)


class DeclaredAs(AsDjangos, OptionalField):
    """The function that declares a job, or null: also where a form or a file of texts has nothing but an empty text."""

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Have the object know what is stored."""
        value = super().pre_save(model_instance, add)
        if not value:
            setattr(model_instance, self.attname, None)
        return value

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Write null for an empty text: of those, no two could be."""
        return super().get_db_prep_save(value or None, connection)

    def to_python(self, value: Any) -> Any:
        """Return the function, or ``None``."""
        return super().to_python(value) or None


class CopiedText(ShortText):
    """A text that tells what is so, or was: what does not fit is cut or replaced, as without it nothing would be told.

    Whoever asks for the rows that have it need not know of that.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Return the text as it is kept."""
        value = super().get_prep_value(value)
        if not isinstance(value, str):
            return value
        value = texts.storable(value)
        if self.max_length is not None and len(value) > self.max_length:
            end = texts.storable("…")
            value = value[: self.max_length - len(end)] + end
        return value

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Write the text as it is kept."""
        return super().get_db_prep_save(self.get_prep_value(value) if isinstance(value, str) else value, connection)


class ToldText(AsDjangos, TextField):
    """A text of any length that tells what happened: what no column takes is replaced."""

    def get_prep_value(self, value: Any) -> Any:
        """Return the text as it is kept."""
        value = super().get_prep_value(value)
        return texts.storable(value) if isinstance(value, str) else value


class LongText(AsDjangos, TextField):
    """A text of any length, without what no database takes."""

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Raise :class:`django.db.DataError`, as PostgreSQL would."""
        if isinstance(value, str):
            _refuse_unstorable(self, value)
        return super().get_db_prep_save(value, connection)


class Seconds(AsDjangos, NumberField):
    """A number of seconds that every database refuses if it is too large; or a timedelta of as many."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return the number, or none where SQLite has kept what is no number."""
        return value if isinstance(value, int) else None

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Have the object know the number that is stored."""
        value = _in_seconds(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value

    def to_python(self, value: Any) -> Any:
        """Return the number."""
        return super().to_python(_in_seconds(value))

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Raise :class:`django.db.DataError`, as the other databases would."""
        value = _in_seconds(value)
        if isinstance(value, int) and not 0 <= value <= MOST_SECONDS:
            _refuse(self, f"is a number of seconds from 0 to {MOST_SECONDS}, not {value}")
        return super().get_db_prep_save(value, connection)


class Token(AsDjangos, UUIDField):
    """A random number that is given once, whatever MariaDB's column is.

    Before MariaDB 10.7, or Django 5.0, Django makes it text of 32 characters, and then a kind of its own, for which it
    writes hyphens. A server or a Django that is upgraded finds the old column, which has no room for these; the new one
    takes either.
    """

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """Write 32 characters on MySQL and MariaDB, as the older column has them."""
        if connection.vendor == "mysql" and value is not None:
            return self.to_python(value).hex
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Read either."""
        return self.to_python(value)


class Unreadable(str):
    """JSON as its column has it, which Python does not read: numbers too long, or lists too deep in each other."""

    __slots__ = ()


class Json(AsDjangos, models.JSONField):
    """What is JSON to the database. Where it is none to Python, it stays what it is: an :class:`Unreadable` text."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return the value; never raise, as one such row would break each query that it is in."""
        try:
            return super().from_db_value(value, expression, connection)
        except (ValueError, RecursionError):
            return Unreadable(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """Write what is unreadable as it was read."""
        if isinstance(value, Unreadable):
            return str(value)
        return super().get_db_prep_value(value, connection, prepared)


class Arguments(Json):
    """What every database stores as JSON: Python's knows numbers and characters that theirs does not."""

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Raise :class:`django.db.DataError`, as some of the databases would."""
        if not (hasattr(value, "resolve_expression") or isinstance(value, Unreadable) or is_storable(value)):
            _refuse(self, "must be JSON, without NaN, Infinity and NUL characters, which databases don't take")
        return super().get_db_prep_save(value, connection)


class Expression(ShortText):
    """The crontab expression of a job, which plans the next run of a job that a data migration writes.

    The model of a migration has columns and nothing else, so what :class:`Job <cronkite.models.Job>` does at a
    ``save()`` is not done; and an enabled job without a next run is refused by the schema.
    """

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Plan the job if nobody has: this column is read before the ones that follow from it."""
        job = model_instance
        # Ours has methods, and plans by itself.
        if hasattr(job, "get_schedule"):
            return super().pre_save(job, add)
        if not job.enabled:
            # Or it would be due for all that time when it is enabled again.
            job.next_run = None
        if job.next_run is None and (job.enabled or job.planned_at is None):
            job.planned_at = clock.now(router.db_for_write(type(job), instance=job))
            if job.enabled:
                job.next_run = rhythm.schedule(job).next_after(job.planned_at)
        return super().pre_save(job, add)

    def deconstruct(self) -> Any:
        """Be itself to migrations, whose model it is about."""
        name, _, args, kwargs = super().deconstruct()
        return name, "cronkite.models.fields.Expression", args, kwargs


def _in_seconds(value: Any) -> Any:
    """Return a timedelta of whole seconds as a number of them; anything else as it is."""
    return value // SECOND if isinstance(value, timedelta) and not value % SECOND else value


def is_storable(value: Any) -> bool:
    """Tell whether every database takes the value as JSON."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return False
    # The other backslashes are those of escaped backslashes, which come in pairs.
    return "\\u0000" not in text.replace("\\\\", "")


def _refuse_unstorable(field: models.Field[Any, Any], value: str) -> None:
    if "\0" in value:
        _refuse(field, "can't have a NUL character, which databases don't take")
    if not texts.is_storable(value):
        _refuse(field, "can't have half of a surrogate pair, which is no character")


def _refuse(field: models.Field[Any, Any], why: str) -> None:
    """Raise the error that the strictest of the databases raises."""
    raise DataError(f"A {field.model._meta.verbose_name}'s {field.name} {why}.")  # noqa: SLF001 - documented
