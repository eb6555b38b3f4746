"""Which services are told what became of runs, and how?

Each is switched on by its name in ``CRONKITE_MONITORS``, listens to the signals, and needs a package that is no
dependency of ours. A module of anybody's can be one: it has a function ``connect()``, which connects its receivers.

- ``connecting``: the modules that the setting names, imported and connected.
- ``opentelemetry``: spans and metrics.
- ``pings``: the URLs that jobs have.
- ``sentry``: check-ins of cron monitors, and errors grouped by job.
- ``checkins``: what Sentry's monitors call a job, and know of its schedule.
- ``posting``: a text is sent to a URL, and not waited for too long.
- ``tracebacks``: what a log's traceback says.
"""

#: What other wings may use.
__all__ = ["connecting", "pings"]
