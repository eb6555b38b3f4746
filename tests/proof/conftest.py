"""What the parts of the proof share: a tally of what was raced, and a way to say how far it is."""

from __future__ import annotations

import copy

import pytest
from django.db import connection

from cronkite.claims import concluding, handing, holding, taking
from cronkite.database.batches import Each, Rows
from cronkite.database.statements import Both, Chains, Insert, Select, Update
from cronkite.nodes import agenda
from proof.tally import Tally


@pytest.fixture(scope="session", autouse=True)
def version(django_db_setup, django_db_blocker):
    """Have the table say which database this is."""
    with django_db_blocker.unblock():
        Tally("").is_on(name_and_version())


def name_and_version():
    """Return the database as people call it, with its version."""
    connection.ensure_connection()
    if connection.vendor == "mysql":
        number = ".".join(map(str, connection.mysql_version))
        return f"MariaDB {number}" if connection.mysql_is_mariadb else f"MySQL {number}"
    number = ".".join(map(str, connection.get_database_version()))
    return f"{connection.display_name} {number}"


@pytest.fixture(autouse=True)
def statements_anew(monkeypatch):
    """Have each test's statements put together anew: the saboteurs change what they are made of."""
    for module in (agenda, concluding, handing, holding, taking):
        for name, statement in list(vars(module).items()):
            if isinstance(statement, (Both, Chains, Each, Insert, Rows, Select, Update)):
                monkeypatch.setattr(module, name, copy.copy(statement))


@pytest.fixture
def tally(request):
    """Count what is raced, for the table: ``tally.add(slots=1000)``."""
    return Tally(request.node.nodeid)


@pytest.fixture
def say(request, capsys):
    """Print a line at once, for whoever watches: a proof of minutes must not look like one that hangs."""
    params = getattr(request.node, "callspec", None) and request.node.callspec.params
    which = f"round {params['round']}: " if params and "round" in params else ""

    def say(text):
        with capsys.disabled():
            print(f"{which}{text}", flush=True)

    return say
