"""Databases beside the first one, on the same server: what differs by what is in the tables can be measured in turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True)
class Beside:
    """A database, by the name that the server knows it by (on SQLite, its file)."""

    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the project needs to find it."""
        return {"CRONKITE_TEST_DATABASE": self.name}

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have this process use it during the block."""
        before = connection.settings_dict["NAME"]
        _use(self.name)
        try:
            yield
        finally:
            _use(before)


@contextmanager
def databases(*labels: str) -> Iterator[list[Beside]]:
    """Have a new database for each label during the block, with all tables, never analysed."""
    with ExitStack() as stack:
        yield [stack.enter_context(_database(label)) for label in labels]


@contextmanager
def _database(label: str) -> Iterator[Beside]:
    # Django knows how to make and how to drop one on each server, for tests.
    first = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"{os.path.splitext(first)[0]}_{label}"
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    _use(first)
    try:
        yield Beside(name)
    finally:
        _use(name)
        connection.creation.destroy_test_db(first, verbosity=0)


def _use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
