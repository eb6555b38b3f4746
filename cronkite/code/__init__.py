"""What is a project's own code to us: found, tried, called, and its end kept?

From a dotted name to a function that has been called.

- ``declarations``: what code says about its jobs.
- ``modules``, ``taster``, ``apart``, ``trials``: how modules are imported that may do anything.
- ``commands``: which management commands may be jobs.
- ``functions``: which function a name means, if it may be run.
- ``arguments``: whether a job's arguments fit what it runs.
- ``labels``: which nodes may have it.
- ``pings``: by which URL others are told of its runs.
- ``groups``: with which others it shares a number of runs.
- ``wishes``: who wants to be told that something is wrong with it.
- ``calls``: how it is called.
- ``tasks``: which task is handed over in its place.
- ``current``: which run the code is part of.
- ``outcomes``: what of a run's end can be kept.
"""

#: What other wings may use.
__all__ = [
    "arguments",
    "calls",
    "commands",
    "current",
    "declarations",
    "functions",
    "groups",
    "labels",
    "modules",
    "outcomes",
    "pings",
    "tasks",
    "taster",
    "trials",
    "wishes",
]
