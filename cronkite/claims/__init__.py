"""May this node have the job, and does it have it still?

The claim that promise P1 rests on, in its order; the only writers of the lock.

- ``claiming``: the claim, its steps, and what it is asked for.
- ``conditions``: the conditional UPDATE, whose row count is the verdict.
- ``taking``: the two ways to take, in steps and at once.
- ``verdicts``: what a claim is, and what it means that one did not come about.
- ``handing``: what is taken to be handed over to an engine.
- ``concluding``: what became of it then.
- ``retries``: when a slot is tried again.
- ``seats``: how many jobs of a group run at a time.
- ``holding``: renewals, ends and unlocking of what was claimed.
- ``orphans``: stale locks that no claim would clear.
- ``losses``: runs that are lost with stale locks.
- ``skips``, ``rows``: jobs whose rows another transaction has locked.
"""

#: What other wings may use.
__all__ = ["claiming", "concluding", "handing", "holding", "orphans", "rows", "seats", "skips", "verdicts"]
