"""The test project: one small app, the admin, and the database that ``DATABASE_URL`` names (SQLite if it is unset).

``CRONKITE_TEST_DATABASE`` overrides the database's name: a node started by a test joins that test's own database. With
``CRONKITE_TEST_ROUTER=splitting``, reads of django-cronkite's tables are sent to a replica that refuses them; with
``wide``, so are those of other packages' tables that it reads. With
``CRONKITE_TEST_POOL=1``, each process has a pool of connections, where the database's driver is psycopg 3; it
is not with ``CRONKITE_TEST_DRIVER=psycopg2``. With ``CRONKITE_TEST_KEEPING=1``, it has one that Django does not know of
(``keeping``). With ``CRONKITE_TEST_TASKS``, which is
the path of a file, that is a database of SQLite which has the tables of django-tasks-db (``apart.py``); with
``CRONKITE_TEST_TASKS_AUTOCOMMIT=0``, nobody commits what is written there. RQ is there if
``CRONKITE_TEST_RQ`` names its Redis.
"""

import os
import sys

import django

from databases import ENGINES, parse_url

SECRET_KEY = "tests"
DEBUG = os.environ.get("CRONKITE_TEST_DEBUG") == "1"
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "cronkite",
    "app",
    "django_tasks_db",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
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

DATABASES = {"default": parse_url(os.environ.get("DATABASE_URL", "sqlite:///"))}
if "CRONKITE_TEST_DATABASE" in os.environ:
    DATABASES["default"]["NAME"] = os.environ["CRONKITE_TEST_DATABASE"]

if os.environ.get("CRONKITE_TEST_DRIVER") == "psycopg2":
    # Django takes psycopg 3 where it finds it.
    sys.modules["psycopg"] = None  # type: ignore[assignment]
if os.environ.get("CRONKITE_TEST_POOL") == "1" and DATABASES["default"]["ENGINE"] == ENGINES["postgresql"]:
    DATABASES["default"]["OPTIONS"]["pool"] = True
if os.environ.get("CRONKITE_TEST_KEEPING") == "1":
    DATABASES["default"]["ENGINE"] = "keeping"
if os.environ.get("CRONKITE_TEST_ROUTER") in {"splitting", "wide"}:
    # There is no such database, and so the tests make none.
    DATABASES["replica"] = {"ENGINE": "refusing", "NAME": "nowhere", "TEST": {"MIRROR": "default"}}
    DATABASE_ROUTERS = ["splitting.WideRouter" if os.environ["CRONKITE_TEST_ROUTER"] == "wide" else "splitting.Router"]
if "CRONKITE_TEST_TASKS" in os.environ:
    DATABASES["tasks"] = parse_url(f"sqlite:///{os.environ['CRONKITE_TEST_TASKS']}")
    DATABASES["tasks"]["AUTOCOMMIT"] = os.environ.get("CRONKITE_TEST_TASKS_AUTOCOMMIT") != "0"
    DATABASE_ROUTERS = ["apart.Router"]
if "CRONKITE_TEST_OPTIONS" in os.environ:
    DATABASES["default"]["OPTIONS"] |= dict([os.environ["CRONKITE_TEST_OPTIONS"].split("=", 1)])
if os.environ.get("CRONKITE_TEST_AUTOCOMMIT") == "0":
    DATABASES["default"]["AUTOCOMMIT"] = False

CRONKITE_NODE = os.environ.get("CRONKITE_TEST_NODE", "")
CRONKITE_LOCK_TIMEOUT = (
    float(os.environ["CRONKITE_TEST_LOCK_TIMEOUT"]) if os.environ.get("CRONKITE_TEST_LOCK_TIMEOUT") else None
)
if "CRONKITE_TEST_WORKERS" in os.environ:
    CRONKITE_WORKERS = int(os.environ["CRONKITE_TEST_WORKERS"])
if "CRONKITE_TEST_LOOKAHEAD" in os.environ:
    CRONKITE_LOOKAHEAD = float(os.environ["CRONKITE_TEST_LOOKAHEAD"])
if "CRONKITE_TEST_LOG_MAX_DAYS" in os.environ:
    CRONKITE_LOG_MAX_DAYS = int(os.environ["CRONKITE_TEST_LOG_MAX_DAYS"])
if "CRONKITE_TEST_SHUTDOWN_GRACE" in os.environ:
    CRONKITE_SHUTDOWN_GRACE = float(os.environ["CRONKITE_TEST_SHUTDOWN_GRACE"])

if "CRONKITE_TEST_SENTRY" in os.environ:
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    # It answers as soon as a busy machine lets it, but for the one that a test has never answer.
    SENTRY_PATIENCE = float(os.environ.get("CRONKITE_TEST_SENTRY_PATIENCE", "60"))
    sentry_sdk.init(
        os.environ["CRONKITE_TEST_SENTRY"],
        shutdown_timeout=SENTRY_PATIENCE,
        # What the logger says at ERROR is no event then.
        disabled_integrations=[LoggingIntegration()] if os.environ.get("CRONKITE_TEST_SENTRY_LOGS") == "0" else [],
    )
if "CRONKITE_TEST_OTLP" in os.environ:
    import telemetry

    telemetry.export_to(os.environ["CRONKITE_TEST_OTLP"])
CRONKITE_MONITORS = os.environ.get("CRONKITE_TEST_MONITORS", "").split()

# What runs a task at once is no engine: a task of the default backend is run by nodes.
_HOME = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
TASKS = {
    "default": {"BACKEND": f"{_HOME}.backends.immediate.ImmediateBackend"},
    "db": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "mail"]},
    "broken": {"BACKEND": "app.engines.BrokenBackend"},
    "elsewhere": {"BACKEND": "app.engines.ElsewhereBackend"},
}
CRONKITE_ALERT = os.environ.get("CRONKITE_TEST_ALERT", "")
CRONKITE_TASK = os.environ.get("CRONKITE_TEST_TASK", "")
if "CRONKITE_TEST_RQ" in os.environ:
    INSTALLED_APPS.append("django_rq")
    RQ_QUEUES = {name: {"URL": os.environ["CRONKITE_TEST_RQ"]} for name in ("default", "mail")}
    TASKS["rq"] = {"BACKEND": "django_tasks_rq.RQBackend", "QUEUES": list(RQ_QUEUES)}

if os.environ.get("CRONKITE_TEST_LOG") in {"down", "stuck"}:
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"server": {"class": f"app.handlers.{os.environ['CRONKITE_TEST_LOG'].title()}"}},
        "loggers": {"cronkite": {"handlers": ["server"], "level": "INFO"}},
    }
if os.environ.get("CRONKITE_TEST_LOG") == "1":
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"cronkite": {"handlers": ["console"], "level": "INFO"}},
    }
