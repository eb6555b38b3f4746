"""A node for the races: a process that is ready, and ticks when it is told to.

For each line on its standard input it makes one tick (``manage.py cron``) and answers with a line. Its arguments are
those of the tick. Before them, ``--meet`` has it stop before the first claim of a tick, when it has read what is due
and decided: it says so, and goes on at the next line. So all racers claim on what they read before any of them claimed.
"""

import os
import sys


def meet():
    """Stop before the first claim of each tick until told to go on."""
    from cronkite.claims import claiming

    claim_all, ticks = claiming.claim_all, []

    def claim_together(*arguments):
        if ticks[-1:] != [words[-1]]:
            ticks.append(words[-1])
            print("claims", flush=True)
            sys.stdin.readline()
        return claim_all(*arguments)

    claiming.claim_all = claim_together


#: What this racer was told to tick for, the newest last.
words = []


def main(arguments):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    if "--meet" in arguments:
        meet()
        arguments.remove("--meet")
    # The first tick must not be the one that connects.
    connection.ensure_connection()
    print("ready", flush=True)
    while word := sys.stdin.readline().strip():
        words.append(word)
        call_command("cron", *arguments)
        print("done", word, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
