"""How does a migration add or change a column that the database keeps?

Django can't change what a generated column is made of. And SQLite adds one that is stored to an empty table only, which
Django does not know: there, the table is made anew, with all that is in it.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddField, AlterField
from django.db.migrations.state import ProjectState


class AddStored(AddField):
    """Add a stored generated column."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Add it, whatever the table holds."""
        if schema_editor.connection.vendor == "sqlite":
            _remake(schema_editor, to_state, app_label, self.model_name)
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class AlterStored(AlterField):
    """Change what a stored generated column is made of, which no constraint and no index names, here or there."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Take the old one away, and add the new one."""
        if schema_editor.connection.vendor == "sqlite":
            _remake(schema_editor, to_state, app_label, self.model_name)
            return
        before, after = (state.apps.get_model(app_label, self.model_name) for state in (from_state, to_state))
        options: Any = before._meta  # noqa: SLF001 - documented
        schema_editor.remove_field(before, options.get_field(self.name))
        options = after._meta  # noqa: SLF001
        schema_editor.add_field(after, options.get_field(self.name))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Do the same the other way round."""
        self.database_forwards(app_label, schema_editor, from_state, to_state)


def _remake(editor: Any, state: ProjectState, app_label: str, model: str) -> None:
    editor._remake_table(state.apps.get_model(app_label, model))  # noqa: SLF001 - there is no other way
