"""What the tests of the faults share."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.fixture
def plain(db):
    """Open connections of the driver's own, without Django's care, to the test's database: ``plain(url)``."""
    opened = []

    def connect(url):
        from databases import parse_url

        wrapper = connection.copy()
        entry = parse_url(url)
        wrapper.settings_dict.update({key: entry[key] for key in ("HOST", "PORT", "USER", "PASSWORD")})
        opened.append(wrapper)
        return wrapper

    yield connect
    for wrapper in opened:
        wrapper.close()
