"""pytest's fixture ``cron``: what a test does with cronkite's time, by :mod:`cronkite.testing`.

pytest loads this in each of its runs, wherever the package is installed. So it is a module of its own, which imports
nothing of the package, nor of Django, before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cronkite.testing import Cron


@pytest.fixture
def cron(db: None) -> Iterator[Cron]:
    """Run what is due at an instant, in the test's own process and transaction: ``cron.run_due(at=...)``."""
    from cronkite.testing.cases import lent

    with lent() as cron:
        yield cron
