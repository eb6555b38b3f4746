"""``manage.py sendtestemail``: takes the place of Django's own."""

from django.core.management.commands import sendtestemail


class Command(sendtestemail.Command):
    """As Django has it."""
