"""Which of the server's sessions does a connection have? And a start that has one before there are workers."""

import warnings

from django.db import connection

from app.jobs import note

#: By the vendor, what asks for it.
ASKS = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}


def mine():
    with connection.cursor() as cursor:
        cursor.execute(ASKS[connection.vendor])
        return str(cursor.fetchone()[0])


def note_mine(path):
    """Leave the session in a file."""
    note(path, mine())


def declared():
    """Do nothing: what it is declared for is that somebody looks."""


declared.schedule = "0 0 1 1 *"


def leave(how):
    """Use the database while apps are loading, ``how`` people do, and print the session; leave none open."""
    if how == "discover":
        from cronkite.models import Job

        Job.auto_discover("app.sessions")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print("session", mine())
    connection.close()
