"""How does a test's transaction live through a function that has broken it?

A statement that fails breaks the transaction around it; a node's runs have none. So each is called in a savepoint, to
which all is rolled back if what the function left is of no use. Else what it has written stays written, also if it has
raised then, as it does where no transaction is around it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from django.db import DatabaseError, connections, transaction

from cronkite.code import calls


def call(function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Call the function, return its result or raise what it raises, and have the transactions around it be of use."""
    value, raised = None, None
    try:
        with ExitStack() as savepoints:
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block and connection.features.uses_savepoints:
                    savepoints.enter_context(_savepoint(connection))
            try:
                value = calls.call_over_this_connection(function, args, kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised below, and not through the savepoints
                raised = error
    except DatabaseError:
        # What can't be released is rolled back to: a statement has failed before, and the function has told of it.
        if raised is None:
            raise
    if raised is not None:
        raise raised
    return value


def _savepoint(connection: Any) -> transaction.Atomic:
    block: Any = transaction.atomic(using=connection.alias)
    # A block that has to be the outermost one may be within a TestCase's own, by Django's rules, and so within this.
    block._from_testcase = connection.atomic_blocks[-1]._from_testcase  # noqa: SLF001 - it has no other name
    return block  # type: ignore[no-any-return]
