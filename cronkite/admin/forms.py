"""How does a person enter a job?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from cronkite.admin import choices
from cronkite.models import Job
from cronkite.words import listed

if TYPE_CHECKING:
    JobFormBase = forms.ModelForm[Job]
else:
    JobFormBase = forms.ModelForm


#: The name of the buttons on a job's page that act on it; their form is the job's, so that its edits come along.
ACTION = "action"


class JSONText(forms.JSONField):
    """A JSON value, typed in; one error for all that Python's parser can say."""

    def to_python(self, value: Any) -> Any:
        """Return the value. Nothing may stand for the default."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError):
            # Brackets nested too deep; a number of thousands of digits.
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from None

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
        error_messages = {
            "args": {"invalid": _('This is not JSON. Write a list, as in ["a", 1].')},
            "kwargs": {"invalid": _('This is not JSON. Write an object, as in {"a": 1}.')},
        }
        widgets = {
            "function": choices.SuggestingInput(choices.declared_functions, {"spellcheck": "false"}),
            "timezone": choices.SuggestingInput(choices.zones, {"spellcheck": "false"}),
            "args": AdminTextareaWidget(attrs={"rows": 2}),
            "kwargs": AdminTextareaWidget(attrs={"rows": 2}),
            "description": AdminTextareaWidget(attrs={"rows": 3}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the form, each field with what it held."""
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            for name, field in self.fields.items():
                # Whoever sends the fields alone, such as a script, edits what differs from the database.
                field.show_hidden_initial = not self.is_bound or self.add_initial_prefix(name) in self.data

    def unsaved(self) -> list[str]:
        """Return the labels of the fields that were edited; nothing where no form was sent."""
        if not any(self.add_initial_prefix(name) in self.data for name in self.fields):
            return []
        return [str(self.fields[name].label or name) for name in self.changed_data]

    def clean(self) -> dict[str, Any] | None:
        """Refuse to act on a job in the same breath as to edit it."""
        cleaned = super().clean()
        if ACTION in self.data and (labels := self.unsaved()):
            said = _(
                "Nothing was done, and nothing was saved: you have edited %(fields)s. Save first, and then press the "
                "button again; or reload the page to drop the edits."
            )
            raise ValidationError(said, code="unsaved", params={"fields": listed(labels)})
        return cleaned

    def clean_args(self) -> Any:
        """Take an empty field for no arguments."""
        return [] if self.cleaned_data["args"] is None else self.cleaned_data["args"]

    def clean_kwargs(self) -> Any:
        """Take an empty field for no arguments."""
        return {} if self.cleaned_data["kwargs"] is None else self.cleaned_data["kwargs"]
