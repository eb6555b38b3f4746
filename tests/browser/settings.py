"""The test project as a site is run: with its static files, an app with declared jobs, and a strict policy."""

import os
import sys
from pathlib import Path

from settings import *  # noqa: F403 - as Django's own docs do it
from settings import INSTALLED_APPS as APPS
from settings import MIDDLEWARE as BELOW

# At the end: another settings.py is in there.
sys.path.append(str(Path(__file__).parent))
# Playwright has an event loop in the thread of the tests, which Django would take for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

INSTALLED_APPS = [*APPS, "django.contrib.staticfiles", "shop"]
MIDDLEWARE = [
    "browser.policy.strict",
    *BELOW,
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
