"""The Celery app of the peer django-celery-beat."""

from celery import Celery

from benchmarks.peers.jobs import mark

app = Celery("benchmark")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.task(name="mark")(mark)
