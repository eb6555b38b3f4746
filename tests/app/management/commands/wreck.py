"""``manage.py wreck``: can't be imported."""

raise LookupError("this command is broken")
