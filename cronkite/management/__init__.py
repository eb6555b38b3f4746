"""What does ``manage.py cron`` do? A tick, or what its subcommand says."""
