"""What has to be out before a run counts as ended?

What a run has told others may lie in buffers still: log records, errors and spans on their way to a monitoring service.
A process that ends by ``os._exit``, as workers do, would take it along.
"""

from __future__ import annotations

import atexit
import gc
import io
import logging
import sys
import threading
from contextlib import suppress
from typing import Any

logger = logging.getLogger("cronkite")

#: For how long (seconds) a run's telemetry is waited for.
PATIENCE = 2.0
#: Threads of these packages are part of the process, not of the run that happened to need them first. They hold nothing
#: of a function's: they are connection pools', and those which send what a run has told.
SERVICES = frozenset(
    {
        "bugsnag",
        "datadog",
        "ddtrace",
        "elasticapm",
        "grpc",
        "honeybadger",
        "newrelic",
        "opentelemetry",
        "oracledb",
        "posthog",
        "prometheus_client",
        "psycopg",
        "psycopg_pool",
        "pymongo",
        "rollbar",
        "scout_apm",
        "sentry_sdk",
        "sqlalchemy",
        "statsd",
        "urllib3",
    }
)


def flush() -> None:
    """Have buffered log records, and what Sentry and OpenTelemetry have yet to send, out; may take ``PATIENCE``."""
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]  # noqa: SLF001 - as logging.shutdown()
        handler = reference()
        if handler is not None:
            _try(handler.flush)
    if (sentry := sys.modules.get("sentry_sdk")) is not None:
        _try(sentry.flush, timeout=PATIENCE)
    for module, get in (
        ("trace", "get_tracer_provider"),
        ("metrics", "get_meter_provider"),
        ("_logs", "get_logger_provider"),
    ):
        if (telemetry := sys.modules.get(f"opentelemetry.{module}")) is not None:
            provider = getattr(telemetry, get)()
            if hasattr(provider, "force_flush"):
                _try(provider.force_flush, int(PATIENCE * 1000))


def leave() -> None:
    """Do what Python does at the end of a process that is no fork: let executors finish, call what was registered with
    :mod:`atexit`, and write out what lies in the buffers of files.

    Only what was registered in this process, and of files that it has opened: call :func:`begin` before it is forked.
    """
    flush()
    for call in reversed(getattr(threading, "_threading_atexits", [])):
        _try(call)
    # As it may have been registered before the fork, and knows by itself what is this process's.
    if (processes := sys.modules.get("multiprocessing.util")) is not None:
        _try(processes._exit_function)  # noqa: SLF001 - the same
    _try(atexit._run_exitfuncs)  # noqa: SLF001 - what it calls has no other name
    _try(logging.shutdown)
    for writer in _writers():
        if not any(writer is other for other in _others):
            # What is closed, or whose disk is full, has nothing more to write.
            with suppress(Exception):
                writer.flush()


def begin() -> None:
    """Forget what this process is to do at its end: in one that never does it, before it forks one that does."""
    atexit._clear()  # noqa: SLF001 - as above
    _others[:] = _others or _writers()


#: Files that had been opened before this process was forked: what their buffers hold is its parent's to write.
_others: list[io.IOBase] = []


def _writers() -> list[io.IOBase]:
    """Return the files that may hold back what was written to them."""
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    return [each for each in gc.get_objects() if type(each) in kinds]


def strangers() -> list[threading.Thread]:
    """Return the threads that a function has left behind."""
    return [thread for thread in threading.enumerate() if not _belongs(thread)]


def _belongs(thread: threading.Thread) -> bool:
    if thread is threading.main_thread() or thread.name.startswith("cronkite "):
        return True
    # Whose a thread is shows in the class, or in the function that it runs; of its own accord it tells neither.
    target = getattr(thread, "_target", None)
    target = getattr(target, "__func__", target)
    return thread.daemon and any(_package(each) in SERVICES for each in (type(thread), target))


def _package(each: Any) -> str:
    return str(getattr(each, "__module__", "")).partition(".")[0]


def _try(function: Any, *args: Any, **kwargs: Any) -> None:
    try:
        function(*args, **kwargs)
    except BaseException:
        logger.debug("%s failed.", function, exc_info=True)
