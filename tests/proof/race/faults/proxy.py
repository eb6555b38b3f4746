"""The network between nodes and their database server, to be cut where it hurts."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from urllib.parse import urlsplit

from proof.race.faults.wires import Wire, wire_of

T = TypeVar("T")
PIECE = 65536
#: For how long (seconds) the server has a transaction open whose client is gone.
HELD = 3.0


class Proxy:
    """Passes on what clients and the server say to each other, until told to do worse.

    ``url`` is the database's for those who are to come this way. ``counts`` says what was done: ``commits`` seen,
    ``unanswered``, ``undelivered``, ``held`` and ``delayed`` ones, and ``cut`` connections. Which ones are hit is a
    matter of ``seed``.
    """

    def __init__(self, url: str, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.seed = seed
        self._random = random.Random(seed)
        self._parts = urlsplit(url)
        self._shares = {"unanswered": 0.0, "undelivered": 0.0, "held": 0.0, "delayed": 0.0}
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._talking = asyncio.Event()
        self._talking.set()
        self._let_go = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __str__(self) -> str:
        return f"proxy with seed {self.seed}: {dict(self.counts)}"

    @property
    def url(self) -> str:
        """The database's URL, by way of this proxy."""
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        user = self._parts.netloc.rpartition("@")[0]
        return self._parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()

    @contextmanager
    def answers_lost(self, share: float) -> Iterator[None]:
        """Let this share of the COMMITs be done, and cut their connections instead of passing the answer on."""
        with self._share("unanswered", share):
            yield

    @contextmanager
    def commits_lost(self, share: float) -> Iterator[None]:
        """Cut the connections of this share of the COMMITs before the server hears of those."""
        with self._share("undelivered", share):
            yield

    @contextmanager
    def commits_held(self, share: float) -> Iterator[None]:
        """Swallow this share of the COMMITs, and cut off their clients; the server learns of it after ``HELD`` seconds.

        Until then it has the transactions open, as behind a firewall that forgets one side. Then it rolls them back.
        """
        with self._share("held", share):
            yield

    @contextmanager
    def commits_delayed(self, share: float) -> Iterator[None]:
        """As :meth:`commits_held`, but at last the server gets the COMMITs, and does them."""
        with self._share("delayed", share):
            yield

    def let_go(self) -> None:
        """End what is left of ``HELD`` now, for all COMMITs that are swallowed."""
        self._in_loop(self._let_go.set)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Pass nothing on during the block, without a word to anybody; then reset what was connected (half-open)."""
        self._in_loop(self._talking.clear)
        try:
            yield
        finally:
            self._in_loop(self._end_silence)

    def cut_all(self) -> int:
        """Cut all connections as they are; return how many there were."""
        return self._in_loop(self._cut_all)

    @contextmanager
    def cuts(self, pause: float) -> Iterator[None]:
        """Cut all connections again and again during the block, at random moments about ``pause`` seconds apart."""
        task = asyncio.run_coroutine_threadsafe(self._cut_again_and_again(pause), self._loop)
        try:
            yield
        finally:
            task.cancel()

    # Called by proxied().

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        accept = asyncio.start_server(self._accept, "127.0.0.1", 0, limit=PIECE, backlog=500)
        self._listener = asyncio.run_coroutine_threadsafe(accept, self._loop).result()

    def stop(self) -> None:
        """Cut all connections and go."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # In the caller's thread.

    @contextmanager
    def _share(self, fate: str, share: float) -> Iterator[None]:
        self._shares[fate] = share
        try:
            yield
        finally:
            self._shares[fate] = 0.0

    def _in_loop(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    # In the loop's thread.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, wire_of(self._parts.scheme), reader, writer)
        self._links.add(link)
        try:
            await self._talking.wait()
            await link.carry(self._parts.hostname or "", self._parts.port or 0)
        finally:
            self._links.discard(link)

    async def wait_until_talking(self) -> None:
        """Wait for the end of a silence."""
        await self._talking.wait()

    async def hold(self) -> None:
        """Wait for ``HELD`` seconds, or until :meth:`let_go`."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._let_go.wait(), HELD)

    def fate(self) -> str:
        """Decide what becomes of the next COMMIT."""
        self.counts["commits"] += 1
        lot = self._random.random()
        for fate, share in self._shares.items():
            if lot < share:
                self.counts[fate] += 1
                return fate
            lot -= share
        return "passed on"

    def _cut_all(self) -> int:
        links = [link for link in self._links if not link.is_cut]
        for link in links:
            link.cut()
        self.counts["cut"] += len(links)
        return len(links)

    def _end_silence(self) -> None:
        self._cut_all()
        self._talking.set()

    async def _cut_again_and_again(self, pause: float) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / pause))
            self._cut_all()

    async def _close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for link in self._links:
            link.cut()
        self._talking.set()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class _Link:
    """A client's connection and the one to the server that goes with it."""

    def __init__(self, proxy: Proxy, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_cut = False
        self._proxy = proxy
        self._wire = wire
        self._client = reader, writer
        self._writers = [writer]
        self._answer_is_lost = False

    async def carry(self, host: str, port: int) -> None:
        """Pass on what both sides say until one of them hangs up."""
        with suppress(OSError, asyncio.IncompleteReadError):
            if not self.is_cut:
                server = await asyncio.open_connection(host, port, limit=PIECE)
                self._writers.append(server[1])
                ways = [
                    asyncio.ensure_future(self._requests(self._client[0], server[1])),
                    asyncio.ensure_future(self._answers(server[0], self._client[1])),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        if self.is_cut:
            self.cut()
        for writer in self._writers:
            writer.close()

    def cut(self) -> None:
        """Reset both connections (RST, as from a machine that knows nothing of them), whatever is on its way."""
        self.is_cut = True
        for writer in self._writers:
            _reset(writer)

    async def _requests(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while not self.is_cut and (said := await client.read(PIECE)):
            await self._proxy.wait_until_talking()
            for message in self._wire.requests(said):
                if (refusal := self._wire.refusal(message)) is not None:
                    self._client[1].write(refusal)
                    continue
                fate = self._proxy.fate() if self._wire.is_commit(message) else "passed on"
                if fate == "undelivered":
                    self.cut()
                    return
                if fate in ("held", "delayed"):
                    _reset(self._client[1])
                    await self._proxy.hold()
                    if fate == "delayed":
                        server.write(message)
                        await server.drain()
                    # Hung up on as a client does, not reset: what was sent is still read.
                    return
                self._answer_is_lost = fate == "unanswered"
                server.write(message)
            await server.drain()

    async def _answers(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while not self.is_cut and (said := await server.read(PIECE)):
            await self._proxy.wait_until_talking()
            if self._answer_is_lost:
                self.cut()
                return
            client.write(self._wire.answer(said))
            await client.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def proxied(url: str | None = None, seed: int | None = None) -> Iterator[Proxy]:
    """A proxy before the server of ``url`` (``DATABASE_URL``) in the block; nodes get its ``url`` as DATABASE_URL."""
    proxy = Proxy(url or os.environ["DATABASE_URL"], random.randrange(10**6) if seed is None else seed)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
