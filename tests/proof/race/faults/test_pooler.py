"""A pooler gives each transaction whatever connection is free."""

from __future__ import annotations

import os

import pytest

from proof.race.faults.pooler import pooled

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.environ.get("CRONKITE_TEST_DB") != "pg", reason="PgBouncer is a pooler for PostgreSQL"),
]


def backend(wrapper):
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def test_two_clients_share_one_connection(plain):
    with pooled(size=1) as url:
        one, other = plain(url), plain(url)
        assert backend(one) == backend(other) == backend(one)


def test_a_client_changes_its_connection_between_transactions(plain):
    with pooled(size=2) as url:
        one, other = plain(url), plain(url)
        first = backend(one)
        other.set_autocommit(False)
        # The other's transaction gets the connection that the first one has had.
        assert backend(other) == first
        assert backend(one) != first
        other.rollback()
