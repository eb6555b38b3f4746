"""How does a claim become a run, and how does the run end?

From the node that started it to the function, and back with its outcome.

- ``events``: what a node asks of that which runs its jobs, and hears from it.
- ``here``: runs in the node's own process.
- ``pool``, ``members``, ``crowd``: runs in worker processes, what is known of these, and jobs that wait for one.
- ``nursery``, ``nurse``: where workers come from, and who sees them die.
- ``worker``, ``imports``: what a worker does, and what it answers when it is asked for a function.
- ``runner``: from a claim to a call, and from its end to the log.
- ``capture``, ``heirs``, ``onlookers``: what a run writes, kept and shown while it goes on.
- ``guards``, ``interrupts``: how a run is ended from outside.
- ``channels``, ``messages``: how these processes talk.
- ``surroundings``, ``farewell``: what a run leaves, and what has to be out before it has ended.
"""

#: What other wings may use.
__all__ = [
    "capture",
    "events",
    "guards",
    "here",
    "interrupts",
    "messages",
    "nursery",
    "onlookers",
    "pool",
    "runner",
    "worker",
]
