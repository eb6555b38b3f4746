"""Every order in which the statements of several nodes can meet, tried one by one against the real database.

Each node is an :class:`Actor`, and one at a time is let go on. An order is the list of who went on, and all orders are
found by changing one choice after the other in the orders tried before. A choice may also be to kill a node.

After each step the explorer waits until each node has come to its next statement, has ended, or waits for another
node's lock, as the database says. What happens next is then up to the explorer alone, and the same choices lead to the
same state again.

What is not tried again
    Two orders are the same to everybody if they differ in neighbours that cannot notice each other: a read, and
    whatever does not commit, as who reads waits for no lock and sees only what is committed; a statement that nobody
    notices before its transaction commits (see :class:`proof.interleavings.actor.Stop`), and anything; the death of a
    node that has nothing open, and anything. Of such orders one is tried. So a node that has nothing open is killed
    when it comes to a statement, and not again while the others go on, and a node that is about to begin a transaction
    begins it. These are sleep sets and persistent sets (P. Godefroid, "Partial-Order Methods for the Verification of
    Concurrent Systems", 1996). With ``literally``, all are tried.

    A node that dies before a statement that nobody notices leaves what it would leave if it died before its next one:
    both are rolled back to the same state. So it is killed at each of them, but while the others go on, only at the
    last of them.

    Nodes that do the same are called twins, and could swap their names. So they take their first steps by name.

    A node that waits for a lock is not killed: its statement is with the server, which carries it out when it gets the
    lock. So this is the death of a node at its next statement.

    When two nodes wait for a lock at the same time, who gets it first is up to the database. Such an order is tried and
    checked to its end, but none branches off after that: it is the same as one in which the second of them comes to the
    lock when the first has got it, and that is tried by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from proof.interleavings import server
from proof.interleavings.actor import BUSY, GONE, Actor, Stop

#: Whether the proof was asked for the orders, too, that differ from others only in neighbours that commute, and for
#: kills in all meetings.
LITERALLY = os.environ.get("CRONKITE_PROOF_ORDERS") == "all"


#: What each node of a meeting does, by the node's name.
Actions = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Step:
    """What can be done at some point: let a node go on, or kill it."""

    actor: str
    kill: bool
    stop: Stop

    def __str__(self) -> str:
        return f"{self.actor}:{'KILLED' if self.kill else self.stop.words}"

    @property
    def is_local(self) -> bool:
        """Whether no other node can notice it, nor change what it does."""
        return not self.stop.has_open if self.kill else self.stop.local

    @property
    def reads(self) -> bool:
        """Whether it reads what is committed, and no more."""
        return self.stop.reads and not self.kill

    @property
    def commits(self) -> bool:
        """Whether who reads can tell that it was done."""
        return self.stop.commits and not self.kill


def commute(one: Step, other: Step) -> bool:
    """Tell whether the order of the two makes no difference to anybody."""
    if one.actor == other.actor or (one.kill and other.kill):
        return False
    if one.is_local or other.is_local:
        return True
    return (one.reads and not other.commits) or (other.reads and not one.commits)


@dataclass
class Order:
    """What was done, and by whom."""

    steps: list[Step] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(map(str, self.steps))

    @property
    def is_over(self) -> bool:
        """Whether all nodes have ended."""
        return all(actor.stop is GONE for actor in self.actors)


@dataclass(frozen=True)
class Start:
    """How an order that is yet to be tried begins, and what need not be tried after that."""

    steps: tuple[Step, ...] = ()
    asleep: frozenset[Step] = frozenset()


@dataclass(frozen=True)
class Rules:
    """Which orders are tried; see :func:`explore`."""

    kills: int
    twins: tuple[str, ...]
    literally: bool


class Stage:
    """The nodes, and where they stand."""

    def __init__(self) -> None:
        self.reports: SimpleQueue[tuple[Actor, Stop]] = SimpleQueue()
        self.actors: dict[str, Actor] = {}
        #: Who has been let go on and has not reported since; which of them the database says to wait for a lock.
        self.going: set[Actor] = set()
        self.waiting: set[Actor] = set()
        #: Who found SQLite's lock taken.
        self.busy: set[Actor] = set()
        #: Whether two waited for a lock at the same time: who gets it first is up to the database.
        self.has_queue = False

    def begin(self, actions: Actions) -> list[Actor]:
        """Have each node begin its action, and come to its first statement."""
        for name, action in actions.items():
            if name not in self.actors:
                self.actors[name] = Actor(name, self.reports)
                self.actors[name].start()
            self.actors[name].begin(action)
        self.going = {self.actors[name] for name in actions}
        self.has_queue = False
        self.settle()
        return [self.actors[name] for name in actions]

    def ready(self) -> list[Actor]:
        """Return who stands before a statement."""
        return [a for a in self.actors.values() if a.stop is not GONE and a not in self.going and a not in self.busy]

    def do(self, step: Step) -> None:
        """Do a step, and wait until it shows what comes of it."""
        actor = self.actors[step.actor]
        self.going.add(actor)
        actor.tell("die" if step.kill else "go")
        if step.kill:
            while actor in self.going:
                self._receive(server.PATIENCE)
            if step.stop.has_open:
                server.wait_until_gone(actor.identity)
        self.settle()
        self._ask_again("again")
        self.has_queue |= len(self.waiting | self.busy) > 1

    def resolve(self) -> None:
        """Wait until the database has parted nodes that all wait for each other."""
        if self.busy:
            self._ask_again("give up")
        else:
            self.settle(everybody_waits=True)

    def settle(self, *, everybody_waits: bool = False) -> None:
        """Wait until each node has come to its next statement, has ended, or waits for a lock.

        Who waits is asked of the database when all others have come to rest. So nobody of those that wait can go on.
        """
        deadline = time.monotonic() + server.PATIENCE
        while self.going:
            # Those that waited before are asked about at once; whoever was let go on is most likely back in a moment.
            was_known = self.going == self.waiting and not everybody_waits
            if self._receive(0.0 if was_known else server.PACE):
                everybody_waits = False
                continue
            assert time.monotonic() < deadline, f"these neither come back nor wait for a lock: {self.going}"
            found = server.waiting({actor.identity for actor in self.going})
            # MariaDB asks for a lock that it is to skip, and takes that back: for a moment, or for longer where its
            # thread is left without a processor in between, it looks as if it waited.
            self.waiting = {actor for actor in self.going if actor.identity in found and not actor.stop.skips}
            if self.waiting == self.going and not everybody_waits:
                return

    def clear(self) -> None:
        """Kill whoever is not done, and end all threads."""
        deadline = time.monotonic() + server.PATIENCE
        while self.going or self.busy or self.ready():
            assert time.monotonic() < deadline, f"these can't be ended: {self.going}"
            for actor in [*self.ready(), *self.busy]:
                actor.tell("die")
                self.busy.discard(actor)
                self.going.add(actor)
            self._receive(server.PACE)
        for actor in self.actors.values():
            actor.dismiss()
            actor.join(server.PATIENCE)

    def _ask_again(self, order: str) -> None:
        """Have those that found SQLite's lock taken try again."""
        for actor in sorted(self.busy, key=lambda actor: actor.name):
            self.busy.discard(actor)
            self.going.add(actor)
            actor.tell(order)
            self.settle()

    def _receive(self, seconds: float) -> bool:
        """Take a report; return whether there was one within so many seconds."""
        try:
            actor, stop = self.reports.get(timeout=seconds) if seconds else self.reports.get_nowait()
        except Empty:
            return False
        self.going.discard(actor)
        self.waiting.discard(actor)
        if stop is BUSY:
            self.busy.add(actor)
        else:
            actor.stop = stop
        return True


def explore(
    meeting: Callable[[], Actions],
    check: Callable[[Order], None],
    *,
    kills: int = 0,
    twins: Sequence[str] = (),
    literally: bool = False,
) -> int:
    """Try all orders, and return how many there were.

    ``meeting`` puts the tables into their first state and returns what each node does, by name. ``check`` is called
    after each commit, and when all nodes have ended. At most ``kills`` nodes are killed in an order. ``twins`` do the
    same.
    """
    rules = Rules(kills, () if literally else tuple(twins), literally)
    stage = Stage()
    todo, count = [Start()], 0
    try:
        while todo:
            start = todo.pop()
            order = Order(actors=stage.begin(meeting()))
            is_new, more = _play(stage, order, start, check, rules)
            count += is_new
            todo += more
    finally:
        stage.clear()
    return count


def _play(
    stage: Stage, order: Order, start: Start, check: Callable[[Order], None], rules: Rules
) -> tuple[bool, list[Start]]:
    """Begin as ``start`` says, and go on to the end; return whether this was a new order, and what branches off."""
    asleep, more, is_known = start.asleep, [], False
    while steps := _choices(stage, order, rules):
        others: list[Step] = []
        position = len(order.steps)
        if position < len(start.steps):
            step = start.steps[position]
            assert step in steps, f"the database does not do the same again: {step} after {order}, but {steps}"
        elif is_known or stage.has_queue:
            step = steps[-1]
        elif awake := [step for step in _persistent(steps, rules) if step not in asleep]:
            step, *others = awake
        else:
            step, is_known = steps[-1], True
        if position >= len(start.steps):
            asleep, branches = _branch(order, step, others, asleep, rules)
            more += branches
        stage.do(step)
        order.steps.append(step)
        if step.commits and not (is_known or order.is_over):
            check(order)
    if not is_known:
        check(order)
    return not is_known, more


def _choices(stage: Stage, order: Order, rules: Rules) -> list[Step]:
    """Return what can be done now; nothing if all nodes have ended.

    Deaths come first: those that nobody notices have been tried then, and sleep while the others go on.
    """
    while not (ready := stage.ready()) and (stage.going or stage.busy):
        stage.resolve()
    moved = {step.actor for step in order.steps}
    waits = [twin for twin in rules.twins if twin not in moved][1:]
    ready = [actor for actor in ready if actor.name not in waits]
    deadly = sum(step.kill for step in order.steps) < rules.kills
    return [Step(a.name, True, a.stop) for a in ready if deadly] + [Step(a.name, False, a.stop) for a in ready]


def _persistent(steps: list[Step], rules: Rules) -> Iterable[Step]:
    """Return those steps from which all orders can be had: only one node's, if nobody notices what it does next."""
    quiet = next((step.actor for step in steps if not step.kill and step.stop.local), None)
    if quiet is None or rules.literally:
        return steps
    return [step for step in steps if step.actor == quiet]


def _branch(
    order: Order, step: Step, others: list[Step], asleep: frozenset[Step], rules: Rules
) -> tuple[frozenset[Step], list[Start]]:
    """Return what sleeps after ``step``, and the orders that do something else instead."""

    def sleeping(tried: Iterable[Step], after: Step) -> frozenset[Step]:
        return frozenset(one for one in tried if commute(one, after)) if not rules.literally else frozenset()

    tried, branches = [*asleep, step], []
    for other in others:
        branches.append(Start((*order.steps, other), sleeping(tried, other)))
        tried.append(other)
    return sleeping(asleep, step), branches
