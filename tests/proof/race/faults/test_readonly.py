"""A database refuses to write for the length of a block, to those who are connected already too."""

from __future__ import annotations

import os
import re

import pytest
from deadlines import in_time
from django.db import DatabaseError, connection
from nodes import nodes, until

from cronkite.models import Job, Log
from proof.race.faults import readonly

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _ours(request):
    if connection.vendor != "sqlite":
        request.getfixturevalue("server")


#: What a node says when its claim is refused (by SQLite at the COMMIT, which is when it writes), or the end of its run.
REFUSED = re.compile("does not answer as it should|The connection died at the claim|can't be written yet")


def wait_until_refused(node):
    """Read the node's output up to its complaint."""
    with in_time(node.process):
        while not REFUSED.search(said := node.process.stdout.readline()):
            node.output += said
            assert said, f"{node.name} ended, and said:\n{node.output}"


def test_a_connection_that_was_open_can_read_and_not_write(make_job, plain):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no server to refuse; the next test has nodes refused by their disk")
    job = make_job()
    wrapper = plain(readonly.environment().get("DATABASE_URL", os.environ["DATABASE_URL"]))

    def writes():
        with wrapper.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {Job._meta.db_table}")
            try:
                cursor.execute(f"UPDATE {Job._meta.db_table} SET description = 'x' WHERE id = %s", [job.pk])
            except DatabaseError:
                return False
            return True

    assert writes()
    with readonly.writes_refused():
        until(lambda: not writes())
    until(writes)


def test_a_running_node_is_refused_and_goes_on_afterwards(make_job, evidence):
    make_job("app.jobs.note", schedule="* * * * * *", args=[str(evidence)])
    succeeded = Log.objects.filter(status=Log.Status.SUCCEEDED)
    options = {"CRONKITE_TEST_LOG": "1", **readonly.environment()}
    with nodes(("cron", "loop", "--workers", "1"), **options) as (node,):
        until(succeeded.exists)
        with readonly.writes_refused([node]):
            wait_until_refused(node)
            before = succeeded.count()
        until(lambda: succeeded.count() > before)
