"""How do the jobs that code declares become rows?

From modules to rows, and to what is said about it.

- ``discovery``: which modules are looked at, and what they declare.
- ``differences``: how that differs from the rows.
- ``deeds``: what a look did.
- ``strays``: declarations that become no job.
- ``migrated``: what ``migrate`` says of it all.
"""

#: What other wings may use.
__all__ = ["differences", "discovery", "migrated", "strays"]
