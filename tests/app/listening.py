"""Receivers of signals in nodes that a test starts: they write down what they are told, and some behave badly.

``CRONKITE_TEST_LISTEN`` is the file that they append to, a JSON object per line. ``CRONKITE_TEST_RECEIVER`` says how
the others behave, which are told first: see :data:`BAD`.
"""

import asyncio
import json
import os
import sys
import threading
import time
from functools import partial

from django.db import connection, connections, transaction

from app.jobs import append
from cronkite import signals

NAMES = [name for name in signals.__all__ if name != "Run"]


def write(path, name, sender, values):
    told = {key: _plain(value) for key, value in values.items() if key != "signal"}
    about = {"signal": name, "sender": sender.__name__, "pid": os.getpid(), "thread": threading.current_thread().name}
    append(path, json.dumps(about | told))


def _plain(value):
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "__dataclass_fields__"):
        return {key: _plain(each) for key, each in vars(value).items()}
    return value if isinstance(value, int | list | dict | None) else str(value)


def listen(path, *names):
    """Connect a receiver to each signal of these names, or to all; return what disconnects them."""
    receivers = []
    for name in names or NAMES:
        receive = partial(_receive, path, name)
        getattr(signals, name).connect(receive, weak=False)
        receivers.append((getattr(signals, name), receive))
    return lambda: [signal.disconnect(receive) for signal, receive in receivers]


def _receive(path, of, /, sender, **values):
    write(path, of, sender, values)


def _raise(**values):
    raise ValueError("the receiver went wrong")


def _exit(**values):
    sys.exit(3)


def _nap(**values):
    time.sleep(1.5)


def _hang(**values):
    threading.Event().wait()


def _kill(**values):
    connection.ensure_connection()
    connection.connection.close()


def _leave_open(**values):
    transaction.atomic().__enter__()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _close_all(**values):
    connections.close_all()


def _fork(**values):
    """Leave a child behind that comes back, as a program does that forgets os._exit()."""
    if os.fork():
        os.wait()


def _quit(**values):
    os._exit(7)


async def _raise_later(**values):
    await asyncio.sleep(0)
    raise ValueError("the receiver went wrong")


async def _cancel(**values):
    raise asyncio.CancelledError


BAD = {
    "raise": _raise,
    "exit": _exit,
    "nap": _nap,
    "hang": _hang,
    "kill": _kill,
    "leave_open": _leave_open,
    "close_all": _close_all,
    "fork": _fork,
    "quit": _quit,
    "raise_later": _raise_later,
    "cancel": _cancel,
}


def install():
    if (bad := os.environ.get("CRONKITE_TEST_RECEIVER")) is not None:
        for name in NAMES:
            getattr(signals, name).connect(BAD[bad], weak=False)
    if (path := os.environ.get("CRONKITE_TEST_LISTEN")) is not None:
        listen(path)
