"""The nodes of a storm, kept alive: one that was killed comes back under its name, as with a service manager."""

from __future__ import annotations

import os
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nodes import PATIENCE, Node

import families

#: How a node may end in a storm: by itself, killed by whoever is at it, and told to stop before it could hear of it.
WELL, KILLED, UNBORN = 0, -signal.SIGKILL, -signal.SIGTERM
#: Seconds for 32 interpreters to start, or to end, on a busy machine: only what hangs takes longer.
START_PATIENCE = 600
#: How often (seconds) a loop looks for new jobs, of which there are many in a storm.
POLL = "1"


class Fleet:
    """``number`` nodes named node-1, node-2, and so on.

    ``arguments`` are those of ``manage.py``; ``options`` are those of :class:`nodes.Node`, or a function that returns
    them for the node of a number.
    """

    def __init__(self, folder: Path, number: int, *arguments: str, options: dict | Callable[[int], dict] | None = None):
        self.folder = folder
        self.number = number
        # A storm's settings are no good settings, and its log is not the place to say so.
        self.arguments = (*arguments, "--skip-checks")
        self.options = options if callable(options) else lambda n: options or {}
        self.nodes: dict[int, Node] = {}
        self.gone: list[Node] = []
        self.started = 0
        #: How often the node of a name was killed, or killed itself; and how many workers were.
        self.deaths: Counter[str] = Counter()
        self.killed_workers = 0

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(self.deaths.values()) + self.killed_workers

    def named(self, name: str) -> Node:
        """Return the node of that name that was started last."""
        return next(node for node in self.nodes.values() if node.name == name)

    def release(self) -> None:
        """Start all nodes, wait until each has everything imported, and let all go at once."""
        here_reader, here = os.pipe()
        gate, gate_writer = os.pipe()
        try:
            for n in range(1, self.number + 1):
                self._start(n, pass_fds=(here, gate), CRONKITE_TEST_BARRIER=f"{here},{gate}")
            arrived, deadline = 0, time.monotonic() + START_PATIENCE
            while arrived < self.number:
                ready, _, _ = select.select([here_reader], [], [], 1)
                arrived += len(os.read(here_reader, self.number)) if ready else 0
                self._check()
                assert time.monotonic() < deadline, f"{arrived} of {self.number} nodes have started"
        finally:
            for descriptor in (here_reader, here, gate, gate_writer):
                os.close(descriptor)

    def _start(self, n: int, **more) -> None:
        options = {"CRONKITE_TEST_POLL": POLL, **self.options(n), **more}
        name = f"node-{n}"
        self.nodes[n] = Node(*self.arguments, **{"name": name, "log": self.folder / f"{name}.log", **options})
        self.started += 1

    def tend(self) -> None:
        """Start again whatever was killed. Fails if a node has ended in another way."""
        self._check()
        # While a worker is left, the group keeps its number. Afterwards it may become that of strangers.
        self.gone = [node for node in self.gone if group_lives(node.pid)]
        for n, node in list(self.nodes.items()):
            if node.process.returncode == KILLED:
                self._bury(node)
                self._start(n)

    def _bury(self, node: Node) -> None:
        self.deaths[node.name] += 1
        self.gone.append(node)

    def _check(self) -> None:
        for node in self.nodes.values():
            code = node.process.poll()
            if code not in (None, WELL, KILLED, UNBORN):
                node.wait()
                raise AssertionError(f"{node.name} ended with {code}. It said:\n{node.output[-4000:]}")

    def wait(self) -> None:
        """Wait until all nodes have ended, as ticks do. Fails if one ended otherwise than well or killed."""
        deadline = time.monotonic() + START_PATIENCE
        while any(node.process.poll() is None for node in self.nodes.values()):
            assert time.monotonic() < deadline, f"{self.running()} still run"
            self._check()
            time.sleep(0.02)
        self._check()
        for node in self.nodes.values():
            if node.process.returncode == KILLED:
                self._bury(node)

    def running(self) -> list[str]:
        """Return the names of the nodes that have not ended."""
        return [node.name for node in self.nodes.values() if node.process.poll() is None]

    def stop(self) -> None:
        """Tell all nodes to stop, and wait until they have."""
        for node in self.nodes.values():
            with suppress(ProcessLookupError):
                node.process.terminate()
        self.wait()

    def kill(self, node: Node) -> None:
        """Kill a node, whatever it does at this moment, and leave its workers to themselves."""
        with suppress(ProcessLookupError):
            os.kill(node.pid, signal.SIGKILL)
        node.process.wait(PATIENCE)

    def kill_node(self, dice: random.Random) -> None:
        """Kill some node."""
        self.kill(self._some(dice))

    def kill_node_and_workers(self, dice: random.Random) -> None:
        """Kill some node with its workers: to the others it is as if its machine were gone."""
        node = self._some(dice)
        self.killed_workers += len(families.workers(node.pid))
        families.end(node.pid)
        node.process.wait(PATIENCE)

    def kill_worker(self, dice: random.Random) -> None:
        """Kill a worker of some node, if there is one at this moment."""
        workers = [pid for node in self.nodes.values() for pid in families.workers(node.pid)]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(workers), signal.SIGKILL)
                self.killed_workers += 1

    def _some(self, dice: random.Random) -> Node:
        return dice.choice([node for node in self.nodes.values() if node.process.poll() is None])

    def said(self, words: str) -> int:
        """Return how often the nodes have said ``words``."""
        return sum(log.read_text(errors="replace").count(words) for log in self.folder.glob("node-*.log"))

    def orphans(self) -> bool:
        """Tell whether workers of killed nodes still finish their runs."""
        return any(group_lives(node.pid) for node in self.gone)

    def end(self) -> None:
        """End whatever is left."""
        for node in [*self.nodes.values(), *self.gone]:
            node.end()


@contextmanager
def fleet(*args, **kwargs) -> Iterator[Fleet]:
    """Have a fleet during the block: released at its beginning, ended at its end."""
    nodes = Fleet(*args, **kwargs)
    try:
        nodes.release()
        yield nodes
    finally:
        nodes.end()


def group_lives(leader: int) -> bool:
    """Tell whether a process of the group that ``leader`` began is left."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True
