"""Modules that take their time to import, as of those with a large library on a small machine."""

import time


def take_time():
    """Be imported for a while."""
    time.sleep(5)
