"""The test project's app. Where there is a broker, it has an app of Celery, as such projects do."""

import os

if "CRONKITE_TEST_BROKER" in os.environ:
    from app.celery_app import app as celery_app

    celery_app.set_current()
