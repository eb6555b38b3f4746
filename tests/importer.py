"""One of several imports at the same moment; see importing/test_turns.py.

For each line, a source and a file, it imports that: it says ``looked`` when it knows what is here and is about to add
the first jobs, and goes on at the next line. With ``unprotected`` in the line, it waits for nobody's turn, and does not
look again.
"""

import io
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection, transaction

    from cronkite.importing import turns

    stdout, take, mark, looked = sys.stdout, turns.take, turns.mark, []

    def say(word):
        print(word, file=stdout, flush=True)

    def together(action):
        if not looked:
            looked.append(True)
            say("looked")
            sys.stdin.readline()
        if turns.mark is mark:
            return take(action)
        with transaction.atomic():
            return action()

    turns.take = together
    connection.ensure_connection()
    say("ready")
    for line in sys.stdin:
        source, file, *others = line.split()
        looked.clear()
        turns.mark = (lambda: (0, 0)) if "unprotected" in others else mark
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                call_command("cron", "import", source, file)
            say("done")
        except BaseException:
            say(repr(traceback.format_exc()))
