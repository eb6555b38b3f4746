"""Which modules can be imported without harm to this process?

A module may end the process that imports it, or hold it for good. So who has other things to do, such as a node or a
web server, has an import tried apart first, and imports itself only what has passed. What has passed once may still do
harm the next time: against that nothing helps.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

from cronkite.code import apart, modules, taster
from cronkite.code.apart import Patience
from cronkite.code.taster import Verdict
from cronkite.exceptions import HarmfulModule

#: For who starts, or is asked to find out. Then for who is waited for, such as a web server whose worker is given up on
#: after half a minute. And for what happens at the start of each process, a tick's too: there is time for a fork only.
LONG = Patience(limit=30.0, setup=60.0)
BRIEF = Patience(limit=15.0, setup=15.0)
QUICK = Patience(limit=10.0)
#: How long (seconds) a verdict holds: whatever was to blame may be mended.
KEPT = 300.0

#: How many trials there may be at a time: each is a process, and one that hangs is to hold up no other.
AT_A_TIME = 8

_verdicts: dict[str, tuple[float, Verdict]] = {}
_lock = threading.Lock()
_trials = threading.BoundedSemaphore(AT_A_TIME)
_untried: list[None] = []


def load(name: str, patience: Patience) -> ModuleType:
    """Return the module, after its import was tried, unless it has been imported before.

    Raises the ``Exception`` that its import raises, and :class:`HarmfulModule` for worse, with what it did. An import
    that takes longer than the patience counts as one that never ends. What can't be tried is imported as it is.
    """
    verdict = try_all([name], patience).get(name)
    if verdict is not None and verdict.harm:
        raise HarmfulModule(name, verdict.harm)
    return modules.load(name)


@contextmanager
def untried() -> Iterator[None]:
    """Have modules imported during the block without being tried: in tests, of which none is to start a process."""
    _untried.append(None)
    try:
        yield
    finally:
        _untried.pop()


def try_all(names: Iterable[str], patience: Patience) -> dict[str, Verdict]:
    """Return the verdicts on those of the modules that are not imported yet."""
    wanted = [name for name in dict.fromkeys(names) if _is_worth_it(name)]
    if not wanted or _untried or taster.is_taster():
        return {}
    known = _known()
    untried = [name for name in wanted if name not in known]
    found: dict[str, Verdict] = {}
    if untried:
        with _trials:
            found = dict(apart.try_imports(untried, patience))
        if patience != QUICK:
            # What could not be tried is let pass, and not tried in vain again and again.
            found = dict.fromkeys(untried, Verdict()) | found
        with _lock:
            _verdicts.update({name: (time.monotonic(), verdict) for name, verdict in found.items()})
    return {name: verdict for name, verdict in (known | found).items() if name in wanted}


def _known() -> dict[str, Verdict]:
    long_ago = time.monotonic() - KEPT
    with _lock:
        return {name: verdict for name, (at, verdict) in _verdicts.items() if at > long_ago}


def _is_worth_it(name: str) -> bool:
    """Whether something would be imported now, which may do harm; that of our own does not."""
    if name in sys.modules or name.startswith("cronkite."):
        return False
    parts = name.split(".")
    # The outermost that is not imported yet: to look for it imports nothing.
    missing = next(part for depth in range(len(parts)) if (part := ".".join(parts[: depth + 1])) not in sys.modules)
    try:
        return find_spec(missing) is not None
    except (ImportError, ValueError, AttributeError):
        return False  # to import it raises just that
