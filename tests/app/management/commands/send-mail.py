"""``manage.py send-mail``: a name with a hyphen."""  # noqa: N999

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Sends nothing."""

    requires_system_checks = []
    requires_migrations_checks = True
    missing_args_message = "Name somebody."

    def add_arguments(self, parser):
        kinds = parser.add_subparsers(dest="kind", required=True)
        kinds.add_parser("all")
        one = kinds.add_parser("one")
        one.add_argument("name")

    def handle(self, **options):
        self.stdout.write(f"sent to {options['kind']}")
