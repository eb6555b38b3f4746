"""What do databases do differently, and how is each asked so that it does the same?

Statements of ours, said to any database that Django supports.

- ``texts``: what of a text goes into a column.
- ``clock``: the database's now, the same for every node.
- ``quirks``: what differs, and what an error means.
- ``commits``: whether what is written is committed.
- ``collations``: which names are one.
- ``inherited``: what a process that was forked has of its parent's.
- ``leftovers``: what code of others has left open.
- ``teller``: a thread that tells others what has happened.
- ``waits``: for how long a statement waits for a locked row.
- ``statements``: queries that are put together once.
- ``batches``: what is said of many at a time.
- ``generated``: how migrations change what the database keeps.
"""

#: What other wings may use.
__all__ = [
    "batches",
    "clock",
    "collations",
    "commits",
    "generated",
    "inherited",
    "leftovers",
    "quirks",
    "statements",
    "teller",
    "texts",
    "waits",
]
