"""How is the cluster, what became of a slot, and what would come next?

For people and monitoring. Nothing here writes.

- ``limits``: what is put up with.
- ``hindrances``: what keeps a job from running on this machine.
- ``vitals``: who ticks, and which jobs are in trouble.
- ``findings``: that in a line for each kind.
- ``exposition``: how Prometheus reads numbers.
- ``metrics``: the numbers that it gets.
- ``presence``: whether this node ticks.
- ``accounts``: what became of a job's slots.
- ``preview``: what a tick would claim now.
- ``spans``: a duration in the language that is active.
"""

#: What other wings may use.
__all__ = ["accounts", "exposition", "findings", "hindrances", "limits", "metrics", "presence", "preview", "vitals"]
