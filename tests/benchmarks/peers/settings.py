"""Django's settings for a peer: a small project, whose database and peer the environment names."""

import importlib
import os

from benchmarks.peers import PEERS
from databases import parse_url

SECRET_KEY = "benchmark"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
DATABASES = {"default": parse_url(os.environ["DATABASE_URL"])}

_more = importlib.import_module(f"benchmarks.peers.{PEERS[os.environ['CRONKITE_BENCH_PEER']]}").settings()
INSTALLED_APPS += _more.pop("INSTALLED_APPS", [])
globals().update(_more)
