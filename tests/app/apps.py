"""The test app, and what a test may have done to a node that is about to start."""

from django.apps import AppConfig

from app import barrier, sabotage


class TestApp(AppConfig):
    """As any app; in a node that a storm starts, it waits for the others, and breaks what it is told to break."""

    name = "app"

    def ready(self):
        sabotage.install()
        barrier.wait()
