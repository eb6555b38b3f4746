"""``manage.py fickle``: its parser can't be built, or does odd things."""

import argparse
import sys

from django.core.management.base import BaseCommand
from django.db import connection

#: What it does when its parser is built.
MOOD = []


class Shout(argparse.Action):
    """Writes, and leaves, as soon as it is met."""

    def __call__(self, parser, namespace, values, option_string=None):
        print("shouted")
        sys.exit(3)


class Command(BaseCommand):
    """Asks a database what it takes."""

    def add_arguments(self, parser):
        print("noise")
        if "query" in MOOD:
            with connection.cursor() as cursor:
                cursor.execute("SELECT name FROM no_such_table")
        if "exit" in MOOD:
            sys.exit(9)
        parser.add_argument("--shout", nargs=0, action=Shout)

    def handle(self, **options):
        print("handled")
