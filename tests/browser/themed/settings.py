"""The test project as a site with one of the admin's themes is run; ``CRONKITE_TEST_THEME`` names the theme's app.

With ``unfold+base``, the job's and the log's pages are on that theme's base class besides.

Without the strict policy of the other pages: themes have scripts of their own in their pages.
"""

import os

from browser.settings import *  # noqa: F403 - as Django's own docs do it
from browser.settings import INSTALLED_APPS as APPS
from browser.settings import MIDDLEWARE as STRICT

THEME, _, BASE = os.environ["CRONKITE_TEST_THEME"].partition("+")
INSTALLED_APPS = [THEME, *APPS]
MIDDLEWARE = [name for name in STRICT if name != "browser.policy.strict"]
ROOT_URLCONF = "browser.themed.urls"

# Pages of tests have nothing from elsewhere.
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
