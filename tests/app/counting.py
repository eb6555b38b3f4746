"""What does a node say to the database? It writes that into a file, if the environment names one.

``CRONKITE_TEST_STATEMENTS`` names a file that gets a byte for each statement, of whatever process of the node: ``q``;
or, for each UPDATE of a claim (it raises the fencing token), ``c`` where it got its row and ``l`` where it came too
late or was sent away by the database. PostgreSQL is told several claims in one statement. BEGIN and COMMIT are not
counted, nor what Django itself asks when it opens a connection, or checks whether the database has what the models
need: any management command does that.
"""

import os
import re

from django.db.backends.signals import connection_created

#: What is of the node: it names a table of ours, or asks the time.
OURS = re.compile(r"cronkite_|STATEMENT_TIMESTAMP|UTC_TIMESTAMP|STRFTIME")
#: Claims are the only statements that raise the fencing token.
CLAIM = re.compile(r"""\bUPDATE [^;]*?["`]fence["`] = \([^)]*["`]fence["`] \+ """)


def install():
    """Have each connection that this process opens counted."""
    if "CRONKITE_TEST_STATEMENTS" in os.environ:
        path = os.environ["CRONKITE_TEST_STATEMENTS"]
        counter = _Counter(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        connection_created.connect(counter.attend, weak=False)


class _Counter:
    def __init__(self, descriptor):
        self._descriptor = descriptor

    def attend(self, connection, **_):
        if self.count not in connection.execute_wrappers:
            connection.execute_wrappers.append(self.count)

    def count(self, execute, sql, params, many, context):
        if not OURS.search(sql):
            return execute(sql, params, many, context)
        claims = len(CLAIM.findall(sql))
        kinds = b"l" * claims or b"q"
        try:
            result = execute(sql, params, many, context)
            if claims:
                taken = context["cursor"].rowcount
                kinds = b"c" * taken + b"l" * (claims - taken)
            return result
        finally:
            os.write(self._descriptor, kinds)
