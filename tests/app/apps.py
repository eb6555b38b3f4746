"""The test app, and what a test may have done to a node that is about to start."""

import atexit
import faulthandler
import os
import threading
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings

from app import barrier, counting, listening, sabotage

#: What a client of a service is to tell at the end of the process: it writes into the files of these names.
told = []


def _tell():
    for path in told:
        Path(path).write_text("left")


class TestApp(AppConfig):
    """As any app; in a node that a storm starts, it breaks what it is told to break, and waits for the others."""

    name = "app"

    def ready(self):  # noqa: C901 - one after the other
        if "CRONKITE_TEST_POLL" in os.environ:
            from cronkite.nodes import agenda

            agenda.POLL = float(os.environ["CRONKITE_TEST_POLL"])
        if "CRONKITE_TEST_THREAD" in os.environ:
            name = os.environ["CRONKITE_TEST_THREAD"]
            threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()
        if "CRONKITE_TEST_WATCHDOG" in os.environ:
            faulthandler.dump_traceback_later(3600)
        if "CRONKITE_TEST_SESSION" in os.environ:
            from app import sessions

            sessions.leave(os.environ["CRONKITE_TEST_SESSION"])
        if "CRONKITE_TEST_BEAT" in os.environ:
            from cronkite.nodes import heartbeat

            heartbeat.EVERY = float(os.environ["CRONKITE_TEST_BEAT"])
        if "CRONKITE_TEST_UNHURRIED" in os.environ:
            # Not shorter than a busy machine needs.
            from cronkite.runs import guards

            guards.LAST_WORDS = 60.0
        if "CRONKITE_TEST_TELLING" in os.environ:
            from cronkite.database import teller

            teller.PATIENCE = float(os.environ["CRONKITE_TEST_TELLING"])
        if "CRONKITE_TEST_ANSWERS" in os.environ:
            from cronkite.monitors import pings

            pings.TIMEOUT = float(os.environ["CRONKITE_TEST_ANSWERS"])
            pings.PATIENCE = 2 * pings.TIMEOUT
        if "CRONKITE_TEST_SENTRY" in os.environ:
            from cronkite.runs import farewell

            farewell.PATIENCE = settings.SENTRY_PATIENCE
        if "CRONKITE_TEST_CLIENT" in os.environ:
            os.register_at_fork(after_in_child=lambda: atexit.register(_tell))
        counting.install()
        listening.install()
        sabotage.install()
        barrier.wait()
