"""A server can be killed, held down, and misled about the time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from cronkite.database import clock
from cronkite.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


def answers():
    """Whether the server answers on a new connection."""
    connection.close()
    try:
        connection.ensure_connection()
    except OperationalError:
        return False
    return True


def test_a_killed_server_is_another_one_with_the_same_data_a_moment_later(server, make_job):
    job, before = make_job(), server.pid
    server.restart()
    assert server.pid not in (None, before)
    assert answers()
    assert Job.objects.filter(pk=job.pk).exists()


def test_a_connection_does_not_survive_its_server(server):
    connection.ensure_connection()
    server.restart()
    assert not connection.is_usable()
    connection.close()


def test_a_server_that_is_held_down_stays_down_for_the_block(server):
    with server.held_down():
        assert server.pid is None
        assert not answers()
    assert answers()


@pytest.mark.parametrize("minutes", [-90, 90])
def test_a_servers_clock_can_be_set_while_it_runs(server, minutes):
    before = clock.now("default")
    with server.clock_set(timedelta(minutes=minutes)) as its_clock:
        passed = clock.now("default") - before
        assert timedelta(minutes=minutes) <= passed < timedelta(minutes=minutes + 1)
        its_clock.set(timedelta(0))
        assert before <= clock.now("default") < before + timedelta(minutes=1)
        its_clock.set(timedelta(minutes=minutes))
    assert before <= clock.now("default") < before + timedelta(minutes=1)


def test_a_servers_clock_outlives_a_restart(server):
    before = clock.now("default")
    with server.clock_set(timedelta(minutes=-90)):
        server.restart()
        connection.close()
        assert clock.now("default") < before
    connection.close()
