"""The test app, and what a test may have done to a node that is about to start."""

import os
import threading

from django.apps import AppConfig

from app import barrier, counting, listening, sabotage


class TestApp(AppConfig):
    """As any app; in a node that a storm starts, it breaks what it is told to break, and waits for the others."""

    name = "app"

    def ready(self):
        if "CRONKITE_TEST_POLL" in os.environ:
            from cronkite.nodes import agenda

            agenda.POLL = float(os.environ["CRONKITE_TEST_POLL"])
        if "CRONKITE_TEST_THREAD" in os.environ:
            name = os.environ["CRONKITE_TEST_THREAD"]
            threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()
        if "CRONKITE_TEST_BEAT" in os.environ:
            from cronkite.nodes import heartbeat

            heartbeat.EVERY = float(os.environ["CRONKITE_TEST_BEAT"])
        counting.install()
        listening.install()
        sabotage.install()
        barrier.wait()
