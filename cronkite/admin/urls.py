"""What is the address of one of our pages, in whichever admin site it is?"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse


def url(site: str, page: str, *args: Any, **asked: Any) -> str:
    """Return the path of the page, such as ``log_change``, in the site of that name, with what it is asked for."""
    path = reverse(f"admin:cronkite_{page}", args=args, current_app=site)
    return f"{path}?{urlencode(asked)}" if asked else path
