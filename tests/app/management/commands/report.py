"""``manage.py report``: writes to both streams, returns a text, and takes arguments of many kinds."""

import argparse

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """A command as projects have them."""

    help = "Report what was sold.\n\nBy region."

    def add_arguments(self, parser):
        parser.add_argument("region", choices=["north", "south"])
        parser.add_argument("--days", type=int, default=1)
        parser.add_argument("--database", default="default")
        parser.add_argument("--out", type=argparse.FileType("w"))

    def handle(self, *args, **options):
        self.stdout.write(self.style.SUCCESS(f"{options['days']} days of {options['region']}"))
        self.stderr.write("a warning")
        print("printed", options["database"], options["skip_checks"])
        if options["out"]:
            options["out"].write("done")
            options["out"].close()
        return "all is reported"
