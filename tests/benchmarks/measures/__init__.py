"""What is measured, in the order of the issue that set the targets.

Each module says in its docstring what it measures and how. They are imported when they are run: they need Django set
up.
"""

from importlib import import_module

from benchmarks.bench import Measure

#: The names, and the modules.
MEASURES = {
    "idle-tick": "idle_tick",
    "burst": "burst",
    "hand-off": "hand_off",
    "start": "slots",
    "crontab": "crontab",
    "idle-loop": "idle_loop",
    "schedules": "schedules",
    "logs": "logs",
}


def load(name: str) -> Measure:
    """Return the measure."""
    module = import_module(f"{__name__}.{MEASURES[name]}")
    return Measure(name, module.measure, once=name == "logs")
