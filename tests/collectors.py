"""What plays the other side's part for monitors: a server on this machine that keeps all that is sent to it."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Collector:
    """A server's address, and the path and body of each POST, unpacked, in the order in which they came."""

    port: int
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        """The address as Sentry's SDK has it."""
        return f"http://key@127.0.0.1:{self.port}/1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def items(self, kind: str) -> list[dict]:
        """The items of a kind in Sentry's envelopes: each is a line of its header, and then as many bytes as that says.

        See Sentry's "Envelopes" in its documentation for those who write SDKs.
        """
        found = []
        for _, body in list(self.posts):
            _, _, rest = body.partition(b"\n")
            while rest.strip():
                line, _, rest = rest.lstrip(b"\n").partition(b"\n")
                header = json.loads(line)
                length = header.get("length", len(rest.partition(b"\n")[0]))
                payload, rest = rest[:length], rest[length:]
                if header["type"] == kind:
                    found.append(json.loads(payload))
        return found


@contextmanager
def collecting():
    """Serve during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.posts.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
