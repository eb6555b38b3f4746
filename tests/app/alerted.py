"""What alerts call in tests: it writes down what it is told, and some of it behaves badly."""

import asyncio
import json
import os
import threading

from app.jobs import append


def note(notices):
    """Append each notice to the file ``CRONKITE_TEST_ALERTED``, a JSON object per line."""
    for each in notices:
        about = {"kind": each.kind, "over": each.is_over, "name": each.name, "text": each.text, "who": list(each.who)}
        append(os.environ["CRONKITE_TEST_ALERTED"], json.dumps({**about, "pid": os.getpid()}))


def fail(notices):
    note(notices)
    raise OSError("no mail server")


def hang(notices):
    note(notices)
    threading.Event().wait()


async def note_later(notices):
    note(notices)


def of_two(notices, more):
    note(notices)


def refuse(notices):
    """End as nobody should."""
    raise SystemExit(3)


async def cancel(notices):
    raise asyncio.CancelledError
