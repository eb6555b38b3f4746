"""The test project with the apps that ``CRONKITE_TEST_APPS`` lists, with spaces between.

An import may take ``CRONKITE_TEST_IMPORT_LIMIT`` seconds. That is said here, as modules are asked for while apps load.
"""

import os

from settings import *  # noqa: F403
from settings import INSTALLED_APPS

from cronkite.code import trials
from cronkite.code.trials import Patience

INSTALLED_APPS = [*INSTALLED_APPS, *os.environ["CRONKITE_TEST_APPS"].split()]

limit = float(os.environ["CRONKITE_TEST_IMPORT_LIMIT"])
trials.LONG = trials.BRIEF = Patience(limit, setup=60.0)
trials.QUICK = Patience(limit)
