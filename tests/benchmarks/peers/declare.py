"""``python -m benchmarks.peers.declare``: make the peer's tables and store its jobs."""

import importlib
import os

import django
from django.core.management import call_command

from benchmarks.peers import PEERS, declared

if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    importlib.import_module(f"benchmarks.peers.{PEERS[os.environ['CRONKITE_BENCH_PEER']]}").declare(declared.get())
