"""How does a person enter a job?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from cronkite.admin import choices, typed
from cronkite.code import commands, tasks
from cronkite.models import Job
from cronkite.schedules.words import listed

if TYPE_CHECKING:
    JobFormBase = forms.ModelForm[Job]
else:
    JobFormBase = forms.ModelForm


#: The name of the buttons on a job's page that act on it; their form is the job's, so that its edits come along.
ACTION = "action"


#: The fields with a few values to choose from.
CHOSEN = frozenset(["catch_up", "run_mode", "overlap", "retry_until", "on_lost"])
#: Those that a form need not have.
OPTIONAL = CHOSEN - {"catch_up"} | {"jitter", "retries", "retry_delay"}

#: What is said of arguments that are no JSON, by field.
NO_JSON = {
    "args": {"invalid": _('This is not JSON. Write a list, as in ["a", 1].')},
    "kwargs": {"invalid": _('This is not JSON. Write an object, as in {"a": 1}.')},
}


class JSONText(forms.JSONField):
    """A JSON value, typed in."""

    def to_python(self, value: Any) -> Any:
        """Return the value. Nothing may stand for the default."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError):
            said = _("This cannot be kept: it has a number of thousands of digits, or lists too deep in each other.")
            raise ValidationError(said, code="invalid", params={"value": value}) from None

    def prepare_value(self, value: Any) -> Any:
        """Return the text to be shown: in ASCII, if it has halves of characters that no page can hold."""
        text = super().prepare_value(value)
        try:
            str(text).encode()
        except UnicodeEncodeError:
            return json.dumps(value)
        return text

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed in, to be shown again just so beside the error."""
        return initial if self.disabled else InvalidJSONInput(data or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another value was typed in; what is no value is another one."""
        try:
            return super().has_changed(initial, data)
        except ValidationError:
            return True


class JobForm(JobFormBase):
    """A job as a person enters it. What can be wrong is said by :meth:`Job.clean_fields`.

    The form carries what each field held when it was shown. So it knows which the person has edited, and only these are
    written: not those that somebody else, or code, has changed meanwhile.
    """

    class Meta:
        model = Job
        fields = "__all__"
        field_classes = {"args": JSONText, "kwargs": JSONText}
        error_messages = NO_JSON
        help_texts = {
            "function": _(
                "The dotted name of the function, as in shop.crontab.bill; or a command, as in manage.py clearsessions."
            ),
            "schedule": _(
                "A crontab expression: minute, hour, day of month, month, day of week, and seconds if you like; or an "
                "interval, as in @every 90s; or one time, as in @at 2026-12-24T18:00."
            ),
        }
        widgets = {
            "function": choices.SuggestingInput(choices.declared_functions, {"spellcheck": "false"}),
            "timezone": choices.SuggestingInput(choices.zones, {"spellcheck": "false"}),
            "backend": choices.SuggestingInput(tasks.backends, {"spellcheck": "false"}),
            "group": choices.SuggestingInput(choices.groups, {"spellcheck": "false"}),
            "queue": choices.SuggestingInput(tasks.queues, {"spellcheck": "false"}),
            "args": AdminTextareaWidget(attrs={"rows": 2}),
            "kwargs": AdminTextareaWidget(attrs={"rows": 2}),
            "description": AdminTextareaWidget(attrs={"rows": 3}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the form, each field with what it held."""
        super().__init__(*args, **kwargs)
        if self.is_bound:
            self.data = self._translated(self.data)
        if self.instance.pk is not None:
            for name, field in self.fields.items():
                # Whoever sends the fields alone, such as a script, edits what differs from the database.
                field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data
            for name in CHOSEN:
                self._offer(name, getattr(self.instance, name))
        for name in OPTIONAL & self.fields.keys():
            # Whoever sends no such field, such as a script from before there were any, means the default.
            self.fields[name].required = False

    def _translated(self, data: Any) -> Any:
        """Return what was sent, with what the row is to say where a management command was typed as the function."""
        names = [self.add_prefix(name) for name in ("function", "args")]
        function, args = (data.get(name) for name in names)
        if not isinstance(function, str) or not typed.is_line(function):
            return data
        command = commands.of(self.instance.callee)
        found = data.copy()
        for name, value in zip(names, typed.translated(function, str(args or ""), command), strict=True):
            found[name] = value
        return found

    def _offer(self, name: str, value: str) -> None:
        """Let a value be chosen that only newer code knows, if that is the job's: or the first would be shown."""
        field: Any = self.fields.get(name)
        if field is not None and value not in dict(field.choices):
            field.choices = [*field.choices, (value, value)]

    def _clean_fields(self) -> None:
        """Check the fields, and leave what was there before as it is, right or wrong, unless it was edited."""
        super()._clean_fields()  # type: ignore[misc]  # Django's own, where each field is cleaned
        if self.instance.pk is not None:
            for name in self.errors.keys() & self.fields.keys() - {*self.changed_data}:
                del self.errors[name]
                self.cleaned_data[name] = getattr(self.instance, name)

    def unsaved(self) -> list[str]:
        """Return the labels of the fields that were edited; nothing where no form was sent."""
        if not any(self.add_initial_prefix(name) in self.data for name in self.fields):
            return []
        return [str(self.fields[name].label or name) for name in self.changed_data]

    def clean(self) -> dict[str, Any] | None:
        """Refuse to act on a job in the same breath as to edit it, and to overwrite unseen what another has saved."""
        cleaned = super().clean()
        for name in self.overtaken(cleaned or {}):
            self._show_anew(name)
            said = _(
                "Somebody else has changed this since you opened the page: it is now %(value)s. Save again to have it "
                "as you typed it, or reload the page to have theirs."
            )
            shown = self[name].field.prepare_value(self.initial[name])
            error = ValidationError(said, code="overtaken", params={"value": "-" if shown in {None, ""} else shown})
            self.add_error(name, error)
        if ACTION in self.data and (labels := self.unsaved()):
            said = _(
                "Nothing was done, and nothing was saved: you have edited %(fields)s. Save first, and then press the "
                "button again; or reload the page to drop the edits."
            )
            raise ValidationError(said, code="unsaved", params={"fields": listed(labels)})
        return cleaned

    def overtaken(self, cleaned: dict[str, Any]) -> list[str]:
        """Return the fields that were edited here and, since the form was shown, in the database to something else."""
        found = []
        for name in self.changed_data:
            field, key = self.fields[name], self.add_initial_prefix(name)
            # A job that is new has nothing to be overtaken, though its form carries some of what it showed.
            if name not in cleaned or key not in self.data or name not in self.initial:
                continue
            current = self.initial[name]
            # By the database's own value, in Django's way to tell whether a field was edited.
            typed = field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            seen = field.hidden_widget().value_from_datadict(self.data, self.files, key)
            if field.has_changed(current, seen) and field.has_changed(current, typed):
                found.append(name)
        return found

    def _show_anew(self, name: str) -> None:
        """Have the form carry what the field holds now: whoever sends it again has seen that."""
        field = self.fields[name]
        now = field.hidden_widget().format_value(field.prepare_value(self.initial[name]))
        data: Any = self.data.copy()  # type: ignore[attr-defined]  # Django's own, which can't be changed
        data[self.add_initial_prefix(name)] = "" if now is None else now
        self.data = data

    def clean_args(self) -> Any:
        """Take an empty field for no arguments."""
        return self._filled("args", [])

    def clean_kwargs(self) -> Any:
        """Take an empty field for no arguments."""
        return self._filled("kwargs", {})

    def _filled(self, name: str, nothing: Any) -> Any:
        """Return what was entered, or ``nothing`` for an empty field; but a null that the job has, as it is."""
        value = self.cleaned_data[name]
        return nothing if value is None and getattr(self.instance, name) is not None else value
