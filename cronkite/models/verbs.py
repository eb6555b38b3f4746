"""Which verbs does a job have whose code lives further down the layers?

The models may not import what stands below them, and people expect ``job.run()``. So the verbs are named here, and
``AppConfig.ready`` fills them in.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cronkite.models import Job


def _not_ready(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("django-cronkite is not ready: call django.setup() first, with 'cronkite' in INSTALLED_APPS.")


run: Callable[[Job], Any] = _not_ready
process_queue: Callable[[], None] = _not_ready

#: What was asked of ``auto_discover`` by apps that are ready before this one: the admin imports every ``admin.py`` when
#: it is. AppConfig.ready makes up for it.
asked_early: list[tuple[str | ModuleType, bool]] = []


def _ask_early(module: str | ModuleType, delete_first: bool) -> None:
    asked_early.append((module, delete_first))


auto_discover: Callable[[str | ModuleType, bool], object] = _ask_early
