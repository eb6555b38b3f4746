"""Whose is this process, and what has it started?

A tick's process is ours, and so are its nurseries and workers; a web server's is not.

- ``owner``: whether the process is ours to arrange.
- ``forks``: what of ours is not passed on to what a function forks.
- ``sockets``: what a fork of ours has of its parent's.
- ``kin``: what was started, and how that ends.
- ``descriptors``: what their numbers stand for.
- ``proc``: what Linux tells of it.
- ``wakes``: how a signal reaches whoever waits.
- ``traits``, ``bonds``: what code may change of it that can be put back, and what can't be.
"""

#: What other wings may use.
__all__ = ["bonds", "descriptors", "forks", "kin", "owner", "sockets", "traits", "wakes"]
