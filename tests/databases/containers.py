"""A database server in a container of ``docker/compose.yaml``."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from databases.processes import NoServer

COMPOSE_FILE = Path(__file__).resolve().parents[2] / "docker" / "compose.yaml"
PROJECT = "django-cronkite"
# Our name of a database -> its service, the port inside the container, and the URL's beginning.
SERVICES = {
    "pg": ("postgres", 5432, "postgresql://cronkite:cronkite"),
    "mysql": ("mysql", 3306, "mysql://root"),
    "mariadb": ("mariadb", 3306, "mariadb://root"),
}


def engine_answers() -> bool:
    """Whether a container engine answers, and ``docker compose`` is there to talk to it."""
    if shutil.which("docker") is None:
        return False
    questions = (["docker", "info"], ["docker", "compose", "version"])
    try:
        return all(subprocess.run(ask, capture_output=True, timeout=30).returncode == 0 for ask in questions)
    except subprocess.TimeoutExpired:
        return False


@contextlib.contextmanager
def server(name: str) -> Iterator[str]:
    """The URL of the database's container: the one that is up already, or one that lives during the block."""
    service, port, scheme_and_user = SERVICES[name]
    with contextlib.ExitStack() as stack:
        if _is_up(service):
            project = PROJECT
        else:
            # A project of this process's own: two runs at a time neither share a server nor stop each other's.
            project = f"{PROJECT}-{os.getpid()}"
            stack.callback(compose, project, "down", "--volumes", "--timeout", "5")
            compose(project, "up", "--detach", "--wait", service)
        address = compose(project, "port", service, str(port)).strip()
        yield f"{scheme_and_user}@{address}/cronkite"


def _is_up(service: str) -> bool:
    return bool(compose(PROJECT, "ps", "--quiet", "--status", "running", service).strip())


def compose_command(project: str, *arguments: str) -> list[str]:
    """The command line that asks ``docker compose`` for something."""
    return ["docker", "compose", "--file", str(COMPOSE_FILE), "--project-name", project, *arguments]


def compose(project: str, *arguments: str) -> str:
    """What ``docker compose`` answers. Raises NoServer with its message if it fails."""
    command = compose_command(project, *arguments)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise NoServer(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
