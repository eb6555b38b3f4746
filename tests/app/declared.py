"""Jobs that are declared in code, of each kind of function; and what is not one of this module's jobs."""

import cronkite
from app.declared_extra import elsewhere  # noqa: F401 - it has a schedule, but is not defined here


class Moody:
    """An object that cannot be looked into."""

    def __getattr__(self, name):
        raise RuntimeError(name)


class CeleryTask:
    """A stand-in with the shape of a Celery task that was made of a function."""

    def __init__(self, function):
        self.run = function
        self.name = f"{function.__module__}.{function.__name__}"
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__

    def __call__(self, *args, **kwargs):
        return self.run(*args, **kwargs)

    def apply_async(self):
        raise AssertionError("A job's task is called in place.")

    delay = apply_async


def nightly():
    """Count the sheep.

    All of them.
    """


nightly.schedule = "0 3 * * *"


def hourly():
    return None


hourly.schedule = "@hourly"


@cronkite.cron(
    "*/5 * * * *",
    timezone="Europe/Berlin",
    name="Send mails",
    args=(1, (2, 3)),
    kwargs={"c": "ü"},
    catch_up="none",
    grace=60,
    timeout=30,
)
def send(a, b, c=""):
    """Send."""
    return [a, b, c]


@cronkite.cron("30 4 * * *")
async def fetch():
    """Fetch."""


@cronkite.cron("0 5 * * *")
@CeleryTask
def deliver():
    """Deliver."""


@CeleryTask
def collect():
    """Collect."""


collect.schedule = "0 6 * * *"


def unscheduled():
    """Nobody's job."""


def scheduled_oddly():
    """Its schedule is no text."""


scheduled_oddly.schedule = 5
moody = Moody()
