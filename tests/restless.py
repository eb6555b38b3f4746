"""manage.py whose loop shows itself four times a second, so that a test need not wait for a minute."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    from cronkite.nodes import heartbeat

    heartbeat.EVERY = 0.25
    execute_from_command_line(sys.argv)
