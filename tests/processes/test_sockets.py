"""What a child of a fork has of its parent leads nowhere."""

from __future__ import annotations

import subprocess
import sys

#: Sockets of a process, before a fork and after it; what the child finds is its exit code.
PROGRAM = """
import os, socket
from cronkite.processes import sockets
socket.setdefaulttimeout(60)
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
there, _ = server.accept()
one, other = socket.socketpair()
pid = os.fork()
if not pid:
    assert sockets.cut() == 2  # both ends
    assert client.recv(1) == b""
    try:
        client.sendall(b"from the child")
    except BrokenPipeError:
        other.sendall(b"cut")
        other.close()
        server.getsockname()
        os._exit(0)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
other.close()
assert one.recv(9) == b"cut"
client.sendall(b"from the parent")
assert there.recv(99) == b"from the parent"
assert os.get_blocking(client.fileno()) is False  # as its timeout has it
"""


def test_what_leads_to_a_server_leads_nowhere_in_the_child_and_is_as_it_was_in_the_parent():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
