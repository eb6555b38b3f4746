"""A small site's settings. What concerns django-cronkite stands at the end."""

import os
from pathlib import Path

from website.databases import database

FOLDER = Path(__file__).resolve().parent.parent

SECRET_KEY = "an example has no secrets"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "website.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "cronkite",
    "shop",
]
# With an engine, which has to be installed (django-cronkite[tasks]), the shop has a mail room; see run.py --engine.
HAS_ENGINE = os.environ.get("SHOP_ENGINE") == "1"
if HAS_ENGINE:
    INSTALLED_APPS += ["django_tasks_db", "mailroom"]
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# One of four databases; a file beside this project unless the environment names another.
DATABASES = {"default": database(os.environ.get("DATABASE_URL", f"sqlite:///{FOLDER / 'shop.sqlite3'}"))}

# Needed: slots are instants, and without USE_TZ Django stores local times.
USE_TZ = True
# The zone of the jobs that don't name one.
TIME_ZONE = "UTC"

# What the logs call this node. Leave the setting out, and it is the host's name.
CRONKITE_NODE = os.environ.get("CRONKITE_NODE", "")
# A lock whose node has shown no sign of life for half a minute is cleared, and the job's next slot is run.
CRONKITE_LOCK_TIMEOUT = 30

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname:<7} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"cronkite": {"handlers": ["console"], "level": "INFO"}},
}

# Where jobs note that they began; see shop/journal.py.
SHOP_JOURNAL = os.environ.get("SHOP_JOURNAL", "")
