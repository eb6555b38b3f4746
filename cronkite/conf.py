"""The settings there are, and their values now.

Every setting is read from :mod:`django.conf` at each call, so that ``override_settings`` works as everywhere else.
"""

from __future__ import annotations

import difflib
import re
import reprlib
import socket
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Callable

#: How much of the lock timeout may pass between two renewals: with a quarter, three renewals in a row may fail.
RENEWALS_PER_TIMEOUT = 4
#: However long the timeout, renew at least so often: the run also learns at a renewal that its lock is gone.
LONGEST_RENEWAL_INTERVAL = timedelta(seconds=15)
#: Without a lock timeout a renewal only tells people when the node was last seen alive, so it may be rarer.
RENEWAL_INTERVAL_WITHOUT_TIMEOUT = timedelta(seconds=30)

#: Renewals for a shorter timeout would come faster than a busy machine commits them.
SHORTEST_LOCK_TIMEOUT = timedelta(seconds=1)
#: Below this a system check warns: a database's fail-over or a node that swaps lasts longer, and costs the run.
RISKY_LOCK_TIMEOUT = timedelta(seconds=30)
#: A tick comes each minute, so looking further ahead would only let two ticks wait for the same slot.
LONGEST_LOOKAHEAD = timedelta(seconds=59)
#: More than a year is a slip of the unit, and would overflow some databases' intervals.
LONGEST_DURATION = timedelta(days=366)
#: A hundred years of logs; more is a slip of the unit.
MOST_DAYS = 36525
#: In the list of what may run, it stands for what all installed apps define.
DEFAULT_RULE = "INSTALLED_APPS"
#: What a label is made of, and how long one may be.
_LABEL = re.compile(r"\w[\w.-]*", re.ASCII)
LONGEST_LABEL = 63
#: What the command line of this process says of settings.
_overruled: dict[str, Any] = {}
#: The length of the columns that hold a node's name, in characters.
LONGEST_NODE = 255


@dataclass(frozen=True)
class Conf:
    """The settings, checked and in the types that the code works with."""

    lock_timeout: timedelta | None
    """The age past which a lock is stale; ``None``: a lock is never cleared."""
    lookahead: timedelta
    """How far before its slot a tick takes a job, to wait for the slot."""
    workers: int
    """How many worker processes a node has; 0: runs take place in the node's own process, one after another."""
    allowed_functions: tuple[str, ...]
    """Patterns (:mod:`fnmatch`) of the dotted names that may run, but for the default rule; see :attr:`allows_apps`."""
    allowed_commands: tuple[str, ...]
    """Patterns of the management commands that may be jobs, alike; see :attr:`allows_commands_of_apps`."""
    node: str
    """This node's name; never empty, because an unset name is the host's."""
    shutdown_grace: timedelta
    """How long a node that was told to stop lets its runs finish."""
    node_labels: frozenset[str]
    """What this node can do that not every node can: it alone sees jobs that name such labels."""
    task: str
    """The dotted name of the task that calls plain functions for an engine; empty: there is none."""
    alert: str
    """The dotted name of what tells people that something is wrong; empty: nobody is told."""
    log_max_days: timedelta | None
    """The age from which on a nightly job deletes logs; ``None``: however old."""
    log_max_per_job: int | None
    """How many logs of a job a nightly job leaves; ``None``: however many."""
    monitors: tuple[str, ...]
    """The dotted names of the modules that tell other services of runs; see :mod:`cronkite.monitors`."""

    @property
    def allows_apps(self) -> bool:
        """Whether what installed apps define may run: the default rule, alone or beside patterns."""
        return DEFAULT_RULE in self.allowed_functions

    @property
    def allows_commands_of_apps(self) -> bool:
        """Whether commands of installed apps other than Django's own may be jobs, alone or beside patterns."""
        return DEFAULT_RULE in self.allowed_commands

    @property
    def prunes_logs(self) -> bool:
        """Whether a nightly job deletes logs."""
        return self.log_max_days is not None or self.log_max_per_job is not None

    @property
    def renewal_interval(self) -> timedelta:
        """How long to wait between two renewals of a lock."""
        if self.lock_timeout is None:
            return RENEWAL_INTERVAL_WITHOUT_TIMEOUT
        return min(self.lock_timeout / RENEWALS_PER_TIMEOUT, LONGEST_RENEWAL_INTERVAL)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one setting (a full sentence), and what to write instead."""

    setting: str
    message: str
    hint: str


def get() -> Conf:
    """Return the settings as they are now; raise ``ImproperlyConfigured`` at the first that makes no sense.

    Settings that don't exist are no error here (that would cost a look through all settings); see :func:`problems`.
    """
    raw = [_current(name) for name in _SETTINGS]
    # Asked for at each claim, and parsed once: only tests change settings while a node runs.
    try:
        return _parsed(*(tuple(value) if isinstance(value, list) else value for value in raw))
    except TypeError:  # something that can't be hashed, so none of ours
        return _parsed.__wrapped__(*raw)


@lru_cache(maxsize=8, typed=True)  # typed: True is no number of workers, and 1 is
def _parsed(*raw: Any) -> Conf:
    values: dict[str, Any] = {}
    for value, (name, (_, parse, hint)) in zip(raw, _SETTINGS.items(), strict=True):
        try:
            values[_attribute(name)] = parse(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{_sentence(name, error)} {hint}") from None
    return Conf(**values)


def problems() -> list[Problem]:
    """Return what is wrong with the ``CRONKITE_*`` settings: values that make no sense, and names nobody reads."""
    found = []
    for name, (_, parse, hint) in _SETTINGS.items():
        try:
            parse(_current(name))
        except ValueError as error:
            found.append(Problem(name, _sentence(name, error), hint))
    for name in sorted(dir(settings)):
        if name.startswith(_PREFIX) and name not in _SETTINGS:
            near = difflib.get_close_matches(_attribute(name), map(_attribute, _SETTINGS), n=1)
            known = f"Remove it. The settings are {', '.join(sorted(_SETTINGS))}."
            hint = f"Write {_PREFIX}{near[0].upper()}." if near else known
            found.append(Problem(name, f"There is no setting {name}, so it has no effect.", hint))
    return found


def overrule(name: str, value: Any) -> None:
    """Have this process take ``value`` for the setting, whatever the project wrote: a command line says so.

    Raises ``ImproperlyConfigured`` if it makes no sense.
    """
    _overruled[name] = value
    get()


def _current(name: str) -> Any:
    """Return the setting as the command line or the project has it, or its default."""
    if name in _overruled:
        return _overruled[name]
    return getattr(settings, name, _SETTINGS[name][0])


def _attribute(name: str) -> str:
    """Return the attribute of :class:`Conf` that holds the setting."""
    return name.removeprefix(_PREFIX).lower()


def _sentence(name: str, error: ValueError) -> str:
    """Return the sentence that both :func:`get` and :func:`problems` say."""
    return f"{name} must be {error}, not {_shown(_current(name))}."


def _shown(value: object) -> str:
    """Return a value as a message may show it: short, and with its type, because "5" and 5 look alike."""
    return f"{reprlib.repr(value)} ({type(value).__name__})"


# The parsers: a setting's raw value -> what Conf holds. A ValueError completes the sentence "… must be".


def _lock_timeout(value: object) -> timedelta | None:
    """Return the timeout; ``None`` stays ``None``."""
    if value is None:
        return None
    return _duration(value, SHORTEST_LOCK_TIMEOUT, LONGEST_DURATION, "None or ")


def _lookahead(value: object) -> timedelta:
    """Return the look-ahead."""
    return _duration(value, timedelta(0), LONGEST_LOOKAHEAD)


def _shutdown_grace(value: object) -> timedelta:
    """Return the grace."""
    return _duration(value, timedelta(0), LONGEST_DURATION)


def _duration(value: object, shortest: timedelta, longest: timedelta, alternative: str = "") -> timedelta:
    """Return a number of seconds as a duration."""
    low, high = shortest.total_seconds(), longest.total_seconds()
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]  # a NaN fails the comparison, too
        raise ValueError(f"{alternative}a number of seconds from {low:.0f} to {high:.0f}")
    return timedelta(seconds=value)  # type: ignore[arg-type]


def _workers(value: object) -> int:
    """Return the number of workers."""
    return _whole(value, 0)


def _log_max_days(value: object) -> timedelta | None:
    """Return the age; ``None`` stays ``None``."""
    return None if value is None else timedelta(days=_whole(value, 1, MOST_DAYS, "None or "))


def _log_max_per_job(value: object) -> int | None:
    """Return the number; ``None`` stays ``None``."""
    return None if value is None else _whole(value, 1, alternative="None or ")


def _whole(value: object, least: int, most: int | None = None, alternative: str = "") -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least or (most is not None and value > most):
        bounds = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{alternative}a whole number, {bounds}")
    return value


def _allowed_functions(value: object) -> tuple[str, ...]:
    """Return the patterns; ``None`` is the default rule alone, and an empty list allows nothing."""
    if value is None:
        return (DEFAULT_RULE,)
    # A lone string is a sequence of strings, too: "app.*" would allow functions named "a", "p" and "*".
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and _is_word(item) for item in value):
        raise ValueError("None or a list of patterns of dotted names")
    return tuple(value)


def _allowed_commands(value: object) -> tuple[str, ...]:
    """Return the patterns, alike."""
    try:
        return _allowed_functions(value)
    except ValueError:
        raise ValueError("None or a list of patterns of commands' names") from None


def _node(value: object) -> str:
    """Return the node's name; an empty one becomes the host's."""
    if not isinstance(value, str) or len(value) > LONGEST_NODE or not value.isprintable():
        raise ValueError(f"a text of at most {LONGEST_NODE} characters, none of them a control character")
    return value.strip() or socket.gethostname()[:LONGEST_NODE]


def _labels(value: object) -> frozenset[str]:
    """Return the labels."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and is_label(item) for item in value):
        raise ValueError(f"a list of labels, of at most {LONGEST_LABEL} letters, digits, hyphens, dots and underscores")
    return frozenset(value)


def is_label(text: str) -> bool:
    """Whether the text may be a label of nodes and jobs."""
    return len(text) <= LONGEST_LABEL and _LABEL.fullmatch(text) is not None


def _task(value: object) -> str:
    """Return the dotted name of a task."""
    return _dotted(value, "a task")


def _alert(value: object) -> str:
    """Return the dotted name of what tells people."""
    return _dotted(value, "a function")


def _dotted(value: object, what: str) -> str:
    if not isinstance(value, str) or (value and not _is_dotted(value)):
        raise ValueError(f"the dotted name of {what}")
    return value


def _monitors(value: object) -> tuple[str, ...]:
    """Return the dotted names of modules; each counts once, or it would tell everything twice."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and _is_dotted(item) for item in value):
        raise ValueError("a list of dotted names of modules")
    return tuple(dict.fromkeys(value))


def _is_dotted(text: str) -> bool:
    """Whether the text may be the dotted name of something."""
    return all(part.isidentifier() for part in text.split("."))


def _is_word(text: str) -> bool:
    """Whether the text is not empty and has no white space."""
    return text.split() == [text]


_PREFIX = "CRONKITE_"
_SETTINGS: dict[str, tuple[Any, Callable[[object], Any], str]] = {
    # Each has its default, its parser and the hint for a value that the parser refuses.
    "CRONKITE_LOCK_TIMEOUT": (None, _lock_timeout, "Write for example CRONKITE_LOCK_TIMEOUT = 300."),
    "CRONKITE_LOOKAHEAD": (5, _lookahead, "Leave it out for 5 seconds."),
    "CRONKITE_WORKERS": (4, _workers, "Leave it out for 4; write 0 to run jobs in the node's own process."),
    "CRONKITE_ALLOWED_FUNCTIONS": (
        None,
        _allowed_functions,
        'Write for example CRONKITE_ALLOWED_FUNCTIONS = ["INSTALLED_APPS", "warehouse.jobs.*"].',
    ),
    "CRONKITE_ALLOWED_COMMANDS": (
        None,
        _allowed_commands,
        'Write for example CRONKITE_ALLOWED_COMMANDS = ["INSTALLED_APPS", "check"].',
    ),
    "CRONKITE_NODE": ("", _node, "Leave it out to use the host's name."),
    "CRONKITE_SHUTDOWN_GRACE": (20, _shutdown_grace, "Leave it out for 20 seconds."),
    "CRONKITE_NODE_LABELS": ((), _labels, 'Write for example CRONKITE_NODE_LABELS = ["gpu", "eu"].'),
    "CRONKITE_TASK": ("", _task, 'Write for example CRONKITE_TASK = "cronkite.tasks.run".'),
    "CRONKITE_ALERT": ("", _alert, 'Write for example CRONKITE_ALERT = "cronkite.alerts.mail".'),
    "CRONKITE_LOG_MAX_DAYS": (None, _log_max_days, "Write for example CRONKITE_LOG_MAX_DAYS = 90."),
    "CRONKITE_LOG_MAX_PER_JOB": (None, _log_max_per_job, "Write for example CRONKITE_LOG_MAX_PER_JOB = 1000."),
    "CRONKITE_MONITORS": ((), _monitors, 'Write for example CRONKITE_MONITORS = ["cronkite.monitors.sentry"].'),
}
