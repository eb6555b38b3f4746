"""What does a process do that ticks?

From the tick to the claim of what is due.

- ``ticks``: how a tick or a loop begins.
- ``greeting``: what a loop says of itself.
- ``node``: the loop: what to do now, and until when to wait.
- ``agenda``, ``lanes``, ``rooms``: what is due, in one query, in which order, and what waits for its group.
- ``jitters``: what is begun later than its slot comes.
- ``taker``, ``starts``: the decision on slots, and their claiming; what becomes of claims.
- ``dispatch``: what is handed over to engines.
- ``unsettled``: claims in doubt, and ends that are not written.
- ``outages``: what becomes of it all while the database is away.
- ``waiting``: what comes first of what is planned.
- ``wake``: how a signal reaches a loop that waits.
- ``heartbeat``, ``beacons``: how the node is seen to live, in the database and by probes.
"""

#: What other wings may use.
__all__ = ["agenda", "beacons", "heartbeat", "node", "outages", "ticks"]
