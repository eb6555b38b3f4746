"""What can go wrong, by name."""

from __future__ import annotations


class CronkiteError(Exception):
    """The base of every error that django-cronkite raises on purpose."""


class ScheduleError(CronkiteError, ValueError):
    """A crontab expression or a time zone cannot be used.

    ``field`` names the culprit (``"minute"``, ``"day of week"``, ``"timezone"``, …), or is ``None`` when the
    expression as a whole is at fault. ``suggestion`` is an expression that may be written instead, or ``None``.
    """

    def __init__(self, message: str, field: str | None = None, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.suggestion = suggestion

    @property
    def sentence(self) -> str:
        """The message as it looks right by itself; in log lines it stands behind a colon."""
        message = str(self)
        return f"{message[:1].upper()}{message[1:]}."


class ZoneDataMissing(ScheduleError):
    """There is such a time zone, but this machine has no data for it; another node may have."""


class OneOffIsOver(ScheduleError):
    """The one instant that a schedule ``@at …`` names has been: it names no slot any more."""


class FunctionError(CronkiteError, ValueError):
    """A dotted name does not lead to a function that may be run."""


class FunctionNotFound(FunctionError):
    """The function cannot be imported on this node; another node's code may have it."""


class FunctionNotAllowed(FunctionError):
    """The function may not be run as a job; see ``CRONKITE_ALLOWED_FUNCTIONS``."""


class HarmfulModule(CronkiteError, ImportError):
    """To import a module would end, or hold, the process that does it; ``deed`` says what the module did."""

    def __init__(self, module: str, deed: str) -> None:
        super().__init__(f"{module} cannot be imported: {deed}", name=module)
        self.deed = deed


class JobIsLocked(CronkiteError):
    """The job is already running: its lock is held by a run that has not ended, or another transaction has its row."""


class RunEnded(BaseException):
    """Raised inside a job's function when its run has to stop: its time is up, its lock is lost or its node shuts down.

    It is no :class:`Exception`, so that ``except Exception`` in a job does not swallow it. ``status`` is what the log
    will say, and ``reason`` why.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BeaconError(CronkiteError):
    """A file that a node is to touch, so that probes see it, can't be written, or is somebody else's."""


class DatabaseAway(CronkiteError):
    """The database was out of reach for so long that a tick gave up."""
