"""What does ``manage.py migrate`` say of the jobs that code declares?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from cronkite.declared import discovery, strays
from cronkite.declared.deeds import Deeds
from cronkite.models import Job, primary

#: The most names that a line has.
MOST_NAMES = 5


def discover(verbosity: int = 0, **options: Any) -> None:
    """Make jobs of what is declared, and say what that has changed, and what not: a receiver of ``post_migrate``.

    Without verbosity, nothing is said, nor looked for. Where there is nothing to tell, nothing is said either.
    """
    deeds = discovery.discover_apps()
    if verbosity < 1:
        return
    if lines := list(_lines(deeds)):
        out = options.get("stdout") or sys.stdout
        out.write("Jobs that code declares:\n")
        for line in lines:
            out.write(f"  {line}\n")


def _lines(deeds: Deeds) -> Iterator[str]:
    for mark, lines in (("+", deeds.added), ("~", deeds.changed), ("-", deeds.deleted)):
        yield from (f"{mark} {line}" for line in lines)
    if deeds.kept:
        more = f" and {len(deeds.kept) - MOST_NAMES} more" if len(deeds.kept) > MOST_NAMES else ""
        names = ", ".join(deeds.kept[:MOST_NAMES])
        yield f"~ {names}{more}: not what the code says, and kept. `manage.py cron sync` shows the difference."
    for line in [*deeds.broken, *deeds.refused]:
        yield f"! {line}"
    if not discovery.is_waiting():
        rows = Job.objects.using(primary.alias()).values_list("declared_as", flat=True)
        for stray in strays.find({function for function in rows if function}):
            yield f"! {stray.name}: {stray.problem} {stray.hint}"
