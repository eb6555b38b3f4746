"""The admin's style sheets, in themes that have none of Django's own colours."""

import re
from pathlib import Path

import pytest

import cronkite

pytestmark = pytest.mark.once

CSS = "".join(path.read_text() for path in (Path(cronkite.__file__).parent / "static" / "cronkite").glob("*.css"))


def test_what_others_may_not_define_has_something_in_its_place():
    ours = {*re.findall(r"^ *(--[\w-]+):", CSS, re.MULTILINE)}
    assert set(re.findall(r"var\((--[\w-]+)\)", CSS)) <= ours
    assert re.findall(r"var\((--(?!cronkite-)[\w-]+)\s*,", CSS)
