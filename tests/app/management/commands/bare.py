"""``manage.py bare``: what any management command costs that opens the connection and reads one row."""

import sys
import time

from django.contrib.contenttypes.models import ContentType
from django.core.management.base import BaseCommand

from app.benched import write


class Command(BaseCommand):
    """What the benchmark holds ``manage.py cron`` against."""

    def add_arguments(self, parser):
        parser.add_argument("--mark", help="a file to append the time to, as soon as the row is read")
        parser.add_argument("--stay", action="store_true", help="say that the row is read, and stay until stdin ends")

    def handle(self, *args, **options):
        ContentType.objects.first()
        if options["mark"]:
            write(options["mark"], f"{time.time():.6f} 0\n")
        if options["stay"]:
            print("read", flush=True)
            sys.stdin.read()
