"""``manage.py slow``: is written as if Django awaited it."""

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """A command that nobody can run."""

    async def handle(self, **options):
        print("this is never printed")
