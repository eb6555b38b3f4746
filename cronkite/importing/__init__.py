"""How does what ran elsewhere become rows?

From what is there to rows, and to what is said about it. Nothing here changes what it reads.

- ``planned``: what is to become of a thing that was found.
- ``shell``, ``pickled``, ``tables``, ``instants``: how lines, objects and rows are written, and single times here.
- ``commands``, ``celery_schedules``, ``triggers``, ``classes``: what others call and when, as it is said here.
- ``crontab``, ``beat``, ``celery``, ``django_cron``, ``django_crontab``, ``apscheduler``, ``django_apscheduler``: what
  each of them has.
- ``exported``: what ``cron export`` has written down.
- ``sources``: which of them there are.
- ``turns``: how two imports at a time don't add the same.
- ``deeds``: rows of what is planned, each once.
- ``moves``: rows of what was exported, by natural keys.
"""

#: What other wings may use.
__all__ = ["classes", "deeds", "exported", "moves", "planned", "sources"]
