"""Who else does this? Each peer is a module, set up as its own documentation advises, with the same few names:

``TITLE``, ``DISTRIBUTIONS`` (whose versions are printed), ``SETTINGS`` (in words), ``RECORDS`` (whether it keeps a
record of each run), ``FINEST`` (seconds between the slots of its finest schedule), ``MOST_JOBS`` (``None``: any
number); ``settings()``, what it needs in Django's; ``declare(jobs)``, which stores the jobs where they are rows;
``commands()``, the processes of a node, all with two workers; and, if its nodes share more than the database,
``services(folder)``, the servers that it needs beside. Jobs that a peer wants declared in code it finds in
``declared.get()``.

django-cronkite is one of them, so that it is measured in the same way. The modules are imported in processes of their
own, where Django is set up for them (``peers.settings``): what one peer does to Django or to logging bothers no other.
"""

from __future__ import annotations

#: The names, and the modules.
PEERS = {
    "cronkite": "ours",
    "celery-beat": "celery_beat",
    "django-q2": "django_q2",
    "procrastinate": "procrastinating",
    "apscheduler": "ap_scheduler",
    "huey": "huey_consumer",
}
