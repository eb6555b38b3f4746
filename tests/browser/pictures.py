"""How big is the screen, and where do screenshots go if they are wanted?"""

from __future__ import annotations

import os
from pathlib import Path

#: A folder, if screenshots are wanted.
FOLDER = os.environ.get("CRONKITE_SCREENSHOTS")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}


def picture(page, name, **options):
    """Keep a screenshot, if screenshots are wanted."""
    if FOLDER:
        page.screenshot(path=str(Path(FOLDER) / f"{name}.png"), **options)
