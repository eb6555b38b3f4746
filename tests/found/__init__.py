"""An app whose jobs are found: by themselves in ``crontab``, and because ``admin`` asks for those in ``jobs``."""
