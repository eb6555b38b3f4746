"""What do clients and servers say to each other? As much of it as a proxy has to know to find a COMMIT.

Both protocols would begin with an offer of encryption, through which nothing could be seen: it is refused to the
clients, which then go on in the clear.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator


class Wire:
    """One connection's protocol."""

    def __init__(self) -> None:
        self._rest = b""

    def requests(self, said: bytes) -> Iterator[bytes]:
        """Take the next bytes of the client; return the messages that are complete."""
        self._rest += said
        while len(self._rest) >= self._header() and len(self._rest) >= (size := self._size()):
            message, self._rest = self._rest[:size], self._rest[size:]
            yield message

    def refusal(self, message: bytes) -> bytes | None:
        """Return the answer to a message that the server is not to see."""
        return None

    def answer(self, said: bytes) -> bytes:
        """Return what the client is to hear of what the server said."""
        return said

    def is_commit(self, message: bytes) -> bool:
        """Tell whether the client asks for a COMMIT, or for something that is committed with it."""
        raise NotImplementedError

    def _header(self) -> int:
        """Return how many bytes :meth:`_size` needs."""
        raise NotImplementedError

    def _size(self) -> int:
        """Return the length of the message that begins."""
        raise NotImplementedError


class PostgreSQL(Wire):
    """Version 3 of PostgreSQL's protocol (its manual, "Message Formats")."""

    #: SSLRequest and GSSENCRequest.
    ENCRYPTION = (80877103, 80877104)

    def __init__(self) -> None:
        super().__init__()
        self._has_begun = False

    def requests(self, said: bytes) -> Iterator[bytes]:
        for message in super().requests(said):
            # All up to the startup message have no letter in front.
            if not self._has_begun:
                self._has_begun = struct.unpack("!i", message[4:8])[0] not in self.ENCRYPTION
            yield message

    def refusal(self, message: bytes) -> bytes | None:
        is_request = len(message) == 8 and struct.unpack("!ii", message) in [(8, code) for code in self.ENCRYPTION]
        return b"N" if is_request else None

    def is_commit(self, message: bytes) -> bool:
        words = message[5:].strip(b" ;\0").upper()
        # Claims and ends of runs are one statement, which is its own transaction.
        return message[:1] == b"Q" and (words == b"COMMIT" or words.startswith(b"WITH "))

    def _header(self) -> int:
        return 5

    def _size(self) -> int:
        if self._has_begun:
            return 1 + int(struct.unpack("!i", self._rest[1:5])[0])
        return int(struct.unpack("!i", self._rest[:4])[0])


class MySQL(Wire):
    """The protocol of MySQL and MariaDB ("Client/Server Protocol" in MySQL's internals)."""

    QUERY = 3
    #: Whether the server can encrypt: a bit of its capabilities.
    ENCRYPTION = 0x0800

    def __init__(self) -> None:
        super().__init__()
        self._has_greeted = False

    def answer(self, said: bytes) -> bytes:
        if self._has_greeted:
            return said
        self._has_greeted = True
        if said[4] != 10:
            return said  # an error instead of a greeting, such as "too many connections"
        # Header, version of the protocol, version of the server up to its NUL, thread, first half of the salt, a NUL.
        at = said.index(b"\0", 5) + 1 + 4 + 8 + 1
        (capabilities,) = struct.unpack_from("<H", said, at)
        return said[:at] + struct.pack("<H", capabilities & ~self.ENCRYPTION) + said[at + 2 :]

    def is_commit(self, message: bytes) -> bool:
        return message[4:5] == bytes([self.QUERY]) and message[5:].strip(b" ;\0").upper() == b"COMMIT"

    def _header(self) -> int:
        return 4

    def _size(self) -> int:
        return 4 + int.from_bytes(self._rest[:3], "little")


def wire_of(scheme: str) -> Wire:
    """Return the protocol of a database URL's scheme, for one connection."""
    return PostgreSQL() if scheme == "postgresql" else MySQL()
