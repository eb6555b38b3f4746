"""``manage.py leave``: ends in each way that a command may end."""

import os
import signal
import subprocess
import sys
import time

from django.core.management.base import BaseCommand, CommandError

SAID = {"none": None, "zero": 0, "three": 3, "text": "no disk"}


class Command(BaseCommand):
    """See ``handle``."""

    def add_arguments(self, parser):
        parser.add_argument("how")

    def handle(self, how, **options):
        print("begun", flush=True)
        if how in SAID:
            sys.exit(SAID[how])
        if how == "fail":
            raise CommandError("the bank is closed")
        if how == "fail-with-code":
            raise CommandError("the bank is closed", returncode=7)
        if how == "fail-with-code-alone":
            raise CommandError(returncode=6)
        if how == "fail-with-nothing":
            raise CommandError
        if how == "raise":
            raise LookupError("no such bank")
        if how == "hard":
            os._exit(4)
        if how == "fork":
            # As autoreload does: it starts a process that does the work, and leaves as that does.
            sys.exit(subprocess.run([sys.executable, "-c", "print('a child'); raise SystemExit(5)"]).returncode)
        if how == "deaf":
            # As runserver does.
            signal.signal(signal.SIGTERM, lambda *args: sys.exit(0))
            time.sleep(600)
