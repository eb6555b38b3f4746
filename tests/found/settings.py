"""The test project with this app. ``CRONKITE_TEST_FIRST`` names the app that is loaded first."""

import os

from settings import *  # noqa: F403
from settings import INSTALLED_APPS

INSTALLED_APPS = sorted([*INSTALLED_APPS, "found"], key=lambda name: name != os.environ["CRONKITE_TEST_FIRST"])
