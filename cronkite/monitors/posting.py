"""How is a text sent to a URL, for so many seconds at most, whatever is at the other end?

No redirect is followed, so that nothing goes where nobody has entered that it should. What goes wrong is told in words
that have nothing of the URL in them.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

import cronkite

#: How many attempts may hang on, past their time, before no more are made: a name server may be slow to say no.
MOST_HANGING = 8

#: What http.client says of a proxy that does not let it through to a server, and the code of the answer.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d+)")


class Unanswered(Exception):
    """There was no answer; the message says why, in the words of no sentence of its own."""


def post(url: str, body: bytes, seconds: float) -> int:
    """Send the body, which is a text in UTF-8, and return the status code of the answer, of which nothing else is read.

    Goes by the proxies that the environment names (``https_proxy``). Raises :class:`Unanswered`.
    """
    _hanging[:] = [thread for thread in _hanging if thread.is_alive()]
    if len(_hanging) >= MOST_HANGING:
        raise Unanswered(f"{MOST_HANGING} attempts hang already")
    attempt = _Attempt(url, body, seconds)
    thread = threading.Thread(target=attempt.run, name="cronkite ping", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise Unanswered(str(error)) from None
    # A timeout of sockets begins anew with each byte, and looking up a name has none at all.
    thread.join(seconds)
    if thread.is_alive():
        attempt.cut()
        _hanging.append(thread)
        raise Unanswered(_late(seconds))
    if attempt.status is None:
        raise Unanswered(attempt.problem)
    return attempt.status


_hanging: list[threading.Thread] = []


class _Attempt:
    """One attempt, by a thread of its own."""

    def __init__(self, url: str, body: bytes, seconds: float) -> None:
        headers = {
            "User-Agent": f"django-cronkite/{cronkite.__version__}",
            "Content-Type": "text/plain; charset=utf-8",
        }
        self.status: int | None = None
        self.problem = ""
        self._request = Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - see what is handled
        self._seconds = seconds
        self._connection: HTTPConnection | None = None

    def run(self) -> None:
        """Make it; never raises."""
        opener = OpenerDirector()
        # These alone: no files, no FTP, no redirects, and an answer that is an error is an answer.
        for handler in (ProxyHandler(), UnknownHandler(), _Http(self._kept), _Https(self._kept)):
            opener.add_handler(handler)
        try:
            with opener.open(self._request, timeout=self._seconds) as answer:
                self.status = answer.status
        except Exception as error:  # noqa: BLE001 - of whatever the other end says
            self.problem = _words(error, self._seconds)

    def cut(self) -> None:
        """Have it end soon, wherever it is."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _kept(self, kind: type[HTTPConnection]) -> Callable[..., HTTPConnection]:
        def make(*args: Any, **kwargs: Any) -> HTTPConnection:
            self._connection = kind(*args, **kwargs)
            return self._connection

        return make


class _Http(HTTPHandler):
    def __init__(self, kept: Callable[[type[HTTPConnection]], Any]) -> None:
        super().__init__()
        self._kept = kept

    def http_open(self, req: Request) -> Any:
        """Open it by a connection that is kept."""
        return self.do_open(self._kept(HTTPConnection), req)


class _Https(HTTPSHandler):
    def __init__(self, kept: Callable[[type[HTTPConnection]], Any]) -> None:
        super().__init__()
        self._kept = kept

    def https_open(self, req: Request) -> Any:
        """Open it by a connection that is kept, and to a server that proves who it is."""
        return self.do_open(self._kept(HTTPSConnection), req, context=ssl.create_default_context())


def _words(error: BaseException, seconds: float) -> str:
    """Say what went wrong: not in the error's own words, which may quote the URL, or what the other end has sent."""
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return _words(error.reason, seconds)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return _late(seconds)
    if isinstance(error, OSError) and (tunnel := _TUNNEL.match(str(error))) is not None:
        return f"the proxy that the environment names answered {tunnel[1]}"
    if isinstance(error, HTTPException) and not isinstance(error, OSError):
        return f"its answer is no HTTP ({type(error).__name__})"
    return getattr(error, "strerror", None) or type(error).__name__


def _late(seconds: float) -> str:
    return f"no answer within {seconds:.1f} s"
