"""Where do the sockets lead that a forked process has of its parent? Nowhere.

Two processes that talk to a server over one connection read each other's answers.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from cronkite.processes.descriptors import identity


def cut() -> int:
    """Have the sockets that this process has from its parent, and that lead to a server, lead nowhere; count them.

    To whoever uses one, the server seems to have hung up; the parent's own are as they were. That is for streams whose
    other end has a name: pairs of sockets have none. Standard streams stay as they are.
    """
    standard = {identity(descriptor) for descriptor in range(3)}
    # Else the mere look at a socket would set a timeout, for the parent as well.
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(None)
    nowhere, end = socket.socketpair()
    end.close()
    count = 0
    with nowhere:
        for descriptor in _descriptors():
            with suppress(OSError):
                if identity(descriptor) not in standard and _leads_to_server(descriptor):
                    os.dup2(nowhere.fileno(), descriptor, inheritable=os.get_inheritable(descriptor))
                    count += 1
    socket.setdefaulttimeout(timeout)
    return count


def _leads_to_server(descriptor: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as found:
        return found.type == socket.SOCK_STREAM and bool(found.getpeername())


def _descriptors() -> list[int]:
    """Return the open descriptors; or, where nobody tells, the numbers that most processes do with."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return [int(each.name) for each in Path(folder).iterdir()]
    return list(range(1024))
