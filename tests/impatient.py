"""A node for which a run is a long one after half a second, and an import one that hangs after five.

So a test need not wait for a minute.
"""

import sys

if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django

    django.setup()
    from django.core.management import execute_from_command_line

    from cronkite.nodes import agenda
    from cronkite.runs import pool

    pool.LONG = 0.5
    # Not shorter: an import that is only slow, on a busy machine, must not be taken for one that hangs.
    pool.IMPORT_PATIENCE = float(os.environ.get("CRONKITE_TEST_IMPORT_PATIENCE", "5"))
    agenda.POLL = 1.0
    # What falls due later is nothing to a tick, so this is a loop.
    execute_from_command_line([sys.argv[0], "cron", "loop", *sys.argv[2:]])
