"""What plays Healthchecks' part: servers on this machine, of which some answer, and some do what servers should not."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "5f0f2a50-b2ce-4f6a"


@dataclass
class Pinged:
    """A server's address, and the path, the headers and the body of each POST, in the order in which they came."""

    port: int
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    #: What to answer, one after the other; the last again and again.
    answers: list[int] = field(default_factory=lambda: [200])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}"

    @property
    def paths(self) -> list[str]:
        return [path.replace(SECRET, "URL") for path, *_ in self.posts]


@contextmanager
def pinging(certificate=None):
    """Serve during the block, as the service does; over TLS, if there is a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.posts.append((self.path, dict(self.headers), body))
            self.send_response(server.answers[0] if len(server.answers) == 1 else server.answers.pop(0))
            self.send_header("Location", f"http://127.0.0.1:{server.port}/elsewhere/{SECRET}")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    server = Pinged(httpd.server_port)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@contextmanager
def misbehaving(behave):
    """Have ``behave(socket, ended)`` answer each connection, until the block's end sets ``ended``; yield the URL."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def answer(connection):
        with suppress(OSError), connection:
            behave(connection, ended)

    def serve():
        while True:
            connection, _ = listener.accept()
            if ended.is_set():
                connection.close()
                return
            threads.append(threading.Thread(target=answer, args=[connection]))
            threads[-1].start()

    server = threading.Thread(target=serve)
    server.start()
    port = listener.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/{SECRET}"
    finally:
        ended.set()
        socket.create_connection(("127.0.0.1", port)).close()
        server.join()
        for thread in threads:
            thread.join()
        listener.close()


def hang(connection, ended):
    """Take it, and say nothing."""
    ended.wait()


def drip(connection, ended):
    """Say a letter now and then, and come to no end: no timeout of a socket's sees that."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not ended.wait(0.05):
        connection.sendall(b"x")


def babble(connection, ended):
    """Say what is no HTTP, and quote what came."""
    came = connection.recv(65536)
    connection.sendall(b"\x00\xff" + came)


def slam(connection, ended):
    """Go, in the midst of it."""
    connection.recv(1)


def flood(connection, ended):
    """Say more than anybody wants to know."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    while not ended.is_set():
        connection.sendall(b"x" * 65536)
