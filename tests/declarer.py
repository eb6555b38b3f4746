"""One of the many nodes that declare the same jobs at once; see test_discovery.py.

It discovers the module ``app.declared`` for each line that it reads, and answers ``done``. With the argument ``hold``
it has looked at the rows before it says ``looked``, and writes only when it is told to go on; with ``unprotected`` the
column that makes its rows unique stays empty.
"""

import os
import sys
import traceback

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django

    django.setup()

    from cronkite.code.declarations import Declaration
    from cronkite.declared import discovery
    from cronkite.models import Job

    find, columns = discovery._find, Declaration.columns
    held = []

    def looked(*arguments):
        if not held:
            held.append(True)
            print("looked", flush=True)
            sys.stdin.readline()
        return find(*arguments)

    if "hold" in sys.argv:
        discovery._find = looked
    if "unprotected" in sys.argv:
        Declaration.columns = lambda self: {**columns(self), "declared_as": None}
    print("ready", flush=True)
    for _line in sys.stdin:
        try:
            Job.auto_discover("app.declared", delete_first=True)
            print("done", flush=True)
        except BaseException:
            print(repr(traceback.format_exc()), flush=True)
